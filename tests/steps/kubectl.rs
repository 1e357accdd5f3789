//! kubectl, as a person would type it.

use crate::place::Place;
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::process::Stdio;

/// Runs it, and returns what it printed.
///
/// # Errors
/// With what it said, when it fails.
pub fn ask(place: &Place, args: &[&str]) -> Result<String> {
    feed(place, args, "")
}

/// As [`ask`], with something to read.
///
/// # Errors
/// As there.
pub fn feed(place: &Place, args: &[&str], input: &str) -> Result<String> {
    let mut command = place.kubectl();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("run kubectl")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).context("write to kubectl")?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {}: {}", args.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
