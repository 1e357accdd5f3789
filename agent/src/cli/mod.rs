//! Commands for `kubectl exec POD -c agent --`.

pub mod database;
pub mod snapshot;
pub mod status;
pub mod volume;

use crate::signals;

/// Runs what talks to etcd, to its end.
fn block_on<T, E: Into<anyhow::Error>>(work: impl Future<Output = Result<T, E>>) -> anyhow::Result<T> {
    signals::unblock()?;
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // One thread: a worker more would be a stack and a heap more.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work).map_err(Into::into)
}
