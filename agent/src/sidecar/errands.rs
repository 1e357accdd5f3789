//! Acts on the membership, one at a time, each in a task of its own: the loop never waits for etcd.

use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::sync::mpsc;
use tracing::{debug, info};

use crate::{
    crash,
    etcd::{
        member::{EtcdError, Member},
        peers::{Act, Peers},
    },
};

/// Something to be done in the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Errand {
    /// Through another member.
    Act(Act),
    /// Hand this member's leadership to another.
    MoveLeader { to: String },
}

/// How it ended.
pub(super) struct Ended {
    errand: Errand,
    outcome: Result<Option<String>, EtcdError>,
}

/// One errand at a time.
pub(super) struct Errands {
    own: Member,
    peers: Peers,
    busy: bool,
    not_before: Instant,
    /// Others may be added before this member is.
    resting_until: Instant,
    /// Lists asked for before this do not know what was done last.
    acted: Instant,
    trouble: Option<(Errand, String)>,
    ends: (mpsc::Sender<Ended>, mpsc::Receiver<Ended>),
}

/// How long a learner that gave its place up waits before it tries again.
const REST: Duration = Duration::from_secs(30);
/// Milliseconds to pause after a refusal, at random: several members may be at it.
const PAUSE: std::ops::Range<u64> = 40..120;
/// The same for a promotion, which waits for a fraction of a second and which nobody else asks for.
const PROMOTION: std::ops::Range<u64> = 10..30;

impl Errands {
    pub(super) fn new(own: Member, peers: Peers) -> Self {
        let now = Instant::now();
        Self {
            own,
            peers,
            busy: false,
            not_before: now,
            resting_until: now,
            acted: now,
            trouble: None,
            ends: mpsc::channel(1),
        }
    }

    /// When something was last done, or may have been.
    pub(super) fn acted(&self) -> Instant {
        self.acted
    }

    /// Whether a list that was asked for at this time knows all that was done.
    pub(super) fn knows(&self, asked: Instant) -> bool {
        !self.busy && asked > self.acted
    }

    /// Why the last errand failed, in etcd's words; `None` when it succeeded.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|(_, why)| why.as_str())
    }

    /// Leaves the place to others for a while.
    pub(super) fn rest(&mut self) {
        self.resting_until = Instant::now() + REST;
    }

    /// Begins an errand, unless one is under way or was just refused.
    pub(super) fn run(&mut self, errand: Errand, endpoints: Vec<String>) {
        let now = Instant::now();
        let rests = matches!(errand, Errand::Act(Act::Add { .. })) && now < self.resting_until;
        if self.busy || rests || now < self.not_before {
            return;
        }
        self.busy = true;
        let (own, peers, ends) = (self.own.clone(), self.peers.clone(), self.ends.0.clone());
        debug!(?errand, "begun");
        tokio::spawn(async move {
            let outcome = perform(&own, &peers, &errand, &endpoints).await;
            // Closed: the loop has ended, and the next one reads the list.
            let _ = ends.send(Ended { errand, outcome }).await;
        });
    }

    /// The end of the errand under way; pends while there is none. Cancel-safe.
    pub(super) async fn ended(&mut self) -> Ended {
        match self.ends.1.recv().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// Takes the end of an errand; returns the ID under which this member was added.
    pub(super) fn finish(&mut self, Ended { errand, outcome }: Ended) -> Option<String> {
        self.busy = false;
        self.acted = Instant::now();
        match outcome {
            Ok(added) => {
                info!(?errand, added, "done in the membership");
                self.trouble = None;
                added
            }
            Err(error) => {
                let why = error.to_string();
                if self.trouble.as_ref().is_none_or(|last| *last != (errand.clone(), why.clone())) {
                    info!(?errand, why, "not done in the membership; it is tried again");
                }
                let pause = if matches!(errand, Errand::Act(Act::Promote { .. })) { PROMOTION } else { PAUSE };
                self.trouble = Some((errand, why));
                self.not_before = Instant::now() + Duration::from_millis(rand::rng().random_range(pause));
                None
            }
        }
    }
}

async fn perform(
    own: &Member,
    peers: &Peers,
    errand: &Errand,
    endpoints: &[String],
) -> Result<Option<String>, EtcdError> {
    crash::point(match errand {
        Errand::Act(Act::Remove { .. }) => "before-remove",
        Errand::Act(Act::Add { .. }) => "before-add",
        Errand::Act(Act::Promote { .. }) => "before-promote",
        Errand::MoveLeader { .. } => "before-move-leader",
    });
    let outcome = match errand {
        Errand::Act(act) => peers.act(endpoints, act).await?,
        Errand::MoveLeader { to } => own.move_leader(to).await.map(|()| None)?,
    };
    crash::point(match errand {
        Errand::Act(Act::Remove { .. }) => "after-remove",
        Errand::Act(Act::Add { .. }) => "after-add",
        Errand::Act(Act::Promote { .. }) => "after-promote",
        Errand::MoveLeader { .. } => "after-move-leader",
    });
    Ok(outcome)
}
