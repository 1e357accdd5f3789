//! A coordinator as a process of the test's own: it needs nothing but a kubeconfig.

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// As many lines of its log are kept for the evidence.
const TAIL: usize = 80;
/// It finishes what it does and gives its Lease back.
const DRAIN: Duration = Duration::from_secs(10);

/// The lines last printed.
type Tail = Arc<Mutex<VecDeque<String>>>;

/// A running coordinator; killed when dropped, and by the kernel when the test process dies.
#[derive(Debug)]
pub struct Coordinator {
    child: Child,
    port: u16,
    tail: Tail,
}

impl Coordinator {
    /// Starts one for one namespace, with its Lease in another or the same.
    ///
    /// # Errors
    /// When its program is not there.
    pub fn start(kubeconfig: &Path, namespace: &str, lease_namespace: &str, agent_image: &str) -> Result<Self> {
        let program = program()?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&program);
        command.arg("--kubeconfig").arg(kubeconfig);
        command.args(["--namespace", namespace, "--lease-namespace", lease_namespace, "--agent-image", agent_image]);
        let port = free_port()?;
        command.args(["--listen", &format!("127.0.0.1:{port}")]);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let tail = Tail::default();
        keep(child.stdout.take(), &tail);
        keep(child.stderr.take(), &tail);
        Ok(Self { child, port, tail })
    }

    /// Asks it to end, as Kubernetes would.
    ///
    /// # Errors
    /// When it does not.
    pub async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().context("the coordinator has ended by itself")?;
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        if tokio::time::timeout(DRAIN, self.child.wait()).await.is_err() {
            self.child.kill().await?;
            bail!("the coordinator did not end within {DRAIN:?} of SIGTERM:\n{}", self.log());
        }
        Ok(())
    }

    /// Kills it at once.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub async fn kill(mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "the coordinator had ended by itself:\n{}", self.log());
        Ok(self.child.kill().await?)
    }

    /// Where it answers probes and shows its metrics, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The end of its log.
    #[must_use]
    pub fn log(&self) -> String {
        let lines = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// A port that nobody has now. Somebody could take it before the program that it is for; then that one says so and ends.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn keep(from: Option<impl AsyncRead + Unpin + Send + 'static>, tail: &Tail) {
    let Some(from) = from else { return };
    let tail = Arc::clone(tail);
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut kept = tail.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == TAIL {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    });
}

/// `E2E_COORDINATOR`, or the one that was built beside this test.
///
/// # Errors
/// When there is neither, or none where the variable says.
pub fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("E2E_COORDINATOR").map(PathBuf::from) {
        ensure!(named.exists(), "E2E_COORDINATOR names {}, which does not exist: build it first", named.display());
        return Ok(named);
    }
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).context("a test lies in target/PROFILE/deps")?;
    let built = folder.join("etcd-coordinator");
    ensure!(built.exists(), "build etcd-coordinator first, or say in E2E_COORDINATOR where it is");
    Ok(built)
}
