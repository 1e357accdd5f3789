//! Puts the process together: clients, probes, election, and a term whenever this process leads.
//!
//! ```text
//!   main ─▶ run ─┬─ probes   from the first moment on
//!                ├─ pulse    asks the API server for its version
//!                └─ election stands by ─▶ leads: a term ─┬─ lost ─▶ all of it ends, stands by again
//!                                                        └─ shutdown ─▶ work done, Lease released
//! ```
//! The Lease has a connection of its own: whatever the controllers have under way, a renewal does not wait behind it.

use std::{net::Ipv6Addr, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use etcd_operator_shared::{names, process::probe};
use kube::{Client, Config, client::ClientBuilder, config::KubeConfigOptions, config::Kubeconfig};
use rand::RngExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    apiserver::{ApiServer, hearing},
    args::Run,
    metrics::Metrics,
    process::{
        lease::{Election, Lost},
        probes,
        senses::Senses,
        term::Term,
    },
};

/// Works until `shutdown`.
pub async fn run(args: Run, shutdown: CancellationToken) -> anyhow::Result<()> {
    let (config, metrics, senses) = (config(args.kubeconfig.as_deref()).await?, Metrics::default(), Senses::default());
    let senses = Arc::new(senses);
    let lease_namespace = args.lease_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = ClientBuilder::try_from(config.clone())?.with_layer(&senses.hearing).build();
    let api = Arc::new(ApiServer::new(client, metrics.clone()));
    let lease = api.beside(Client::try_from(config)?);
    let listener = listen(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    info!(version = env!("CARGO_PKG_VERSION"), listen = %args.listen, agent_image = args.agent_image, "started");

    // Probes answer to the very end: a process that drains is alive.
    let ended = CancellationToken::new();
    let _ended = ended.clone().drop_guard();
    tokio::spawn(probe::serve(listener, ended.clone(), {
        let (api, metrics, senses) = (Arc::clone(&api), metrics.clone(), Arc::clone(&senses));
        move |ask| std::future::ready(probes::respond(&ask, &api, &metrics, &senses))
    }));
    while let Err(error) = api.ask_version().await {
        warn!(%error, "waiting for the API server");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    tokio::spawn(probes::pulse(Arc::clone(&api), ended.clone()));
    // Without a Lease nobody else could see whether this installation is still there.
    let mine = args.leader_elect.then(|| names::installation(&lease_namespace));
    let own = lease_namespace.clone();
    let begin = || Term::begin(&args, mine.clone(), &own, &api, &metrics, &senses, &shutdown);
    if args.leader_elect {
        let identity = format!("{}_{:08x}", args.identity, rand::rng().random::<u32>());
        lead(Election::new(&lease, lease_namespace, identity), begin, &shutdown).await;
    } else {
        begin().ended().await;
    }
    Ok(())
}

/// Acts while holding the Lease, and stands by when it is lost, until `shutdown`.
async fn lead<'a>(mut election: Election<'_>, begin: impl Fn() -> Term<'a>, shutdown: &CancellationToken) {
    while election.win(shutdown).await {
        info!("leading");
        let mut term = begin();
        let lost = tokio::select! {
            Lost = election.hold() => true,
            () = term.ended() => false,
        };
        if !lost {
            return election.release().await;
        }
        warn!("leadership was lost: everything is ended, and this process stands by again");
        term.cut().await;
    }
}

/// On every address, whatever of IPv4 and IPv6 the machine has, unless one is named.
async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        probe::listen(address.port()).await
    } else {
        TcpListener::bind(address).await
    }
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
    config.read_timeout = Some(hearing::SILENCE);
    Ok(config)
}
