//! Every metric of ours, from the scrapes that the programs' own tests hold to what they register.

use super::{GENERATED, Generated, cell};
use crate::clone;
use anyhow::Result;
use std::collections::BTreeSet;
use std::fmt::Write;

const SCRAPES: [(&str, &str, &str); 2] = [
    ("agent.txt", "etcd-agent", "Port 2382 of each member, told by its agent. What is not known is not there."),
    ("coordinator.txt", "etcd-coordinator", "Port 8080 of each coordinator; of clusters tells the one that acts."),
];

pub fn page() -> Result<Generated> {
    let mut text = format!(
        "# Metrics\n{GENERATED}\n\nBeside these, etcd tells of itself on port 2381 of each member (`etcd_…`). How they are read: \
         [monitoring](../how-to/monitor.md).\n"
    );
    for (file, program, where_) in SCRAPES {
        let scrape = std::fs::read_to_string(clone("manifests/monitoring/metrics").join(file))?;
        write!(text, "\n## {program}\n{where_}\n\n| metric | type | labels | what |\n|---|---|---|---|\n")?;
        for family in scrape.split("# HELP ").skip(1) {
            table_row(&mut text, family)?;
        }
    }
    Ok(Generated { name: "metrics.md".to_owned(), text })
}

fn table_row(text: &mut String, family: &str) -> Result<()> {
    let (first, rest) = family.split_once('\n').unwrap_or((family, ""));
    let (name, help) = first.split_once(' ').unwrap_or((first, ""));
    let kind = rest.lines().find_map(|line| line.strip_prefix("# TYPE ")?.split(' ').nth(1)).unwrap_or_default();
    let samples: Vec<&str> = rest.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let asked = samples.first().map_or(name, |line| line.split(['{', ' ']).next().unwrap_or(name));
    let asked = if kind == "histogram" { name } else { asked };
    let mut labels: BTreeSet<&str> = BTreeSet::new();
    for inside in samples.iter().filter_map(|line| line.split_once('{')?.1.rsplit_once('}').map(|(inside, _)| inside)) {
        labels.extend(inside.split("\",").filter_map(|pair| pair.split_once('=').map(|(label, _)| label)));
    }
    labels.remove("le");
    let labels: Vec<String> = labels.into_iter().map(|label| format!("`{label}`")).collect();
    writeln!(text, "| `{asked}` | {kind} | {} | {} |", labels.join(", "), cell(help))?;
    Ok(())
}
