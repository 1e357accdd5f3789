//! The next step of a cluster: one value with its reasons. Something else performs it.
//!
//! ```text
//!   Look ─▶ Begin ─▶ MakeMembers ─▶ SetReplicas, Replace, Wait, Nothing … ─▶ End ─▶ (nothing left) ─▶ Begin the next
//! ```
//! The first three are done at once and asked again: at most [`ROUNDS`] times in one reconciliation.

use etcd_operator_shared::api::cluster::{End, Incarnation};

use crate::cluster::{
    decide::volumes::Change,
    facts::{Etcd, Facts, trial::Place},
};

/// Ground, live facts, an incarnation, its members, places, the template, and the step itself; one more for a cache that was behind.
pub const ROUNDS: usize = 8;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This must be known before anything can be decided.
    Look(Look),
    /// This incarnation is written into the status, before anything of it exists.
    Begin(Incarnation),
    /// The EtcdMembers of the founders are made, and then it is latched that they were: one made later never
    /// bootstraps.
    MakeMembers,
    /// The StatefulSet gets this many replicas.
    SetReplicas(u32),
    /// These pods are deleted, so that their successors come up with the newest template or join anew.
    Replace(Vec<Deletion>),
    /// The etcd of this pod gets another image while the pod stays.
    Swap(Swap),
    /// The etcd of this pod is started once more, with other options.
    Turn(Turn),
    /// The agents of these pods get another image while the pods run.
    Refresh(Vec<Refresh>),
    /// This member gets another volume.
    Move(Renewal),
    /// Throw-away pods try the newest template there.
    Try(Vec<Place>),
    /// No pod is left, and the incarnation is over.
    End(End),
    /// Something is under way; the sentence says what.
    Wait(Waiting),
    /// Everything is as it should be.
    Nothing,
}

/// What is read with the API server's own eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// What lies where the cluster is to be.
    Ground,
    /// What lies where the pods of these ordinals are to be; `to` is not one of them.
    Places { from: u32, to: u32 },
    /// Whether the API server would take a pod of the newest template.
    Template,
    /// Everything that the caches say.
    Live,
}

impl Step {
    /// Whether it could not be taken back: then it is decided again on live reads.
    #[must_use]
    pub fn is_final(&self, facts: &Facts) -> bool {
        match self {
            Self::SetReplicas(n) => *n < facts.replicas(),
            Self::Replace(_) | Self::Swap(_) | Self::Turn(_) | Self::Refresh(_) | Self::Move(_) | Self::End(_) => true,
            // The first one takes nothing away; a next one gives up whatever the former still had.
            Self::Begin(incarnation) => incarnation.number > 1,
            Self::Look(_) | Self::MakeMembers | Self::Try(_) | Self::Wait(_) | Self::Nothing => false,
        }
    }
}

/// A pod to delete. The UID is the deletion's precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    pub name: String,
    pub uid: String,
    /// Why this one and why now.
    pub why: Why,
}

/// Why a pod is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its template is old, and etcd does not run in it or has no vote: nothing is lost.
    CannotServe,
    /// Its template is old, and etcd runs in it without serving.
    DoesNotServe,
    /// Its template is old, and all members serve.
    Follower,
    /// As above, and no other old pod is left.
    LeaderLast,
    /// Not its template: its member has left, and its place is wanted again.
    WantedAgain,
    /// Not its template: its volume goes, and all members serve.
    Moves,
}

/// A pod whose etcd gets another image. The UID is the change's precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    pub name: String,
    pub uid: String,
    pub etcd: Etcd,
    /// The image as it is written into the pod.
    pub write: String,
    /// ID of the container until now.
    pub container: String,
    /// Why this one and why now.
    pub why: Why,
}

/// A pod whose etcd gets other options. They are for the pod with this UID alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub name: String,
    pub ordinal: u32,
    pub uid: String,
    /// As agents are told them.
    pub options: String,
    /// Why this one and why now.
    pub why: Why,
}

/// A pod whose agent gets another image. The UID is the change's precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refresh {
    pub name: String,
    pub uid: String,
    /// As it is asked for, and as it is written into the pod.
    pub image: String,
    pub write: String,
    /// The same of the image until now.
    pub former: String,
    pub written: String,
    /// ID of the container until now, if one runs.
    pub container: Option<String>,
    pub why: Update,
}

/// A member that gets another volume: its claim goes, and then its pod, whose successor is made with a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    pub volume: Change,
    /// `None` while there is none.
    pub pod: Option<Deletion>,
}

/// Why an agent gets another image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Its image is old, and its member does not serve.
    NotServing,
    /// Its image is old, and all members serve.
    Follower,
    /// As above, and no other is old.
    LeaderLast,
    /// Its image is new and does not work, for this reason: it gets the former again.
    PutBack(&'static str),
}

/// How a pod is made to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// Through its PodDisruptionBudget, so that a drain at the same time does not take another one.
    Eviction,
    Deletion,
}

impl Swap {
    /// What is done instead where the API server refuses the change.
    #[must_use]
    pub fn instead(&self) -> Deletion {
        Deletion { name: self.name.clone(), uid: self.uid.clone(), why: self.why }
    }
}

impl Turn {
    /// As what it is seen by its budget.
    #[must_use]
    pub fn absence(&self) -> Deletion {
        Deletion { name: self.name.clone(), uid: self.uid.clone(), why: self.why }
    }
}

impl Deletion {
    /// `voters`: how many the cluster has. The budget of an only one never lets it go.
    #[must_use]
    pub fn means(&self, voters: u32) -> Means {
        match self.why {
            Why::Follower | Why::LeaderLast | Why::Moves if voters > 1 => Means::Eviction,
            Why::Follower | Why::LeaderLast | Why::Moves | Why::CannotServe | Why::DoesNotServe | Why::WantedAgain => {
                Means::Deletion
            }
        }
    }
}

/// Something is under way, and this is what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// CamelCase.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

impl Waiting {
    #[must_use]
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl Why {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CannotServe => "it cannot serve with its old template",
            Self::DoesNotServe => "it does not serve with its old template",
            Self::Follower => "its template is old and all members serve",
            Self::LeaderLast => "its template is old and it is the last one, the leader",
            Self::WantedAgain => "its member has left, and a new one is wanted in its place",
            Self::Moves => "its member moves to another volume",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_serves_goes_through_the_budget_unless_it_is_the_only_one() {
        let means = |why, voters| Deletion { name: "demo-1".into(), uid: "u".into(), why }.means(voters);
        for why in [Why::Follower, Why::LeaderLast, Why::Moves] {
            assert_eq!((means(why, 3), means(why, 1)), (Means::Eviction, Means::Deletion));
        }
        for why in [Why::CannotServe, Why::DoesNotServe, Why::WantedAgain] {
            assert_eq!(means(why, 3), Means::Deletion, "{why:?}: the budget does not count it");
        }
    }
}
