//! The loop's hands on the EtcdMember: the newest version seen, and one write at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::kube::{Api, ResourceExt};
use etcd_operator_shared::api::{EtcdMember, EtcdMemberStatus, member::Claim};
use tokio::sync::mpsc;
use tracing::warn;

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
pub(super) struct Claiming {
    pub volume_id: String,
    pub number: i64,
    pub member_id: Option<String>,
}

/// The end of a write, and the claim that it made, if it made one.
pub(super) struct Written {
    claim: Option<Claiming>,
    answer: Result<EtcdMember, WriteError>,
}

pub(super) struct Ledger {
    api: Api<EtcdMember>,
    object: Option<Arc<EtcdMember>>,
    writing: bool,
    ends: (mpsc::Sender<Written>, mpsc::Receiver<Written>),
    written: Option<Instant>,
    not_before: Instant,
}

impl Ledger {
    pub(super) fn new(api: Api<EtcdMember>) -> Self {
        Self { api, object: None, writing: false, ends: mpsc::channel(1), written: None, not_before: Instant::now() }
    }

    /// The newest EtcdMember seen, by the watch or in the answer to a write.
    pub(super) fn object(&self) -> Option<&Arc<EtcdMember>> {
        self.object.as_ref()
    }

    /// The claim that stands in it.
    pub(super) fn claim(&self) -> Option<&Claim> {
        self.object.as_ref()?.status.as_ref()?.claim.as_ref()
    }

    /// Whether this pod was reported to have left. That is final, also while an etcd that was ordered before comes up once more.
    pub(super) fn has_left(&self, pod_uid: &str) -> bool {
        self.object.as_ref().and_then(|object| object.status.as_ref()?.left_pod_uid.as_deref()) == Some(pod_uid)
    }

    /// Time since the last write of this process.
    pub(super) fn age(&self) -> Duration {
        self.written.map_or(Duration::MAX, |at| at.elapsed())
    }

    /// Takes what the watch shows.
    pub(super) fn take(&mut self, view: View) {
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
    pub(super) fn is_free(&self) -> bool {
        !self.writing && Instant::now() >= self.not_before
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing
    }

    /// Begins a write over the newest version seen; its end comes from [`Self::ended`].
    pub(super) fn write(&mut self, status: EtcdMemberStatus, claim: Option<Claiming>) {
        let Some(object) = self.object.clone() else { return };
        let (api, ends) = (self.api.clone(), self.ends.0.clone());
        self.writing = true;
        tokio::spawn(async move {
            let answer = notebook::write(api, &object, &status).await;
            // Closed: the loop has ended, and the next one reads what was written.
            let _ = ends.send(Written { claim, answer }).await;
        });
    }

    /// The end of the write under way; pends while there is none. Cancel-safe.
    pub(super) async fn ended(&mut self) -> Written {
        match self.ends.1.recv().await {
            Some(written) => written,
            None => std::future::pending().await,
        }
    }

    /// Takes the end of a write; returns the claim that was accepted with it.
    pub(super) fn finish(&mut self, Written { claim, answer }: Written) -> Option<Claiming> {
        self.writing = false;
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
