//! Claim: what the rules ask for is what the programs tell: names, and the values of labels that are picked.
//!
//! What ours tell is in `manifests/monitoring/metrics/`, which their own tests hold to what they register; what etcd tells is
//! asked of each release (`etcd.rs`).

use crate::etcd;
use crate::rules::{alerts, clone, read};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};

/// What Prometheus itself knows, and the jobs that the PodMonitors make.
const UP: &str = "up";
/// Labels that a series has of where it was read.
pub const OF_TARGETS: [&str; 3] = ["namespace", "cluster", "pod"];

/// Names of metrics, and by label its values.
pub type Known = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// A label that is picked: its name, how it is compared, and what with.
pub type Pick = (String, String, String);

/// Reads a scrape.
#[must_use]
pub fn known(text: &str) -> Known {
    let mut all = Known::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap_or(line.len()));
        let labels = all.entry(name.to_owned()).or_default();
        let inside = rest.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')).map_or("", |(inside, _)| inside);
        for (label, value) in inside.split("\",").filter_map(|pair| pair.split_once("=\"")) {
            labels.entry(label.to_owned()).or_default().insert(value.trim_end_matches('"').to_owned());
        }
    }
    all
}

/// What ours tell.
///
/// # Errors
/// When it cannot be read.
pub fn ours() -> Result<Known> {
    let mut all = known(&read("manifests/monitoring/metrics/agent.txt")?);
    all.extend(known(&read("manifests/monitoring/metrics/coordinator.txt")?));
    Ok(all)
}

/// The metrics that an expression asks for, each with the labels that it picks.
#[must_use]
pub fn asked(expression: &str) -> Vec<(String, Vec<Pick>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let word: String = rest[at..].chars().take_while(|c| is_word(*c)).collect();
        rest = &rest[at + word.len()..];
        if word.starts_with("etcd_") || word == UP {
            let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
            found.push((word, inside.split(',').filter_map(pick).collect()));
            rest = &rest[if inside.is_empty() { 0 } else { inside.len() + 2 }..];
        }
    }
    found
}

fn pick(text: &str) -> Option<Pick> {
    let at = text.find(['=', '!'])?;
    let (label, rest) = text.split_at(at);
    let (how, value) = rest.split_once('"')?;
    Some((label.trim().to_owned(), how.to_owned(), value.trim_end_matches('"').to_owned()))
}

#[test]
fn each_metric_of_ours_is_one_that_is_registered() -> Result<()> {
    let ours = ours()?;
    ensure!(ours.len() > 40, "there are {:?}", ours.keys());
    for alert in alerts()? {
        for (name, picks) in asked(&alert.expr).into_iter().filter(|(name, _)| is_ours(name)) {
            let labels = ours.get(&name).with_context(|| format!("{} asks for {name}", alert.alert))?;
            for (label, how, value) in picks {
                let values = labels.get(&label).with_context(|| format!("{} asks {name} for {label}", alert.alert))?;
                // Of phases and states the scrape has one of several.
                let every = label == "phase" || value.split('|').all(|value| values.contains(value));
                ensure!(
                    every && ["=", "=~"].contains(&how.as_str()),
                    "{}: {label}{how}{value} of {values:?}",
                    alert.alert
                );
            }
        }
    }
    Ok(())
}

#[test]
fn phases_are_those_of_the_kind() -> Result<()> {
    for (name, picks) in alerts()?.iter().flat_map(|alert| asked(&alert.expr)) {
        for (_, _, value) in picks.iter().filter(|(label, ..)| label == "phase") {
            for phase in value.split('|') {
                let known = serde_json::from_value::<etcd_operator_shared::api::cluster::Phase>(phase.into());
                ensure!(known.is_ok(), "{name} is asked for phase {phase}");
            }
        }
    }
    Ok(())
}

#[test]
fn jobs_are_those_that_the_monitors_make() -> Result<()> {
    let monitors = std::fs::read_to_string(clone("manifests/monitoring/podmonitors.yaml"))?;
    let asked = alerts()?.into_iter().flat_map(|alert| asked(&alert.expr));
    let jobs: BTreeSet<String> =
        asked.filter(|(name, _)| name == UP).flat_map(|(_, picks)| picks).map(|(_, _, job)| job).collect();
    ensure!(jobs.len() == 2, "jobs are {jobs:?}");
    for job in jobs {
        ensure!(monitors.contains(&format!("replacement: {job}\n")), "no monitor makes {job}");
    }
    Ok(())
}

#[test]
fn each_metric_of_etcds_is_told_by_each_release() -> Result<()> {
    let wanted: BTreeSet<String> = alerts()?
        .iter()
        .flat_map(|alert| asked(&alert.expr))
        .map(|(name, _)| name)
        .filter(|name| !is_ours(name) && name != UP)
        .collect();
    ensure!(!wanted.is_empty(), "no metric of etcd's is asked for");
    for (version, told) in etcd::told()? {
        for name in &wanted {
            ensure!(told.contains_key(name), "etcd {version} does not tell {name}");
        }
    }
    Ok(())
}

#[test]
fn what_alerts_are_grouped_by_is_known_of_every_series() -> Result<()> {
    for alert in alerts()? {
        for inside in alert.expr.split("by (").skip(1).filter_map(|rest| rest.split_once(')')).map(|(inside, _)| inside)
        {
            let odd = inside.split(", ").find(|label| !OF_TARGETS.contains(label) && *label != "le");
            ensure!(odd.is_none(), "{} groups by {odd:?}", alert.alert);
        }
    }
    Ok(())
}

/// Whether a metric is one of ours.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    name.starts_with("etcd_agent_") || name.starts_with("etcd_coordinator_")
}

#[test]
fn an_expression_is_read_whole() {
    let asked =
        asked(r#"max by (pod) (etcd_agent_check_ok{check=~"a|b",x="y"}) == 0 and up{job="j"} - etcd_agent_members"#);
    let names: Vec<&str> = asked.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["etcd_agent_check_ok", "up", "etcd_agent_members"]);
    assert_eq!(asked[0].1[0], ("check".into(), "=~".into(), "a|b".into()));
    assert_eq!(asked[0].1[1], ("x".into(), "=".into(), "y".into()));
}
