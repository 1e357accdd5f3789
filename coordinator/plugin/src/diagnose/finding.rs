//! What a check found.

use serde::Serialize;

use crate::verdict::Verdict;

/// Everything that was checked.
#[derive(Serialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub namespace: String,
    pub cluster: String,
    pub findings: Vec<Finding>,
}

/// One result.
#[derive(Serialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub check: Check,
    pub outcome: Outcome,
    /// What it is about: a member, a pod, a claim, a node; none where it is the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What was found, in a sentence.
    pub message: String,
    /// What a person can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// What was looked at.
#[derive(Serialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    Ready,
    Operator,
    Spec,
    Quorum,
    Pods,
    Volumes,
    Nodes,
    Members,
    Links,
    Versions,
    Space,
    Certificates,
    Backups,
    Events,
}

/// How it is. The gravest stands first.
#[derive(Serialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Fault,
    /// Nothing is broken by it, and a person should know.
    Note,
    /// It could not be looked at.
    Unknown,
    Fine,
}

impl Finding {
    fn new(check: Check, outcome: Outcome, message: impl Into<String>) -> Self {
        Self { check, outcome, subject: None, message: message.into(), advice: None }
    }

    pub fn fault(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Fault, message)
    }

    pub fn note(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Note, message)
    }

    pub fn unknown(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Unknown, message)
    }

    pub fn fine(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Outcome::Fine, message)
    }

    #[must_use]
    pub fn of(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    #[must_use]
    pub fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

impl Report {
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }

    /// What is worth a note, or could not be seen, is no fault.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::of_health(self.count(Outcome::Fault) == 0)
    }
}

/// What a check says that has found nothing.
pub fn or_fine(found: Vec<Finding>, check: Check, message: impl Into<String>) -> Vec<Finding> {
    if found.is_empty() { vec![Finding::fine(check, message)] } else { found }
}
