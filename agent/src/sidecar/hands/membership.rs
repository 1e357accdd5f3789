//! Changes of the membership, one at a time.

use std::time::{Duration, Instant};

use rand::RngExt;
use tracing::{debug, info};

use super::lane::Lane;

use crate::{
    crash,
    etcd::{
        member::{EtcdError, Member},
        peers::{Act, Peers},
    },
    plan::downgrade,
};

/// Something to be done in the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sidecar) enum Change {
    /// Through another member.
    Act(Act),
    /// Hand this member's leadership to another.
    MoveLeader { to: String },
    /// Let the cluster go one minor version down, or not.
    Downgrade(downgrade::Step),
}

/// How it ended.
pub(in crate::sidecar) struct Ended {
    change: Change,
    outcome: Result<Option<String>, EtcdError>,
}

/// One change at a time.
pub(in crate::sidecar) struct Changes {
    own: Member,
    peers: Peers,
    lane: Lane<Ended>,
    not_before: Instant,
    /// Others may be added before this member is.
    resting_until: Instant,
    /// Lists asked for before this do not know what was done last.
    changed: Instant,
    trouble: Option<(Change, String)>,
}

/// How long a learner that gave its place up waits before it tries again.
const REST: Duration = Duration::from_secs(30);
/// Milliseconds to pause after a refusal, at random: several members may be at it.
const PAUSE: std::ops::Range<u64> = 40..120;
/// The same for a promotion, which waits for a fraction of a second and which nobody else asks for.
const PROMOTION: std::ops::Range<u64> = 10..30;
/// The same for what is asked for while etcd cannot say whether it was done.
const LEISURE: std::ops::Range<u64> = 800..1200;

impl Changes {
    pub(in crate::sidecar) fn new(own: Member, peers: Peers) -> Self {
        let now = Instant::now();
        Self { own, peers, lane: Lane::new(), not_before: now, resting_until: now, changed: now, trouble: None }
    }

    /// When something was last changed, or may have been.
    pub(in crate::sidecar) fn changed(&self) -> Instant {
        self.changed
    }

    /// Whether a list that was asked for at this time knows all that was changed.
    pub(in crate::sidecar) fn knows(&self, asked: Instant) -> bool {
        !self.lane.is_busy() && asked > self.changed
    }

    /// Why the last change failed, in etcd's words; `None` when it succeeded.
    pub(in crate::sidecar) fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|(_, why)| why.as_str())
    }

    /// Leaves the place to others for a while.
    pub(in crate::sidecar) fn rest(&mut self, now: Instant) {
        self.resting_until = now + REST;
    }

    /// Begins a change, unless one is under way or was just refused.
    pub(in crate::sidecar) fn begin(&mut self, change: Change, endpoints: Vec<String>, now: Instant) {
        let rests = matches!(change, Change::Act(Act::Add { .. })) && now < self.resting_until;
        if self.lane.is_busy() || rests || now < self.not_before {
            return;
        }
        debug!(?change, "begun");
        let (own, peers) = (self.own.clone(), self.peers.clone());
        self.lane.begin(async move {
            let outcome = perform(&own, &peers, &change, &endpoints).await;
            Ended { change, outcome }
        });
    }

    /// The end of the change under way; pends while there is none. Cancel-safe.
    pub(in crate::sidecar) async fn ended(&mut self) -> Ended {
        self.lane.ended().await
    }

    /// Takes the end of a change; returns the ID under which this member was added.
    pub(in crate::sidecar) fn finish(&mut self, Ended { change, outcome }: Ended, now: Instant) -> Option<String> {
        self.changed = now;
        match outcome {
            Ok(added) => {
                info!(?change, added, "done in the membership");
                self.trouble = None;
                added
            }
            Err(error) => {
                let why = error.to_string();
                if self.trouble.as_ref().is_none_or(|last| *last != (change.clone(), why.clone())) {
                    info!(?change, why, "not done in the membership; it is tried again");
                }
                let pause = match &change {
                    Change::Act(Act::Promote { .. }) => PROMOTION,
                    Change::Downgrade(_) => LEISURE,
                    Change::Act(Act::Remove { .. } | Act::Add { .. }) | Change::MoveLeader { .. } => PAUSE,
                };
                self.trouble = Some((change, why));
                self.not_before = now + Duration::from_millis(rand::rng().random_range(pause));
                None
            }
        }
    }
}

async fn perform(
    own: &Member,
    peers: &Peers,
    change: &Change,
    endpoints: &[String],
) -> Result<Option<String>, EtcdError> {
    let (before, after) = points(change).unzip();
    before.into_iter().for_each(crash::point);
    let outcome = match change {
        Change::Act(act) => peers.act(endpoints, act).await?,
        Change::MoveLeader { to } => own.move_leader(to).await.map(|()| None)?,
        Change::Downgrade(downgrade::Step::Allow(minor)) => own.allow_downgrade(*minor).await.map(|()| None)?,
        Change::Downgrade(downgrade::Step::TakeBack) => own.take_back_downgrade().await.map(|()| None)?,
    };
    after.into_iter().for_each(crash::point);
    Ok(outcome)
}

/// Where a test lets the agent die before and after it. A downgrade is judged by what etcd says of it, not by what was done.
fn points(change: &Change) -> Option<(&'static str, &'static str)> {
    match change {
        Change::Act(Act::Remove { .. }) => Some(("before-remove", "after-remove")),
        Change::Act(Act::Add { .. }) => Some(("before-add", "after-add")),
        Change::Act(Act::Promote { .. }) => Some(("before-promote", "after-promote")),
        Change::MoveLeader { .. } => Some(("before-move-leader", "after-move-leader")),
        Change::Downgrade(_) => None,
    }
}
