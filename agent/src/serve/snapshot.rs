//! `snapshot serve`: the pod that hands the founders of a cluster what they begin with.

use std::{fmt, sync::Arc};

use etcd_operator_shared::{
    backup,
    process::{
        logs::{self, Format},
        probe, shutdown,
    },
};
use tokio_rustls::TlsAcceptor;

use super::bytes::{self, Served};
use crate::{args::snapshot::Serve, backup::Failure, tls::server};

/// Serves until it is asked to leave.
///
/// # Errors
/// When there is nothing to serve, or no way to tell who may be served.
pub async fn serve(wanted: &Serve) -> Result<(), Failure> {
    logs::start(Format::Text, &wanted.log);
    let failed = |error: &dyn fmt::Display| Failure::failed("Failed", error.to_string());
    let asked_to_leave = shutdown::on_signal().map_err(|error| failed(&error))?;
    let tls = acceptor(wanted).map_err(|why| Failure::failed("Failed", why))?;
    let served = Served::of(&wanted.file, wanted.digest.as_deref()).map_err(|error| failed(&error))?;
    let listener = probe::listen(backup::PORT).await.map_err(|error| failed(&error))?;
    bytes::serve(listener, Arc::new(served), tls, asked_to_leave).await;
    Ok(())
}

fn acceptor(wanted: &Serve) -> Result<Option<TlsAcceptor>, String> {
    if !wanted.peer_tls {
        return Ok(None);
    }
    if wanted.peer_authority.is_empty() {
        return Err("traffic is encrypted, and nobody says whose certificates are members'".into());
    }
    let config = server::config(&wanted.peer_authority);
    let config = config.map_err(|why| format!("the members' authority cannot be believed: {why}"))?;
    Ok(Some(TlsAcceptor::from(config)))
}
