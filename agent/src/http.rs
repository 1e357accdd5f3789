//! One GET, from whoever answers at an address: it may be anybody, so no more is read than was asked for.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::tls::Identity;

/// More than an agent ever says of itself.
pub const PAGE: usize = 64 << 10;
/// etcd's metrics are some hundred KiB.
pub const METRICS: usize = 4 << 20;
/// Bytes of an answer's head, and of what waits to be read.
const HEAD: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HttpError {
    #[error("cannot ask: {0}")]
    Unreachable(#[from] std::io::Error),
    #[error("no answer in HTTP: {0}")]
    NotHttp(#[from] hyper::Error),
    #[error("nothing that can be asked: {0}")]
    NoQuestion(#[from] hyper::http::Error),
    #[error("answered {0}")]
    Refused(StatusCode),
    /// It broke off, or is longer than it may be.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

/// Gets at most `most` bytes; the caller bounds the time.
pub async fn get(authority: &str, path: &str, most: usize) -> Result<Bytes, HttpError> {
    ask(TcpStream::connect(authority).await?, authority, path, most).await
}

/// The same as somebody, over TLS; plain as nobody.
pub async fn get_as(identity: Option<&Identity>, authority: &str, path: &str, most: usize) -> Result<Bytes, HttpError> {
    let Some((identity, client)) = identity.and_then(|identity| Some((identity, identity.client.as_ref()?))) else {
        return get(authority, path, most).await;
    };
    let stream = TcpStream::connect(authority).await?;
    let stream = TlsConnector::from(Arc::clone(&client.http)).connect(identity.name.clone(), stream).await?;
    ask(stream, authority, path, most).await
}

/// The same on a connection that is there.
pub async fn ask<S>(stream: S, authority: &str, path: &str, most: usize) -> Result<Bytes, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await?;
    // Dropped with this future: a peer that went silent must not keep a task.
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::get(path).header(HOST, authority).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(HttpError::Refused(response.status()));
    }
    match Limited::new(response.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(HttpError::Unreadable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::{io::AsyncWriteExt, net::TcpListener, time::timeout};

    /// Somebody who answers whatever is asked with this, and then streams without end.
    async fn stranger(head: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&[b'0'; 4096]).await.is_ok() {}
        });
        address
    }

    async fn asked(head: &'static str) -> Result<Bytes, HttpError> {
        let address = stranger(head).await;
        timeout(Duration::from_secs(5), get(&address, "/whoami", PAGE)).await.expect("it ends by itself")
    }

    #[tokio::test]
    async fn whoever_streams_for_ever_is_not_listened_to_for_ever() {
        let endless = asked("HTTP/1.1 200 OK\r\n\r\n").await;
        assert!(matches!(endless, Err(HttpError::Unreadable(_))), "{endless:?}");
        let claimed = asked("HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n").await;
        assert!(matches!(claimed, Err(HttpError::Unreadable(_))), "{claimed:?}");
        let head = asked("HTTP/1.1 200 OK\r\nx-a: ").await;
        assert!(matches!(head, Err(HttpError::NotHttp(_))), "{head:?}");
    }

    #[tokio::test]
    async fn a_refusal_is_told_without_its_body() {
        let refused = asked("HTTP/1.1 404 Not Found\r\n\r\n").await;
        assert!(matches!(refused, Err(HttpError::Refused(StatusCode::NOT_FOUND))), "{refused:?}");
    }
}
