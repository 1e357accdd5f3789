//! `snapshot serve`: one file, for members that begin with it, at its digest and nowhere else.
//!
//! ```text
//!   file ── SHA-256, once ─▶ listen ─▶ GET /<digest>   its bytes, to members; each connection reads for itself
//!                                      GET /readyz     that they are to be had, to anybody
//! ```
//!
//! Where traffic between members is encrypted, so is this: the server makes a certificate for itself, which nobody
//! need believe since the digest says what is right, and the bytes are for who has a certificate of the members'
//! authority. Memory is a piece a connection, however long the file is and however slowly somebody reads.

use std::{
    convert::Infallible,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{Stream, TryStreamExt, stream};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::CONTENT_LENGTH,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use ring::digest::{Context, SHA256};
use thiserror::Error;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::fetch::hex;

/// Members are few; each comes once, and again when it was cut off.
const CONNECTIONS: usize = 32;
/// How long a handshake, and a question, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that are read at once, and that wait to be sent.
const PIECE: usize = 256 << 10;
/// Bytes of a question's head.
const HEAD: usize = 16 << 10;

/// Why nothing is served.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, io::Error),
    #[error("the file has SHA-256 {found}, and {wanted} is wanted")]
    Other { found: String, wanted: String },
}

/// The file that is served.
#[derive(Debug)]
pub struct Served {
    path: PathBuf,
    pub digest: String,
    pub size: u64,
}

impl Served {
    /// Reads all of it once. `wanted`: the only digest that is right, where it is known.
    ///
    /// # Errors
    /// When it cannot be read, or is another.
    pub fn of(path: &Path, wanted: Option<&str>) -> Result<Self, ServeError> {
        let (digest, size) = sum(path).map_err(|error| ServeError::Unreadable(path.to_owned(), error))?;
        match wanted {
            Some(wanted) if wanted != digest => Err(ServeError::Other { found: digest, wanted: wanted.to_owned() }),
            Some(_) | None => Ok(Self { path: path.to_owned(), digest, size }),
        }
    }
}

fn sum(path: &Path) -> io::Result<(String, u64)> {
    let (mut file, mut hash, mut size, mut piece) = (fs::File::open(path)?, Context::new(&SHA256), 0, vec![0; PIECE]);
    loop {
        match io::Read::read(&mut file, &mut piece)? {
            0 => return Ok((hex(hash.finish().as_ref()), size)),
            length => {
                hash.update(&piece[..length]);
                size += length as u64;
            }
        }
    }
}

/// Serves until `shutdown`; what is under way is cut off then, and fetched again from the next one.
pub async fn serve(listener: TcpListener, served: Arc<Served>, tls: Option<TlsAcceptor>, shutdown: CancellationToken) {
    info!(digest = served.digest, bytes = served.size, encrypted = tls.is_some(), "the snapshot is served");
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        // accept is cancel-safe: a connection that was not taken stays in the backlog.
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (served, tls, ended) = (Arc::clone(&served), tls.clone(), shutdown.clone());
        tokio::spawn(async move {
            let _place = place;
            let outcome = tokio::select! {
                () = ended.cancelled() => Ok(()),
                outcome = connection(stream, served, tls) => outcome,
            };
            if let Err(error) = outcome {
                debug!(%peer, %error, "connection ended early");
            }
        });
    }
}

async fn connection(stream: TcpStream, served: Arc<Served>, tls: Option<TlsAcceptor>) -> io::Result<()> {
    let Some(tls) = tls else { return answer(stream, served, true).await };
    let stream = timeout(PATIENCE, tls.accept(stream)).await??;
    // The handshake has checked what was shown; who shows nothing may ask whether it is ready.
    let member = stream.get_ref().1.peer_certificates().is_some();
    answer(stream, served, member).await
}

async fn answer<S>(stream: S, served: Arc<Served>, member: bool) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let served = Arc::clone(&served);
        async move { Ok::<_, Infallible>(respond(&request, &served, member).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    serving.await.map_err(io::Error::other)
}

/// Bytes of the file, or a line.
type Body = Either<http_body_util::combinators::BoxBody<Bytes, io::Error>, Full<Bytes>>;

async fn respond(request: &Request<Incoming>, served: &Served, member: bool) -> Response<Body> {
    let path = request.uri().path();
    if *request.method() != Method::GET {
        return line(StatusCode::METHOD_NOT_ALLOWED, "only GET is understood\n");
    }
    if path == "/readyz" {
        return line(StatusCode::OK, "ok");
    }
    if path.strip_prefix('/') != Some(&served.digest) {
        return line(StatusCode::NOT_FOUND, "not found\n");
    }
    if !member {
        return line(StatusCode::FORBIDDEN, "only members may have it: show a member's certificate\n");
    }
    match File::open(&served.path).await {
        Ok(file) => whole(file, served.size),
        Err(error) => line(StatusCode::INTERNAL_SERVER_ERROR, format!("the file cannot be read: {error}\n")),
    }
}

fn whole(file: File, size: u64) -> Response<Body> {
    let body = StreamBody::new(pieces(file).map_ok(Frame::data));
    let mut response = Response::new(Either::Left(BodyExt::boxed(body)));
    response.headers_mut().insert(CONTENT_LENGTH, size.into());
    response
}

/// The file, as fast as it is taken.
fn pieces(file: File) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(file, async |mut file: File| {
        let mut piece = BytesMut::with_capacity(PIECE);
        let length = file.read_buf(&mut piece).await?;
        Ok((length > 0).then(|| (piece.freeze(), file)))
    })
}

fn line(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::new(text.into())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
