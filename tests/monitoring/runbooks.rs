//! Claim: each alert has its runbook and says where, each runbook its alert, and each says all that a runbook has to.

use crate::rules::{alerts, clone, read};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;

const FOLDER: &str = "manifests/docs/how-to/runbooks";
const INDEX: &str = "README.md";
const PARTS: [&str; 5] = ["**What it means.**", "**Is it urgent?**", "**Look.**", "**Cure.**", "**It clears**"];

#[test]
fn each_alert_has_its_runbook_and_each_runbook_its_alert() -> Result<()> {
    let mut wanted: BTreeSet<String> = alerts()?.iter().map(|alert| format!("{}.md", alert.alert)).collect();
    wanted.insert(INDEX.to_owned());
    let names = std::fs::read_dir(clone(FOLDER))?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let there: BTreeSet<String> = names.collect::<Result<_>>()?;
    ensure!(there == wanted, "there are {there:#?} of {wanted:#?}");
    Ok(())
}

#[test]
fn each_alert_says_how_grave_it_is_what_it_is_about_and_where_its_runbook_is() -> Result<()> {
    for alert in alerts()? {
        let name = &alert.alert;
        let severity = alert.labels.get("severity").with_context(|| format!("{name} has a severity"))?;
        ensure!(["critical", "warning"].contains(&severity.as_str()), "{name} is {severity}");
        ensure!(alert.annotations.get("runbook") == Some(&format!("{FOLDER}/{name}.md")), "{name} has its runbook");
        let words = ["summary", "description"].map(|part| alert.annotations.get(part).cloned().unwrap_or_default());
        let about: &[&str] = match name {
            _ if name.starts_with("EtcdCluster") => &["namespace", "cluster"],
            _ if name.starts_with("EtcdMember") => &["namespace", "cluster", "pod"],
            // Nobody is there to say whose it is.
            _ if name == "EtcdCoordinatorDown" => &[],
            _ => &["namespace"],
        };
        for label in about {
            let named = words.concat().contains(&format!("{{{{ $labels.{label} }}}}"));
            ensure!(named, "{name} does not name the {label}");
        }
        ensure!(words.iter().all(|words| !words.is_empty()), "{name} has a summary and a description");
    }
    Ok(())
}

#[test]
fn each_runbook_has_all_its_parts_and_stands_in_the_list() -> Result<()> {
    let list = read(&format!("{FOLDER}/{INDEX}"))?;
    for alert in alerts()? {
        let (name, severity) = (&alert.alert, &alert.labels["severity"]);
        let text = read(&format!("{FOLDER}/{name}.md"))?;
        ensure!(text.starts_with(&format!("# {name}\n")), "{name}.md begins with its name");
        let at: Vec<usize> = PARTS.iter().filter_map(|part| text.find(part)).collect();
        ensure!(at.len() == PARTS.len() && at.is_sorted(), "{name}.md has its parts in order");
        let line = format!("| [{name}]({name}.md) | {severity} | {} |", alert.waits.as_deref().unwrap_or("at once"));
        ensure!(list.contains(&line), "the list has not {line}");
    }
    Ok(())
}
