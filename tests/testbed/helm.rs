//! The real Helm 4, with folders and settings of its own: none of the user's are read or written.

use crate::progress::Progress;
use crate::toolchain::HELM;
use anyhow::{Context, Result, ensure};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;

/// The operator's chart, as it lies in the clone.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/charts/etcd-operator");

/// Helm, and the cluster that it speaks to.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    home: TempDir,
    kubeconfig: Option<PathBuf>,
}

impl Helm {
    /// Builds it if nobody has: some minutes, once a machine. Without a kubeconfig it reaches no cluster.
    ///
    /// # Errors
    /// When it cannot be built.
    pub async fn ready(kubeconfig: Option<PathBuf>) -> Result<Self> {
        static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
        let build =
            || async { tokio::task::spawn_blocking(|| HELM.ready(&Progress::start().follow(HELM.name))).await? };
        let program = BUILT.get_or_try_init(build).await?.join("helm");
        Ok(Self { program, home: tempfile::tempdir()?, kubeconfig })
    }

    /// Runs it and returns what it printed.
    ///
    /// # Errors
    /// With what it said, when it fails.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        let nowhere = self.home.path().join("kubeconfig");
        let mut command = Command::new(&self.program);
        // The rest of the environment may be what a kubeconfig gets its credentials by.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(b"HELM_")) {
            command.env_remove(name);
        }
        for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(folder, self.home.path().join(folder));
        }
        command.env("KUBECONFIG", self.kubeconfig.as_ref().unwrap_or(&nowhere));
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.with_context(|| format!("run {}", self.program.display()))?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "helm {} failed: {err}{out}", args.join(" "));
        Ok(out.into_owned())
    }
}
