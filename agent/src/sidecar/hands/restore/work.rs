//! The work that goes on beside the loop.

use std::{
    fs, io,
    sync::{Arc, atomic::AtomicU64},
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use tracing::warn;

use crate::{crash, fetch::fetch, plan::start::Snapshot, serve::bytes::Served, volume::Store};

/// Fetches it, where there is room. Half a file may be left: it is thrown away by the next one, which begins only when
/// this has ended.
pub(super) async fn fetched(
    store: &Store,
    wanted: &Snapshot,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    got: &AtomicU64,
    cancelled: &CancellationToken,
) -> Result<(), String> {
    let (size, fresh) = (wanted.size, store.clone());
    blocking(move || fresh.begin_restore(size)).await?;
    crash::point("before-fetch");
    let path = store.snapshot_path();
    let (near, digest) = (store.clone(), wanted.digest.clone());
    if blocking(move || Ok(taken(&near, &digest))).await? {
        return Ok(());
    }
    let outcome = tokio::select! {
        () = cancelled.cancelled() => return Err("it was let go".into()),
        outcome = fetch(wanted, &path, tls, got) => outcome,
    };
    crash::point("after-fetch");
    outcome.map_err(|error| format!("the data that the cluster begins with cannot be fetched: {error}"))
}

/// Takes it from this very volume, where it was salvaged. Whatever else is there is fetched.
fn taken(store: &Store, digest: &str) -> bool {
    let Some(there) = store.find_salvaged(digest) else { return false };
    let outcome = Served::of(&there, Some(digest))
        .map_err(|error| error.to_string())
        .and_then(|_| fs::hard_link(&there, store.snapshot_path()).map_err(|error| error.to_string()));
    match outcome {
        Ok(()) => true,
        Err(why) => {
            warn!(why, "what was salvaged on this volume cannot be used");
            false
        }
    }
}

/// Runs a piece of disk I/O where it may hang without stopping the probes.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    spawn_blocking(work).await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
