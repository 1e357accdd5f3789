//! When each watch was last heard: the API server says something on every one of them each minute, if only a bookmark.
//!
//! kube's watcher takes bookmarks for itself. So the answers to requests with `watch=true` are listened to on their way
//! in, byte by byte. One that hears nothing is ended by the client's read timeout ([`SILENCE`]) and begun anew; one that
//! cannot be begun falls silent here for all to see.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::{Request, Response, Uri, body::Body as HttpBody};
use kube::client::Body;
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

/// A connection on which nothing came for so long is dead: bookmarks come once a minute.
pub const SILENCE: Duration = Duration::from_secs(90);

/// The watches that were begun, by the path that they watch.
#[derive(Debug, Clone, Default)]
pub struct Hearing(Arc<Mutex<HashMap<String, Instant>>>);

/// A client that listens.
#[derive(Debug, Clone)]
pub struct Listening<S> {
    inner: S,
    hearing: Hearing,
}

impl Hearing {
    /// The longest silence of the watches of each kind, such as `pods`.
    #[must_use]
    pub fn silences(&self, now: Instant) -> BTreeMap<String, Duration> {
        let mut longest = BTreeMap::<String, Duration>::new();
        for (path, heard) in self.lock().iter() {
            let kind = path.rsplit('/').next().unwrap_or_default().to_owned();
            let silence = longest.entry(kind).or_default();
            *silence = now.saturating_duration_since(*heard).max(*silence);
        }
        longest
    }

    /// Nothing is watched any more.
    pub fn end(&self) {
        self.lock().clear();
    }

    fn heard(&self, path: &str) {
        let mut all = self.lock();
        match all.get_mut(path) {
            Some(heard) => *heard = Instant::now(),
            None => drop(all.insert(path.to_owned(), Instant::now())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path that a request watches, if it does.
fn watched(uri: &Uri) -> Option<String> {
    let watches = uri.query().unwrap_or_default().split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"));
    watches.then(|| uri.path().to_owned())
}

impl<S> Layer<S> for Hearing {
    type Service = Listening<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Listening { inner, hearing: self.clone() }
    }
}

impl<S, B> Service<Request<Body>> for Listening<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<UnsyncBoxBody<Bytes, BoxError>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (watched, hearing) = (watched(request.uri()), self.hearing.clone());
        let answering = self.inner.call(request);
        async move {
            let answer = answering.await?;
            let Some(path) = watched.filter(|_| answer.status().is_success()) else {
                return Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()));
            };
            hearing.heard(&path);
            Ok(answer.map(|body| {
                let listened = body.map_frame(move |frame| {
                    hearing.heard(&path);
                    frame
                });
                listened.map_err(Into::into).boxed_unsync()
            }))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{
        Api, Config,
        api::{WatchEvent, WatchParams},
        client::ClientBuilder,
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// Answers one watch with a bookmark, and then says nothing more.
    async fn falls_silent(listener: TcpListener) {
        let bookmark =
            r#"{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"7"}}}"#;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        let (mut connection, _) = listener.accept().await.unwrap();
        let _asked = connection.read(&mut [0; 4096]).await.unwrap();
        let chunk = format!("{head}{:x}\r\n{bookmark}\n\r\n", bookmark.len() + 1);
        connection.write_all(chunk.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn a_watch_is_heard_by_its_bookmarks_and_ended_when_it_falls_silent() {
        // Another test may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(falls_silent(listener));
        let (hearing, began) = (Hearing::default(), Instant::now());
        let mut config = Config::new(server.parse().unwrap());
        (config.default_retry, config.read_timeout) = (false, Some(Duration::from_millis(300)));
        let client = ClientBuilder::try_from(config).unwrap().with_layer(&hearing).build();
        let watch = Api::<ConfigMap>::all(client).watch(&WatchParams::default(), "1").await.unwrap();
        let said: Vec<_> = watch.collect().await;
        assert!(matches!(said.first(), Some(Ok(WatchEvent::Bookmark(_)))), "{said:?}");
        assert!(said.iter().skip(1).all(Result::is_err), "{said:?}");
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(hearing.silences(Instant::now()).contains_key("configmaps"));
    }

    #[test]
    fn only_watches_are_listened_to() {
        let of = |uri: &'static str| watched(&Uri::from_static(uri));
        assert_eq!(of("https://x/api/v1/pods?watch=true&allowWatchBookmarks=true").as_deref(), Some("/api/v1/pods"));
        assert_eq!(of("https://x/api/v1/pods?limit=500&labelSelector=watch"), None);
        assert_eq!(of("https://x/version"), None);
    }

    #[test]
    fn the_longest_silence_of_a_kind_counts() {
        let (hearing, now) = (Hearing::default(), Instant::now());
        hearing.heard("/api/v1/namespaces/a/pods");
        hearing.heard("/api/v1/namespaces/b/pods");
        hearing.lock().insert("/api/v1/namespaces/a/pods".into(), now);
        let later = now + Duration::from_secs(100);
        assert_eq!(hearing.silences(later)["pods"], Duration::from_secs(100));
        hearing.end();
        assert!(hearing.silences(later).is_empty());
    }
}
