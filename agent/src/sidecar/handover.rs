//! Hands leadership over before etcd is stopped: etcd itself drains its clients first and would lead until then.

use etcd_operator_shared::api::member::Role;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::{etcd::member::Member, launch::protocol::Request, plan::list::Entry};

/// Moves leadership away if this member leads, then lets the launcher go on. The launcher bounds the whole.
pub async fn hand_over(member: Member, members: Vec<Entry>, role: Option<Role>, requests: mpsc::Sender<Request>) {
    if role == Some(Role::Leader) {
        move_away(&member, &members).await;
    }
    // Closed: the launcher's connection is gone, and it has gone on by itself.
    let _ = requests.send(Request::Release).await;
}

async fn move_away(member: &Member, members: &[Entry]) {
    let Ok(own) = member.status().await else { return };
    if own.leader_id.as_deref() != Some(&own.member_id) {
        return;
    }
    let others = members.iter().filter(|m| !m.learner && m.id != own.member_id);
    for other in others {
        match member.move_leader(&other.id).await {
            Ok(()) => {
                info!(to = other.member, "leadership is handed over");
                return;
            }
            Err(error) => warn!(to = other.member, %error, "cannot hand leadership over"),
        }
    }
}
