//! Puts the process together: client, probes, election, and a controller a scope.
//!
//! ```text
//!   main ─▶ run ─┬─ probes   from the first moment on
//!                ├─ pulse    asks the API server for its version
//!                ├─ election leads ─▶ controllers; lost ─▶ the process ends
//!                └─ events   in the background
//! ```

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use etcd_operator_shared::process::probe;
use kube::{Client, Config, config::KubeConfigOptions, config::Kubeconfig};
use rand::RngExt;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    apiserver::{ApiServer, applied::Applied, events::Events, watch::Scope},
    args::Run,
    cluster::{caches::Caches, context::Context, controller, inquiries::Inquiries, timers::Timers},
    metrics::Metrics,
    process::{lease::Election, probes},
};

/// Works until `shutdown`, or until leadership is lost.
pub async fn run(args: Run, shutdown: CancellationToken) -> anyhow::Result<()> {
    let (config, metrics) = (config(args.kubeconfig.as_deref()).await?, Metrics::default());
    let lease_namespace = args.lease_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let api = Arc::new(ApiServer::new(Client::try_from(config)?, metrics.clone()));
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    info!(version = env!("CARGO_PKG_VERSION"), listen = %args.listen, agent_image = args.agent_image, "started");

    // Probes answer to the very end: a process that drains is alive.
    let ended = CancellationToken::new();
    let _ended = ended.clone().drop_guard();
    tokio::spawn(probe::serve(listener, ended.clone(), {
        let (api, metrics) = (Arc::clone(&api), metrics.clone());
        move |ask| std::future::ready(probes::respond(&ask, &api, &metrics))
    }));
    while let Err(error) = api.ask_version().await {
        tracing::warn!(%error, "waiting for the API server");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    tokio::spawn(probes::pulse(Arc::clone(&api), ended.clone()));
    if !args.leader_elect {
        metrics.leads(true);
        control(&args, &api, &metrics, shutdown).await;
        return Ok(());
    }
    lead(&args, &api, &metrics, lease_namespace, shutdown).await
}

/// Works while holding the Lease. Leadership that is lost is an error: the process must end.
async fn lead(
    args: &Run,
    api: &Arc<ApiServer>,
    metrics: &Metrics,
    namespace: String,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let identity = format!("{}_{:08x}", args.identity, rand::rng().random::<u32>());
    let mut election = Election::new(api, namespace, identity);
    if !election.win(&shutdown).await {
        return Ok(());
    }
    info!("leading");
    metrics.leads(true);
    // Whichever ends first drops the other: after a loss no reconciliation goes on.
    tokio::select! {
        lost = election.hold() => return Err(lost.into()),
        () = control(args, api, metrics, shutdown) => {}
    }
    election.release().await;
    Ok(())
}

/// Runs the controllers until `shutdown`.
async fn control(args: &Run, api: &Arc<ApiServer>, metrics: &Metrics, shutdown: CancellationToken) {
    let events = Events::start(api.client(), args.identity.clone(), shutdown.clone());
    let applied = Arc::new(Applied::default());
    let mut controllers = JoinSet::new();
    for scope in scopes(&args.namespaces) {
        let caches = Caches::default();
        metrics.follow(caches.clusters.store());
        let ctx = Arc::new(Context {
            api: Arc::clone(api),
            caches,
            applied: Arc::clone(&applied),
            events: events.clone(),
            metrics: metrics.clone(),
            agent_image: args.agent_image.clone(),
            pod_user: args.pod_user.into(),
            timers: Timers::default(),
            inquiries: Inquiries::default(),
        });
        controllers.spawn(controller::run(scope, ctx, shutdown.clone()));
    }
    while controllers.join_next().await.is_some() {}
}

/// An empty name means all namespaces, as no name does: installers set `WATCH_NAMESPACE=""` for it.
fn scopes(namespaces: &[String]) -> Vec<Scope> {
    if namespaces.iter().all(String::is_empty) {
        return vec![Scope(None)];
    }
    namespaces.iter().filter(|name| !name.is_empty()).cloned().map(Some).map(Scope).collect()
}

/// The client's own retries are off: they would go on for minutes, unseen, where reconciliation knows better.
async fn config(kubeconfig: Option<&Path>) -> anyhow::Result<Config> {
    let mut config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?
        }
        None => Config::infer().await.context("found neither a service account nor a kubeconfig")?,
    };
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    // Idle watches hear a bookmark a minute; a connection that is silent for longer than this is dead.
    config.read_timeout = Some(Duration::from_secs(295 + 30));
    Ok(config)
}
