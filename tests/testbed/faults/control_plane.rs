//! The control plane's programs killed, hung and started again.

use super::Faults;
use crate::control_plane::{API_SERVER, CONTROLLER_MANAGER, SCHEDULER, STORE};
use crate::daemon::Daemon;
use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use tokio::task::spawn_blocking;

/// A program of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The API server's own etcd.
    Store,
    ApiServer,
    ControllerManager,
    Scheduler,
    Dns,
}

impl Component {
    fn daemon(self) -> &'static str {
        match self {
            Self::Store => STORE,
            Self::ApiServer => API_SERVER,
            Self::ControllerManager => CONTROLLER_MANAGER,
            Self::Scheduler => SCHEDULER,
            Self::Dns => "coredns",
        }
    }
}

impl Faults {
    /// Kills a program of the control plane; it stays down until [`start`](Self::start).
    ///
    /// # Errors
    /// When it does not die.
    pub async fn stop(&self, component: Component) -> Result<()> {
        let layout = self.layout.clone();
        spawn_blocking(move || Daemon::load(&layout, component.daemon())?.kill()).await?
    }

    /// Starts it again with the arguments it had.
    ///
    /// # Errors
    /// When it runs.
    pub async fn start(&self, component: Component) -> Result<()> {
        let daemon = Daemon::load(&self.layout, component.daemon())?;
        ensure!(!daemon.is_alive(), "{} runs already", daemon.name);
        daemon.start(&self.layout).map(drop)
    }

    /// Hangs it: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it was never started.
    pub fn pause(&self, component: Component) -> Result<()> {
        Daemon::load(&self.layout, component.daemon()).map(|daemon| daemon.signal(Signal::SIGSTOP))
    }

    /// Ends a [`pause`](Self::pause).
    ///
    /// # Errors
    /// As there.
    pub fn resume(&self, component: Component) -> Result<()> {
        Daemon::load(&self.layout, component.daemon()).map(|daemon| daemon.signal(Signal::SIGCONT))
    }
}
