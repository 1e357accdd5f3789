//! Why something does not come about that others make for us: only their events say it, and these are in no cache.

use super::{Facts, pod_trouble::shorten};

/// What is to be asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Why has the StatefulSet fewer pods than replicas? Its name and UID.
    Pods { set: String, uid: String },
    /// Why has this claim no volume? Its name and UID.
    Volume { claim: String, uid: String },
}

/// An answer: the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub question: Question,
    pub words: String,
}

/// What an event says of the object that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub reason: String,
    pub message: String,
    pub warns: bool,
    /// Seconds since the epoch when it was said last.
    pub at: i64,
}

/// What a StatefulSet's controller says when it could make neither pod nor claim.
const FAILED: &str = "FailedCreate";

/// Reasons of events that are told as Normal and say all the same why a claim has no volume.
const OF_CLAIMS: [&str; 3] = ["FailedBinding", "ExternalProvisioning", "ProvisioningFailed"];

impl Question {
    /// The UID of the object whose events may answer.
    #[must_use]
    pub fn uid(&self) -> &str {
        match self {
            Self::Pods { uid, .. } | Self::Volume { uid, .. } => uid,
        }
    }

    /// The sentence that events answer with, if one of them does: the latest that tells of a failure. One that a success
    /// has followed is history.
    #[must_use]
    pub fn answer(&self, events: impl IntoIterator<Item = Said>) -> Option<Finding> {
        let events = events.into_iter();
        let last = match self {
            Self::Pods { .. } => {
                let tried = events.filter(|said| said.reason == FAILED || said.reason == "SuccessfulCreate");
                tried.max_by_key(|said| (said.at, said.reason == FAILED)).filter(|said| said.reason == FAILED)
            }
            Self::Volume { .. } => {
                let tell = events.filter(|said| said.warns || OF_CLAIMS.contains(&said.reason.as_str()));
                tell.max_by_key(|said| (said.warns, said.at))
            }
        }?;
        let said = shorten(&last.message);
        let words = match self {
            Self::Pods { set, .. } => format!("StatefulSet {set} cannot make a pod: {said}"),
            Self::Volume { claim, .. } => format!("PersistentVolumeClaim {claim} gets no volume: {said}"),
        };
        Some(Finding { question: self.clone(), words })
    }
}

/// What is open now: at most one of each kind, since one cause mostly keeps all of a kind from being made.
#[must_use]
pub fn questions(facts: &Facts) -> Vec<Question> {
    let set = facts.set.as_ref().filter(|set| !set.deleting);
    let (there, going) = (facts.pods().count(), facts.pods().any(|(_, pod)| pod.deleting));
    let pods = set
        .filter(|set| !going && there < set.replicas as usize)
        .and_then(|set| Some(Question::Pods { set: facts.cluster.clone(), uid: set.version.uid.clone()? }));
    let unbound = facts.claims.iter().find(|(ordinal, claim)| {
        !claim.bound && !claim.deleting && facts.slot(**ordinal).pod.is_some_and(|pod| !pod.etcd_runs)
    });
    let volume = unbound.map(|(_, claim)| Question::Volume { claim: claim.name.clone(), uid: claim.uid.clone() });
    pods.into_iter().chain(volume).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts::tests::{claim, healthy};

    fn said(reason: &str, message: &str, warns: bool, at: i64) -> Said {
        Said { reason: reason.into(), message: message.into(), warns, at }
    }

    #[test]
    fn nothing_is_asked_of_a_cluster_that_is_well_or_whose_pods_are_going() {
        let mut facts = healthy(3);
        facts.claims = (0..3).map(|ordinal| (ordinal, claim(ordinal))).collect();
        assert!(questions(&facts).is_empty());
        facts.slots.get_mut(&2).unwrap().pod = None;
        assert_eq!(questions(&facts).len(), 1);
        facts.slots.get_mut(&1).unwrap().pod.as_mut().unwrap().deleting = true;
        assert!(questions(&facts).is_empty());
    }

    #[test]
    fn a_claim_is_asked_about_while_its_pod_waits_for_it() {
        let mut facts = healthy(1);
        facts.claims = [(0, Claim { bound: false, ..claim(0) })].into();
        assert!(questions(&facts).is_empty(), "etcd runs: the cache is behind");
        facts.slots.get_mut(&0).unwrap().pod.as_mut().unwrap().etcd_runs = false;
        assert_eq!(questions(&facts), [Question::Volume { claim: "data-demo-0".into(), uid: "claim-0".into() }]);
    }

    #[test]
    fn the_latest_failure_answers_and_nothing_else_does() {
        let pods = Question::Pods { set: "demo".into(), uid: "u".into() };
        assert_eq!(pods.answer([said("SuccessfulCreate", "made", false, 9)]), None);
        let all = [said("FailedCreate", "old", true, 1), said("FailedCreate", "new", true, 2)];
        assert_eq!(pods.answer(all).unwrap().words, "StatefulSet demo cannot make a pod: new");
        let since = [said("FailedCreate", "no", true, 2), said("SuccessfulCreate", "made", false, 3)];
        assert_eq!(pods.answer(since), None, "it was made since");
        let volume = Question::Volume { claim: "data-demo-0".into(), uid: "u".into() };
        assert_eq!(volume.answer([said("WaitForFirstConsumer", "waits", false, 9)]), None);
        let all = [said("ExternalProvisioning", "waits", false, 9), said("ProvisioningFailed", "no", true, 2)];
        assert_eq!(volume.answer(all).unwrap().words, "PersistentVolumeClaim data-demo-0 gets no volume: no");
    }

    use crate::cluster::facts::Claim;
}
