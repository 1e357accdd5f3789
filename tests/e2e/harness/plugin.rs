//! `kubectl etcd`, as a person starts it: its exit code, what it printed, and what it said beside that.

use super::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// What came of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    words: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// # Errors
    /// When it ended with another code.
    pub fn with(self, code: i32) -> Result<Self> {
        let Self { words, out, err, .. } = &self;
        ensure!(self.code == Some(code), "{words} ended with {:?} and not {code}:\n{out}{err}", self.code);
        Ok(self)
    }

    /// # Errors
    /// When what it printed is no JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("read what {} printed:\n{}", self.words, self.out))
    }
}

/// Runs it in the stage's namespace.
///
/// # Errors
/// When the program is not there.
pub async fn kubectl_etcd(stage: &Stage, words: &[&str]) -> Result<Ended> {
    let program = program()?;
    let mut command = Command::new(&program);
    command.args(words).args(["-n", &stage.namespace]).stdin(Stdio::null()).kill_on_drop(true);
    if let Some(kubeconfig) = &stage.kubectl.kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    let output = command.output().await.with_context(|| format!("run {}", program.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let words = format!("kubectl etcd {}", words.join(" "));
    Ok(Ended { words, code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
}

/// `E2E_PLUGIN`, or the one that was built beside this test.
///
/// # Errors
/// When there is neither, or none where the variable says.
pub fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("E2E_PLUGIN").map(PathBuf::from) {
        ensure!(named.exists(), "E2E_PLUGIN names {}, which does not exist: build it first", named.display());
        return Ok(named);
    }
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).context("a test lies in target/PROFILE/deps")?;
    let built = folder.join("kubectl-etcd");
    ensure!(built.exists(), "build kubectl-etcd first, or say in E2E_PLUGIN where it is");
    Ok(built)
}
