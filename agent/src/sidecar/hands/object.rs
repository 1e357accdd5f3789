//! The EtcdMember: the newest version seen, and one write at a time.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use ::kube::{Api, ResourceExt};
use etcd_operator_shared::{
    api::{EtcdMember, EtcdMemberStatus, member::Claim},
    version::Downgrade,
};
use serde_json::json;
use tokio::sync::Notify;
use tracing::warn;

use super::lane::Lane;
use crate::{
    kube::{
        notebook::{self, WriteError},
        watch::View,
    },
    plan::publish::{self, Due, Refused, Standing, Told},
};

/// Pause after a write that the API server did not take, and after more of them in a row.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(16);
/// Pause after a write that was refused because the object had changed: the watch brings what has.
const AFTER_CONFLICT: Duration = Duration::from_millis(20);
/// Pause after a write to an object that is gone: the coordinator makes it again.
const AFTER_ABSENCE: Duration = Duration::from_millis(200);

/// A claim under way: what goes onto the mark of the volume with this ID once it is accepted.
pub(in crate::sidecar) struct Claiming {
    pub volume_id: String,
    pub number: i64,
    pub member_id: Option<String>,
}

/// The end of a write, what it said, and the claim that it made, if it made one.
pub(in crate::sidecar) struct Written {
    claim: Option<Claiming>,
    sent: EtcdMemberStatus,
    answer: Result<EtcdMember, WriteError>,
}

pub(in crate::sidecar) struct MemberObject {
    api: Api<EtcdMember>,
    object: Option<Arc<EtcdMember>>,
    /// Since when the object names its account.
    account_since: Instant,
    lane: Lane<Written>,
    written: Option<Instant>,
    not_before: Instant,
    /// Told when a write was not answered in time: then the watch may be dead, too.
    doubt: Arc<Notify>,
    /// The last write that the API server took.
    told: Option<Told>,
    /// What it does not take, and since when that is left out.
    refused: Refused,
    refused_since: Instant,
    /// The fields that were last said to be left out.
    said: Vec<String>,
    /// When the last writes began, the newest last.
    begun: VecDeque<Instant>,
    /// Writes in a row that the API server did not take.
    failures: u32,
}

impl MemberObject {
    /// `doubt` is told when a write is not answered.
    pub(in crate::sidecar) fn new(api: Api<EtcdMember>, doubt: Arc<Notify>) -> Self {
        let now = Instant::now();
        Self {
            api,
            object: None,
            account_since: now,
            lane: Lane::new(),
            written: None,
            not_before: now,
            doubt,
            told: None,
            refused: Refused::default(),
            refused_since: now,
            said: vec![],
            begun: VecDeque::new(),
            failures: 0,
        }
    }

    /// The newest EtcdMember seen, by the watch or in the answer to a write.
    pub(in crate::sidecar) fn object(&self) -> Option<&Arc<EtcdMember>> {
        self.object.as_ref()
    }

    /// The claim that stands in it.
    pub(in crate::sidecar) fn claim(&self) -> Option<&Claim> {
        self.object.as_ref()?.status.as_ref()?.claim.as_ref()
    }

    /// What the coordinator says of etcd's downgrades.
    pub(in crate::sidecar) fn downgrade(&self) -> Option<Downgrade> {
        self.object.as_ref()?.spec.downgrade.as_ref()?.parse().ok()
    }

    /// As whom this pod's agent says that it speaks.
    pub(in crate::sidecar) fn account(&self, pod_uid: &str) -> Option<&str> {
        let object = self.object.as_ref()?;
        let (named, seen) = (object.spec.account.as_deref(), self.account_since.elapsed());
        publish::account(named, object.status.as_ref(), pod_uid, seen)
    }

    /// Whether this pod was reported to have left. That is final, also while an etcd that was ordered before comes up once more.
    pub(in crate::sidecar) fn has_left(&self, pod_uid: &str) -> bool {
        self.object.as_ref().and_then(|object| object.status.as_ref()?.left_pod_uid.as_deref()) == Some(pod_uid)
    }

    /// Time since the last write of this process.
    pub(in crate::sidecar) fn age(&self) -> Duration {
        self.written.map_or(Duration::MAX, |at| at.elapsed())
    }

    /// Whether `next` is worth a write. `asking`: for how long the others have been asked, when that is all there is to tell.
    pub(in crate::sidecar) fn due(&self, next: &EtcdMemberStatus, asking: Option<Duration>) -> Due {
        let lately = self.begun.iter().filter(|at| at.elapsed() < publish::WINDOW).count();
        let status = self.object.as_ref().and_then(|object| object.status.as_ref());
        publish::due(Standing { status, told: self.told.as_ref(), ago: self.age(), lately, asking }, next)
    }

    /// Takes what the watch shows.
    pub(in crate::sidecar) fn take(&mut self, view: View) {
        match view {
            View::Unheard(_) => {}
            View::Missing => (self.object, self.told) = (None, None),
            View::Present(object) => self.take_newer(object),
        }
    }

    /// The watch may be behind the answer to a write.
    fn take_newer(&mut self, object: Arc<EtcdMember>) {
        let version = |o: &EtcdMember| o.resource_version().and_then(|v| v.parse::<u64>().ok());
        let newer = |own: &EtcdMember| own.uid() == object.uid() && version(own) > version(&object);
        if self.object.as_ref().is_some_and(|own| own.uid() != object.uid()) {
            self.told = None;
        }
        if !self.object.as_ref().is_some_and(|own| newer(own)) {
            if self.object.as_ref().is_some_and(|own| own.spec.account != object.spec.account) {
                self.account_since = Instant::now();
            }
            self.object = Some(object);
        }
    }

    /// Whether a write may begin now.
    pub(in crate::sidecar) fn is_free(&self) -> bool {
        !self.lane.is_busy() && Instant::now() >= self.not_before
    }

    /// How long a word that is owed has to wait: for the pause after a failure, or for the end of a write, which is told.
    pub(in crate::sidecar) fn pause(&self, now: Instant) -> Duration {
        if self.lane.is_busy() { Duration::MAX } else { self.not_before.saturating_duration_since(now) }
    }

    pub(in crate::sidecar) fn is_writing(&self) -> bool {
        self.lane.is_busy()
    }

    /// Begins a write over the newest version seen; its end comes from [`Self::ended`].
    pub(in crate::sidecar) fn write(&mut self, sent: EtcdMemberStatus, claim: Option<Claiming>) {
        let Some(object) = self.object.clone() else { return };
        if self.refused_since.elapsed() >= publish::RARELY {
            // The kinds may be new.
            self.refused = Refused::default();
        }
        self.begun.push_back(Instant::now());
        if self.begun.len() > publish::MANY {
            self.begun.pop_front();
        }
        let (api, status) = (self.api.clone(), self.refused.without(json!(sent)));
        self.lane.begin(async move {
            let answer = notebook::write(api, &object, status).await;
            Written { claim, sent, answer }
        });
    }

    /// The end of the write under way; pends while there is none. Cancel-safe.
    pub(in crate::sidecar) async fn ended(&mut self) -> Written {
        self.lane.ended().await
    }

    /// Takes the end of a write; returns the claim that was accepted with it.
    pub(in crate::sidecar) fn finish(&mut self, Written { claim, sent, answer }: Written) -> Option<Claiming> {
        let pause = match answer {
            Ok(object) => return self.took(object, sent, claim),
            Err(WriteError::Conflict) => AFTER_CONFLICT,
            Err(WriteError::Missing) => AFTER_ABSENCE,
            Err(WriteError::Invalid { paths, words }) => self.leave_out(&paths, &words, &sent),
            Err(error @ WriteError::TimedOut) => {
                self.doubt.notify_one();
                self.back_off(&error.to_string())
            }
            Err(error @ WriteError::Unknown(_)) => self.back_off(&error.to_string()),
        };
        self.not_before = Instant::now() + pause;
        None
    }

    /// A claim counts only if it stands in the answer: a field can be dropped.
    fn took(&mut self, object: EtcdMember, sent: EtcdMemberStatus, claim: Option<Claiming>) -> Option<Claiming> {
        self.written = Some(Instant::now());
        let stood = object.status.clone();
        let stands = stood.as_ref().and_then(|status| status.claim.clone());
        self.told = Some(Told { sent, stood });
        self.take_newer(Arc::new(object));
        let made = |claim: &Claiming| Claim { number: claim.number, volume_id: claim.volume_id.clone() };
        if claim.as_ref().is_some_and(|claim| stands != Some(made(claim))) {
            self.not_before = Instant::now() + self.back_off("the claim was dropped");
            return None;
        }
        self.failures = 0;
        claim
    }

    /// What the API server's kinds do not take is left out of the next write, which may begin at once; said once.
    fn leave_out(&mut self, paths: &[String], words: &str, sent: &EtcdMemberStatus) -> Duration {
        if self.refused.is_empty() {
            self.refused_since = Instant::now();
        }
        let fields = self.refused.note(paths, &json!(sent));
        if fields.is_empty() {
            return self.back_off(words);
        }
        if self.said != fields {
            warn!(
                ?fields,
                words, "the kinds in the API server are older than this agent; what they refuse is left out"
            );
            self.said = fields;
        }
        Duration::ZERO
    }

    fn back_off(&mut self, why: &str) -> Duration {
        self.failures = self.failures.saturating_add(1);
        warn!(why, "the API server did not take this member's status");
        LONGEST.min(AFTER_FAILURE * (1 << (self.failures - 1).min(4)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_operator_shared::api::member::{MemberPhase, Role};
    use futures::FutureExt;

    /// Nobody listens there: what ends a write is put in by hand.
    fn ours() -> MemberObject {
        let config = ::kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let api = Api::namespaced(::kube::Client::try_from(config).unwrap(), "ns");
        let mut ours = MemberObject::new(api, Arc::new(Notify::new()));
        ours.take_newer(Arc::new(object(None, "1")));
        ours
    }

    fn object(status: Option<EtcdMemberStatus>, version: &str) -> EtcdMember {
        let object = serde_json::json!({
            "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdMember",
            "metadata": {"name": "demo-0", "uid": "u", "resourceVersion": version},
            "spec": {"clusterName": "demo", "clusterUid": "c", "incarnation": 1, "token": "t", "initialMembers": [], "size": 3},
        });
        EtcdMember { status, ..serde_json::from_value(object).unwrap() }
    }

    fn claiming() -> Claiming {
        Claiming { volume_id: "v".into(), number: 2, member_id: None }
    }

    fn claimed() -> EtcdMemberStatus {
        EtcdMemberStatus { claim: Some(Claim { number: 2, volume_id: "v".into() }), ..EtcdMemberStatus::default() }
    }

    #[tokio::test]
    async fn a_claim_counts_only_if_it_stands_in_the_answer() {
        let mut ours = ours();
        let kept = Written { claim: Some(claiming()), sent: claimed(), answer: Ok(object(Some(claimed()), "2")) };
        assert!(ours.finish(kept).is_some() && ours.is_free());
        for (version, pause) in [("3", 2), ("4", 4), ("5", 8)] {
            let answer = Ok(object(Some(EtcdMemberStatus::default()), version));
            assert!(ours.finish(Written { claim: Some(claiming()), sent: claimed(), answer }).is_none());
            assert!(ours.pause(Instant::now()) > Duration::from_secs(pause - 1), "it backs off further each time");
        }
    }

    #[tokio::test]
    async fn a_write_that_changed_nothing_is_not_repeated() {
        let mut ours = ours();
        let next = EtcdMemberStatus { settled: true, ..EtcdMemberStatus::default() };
        assert_eq!(ours.due(&next, None), Due::Now);
        let answer = Ok(object(Some(EtcdMemberStatus::default()), "1"));
        ours.finish(Written { claim: None, sent: next.clone(), answer });
        assert_eq!(ours.due(&next, None), Due::No);
    }

    #[tokio::test]
    async fn a_write_that_is_not_answered_makes_the_watch_doubtful() {
        let mut ours = ours();
        let doubt = ours.doubt.clone();
        let unanswered = |answer| Written { claim: None, sent: EtcdMemberStatus::default(), answer: Err(answer) };
        ours.finish(unanswered(WriteError::Unknown("refused".into())));
        assert!(doubt.notified().now_or_never().is_none());
        ours.finish(unanswered(WriteError::TimedOut));
        assert!(doubt.notified().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_value_that_is_refused_is_left_out_at_once_and_what_is_left_backs_off() {
        let mut ours = ours();
        let sent = EtcdMemberStatus {
            phase: Some(MemberPhase::Held),
            role: Some(Role::Leader),
            ..EtcdMemberStatus::default()
        };
        let invalid = || WriteError::Invalid { paths: vec!["status.role".into()], words: "unsupported".into() };
        ours.finish(Written { claim: None, sent: sent.clone(), answer: Err(invalid()) });
        assert!(ours.is_free());
        let left = ours.refused.without(json!(sent));
        assert_eq!((left.get("role"), left["phase"].as_str()), (None, Some("Held")));
        ours.finish(Written { claim: None, sent, answer: Err(invalid()) });
        assert!(!ours.is_free(), "leaving it out did not help");
        assert!(ours.pause(Instant::now()) > Duration::from_secs(1), "nobody looks fifty times a second meanwhile");
    }
}
