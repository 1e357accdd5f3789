//! A small HTTP/1.1 server for probes and metrics, on hyper alone.
//!
//! The listener and the shutdown come from the caller. A handler is a function from path and query to an answer; it may
//! wait (a readiness probe is held open while a member starts), but never for etcd or the API server.
//!
//! Whoever reaches the port may ask, so nothing that a stranger does costs much: connections are few ([`places`]), one that says
//! nothing is closed, and what it says is bounded.

mod places;

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use self::places::{Place, Places};

/// Kubelet, Prometheus, a few people, and every sibling now and then: twenty at once would be many.
const CONNECTIONS: usize = 128;
/// How long a connection may take to ask, the first time and again. Kubelet's own patience is 5 s at most.
const HEADER: Duration = Duration::from_secs(5);
/// Bytes of a question's head, and of what waits to be read: a probe's has some hundred.
const HEAD: usize = 16 << 10;

/// Listens on every address of the machine, whatever of IPv4 and IPv6 it has.
///
/// # Errors
/// When the port cannot be had.
pub async fn listen(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        // A kernel without IPv6 has no such address, or not even the family.
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        outcome => outcome,
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

/// What was asked: `/readyz?verbose` is path `/readyz` and query `verbose`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub path: String,
    pub query: String,
}

impl Answer {
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    #[must_use]
    pub fn json(body: String) -> Self {
        Self { status: 200, content_type: "application/json", body }
    }

    #[must_use]
    pub fn not_found() -> Self {
        Self::text(404, "not found\n")
    }
}

/// One check of a probe, by name; the reason says why it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub failed: Option<String>,
}

/// Answers in the form of Kubernetes' own `/readyz?verbose&exclude=name`: 200 `ok`, or 503 with a line a check.
#[must_use]
pub fn answer(probe: &str, query: &str, checks: &[Check]) -> Answer {
    let pairs: Vec<(&str, &str)> = query.split('&').map(|p| p.split_once('=').unwrap_or((p, ""))).collect();
    let excluded = |name: &str| pairs.contains(&("exclude", name));
    let verbose = pairs.iter().any(|(key, _)| *key == "verbose");
    let failing = checks.iter().any(|c| c.failed.is_some() && !excluded(c.name));
    if !failing && !verbose {
        return Answer::text(200, "ok");
    }
    let mut body = String::new();
    for check in checks {
        let line = match &check.failed {
            _ if excluded(check.name) => format!("[+]{} excluded: ok\n", check.name),
            None => format!("[+]{} ok\n", check.name),
            Some(reason) => format!("[-]{} failed: {reason}\n", check.name),
        };
        body.push_str(&line);
    }
    body.push_str(&format!("{probe} check {}\n", if failing { "failed" } else { "passed" }));
    Answer::text(if failing { 503 } else { 200 }, body)
}

/// Serves until `shutdown`, then finishes the answers under way.
pub async fn serve<H, F>(listener: TcpListener, shutdown: CancellationToken, handler: H)
where
    H: Fn(Ask) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let handler = Arc::new(handler);
    let (connections, places) = (TaskTracker::new(), Places::new(CONNECTIONS));
    loop {
        // accept is cancel-safe: a connection that was not taken stays in the backlog.
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: give the others a moment to end.
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        connections.spawn(connection(stream, peer, places.take(), Arc::clone(&handler), shutdown.clone()));
    }
    connections.close();
    connections.wait().await;
}

async fn connection<H, F>(
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    place: Place,
    handler: Arc<H>,
    shutdown: CancellationToken,
) where
    H: Fn(Ask) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let ring = Arc::new(place.bell());
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, ring) = (Arc::clone(&handler), Arc::clone(&ring));
        async move {
            let _busy = ring();
            Ok::<_, Infallible>(respond(&request, handler.as_ref()).await)
        }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    // Polling the connection is cancel-safe here: after shutdown it is polled on until its answer is out.
    let result = tokio::select! {
        result = serving.as_mut() => result,
        // Dropped with its connection: somebody else needs the place.
        () = place.lost.cancelled() => return,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.as_mut().await
        }
    };
    if let Err(error) = result {
        debug!(%peer, %error, "connection ended early");
    }
}

async fn respond<H, F>(request: &Request<Incoming>, handler: &H) -> Response<Full<Bytes>>
where
    H: Fn(Ask) -> F,
    F: Future<Output = Answer>,
{
    let answer = if matches!(*request.method(), Method::GET | Method::HEAD) {
        let uri = request.uri();
        handler(Ask { path: uri.path().to_owned(), query: uri.query().unwrap_or_default().to_owned() }).await
    } else {
        Answer::text(405, "only GET is understood\n")
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(answer.content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        time::timeout,
    };

    fn checks() -> Vec<Check> {
        vec![Check { name: "started", failed: None }, Check { name: "quorum", failed: Some("no leader".into()) }]
    }

    /// A server that answers everything with `ok`, and where it listens.
    async fn server() -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let (address, shutdown) = (listener.local_addr().expect("it is bound"), CancellationToken::new());
        tokio::spawn(serve(listener, shutdown.clone(), async |_: Ask| Answer::text(200, "ok")));
        (address, shutdown)
    }

    async fn ask(stream: &mut TcpStream, head: &str) -> io::Result<String> {
        stream.write_all(format!("GET /livez HTTP/1.1\r\nhost: a\r\n{head}\r\n").as_bytes()).await?;
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    #[tokio::test]
    async fn a_crowd_that_says_nothing_keeps_nobody_out_and_is_not_kept() {
        let (address, _shutdown) = server().await;
        let mut crowd = Vec::new();
        for _ in 0..3 * CONNECTIONS {
            crowd.push(TcpStream::connect(address).await.expect("it listens"));
        }
        let mut kubelet = TcpStream::connect(address).await.expect("it listens");
        assert!(ask(&mut kubelet, "").await.expect("it answers").ends_with("ok"));
        let (mut closed, mut byte) = (0, [0]);
        for idle in &mut crowd[..2 * CONNECTIONS] {
            let ended = timeout(Duration::from_secs(1), idle.read(&mut byte)).await;
            closed += usize::from(matches!(ended, Ok(Ok(0) | Err(_))));
        }
        assert_eq!(closed, 2 * CONNECTIONS, "the oldest gave their places up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_nothing_or_never_ends_its_question_is_closed() {
        let (address, _shutdown) = server().await;
        let began = tokio::time::Instant::now();
        let mut silent = TcpStream::connect(address).await.expect("it listens");
        let mut slow = TcpStream::connect(address).await.expect("it listens");
        slow.write_all(b"GET /livez HTTP/1.1\r\nx-a: ").await.expect("it listens");
        for stream in [&mut silent, &mut slow] {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
        assert!(began.elapsed() < 2 * HEADER, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_question_without_end_is_refused() {
        let (address, _shutdown) = server().await;
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let answer = ask(&mut stream, &format!("x-a: {}\r\n", "a".repeat(4 * HEAD))).await;
        assert!(answer.is_err() || answer.is_ok_and(|text| text.contains(" 431 ")));
    }

    #[tokio::test]
    async fn it_is_reached_over_ipv4_whatever_it_listens_on() {
        let listener = listen(0).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (stream, accepted) = tokio::join!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)), listener.accept());
        assert!(stream.is_ok() && accepted.is_ok());
    }

    #[test]
    fn a_failing_check_names_its_reason() {
        let said = answer("readyz", "", &checks());
        assert_eq!(said.status, 503);
        assert_eq!(said.body, "[+]started ok\n[-]quorum failed: no leader\nreadyz check failed\n");
    }

    #[test]
    fn an_excluded_check_cannot_fail() {
        assert_eq!(answer("readyz", "exclude=quorum", &checks()), Answer::text(200, "ok"));
        assert!(answer("readyz", "verbose&exclude=quorum", &checks()).body.ends_with("readyz check passed\n"));
    }
}
