//! One file, from whoever serves it: streamed onto the disk with a fixed amount of memory, and right only if its
//! digest is. Tried out beside what serves it, `serve/bytes`.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, body::Incoming, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use ring::digest::{Context, SHA256};
use rustls::{ClientConfig, pki_types::ServerName};
use thiserror::Error;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::plan::start::Snapshot;

/// How long a connection, an answer and each piece of it may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that are gathered for one write, and that wait to be read.
const PIECE: usize = 256 << 10;

/// Why the file is not there.
#[derive(Debug, Error)]
pub enum FetchError {
    #[error("{from} does not answer within {} s", PATIENCE.as_secs())]
    Silent { from: String },
    #[error("{from} cannot be reached: {error}")]
    Unreachable { from: String, error: io::Error },
    #[error("{from} broke off: {error}")]
    Broken { from: String, error: hyper::Error },
    #[error("{from} cannot be asked for it: {error}")]
    NoQuestion { from: String, error: hyper::http::Error },
    #[error("{from} answered {status}")]
    Refused { from: String, status: StatusCode },
    #[error("{from} serves {found} bytes and more, and it has {wanted}")]
    TooLong { from: String, found: u64, wanted: u64 },
    #[error("{from} served other bytes: {found} with SHA-256 {digest}")]
    Other { from: String, found: u64, digest: String },
    #[error("it cannot be written: {0}")]
    Disk(io::Error),
}

/// Fetches it into a new file, which is on the disk when this returns. Cancel-safe: half a file is left, which nobody
/// takes for one. `tls`: as whom, where traffic is encrypted; `got` counts the bytes on the way.
///
/// # Errors
/// When it is not there, whole and right.
pub async fn fetch(
    wanted: &Snapshot,
    to: &Path,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    got: &AtomicU64,
) -> Result<(), FetchError> {
    let from = || wanted.from.clone();
    let unreachable = |error| FetchError::Unreachable { from: from(), error };
    let stream = in_time(wanted, TcpStream::connect(&wanted.from)).await?.map_err(unreachable)?;
    match tls {
        None => receive(stream, wanted, to, got).await,
        Some((config, name)) => {
            let handshake = TlsConnector::from(config).connect(name, stream);
            let stream = in_time(wanted, handshake).await?.map_err(unreachable)?;
            receive(stream, wanted, to, got).await
        }
    }
}

async fn receive<S>(stream: S, wanted: &Snapshot, to: &Path, got: &AtomicU64) -> Result<(), FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let from = || wanted.from.clone();
    let broken = |error| FetchError::Broken { from: from(), error };
    let handshake = http1::Builder::new().max_buf_size(PIECE).handshake(TokioIo::new(stream));
    let (mut sender, connection) = in_time(wanted, handshake).await?.map_err(broken)?;
    // Dropped with this future: a peer that went silent must not keep a task.
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::get(format!("/{}", wanted.digest)).header(HOST, &wanted.from).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| FetchError::NoQuestion { from: from(), error })?;
    let response = in_time(wanted, sender.send_request(request)).await?.map_err(broken)?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Refused { from: from(), status: response.status() });
    }
    write(response.into_body(), wanted, to, got).await
}

async fn write(mut body: Incoming, wanted: &Snapshot, to: &Path, got: &AtomicU64) -> Result<(), FetchError> {
    let from = || wanted.from.clone();
    let file = File::create_new(to).await.map_err(FetchError::Disk)?;
    let (mut file, mut hash, mut found) = (BufWriter::with_capacity(PIECE, file), Context::new(&SHA256), 0);
    while let Some(frame) = in_time(wanted, body.frame()).await? {
        let frame = frame.map_err(|error| FetchError::Broken { from: from(), error })?;
        let Ok(piece) = frame.into_data() else { continue };
        found += piece.len() as u64;
        if found > wanted.size {
            return Err(FetchError::TooLong { from: from(), found, wanted: wanted.size });
        }
        hash.update(&piece);
        file.write_all(&piece).await.map_err(FetchError::Disk)?;
        got.store(found, Ordering::Relaxed);
    }
    file.flush().await.map_err(FetchError::Disk)?;
    let digest = hex(hash.finish().as_ref());
    if found != wanted.size || digest != wanted.digest {
        return Err(FetchError::Other { from: from(), found, digest });
    }
    file.get_ref().sync_all().await.map_err(FetchError::Disk)
}

async fn in_time<T>(wanted: &Snapshot, work: impl Future<Output = T>) -> Result<T, FetchError> {
    timeout(PATIENCE, work).await.map_err(|_| FetchError::Silent { from: wanted.from.clone() })
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
