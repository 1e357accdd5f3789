//! Claim: what the dashboard asks for is what the programs tell, in each release of etcd. That a real Prometheus answers each of its
//! queries is tried by `../e2e/prometheus.rs`.

use crate::etcd;
use crate::names::{OF_TARGETS, asked, is_ours, ours};
use crate::rules::read;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;

fn expressions() -> Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&read("manifests/monitoring/dashboard.json")?)?;
    let panels = dashboard["panels"].as_array().context("it has panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| Ok(target["expr"].as_str().context("a target asks something")?.to_owned())).collect()
}

#[test]
fn each_metric_of_the_dashboard_is_told() -> Result<()> {
    let (ours, expressions) = (ours()?, expressions()?);
    ensure!(expressions.len() > 30, "the dashboard asks {expressions:?}");
    let mut of_etcd = BTreeSet::new();
    for (name, picks) in expressions.iter().flat_map(|expression| asked(expression)) {
        if !is_ours(&name) {
            of_etcd.insert(name);
            continue;
        }
        let labels = ours.get(&name).with_context(|| format!("the dashboard asks for {name}"))?;
        for (label, ..) in picks.iter().filter(|(label, ..)| !OF_TARGETS.contains(&label.as_str())) {
            ensure!(labels.contains_key(label), "the dashboard asks {name} for {label}");
        }
    }
    for (version, told) in etcd::told()? {
        let silent: Vec<_> = of_etcd.iter().filter(|name| !told.contains_key(*name)).collect();
        // Between members alone, of which there is one here.
        ensure!(
            silent.iter().all(|name| name.starts_with("etcd_network_peer_")),
            "etcd {version} does not tell {silent:?}"
        );
    }
    Ok(())
}

#[test]
fn panels_have_titles_that_differ_and_say_what_they_show() -> Result<()> {
    let dashboard: Value = serde_json::from_str(&read("manifests/monitoring/dashboard.json")?)?;
    let mut seen = BTreeSet::new();
    for panel in dashboard["panels"].as_array().context("it has panels")? {
        let title = panel["title"].as_str().context("a panel has a title")?;
        ensure!(seen.insert(title), "two panels are called {title}");
        ensure!(panel["type"] == "row" || panel["description"].is_string(), "{title} does not say what it shows");
    }
    Ok(())
}
