//! Every command with its help, as the programs print it.

use super::{GENERATED, Generated};
use anyhow::{Context, Result, ensure};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// Name of the page, of the program, how it is typed, and what to know first.
const PROGRAMS: [(&str, &str, &str, &str); 3] = [
    (
        "kubectl-etcd.md",
        "kubectl-etcd",
        "kubectl etcd",
        "How they are used, with what comes out: [coordinator/plugin](../../../coordinator/plugin/README.md). Exit codes: 0 good, 1 failed, \
         2 usage, 3 not found, 4 unhealthy, 5 timeout, 6 refused.",
    ),
    (
        "etcd-agent.md",
        "etcd-agent",
        "etcd-agent",
        "They are typed in a member's pod: `kubectl exec demo-0 -c agent -- etcd-agent status`. Exit codes: \
         [agent](../../../agent/README.md#backups).",
    ),
    (
        "etcd-coordinator.md",
        "etcd-coordinator",
        "etcd-coordinator",
        "What the Deployment in `manifests/operator.yaml` starts. With the chart each flag is a value.",
    ),
];

pub fn pages(folder: &Path) -> Result<Vec<Generated>> {
    PROGRAMS.iter().map(|(name, program, typed, first)| page(&folder.join(program), name, typed, first)).collect()
}

fn page(program: &Path, name: &str, typed: &str, first: &str) -> Result<Generated> {
    let mut text = format!("# {typed}\n{GENERATED}\n\n{first}\n");
    below(&mut text, program, typed, &mut Vec::new())?;
    Ok(Generated { name: name.to_owned(), text })
}

/// A command and all those below it.
fn below(text: &mut String, program: &Path, typed: &str, words: &mut Vec<String>) -> Result<()> {
    let help = help(program, words)?;
    let heading = [&[typed.to_owned()], words.as_slice()].concat().join(" ");
    write!(text, "\n## {heading}\n```text\n{}\n```\n", help.trim_end())?;
    let section = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let listed = section.lines().take_while(|line| line.starts_with("  ")).filter(|line| !line.starts_with("   "));
    for command in listed.filter_map(|line| line.split_whitespace().next()).filter(|word| *word != "help") {
        words.push(command.to_owned());
        below(text, program, typed, words)?;
        words.pop();
    }
    Ok(())
}

fn help(program: &Path, words: &[String]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(words).arg("--help").env_clear();
    let output = command.output().with_context(|| format!("run {}", program.display()))?;
    ensure!(output.status.success(), "{} {words:?} --help failed", program.display());
    let text = String::from_utf8(output.stdout)?;
    // clap pads what it wraps.
    Ok(text.lines().map(|line| line.trim_end().to_owned() + "\n").collect())
}
