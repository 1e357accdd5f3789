//! Handshakes with etcd's own ports. Connections that stand show no fault, and under TLS 1.3 who is refused learns it only when
//! reading: a handshake counts when an answer was read.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use etcd_operator_shared::names::{PORT_CLIENT, PORT_PEER};
use rustls::{ClientConfig, pki_types::CertificateDer};
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{Bundle, Identity, check};
use crate::http::{self, HttpError};

/// How long etcd may take: it is at most one hop away.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there was no handshake.
#[derive(Debug, Error)]
pub enum Failed {
    /// Nobody is there, which says nothing of certificates.
    #[error("port {port} is not answered: {why}")]
    Silent { port: u16, why: String },
    #[error("port {port}: {why}")]
    Refused { port: u16, why: String },
    #[error("port {port} serves another certificate than the newest")]
    Other { port: u16 },
}

/// Whether the etcd of this pod serves with what was exposed, on each port that is encrypted.
///
/// # Errors
/// With the first port that does not.
pub async fn with_own(own: IpAddr, identity: &Identity, bundle: &Bundle) -> Result<(), Failed> {
    let client = bundle.issued.client.as_ref().map(|issued| (PORT_CLIENT, &issued.server));
    let peer = bundle.issued.peer.as_ref().map(|issued| (PORT_PEER, &issued.chain));
    for (port, chain) in client.into_iter().chain(peer) {
        let wanted = check::certificates(chain).map_err(|why| Failed::Refused { port, why })?.into_iter().next();
        if at(own, port, identity).await? != wanted {
            return Err(Failed::Other { port });
        }
    }
    Ok(())
}

/// Whether a member at an address lets this one in, on each port that is encrypted.
///
/// # Errors
/// With the first port that does not.
pub async fn with(other: IpAddr, identity: &Identity) -> Result<(), Failed> {
    let client = identity.client.as_ref().map(|_| PORT_CLIENT);
    let peer = identity.peer.as_ref().map(|_| PORT_PEER);
    for port in client.into_iter().chain(peer) {
        at(other, port, identity).await?;
    }
    Ok(())
}

/// The certificate that a port serves with.
async fn at(host: IpAddr, port: u16, identity: &Identity) -> Result<Option<CertificateDer<'static>>, Failed> {
    let config = match port {
        PORT_PEER => identity.peer.as_ref(),
        _ => identity.client.as_ref().map(|client| &client.http),
    };
    let Some(config) = config else { return Ok(None) };
    let silent = |why: String| Failed::Silent { port, why };
    match timeout(PATIENCE, leaf(host, port, Arc::clone(config), identity)).await {
        Err(_) => Err(silent(format!("not within {} s", PATIENCE.as_secs()))),
        Ok(Ok(leaf)) => Ok(leaf),
        Ok(Err(HttpError::Unreachable(error))) if !is_tls(&error) => Err(silent(error.to_string())),
        Ok(Err(error)) => Err(Failed::Refused { port, why: error.to_string() }),
    }
}

/// Asks for a page that both of etcd's ports have for everybody that they let in.
/// Source: etcd `server/etcdserver/api/etcdhttp/version.go`, `peer.go`.
async fn leaf(
    host: IpAddr,
    port: u16,
    config: Arc<ClientConfig>,
    identity: &Identity,
) -> Result<Option<CertificateDer<'static>>, HttpError> {
    let stream = TcpStream::connect((host, port)).await?;
    let stream = TlsConnector::from(config).connect(identity.name.clone(), stream).await?;
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
    http::ask(stream, "localhost", "/version", http::PAGE).await?;
    Ok(leaf)
}

/// Whether somebody was there, and one of the two did not like what the other one showed.
fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}
