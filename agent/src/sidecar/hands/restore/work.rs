//! The work that goes on beside the loop.

use std::{
    io,
    sync::{Arc, atomic::AtomicU64},
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::{crash, fetch::fetch, plan::start::Snapshot, volume::Store};

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
    let outcome = tokio::select! {
        () = cancelled.cancelled() => return Err("it was let go".into()),
        outcome = fetch(wanted, &path, tls, got) => outcome,
    };
    crash::point("after-fetch");
    outcome.map_err(|error| format!("the data that the cluster begins with cannot be fetched: {error}"))
}

/// Runs a piece of disk I/O where it may hang without stopping the probes.
pub(super) async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), String> {
    spawn_blocking(work).await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
