//! Runs the system's programs (`ip`, `mount`, `iptables`, …) and turns a failure into a sentence with their own words
//! in it.

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs `line`, split at blanks (no shell, no quoting), and returns what it printed.
///
/// # Errors
/// When the program is missing or fails; the message holds the line and what the program wrote to stderr.
pub fn call(line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    run(Command::new(words.next().unwrap_or_default()).args(words))
}

/// Runs a prepared command to its end and returns what it printed.
///
/// # Errors
/// As [`call`].
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `line` with `input` on its stdin: `ip -batch -` and `iptables-restore` do a hundred things in one process.
///
/// # Errors
/// As [`call`].
pub fn feed(line: &str, input: &str) -> Result<()> {
    let mut words = line.split_whitespace();
    let mut child = Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {line}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("write to {line}"))?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("`{line}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
