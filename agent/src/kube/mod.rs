//! The member's EtcdMember: one watch on it, one writer of its status.

pub mod notebook;
mod token;
pub mod watch;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ::kube::{
    Api, Client, Config,
    client::{Body, ClientBuilder, ConfigExt},
    config::AuthInfo,
};
use etcd_operator_shared::{api::EtcdMember, names};
use hyper::{Request, Response, body::Incoming, header::AUTHORIZATION};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tower::{BoxError, ServiceBuilder};

use token::Tokens;

/// How long the API server may take for one answer.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// A connection on which nothing has come for this long is asked whether it lives, and given this long to say so. A watch on a
/// connection that died without a word would else be believed for five minutes. Shorter watches would find out too, but cost
/// the API server a request each; a ping costs it nothing. client-go does the same.
const QUIET: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(10);

/// The EtcdMembers of the pod's namespace, with the pod's own tokens.
///
/// # Errors
/// When the pod has no token mounted.
pub fn members(namespace: &str) -> anyhow::Result<Api<EtcdMember>> {
    let tokens = Tokens::of(Path::new(names::TOKEN_DIR));
    // Its own reading of the token would put one header more.
    let mut config = Config::incluster()?;
    config.auth_info = AuthInfo::default();
    Ok(Api::namespaced(client(&config, tokens)?, namespace))
}

/// A client that never waits without end. It does not retry: our own loops do, with the reason visible.
fn client(config: &Config, tokens: Tokens) -> anyhow::Result<Client> {
    let tokens = Arc::new(tokens);
    let asked = Arc::clone(&tokens);
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    // Where something in between speaks no HTTP/2 there are no pings, and the kernel has to find out.
    tcp.set_keepalive(Some(QUIET));
    tcp.set_keepalive_interval(Some(PONG / 2));
    tcp.set_keepalive_retries(Some(2));
    let tls = config.rustls_client_config()?;
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions();
    let http = legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_keep_alive_interval(QUIET)
        .http2_keep_alive_timeout(PONG)
        .build(https.wrap_connector(tcp));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .map_request(move |mut request: Request<Body>| {
            let token = tokens.bearer();
            request.headers_mut().extend(token.map(|token| (AUTHORIZATION, token)));
            request
        })
        .map_response(move |response: Response<Incoming>| {
            asked.answered(response.status(), Instant::now());
            response
        })
        // Bounds connecting, TLS and the head of the answer; a watch's events come after that.
        .timeout(PATIENCE)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace.clone()).build())
}
