//! `make bench`: figures beside the floor of a bare StatefulSet, in the same run, one JSON object a line.
//!
//! `WHAT=name` measures only what contains the name. Speed is asserted nowhere: this prints.

mod bed;
mod change;
mod create;
mod disk;
mod figure;
mod fleet;
mod idle;
mod operator;
mod pod_delete;
mod scale;
mod writers;

use anyhow::Result;
use testbed::Cluster;

use crate::{figure::Figure, operator::Operator};

#[tokio::main]
async fn main() -> Result<()> {
    let what = std::env::var("WHAT").unwrap_or_default();
    let runs = std::env::var("RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(7);
    let cluster = Cluster::connect().await?;
    cluster.stock().await?;
    let operator = Operator::start(cluster).await?;
    let outcome = measure(&operator, runs, |name| name.contains(&what)).await;
    operator.close().await?;
    outcome
}

async fn measure(operator: &Operator, runs: usize, wanted: impl Fn(&str) -> bool) -> Result<()> {
    for (name, size) in [("create-1", 1), ("create-3", 3)] {
        if wanted(name) {
            create::measure(operator, name, size, runs).await?.print();
        }
    }
    if wanted("create-3-tls") {
        create::measure_encrypted(operator, "create-3-tls", 3, runs).await?.print();
    }
    scale::measure(operator, runs, &wanted).await?;
    if disk::FIGURES.iter().any(|name| wanted(name)) {
        disk::measure(operator, runs, &wanted).await?;
    }
    if pod_delete::FIGURES.iter().any(|name| wanted(name)) {
        pod_delete::measure(operator, runs, &wanted).await?;
    }
    if change::UPGRADE.iter().chain(&change::OPTIONS).any(|name| wanted(name)) {
        change::measure(operator, runs, &wanted).await?;
    }
    if idle::FIGURES.iter().any(|name| wanted(name)) {
        operator.create("idle", 3).await?;
        idle::measure(operator, "idle", &wanted).await?;
        operator.delete("idle").await?;
    }
    if wanted("coordinator-rss") {
        coordinator_memory(operator).await?.print();
    }
    if fleet::FIGURES.iter().any(|name| wanted(name)) {
        fleet::measure(operator, &wanted).await?;
    }
    Ok(())
}

/// MiB of the coordinator while it looks after ten clusters.
async fn coordinator_memory(operator: &Operator) -> Result<Figure> {
    for n in 0..10 {
        operator.create(&format!("many-{n}"), 1).await?;
    }
    let mut values = vec![];
    for _ in 0..5 {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        values.push(operator.coordinator_rss()? / 1024.0);
    }
    Ok(Figure::of("coordinator-rss", "MiB", values))
}
