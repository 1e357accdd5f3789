//! The EtcdMember: the newest version seen, and one write at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::kube::{Api, ResourceExt};
use etcd_operator_shared::api::{EtcdMember, EtcdMemberStatus, member::Claim};
use tracing::warn;

use super::lane::Lane;
use crate::kube::{
    notebook::{self, WriteError},
    watch::View,
};

/// Pause after a write that the API server did not take.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
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

/// The end of a write, and the claim that it made, if it made one.
pub(in crate::sidecar) struct Written {
    claim: Option<Claiming>,
    answer: Result<EtcdMember, WriteError>,
}

pub(in crate::sidecar) struct MemberObject {
    api: Api<EtcdMember>,
    object: Option<Arc<EtcdMember>>,
    lane: Lane<Written>,
    written: Option<Instant>,
    not_before: Instant,
}

impl MemberObject {
    pub(in crate::sidecar) fn new(api: Api<EtcdMember>) -> Self {
        Self { api, object: None, lane: Lane::new(), written: None, not_before: Instant::now() }
    }

    /// The newest EtcdMember seen, by the watch or in the answer to a write.
    pub(in crate::sidecar) fn object(&self) -> Option<&Arc<EtcdMember>> {
        self.object.as_ref()
    }

    /// The claim that stands in it.
    pub(in crate::sidecar) fn claim(&self) -> Option<&Claim> {
        self.object.as_ref()?.status.as_ref()?.claim.as_ref()
    }

    /// Whether this pod was reported to have left. That is final, also while an etcd that was ordered before comes up once more.
    pub(in crate::sidecar) fn has_left(&self, pod_uid: &str) -> bool {
        self.object.as_ref().and_then(|object| object.status.as_ref()?.left_pod_uid.as_deref()) == Some(pod_uid)
    }

    /// Time since the last write of this process.
    pub(in crate::sidecar) fn age(&self) -> Duration {
        self.written.map_or(Duration::MAX, |at| at.elapsed())
    }

    /// Takes what the watch shows.
    pub(in crate::sidecar) fn take(&mut self, view: View) {
        match view {
            View::Unheard => {}
            View::Missing => self.object = None,
            View::Present(object) => self.take_newer(object),
        }
    }

    /// The watch may be behind the answer to a write.
    fn take_newer(&mut self, object: Arc<EtcdMember>) {
        let version = |o: &EtcdMember| o.resource_version().and_then(|v| v.parse::<u64>().ok());
        let newer = |own: &EtcdMember| own.uid() == object.uid() && version(own) > version(&object);
        if !self.object.as_ref().is_some_and(|own| newer(own)) {
            self.object = Some(object);
        }
    }

    /// Whether a write may begin now.
    pub(in crate::sidecar) fn is_free(&self) -> bool {
        !self.lane.is_busy() && Instant::now() >= self.not_before
    }

    pub(in crate::sidecar) fn is_writing(&self) -> bool {
        self.lane.is_busy()
    }

    /// Begins a write over the newest version seen; its end comes from [`Self::ended`].
    pub(in crate::sidecar) fn write(&mut self, status: EtcdMemberStatus, claim: Option<Claiming>) {
        let Some(object) = self.object.clone() else { return };
        let api = self.api.clone();
        self.lane.begin(async move {
            let answer = notebook::write(api, &object, &status).await;
            Written { claim, answer }
        });
    }

    /// The end of the write under way; pends while there is none. Cancel-safe.
    pub(in crate::sidecar) async fn ended(&mut self) -> Written {
        self.lane.ended().await
    }

    /// Takes the end of a write; returns the claim that was accepted with it.
    pub(in crate::sidecar) fn finish(&mut self, Written { claim, answer }: Written) -> Option<Claiming> {
        let pause = match answer {
            Ok(object) => {
                self.written = Some(Instant::now());
                self.take_newer(Arc::new(object));
                return claim;
            }
            Err(WriteError::Conflict) => AFTER_CONFLICT,
            Err(WriteError::Missing) => AFTER_ABSENCE,
            Err(WriteError::Unknown(why)) => {
                warn!(why, "the API server did not take this member's status");
                AFTER_FAILURE
            }
        };
        self.not_before = Instant::now() + pause;
        None
    }
}
