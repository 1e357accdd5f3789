//! `steps helm …`: the real Helm, which is built first where the machine has none.

use crate::plan::{self, Step, Task};
use crate::toolchain::HELM;
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Becomes Helm with these arguments.
///
/// # Errors
/// When it cannot be built or run.
pub fn perform(arguments: &[String]) -> Result<()> {
    let folder = HELM.folder()?;
    if !folder.exists() {
        plan::perform(vec![Step { name: "build Helm".to_owned(), lanes: vec![vec![Task::tool(&HELM)]] }])?;
    }
    Err(Command::new(folder.join("helm")).args(arguments).exec()).context("run helm")
}
