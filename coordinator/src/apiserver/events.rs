//! Events, in the background: reconciliation never waits for one, and one that cannot be written is lost.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::recorder::{Note, Recorder};

/// As many may wait; more come only while the API server does not answer.
const QUEUE: usize = 256;

/// One that takes longer to write is lost.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where notes go.
#[derive(Debug, Clone)]
pub struct Events(mpsc::Sender<(ObjectReference, Note)>);

impl Events {
    /// Starts the task that writes them, until `shutdown`.
    #[must_use]
    pub fn start(client: Client, instance: String, shutdown: CancellationToken) -> Self {
        let (sender, mut notes) = mpsc::channel::<(ObjectReference, Note)>(QUEUE);
        let mut recorder = Recorder::new(client, instance);
        tokio::spawn(async move {
            // Both arms are cancel-safe: a note that was not received stays in the queue.
            while let Some((about, note)) = tokio::select! {
                () = shutdown.cancelled() => None,
                note = notes.recv() => note,
            } {
                match timeout(WRITE_TIMEOUT, recorder.publish(note, about)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => debug!(%error, "event lost"),
                    Err(_) => debug!("event lost: no answer"),
                }
            }
        });
        Self(sender)
    }

    pub fn note<K: Resource<DynamicType = ()>>(&self, about: &K, note: Note) {
        // A full queue loses notes, not reconciliations.
        let _ = self.0.try_send((about.object_ref(&()), note));
    }
}
