//! A small HTTP/1.1 server for probes and metrics, on hyper alone.
//!
//! The listener and the shutdown come from the caller. A handler is a function from path and query to an answer; it may
//! wait (a readiness probe is held open while a member starts), but never for etcd or the API server.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

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
    let connections = TaskTracker::new();
    loop {
        // accept is cancel-safe: a connection that was not taken stays in the backlog.
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: give the others a moment to end.
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        connections.spawn(connection(stream, peer, Arc::clone(&handler), shutdown.clone()));
    }
    connections.close();
    connections.wait().await;
}

async fn connection<H, F>(stream: tokio::net::TcpStream, peer: SocketAddr, handler: Arc<H>, shutdown: CancellationToken)
where
    H: Fn(Ask) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(respond(&request, handler.as_ref()).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    // Polling the connection is cancel-safe here: after shutdown it is polled on until its answer is out.
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
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

    fn checks() -> Vec<Check> {
        vec![Check { name: "started", failed: None }, Check { name: "quorum", failed: Some("no leader".into()) }]
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
