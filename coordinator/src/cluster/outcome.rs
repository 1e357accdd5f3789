//! What is known of a cluster, and what came of a reconciliation.

use std::{fmt, sync::Arc, time::Duration};

use etcd_operator_shared::api::EtcdCluster;

use crate::{
    apiserver::Failed,
    cluster::{
        decide::{Decision, refusal::Refusal},
        facts::{Facts, denial::Denial},
    },
};

/// One cluster as it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The newest object that is known.
    pub cluster: Arc<EtcdCluster>,
    pub facts: Facts,
}

/// What came of it: what was decided, and which calls failed on the way.
#[derive(Debug)]
pub struct Outcome {
    pub seen: Seen,
    pub decision: Decision,
    pub failed: Vec<Failed>,
    /// What the API server refuses, as far as it is known by now.
    pub denials: Vec<Denial>,
}

/// A reconciliation in which something failed: all else was done, and the status was told.
#[derive(Debug)]
pub struct Unfinished {
    pub failed: Vec<Failed>,
    /// Look again after this time at the latest, whatever failed.
    pub again: Option<Duration>,
}

impl Outcome {
    #[must_use]
    pub fn new(seen: Seen, decision: Decision, failed: Vec<Failed>) -> Self {
        Self { seen, decision, failed, denials: vec![] }
    }

    /// What belongs to somebody else and stays is no failure that another try mends: a person is told of the first, and
    /// all else goes on.
    #[must_use]
    pub fn refusing_strangers(mut self) -> Self {
        let stays = |one: &Failed| one.stranger().is_some_and(|stranger| !stranger.leaves);
        let (strangers, failed) = self.failed.into_iter().partition::<Vec<_>, _>(stays);
        self.failed = failed;
        let first = strangers.iter().find_map(Failed::stranger).cloned();
        self.decision.refusal = self.decision.refusal.or(first.map(Refusal::ForeignObject));
        self
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentences: Vec<String> = self.failed.iter().map(ToString::to_string).collect();
        f.write_str(&sentences.join("; "))
    }
}

impl std::error::Error for Unfinished {}
