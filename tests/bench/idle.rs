//! What one cluster of three costs while it runs: memory, the time etcd is away when it is killed, the time of a probe.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use nix::sys::signal::Signal;
use testbed::faults::process::PodProcess;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{figure::Figure, operator::Operator};

/// What is measured here.
pub const FIGURES: [&str; 5] = ["agent-rss", "launcher-rss", "etcd-restart", "etcd-restart-leader", "probe-latency"];

/// Measures everything that needs a running cluster named `name`.
pub async fn measure(operator: &Operator, name: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
    if wanted("agent-rss") {
        memory(operator, name, "agent-rss", &["etcd-agent run", "exe sidecar"]).await?.print();
    }
    if wanted("launcher-rss") {
        memory(operator, name, "launcher-rss", &["etcd-agent launch"]).await?.print();
    }
    for (figure, role) in [("etcd-restart", "Follower"), ("etcd-restart-leader", "Leader")] {
        if wanted(figure) {
            restart(operator, name, figure, role).await?.print();
        }
    }
    if wanted("probe-latency") {
        probe(operator, name).await?.print();
    }
    Ok(())
}

/// MiB of the processes of each pod whose command line ends with one of `words`, added up.
async fn memory(operator: &Operator, name: &str, figure: &'static str, words: &[&str]) -> Result<Figure> {
    let mut values = vec![];
    for ordinal in 0..3 {
        let processes = processes(operator, &format!("{name}-{ordinal}")).await?;
        let mine = processes.iter().filter(|p| words.iter().any(|w| p.argv.join(" ").ends_with(w)));
        let kib: u64 = mine.filter_map(PodProcess::rss_kib).sum();
        anyhow::ensure!(kib > 0, "no process of {name}-{ordinal} is one of {words:?}");
        values.push(kib as f64 / 1024.0);
    }
    Ok(Figure::of(figure, "MiB", values))
}

/// Seconds from SIGKILL of etcd until the same member answers a linearizable read again. A leader's takes an election.
async fn restart(operator: &Operator, name: &str, figure: &'static str, role: &str) -> Result<Figure> {
    let mut values = vec![];
    for _ in 0..5 {
        let pod = with_role(operator, name, role).await?;
        let address = address(operator, &pod).await?;
        let etcd = etcd(operator, &pod).await?;
        let started = Instant::now();
        etcd.signal(Signal::SIGKILL);
        while etcd.is_alive() {
            sleep(Duration::from_millis(1)).await;
        }
        while get(&address, 2381, "/health").await.is_none_or(|answer| !answer.contains("\"health\":\"true\"")) {
            if started.elapsed() > Duration::from_secs(60) {
                bail!("etcd of {pod} does not serve a minute after it was killed");
            }
            sleep(Duration::from_millis(5)).await;
        }
        values.push(started.elapsed().as_secs_f64());
        // Ten seconds of health reset the launcher's pause; what is measured is a single crash.
        sleep(Duration::from_secs(11)).await;
    }
    Ok(Figure::of(figure, "s", values))
}

/// A pod whose member has this role now, as its agent says.
async fn with_role(operator: &Operator, name: &str, role: &str) -> Result<String> {
    for ordinal in 0..3 {
        let pod = format!("{name}-{ordinal}");
        let said = get(&address(operator, &pod).await?, 2382, "/status").await.unwrap_or_default();
        if said.contains(&format!("\"role\": \"{role}\"")) {
            return Ok(pod);
        }
    }
    bail!("no member of {name} is a {role}")
}

/// Milliseconds of a readiness probe while etcd is stopped and known to be.
async fn probe(operator: &Operator, name: &str) -> Result<Figure> {
    let pod = format!("{name}-1");
    let address = address(operator, &pod).await?;
    let etcd = etcd(operator, &pod).await?;
    etcd.signal(Signal::SIGSTOP);
    let outcome = probe_stopped(&address).await;
    etcd.signal(Signal::SIGCONT);
    Ok(Figure::of("probe-latency", "ms", outcome?))
}

async fn probe_stopped(address: &str) -> Result<Vec<f64>> {
    let mut values = vec![];
    let begun = Instant::now();
    let mut named = false;
    while begun.elapsed() < Duration::from_secs(8) || !named {
        let started = Instant::now();
        let answer = get(address, 2382, "/readyz").await.context("the agent does not answer")?;
        values.push(started.elapsed().as_secs_f64() * 1000.0);
        named |= answer.contains("has not answered");
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "the silence is not named: {answer}");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(values)
}

async fn processes(operator: &Operator, pod: &str) -> Result<Vec<PodProcess>> {
    let faults = operator.cluster.faults().context("the benchmark needs the testbed")?;
    faults.processes(&operator.namespace, pod).await
}

async fn etcd(operator: &Operator, pod: &str) -> Result<PodProcess> {
    // The launcher starts it by the path at which it was found.
    let is_etcd = |program: &String| program.rsplit('/').next() == Some("etcd");
    let found = processes(operator, pod).await?.into_iter().find(|p| p.argv.first().is_some_and(is_etcd));
    found.with_context(|| format!("no etcd runs in {pod}"))
}

async fn address(operator: &Operator, pod: &str) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(operator.client(), &operator.namespace);
    pods.get(pod).await?.status.and_then(|s| s.pod_ip).with_context(|| format!("{pod} has no address"))
}

/// The whole answer to a GET, or `None` when there was none within a second.
async fn get(address: &str, port: u16, path: &str) -> Option<String> {
    let asked = async {
        let mut stream = TcpStream::connect((address, port)).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    };
    timeout(Duration::from_secs(1), asked).await.ok()?
}
