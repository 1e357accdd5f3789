//! Where things are: the cluster that is meant, the folder of builds, the testbed's own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// What the environment says. Programs run at the top of the clone, where make is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Cargo's folder.
    pub out: PathBuf,
    pub cluster: Cluster,
    pub nodes: String,
    /// A registry that a cluster of somebody's own has its images from.
    pub registry: Option<String>,
}

/// The cluster that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// The testbed's, by its kubeconfig: booted if need be.
    Testbed(PathBuf),
    /// The one of KUBECONFIG, which is used as it is.
    Foreign(PathBuf),
}

impl Place {
    #[must_use]
    pub fn from_env() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let own = PathBuf::from(set("ETCD_TESTBED_DIR").unwrap_or_else(|| "/var/lib/etcd-testbed".into()));
        Self {
            out: set("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()).into(),
            cluster: Cluster::meant_by(set("KUBECONFIG"), own.join("pki/admin.kubeconfig")),
            nodes: std::env::var("NODES").ok().filter(|nodes| !nodes.is_empty()).unwrap_or_else(|| "3".to_owned()),
            registry: std::env::var("REGISTRY").ok().filter(|registry| !registry.is_empty()),
        }
    }

    /// The program that boots and loads.
    #[must_use]
    pub fn testbed(&self) -> Command {
        self.aimed(Command::new(self.out.join("debug/testbed")))
    }

    #[must_use]
    pub fn kubectl(&self) -> Command {
        self.aimed(Command::new("kubectl"))
    }

    /// A target of the Makefile.
    #[must_use]
    pub fn make(&self, target: &str) -> Command {
        let mut command = Command::new("make");
        command.args(["--no-print-directory", target]);
        self.aimed(command)
    }

    /// A command that finds the cluster.
    #[must_use]
    pub fn aimed(&self, mut command: Command) -> Command {
        match &self.cluster {
            Cluster::Testbed(kubeconfig) | Cluster::Foreign(kubeconfig) => command.env("KUBECONFIG", kubeconfig),
        };
        command
    }
}

impl Cluster {
    fn meant_by(kubeconfig: Option<OsString>, own: PathBuf) -> Self {
        match kubeconfig.map(PathBuf::from) {
            Some(named) if named != own => Self::Foreign(named),
            _ => Self::Testbed(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_testbed_is_meant_unless_another_cluster_is_named() {
        let own = PathBuf::from("/own");
        assert_eq!(Cluster::meant_by(None, own.clone()), Cluster::Testbed(own.clone()));
        assert_eq!(Cluster::meant_by(Some("/own".into()), own.clone()), Cluster::Testbed(own.clone()));
        assert_eq!(Cluster::meant_by(Some("/other".into()), own), Cluster::Foreign("/other".into()));
    }
}
