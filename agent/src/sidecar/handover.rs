//! Hands leadership over before etcd is stopped: etcd itself drains its clients first and would lead until then.

use std::time::Duration;

use etcd_operator_shared::api::member::Role;
use tokio::{sync::mpsc, time::sleep};
use tracing::{info, warn};

use crate::{etcd::member::Member, launch::protocol::Request, plan::list::Entry};

/// What etcd gets to end by itself in a cluster that is stopped: it would wait 8 s for clients that nobody serves any more.
const DRAIN: Duration = Duration::from_secs(1);

/// Moves leadership away if this member leads, then lets the launcher go on. The launcher bounds the whole. Where the whole
/// cluster stops nobody takes leadership over, and clients are not waited for.
pub async fn hand_over(
    member: Member,
    members: Vec<Entry>,
    role: Option<Role>,
    requests: mpsc::Sender<Request>,
    stopped: bool,
) {
    if role == Some(Role::Leader) && !stopped {
        move_away(&member, &members).await;
    }
    // Closed: the launcher's connection is gone, and it has gone on by itself.
    let _ = requests.send(Request::Release).await;
    if stopped {
        sleep(DRAIN).await;
        // What was acknowledged is on the disk. A launcher that does not know the word drops the connection, and goes on.
        let _ = requests.send(Request::Kill).await;
    }
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
