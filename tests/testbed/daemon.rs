//! A program of the testbed that outlives the command which started it.
//!
//! Its arguments, PID and start time are kept in the state directory, so that any later process can tell whether it
//! still runs, stop it, and start it again as it was. A PID alone proves nothing (PIDs come round again): the start
//! time in `/proc/PID/stat` must agree.

use crate::layout::Layout;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a daemon may see of the caller's environment is this and nothing else: etcd and Go obey many a variable.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program as it was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Daemon {
    pub name: String,
    /// The network namespace it lives in.
    pub netns: String,
    pub argv: Vec<String>,
    pub process: Option<Process>,
}

/// A process that cannot be taken for a later one with the same PID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks after boot, field 22 of `/proc/PID/stat`.
    pub started: u64,
}

impl Daemon {
    #[must_use]
    pub fn new(name: impl Into<String>, netns: impl Into<String>, argv: Vec<String>) -> Self {
        Self { name: name.into(), netns: netns.into(), argv, process: None }
    }

    /// The daemon `name` as it was last recorded.
    ///
    /// # Errors
    /// When there is none.
    pub fn load(layout: &Layout, name: &str) -> Result<Self> {
        let path = layout.daemons().join(format!("{name}.json"));
        let text = fs::read_to_string(&path).with_context(|| format!("the testbed has no daemon `{name}`"))?;
        serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))
    }

    /// Every recorded daemon.
    #[must_use]
    pub fn all(layout: &Layout) -> Vec<Self> {
        let Ok(entries) = fs::read_dir(layout.daemons()) else { return vec![] };
        let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
        texts.filter_map(|text| serde_json::from_str(&text).ok()).collect()
    }

    /// Starts it in a session of its own, its output going to its log, and records it.
    ///
    /// # Errors
    /// When the program cannot be started or recorded.
    pub fn start(mut self, layout: &Layout) -> Result<Self> {
        let log = layout.log(&self.name);
        fs::create_dir_all(log.parent().context("a log lies in a folder")?)?;
        fs::create_dir_all(layout.daemons())?;
        let log = File::options().create(true).append(true).open(&log)?;
        let child = detached()
            .args(["nsenter", &format!("--net=/run/netns/{}", self.netns)])
            .args(&self.argv)
            .env_clear()
            .envs([("PATH", PATH), ("ETCD_TESTBED_DIR", &layout.root().to_string_lossy())])
            .current_dir(layout.root())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.name))?;
        let pid = i32::try_from(child.id())?;
        self.process = Process::find(pid);
        ensure!(self.process.is_some(), "{} ended at once", self.name);
        self.record(layout)?;
        Ok(self)
    }

    fn record(&self, layout: &Layout) -> Result<()> {
        let path = layout.daemons().join(format!("{}.json", self.name));
        fs::write(&path, serde_json::to_string_pretty(self)?).with_context(|| format!("write {}", path.display()))
    }

    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.process.is_some_and(Process::is_alive)
    }

    /// Sends a signal if it runs.
    pub fn signal(&self, signal: Signal) {
        if let Some(process) = self.process {
            process.signal(signal);
        }
    }

    /// Kills it at once, as a lost machine would, and waits until it is gone.
    ///
    /// # Errors
    /// When it does not die within ten seconds.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::SIGKILL);
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.is_alive() {
            ensure!(Instant::now() < deadline, "{} does not die", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The end of its log, for the message about its death.
    #[must_use]
    pub fn last_words(&self, layout: &Layout, lines: usize) -> String {
        let text = fs::read(layout.log(&self.name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// A command in a session of its own that inherits no open file but the first three: a lock or a pipe of the caller would stay
/// open for as long as the daemon runs. Everything execs in place: the PID of the child becomes the daemon's.
fn detached() -> Command {
    const CLOSE: &str =
        r#"for fd in /proc/self/fd/*; do fd=${fd##*/}; ((fd < 3)) || eval "exec $fd>&-"; done; exec setsid "$@""#;
    let mut command = Command::new("bash");
    command.args(["-c", CLOSE, "daemon"]);
    command
}

impl Process {
    /// The process that has this PID now.
    #[must_use]
    pub fn find(pid: i32) -> Option<Self> {
        stat(pid).map(|(_, started)| Self { pid, started })
    }

    /// A zombie is dead: only its parent has not looked yet.
    #[must_use]
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|(state, started)| started == self.started && !matches!(state, 'Z' | 'X'))
    }

    /// Sends a signal if it is still that process.
    pub fn signal(self, signal: Signal) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

/// State and start time. The program's name in the second field may hold blanks and brackets, so reading starts
/// behind its last bracket.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_inherits_no_file_that_its_starter_was_handed() {
        // A file that nothing else opens. Unlike what this program opens, a duplicate is inherited, as a shell's redirection is.
        let own = std::env::current_exe().unwrap();
        let file = File::open(&own).unwrap();
        let inherited: Vec<_> = (0..10).map(|_| nix::unistd::dup(&file).unwrap()).collect();
        let seen = |mut command: Command| {
            let seen = command.args(["find", "/proc/self/fd", "-lname"]).arg(&own).output().unwrap();
            assert!(seen.status.success(), "{seen:?}");
            String::from_utf8_lossy(&seen.stdout).lines().count()
        };
        assert_eq!(seen(Command::new("env")), inherited.len(), "the test itself shows nothing");
        assert_eq!(seen(detached()), 0);
    }
}
