//! Hands leadership over before etcd is stopped: etcd itself drains its clients first and would lead until then.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tracing::{info, warn};

use crate::{
    etcd::{member::Member, peers::Peers},
    launch::protocol::Request,
    observe::launcher::Launcher,
    plan::handover::{Candidate, heirs},
};

/// What etcd gets to end by itself. What it has begun to answer takes milliseconds; then it would wait up to 8 s for
/// clients that watch, and cut them off all the same, while the member is away.
const DRAIN: Duration = Duration::from_secs(1);
/// How long the others may take to say how far they are: each is one hop away and answers from memory.
const HEIRS: Duration = Duration::from_millis(150);

/// What a hand-over needs.
pub(in crate::sidecar) struct HandOver {
    pub member: Member,
    pub peers: Peers,
    /// Client URLs of the other members.
    pub endpoints: Vec<String>,
    /// The other voters, and whether this member's etcd is connected to them.
    pub voters: Vec<Candidate>,
    pub requests: mpsc::Sender<Request>,
    pub launcher: watch::Receiver<Launcher>,
    /// Whether the whole cluster is stopped: nobody takes leadership over then, and clients are not waited for.
    pub stopped: bool,
}

impl HandOver {
    /// Moves leadership away if this member leads, then lets the launcher go on. The launcher bounds the whole.
    pub(in crate::sidecar) async fn perform(mut self) {
        if !self.stopped {
            self.move_away().await;
        }
        // Closed: the launcher's connection is gone, and it has gone on by itself.
        let _ = self.requests.send(Request::Release).await;
        // Its successor must not hear the word that is meant for this one.
        let goes = self.launcher.wait_for(|launcher| !launcher.terminating);
        if timeout(DRAIN, goes).await.is_err() {
            // What was acknowledged is on the disk. A launcher that does not know the word drops the connection, and goes on.
            let _ = self.requests.send(Request::Kill).await;
        }
    }

    /// Who leads is asked now: leadership may have come here since the last look. Between the choice and the move nothing else
    /// is done, since what a client asks for while leadership moves is lost.
    async fn move_away(&self) {
        let Ok(own) = self.member.status().await else { return };
        if own.leader_id.as_deref() != Some(&own.member_id) {
            return;
        }
        let said = self.peers.statuses(&self.endpoints, HEIRS).await;
        let index = |id: &str| said.iter().find(|s| s.member_id == id && s.leader_id == own.leader_id);
        let told = self
            .voters
            .iter()
            .map(|voter| Candidate { index: index(&voter.id).map(|status| status.raft_index), ..voter.clone() });
        for heir in heirs(told.collect(), &own.member_id) {
            match self.member.move_leader(&heir.id).await {
                Ok(()) => {
                    info!(to = heir.member, "leadership is handed over");
                    return;
                }
                Err(error) => warn!(to = heir.member, %error, "cannot hand leadership over"),
            }
        }
    }
}
