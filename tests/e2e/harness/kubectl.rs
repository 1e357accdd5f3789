//! kubectl, for what people do with it: exec above all.

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// kubectl with its kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    pub program: PathBuf,
    pub kubeconfig: Option<PathBuf>,
}

impl Kubectl {
    /// Runs it and returns what it printed.
    ///
    /// # Errors
    /// With what it said, when it fails.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        self.feed(args, "").await
    }

    /// As [`run`](Self::run), and a warning is a failure too.
    ///
    /// # Errors
    /// With what it said, when it fails or says anything beside its output.
    pub async fn run_cleanly(&self, args: &[&str]) -> Result<String> {
        let (out, warnings) = self.ask(args, "").await?;
        ensure!(warnings.is_empty(), "kubectl {} warns: {warnings}", args.join(" "));
        Ok(out)
    }

    /// As [`run`](Self::run), with something to read.
    ///
    /// # Errors
    /// As there.
    pub async fn feed(&self, args: &[&str], input: &str) -> Result<String> {
        Ok(self.ask(args, input).await?.0)
    }

    /// What it printed on stdout and on stderr.
    async fn ask(&self, args: &[&str], input: &str) -> Result<(String, String)> {
        let mut command = Command::new(&self.program);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("run {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        let output = child.wait_with_output().await?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "kubectl {} failed: {err}{out}", args.join(" "));
        Ok((out.into_owned(), err.into_owned()))
    }
}
