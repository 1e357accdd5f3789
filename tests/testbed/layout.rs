//! Where everything is: the state directory, the addresses and the names. All of it is one machine's, so there is one
//! testbed a machine.
//!
//! ```text
//!   host 10.77.0.1 ── etb-net (a bridge in a namespace of its own, so the host's firewall never sees its frames)
//!                       ├── etb-cp 10.77.0.10   etcd, API server, controllers, CoreDNS (stock)
//!                       │          10.77.0.9    CoreDNS without a cache
//!                       ├── etb-n1 10.77.0.11   containerd, kubelet, kube-proxy; pods 10.244.1.0/24
//!                       └── etb-n2 10.77.0.12   …
//!   Services: 10.96.0.0/16
//! ```

use anyhow::{Result, ensure};
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// The host's address in the testbed's network.
pub const HOST_IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The API server and the stock CoreDNS.
pub const CONTROL_PLANE_IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 10);
/// The CoreDNS without a cache, for the floor of a benchmark.
pub const UNCACHED_DNS_IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);
/// Where pods and Services live.
pub const POD_CIDR: &str = "10.244.0.0/16";
pub const SERVICE_CIDR: &str = "10.96.0.0/16";
/// The namespace that holds the bridge, and the control plane's.
pub const SWITCH_NETNS: &str = "etb-net";
pub const CONTROL_PLANE_NETNS: &str = "etb-cp";
/// All our network namespaces, links and cgroups begin so; the sweep goes by it.
pub const PREFIX: &str = "etb-";
/// More nodes than this teach nothing new and do not fit two cores.
pub const MAX_NODES: usize = 5;

/// One node, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node(pub usize);

impl Node {
    /// The nodes of a testbed with `count` of them.
    pub fn all(count: usize) -> impl Iterator<Item = Self> + Clone {
        (1..=count).map(Self)
    }

    /// The node with this Kubernetes name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        name.strip_prefix('n')?.parse().ok().filter(|index| (1..=MAX_NODES).contains(index)).map(Self)
    }

    #[must_use]
    pub fn netns(self) -> String {
        format!("{PREFIX}{self}")
    }

    #[must_use]
    pub fn ip(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, 10 + u8::try_from(self.0).unwrap_or(u8::MAX))
    }

    #[must_use]
    pub fn pod_cidr(self) -> String {
        format!("10.244.{}.0/24", self.0)
    }

    /// The cgroup, below each controller, that holds every pod of the node.
    #[must_use]
    pub fn cgroup(self) -> String {
        format!("{PREFIX}{self}")
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// The state directory and what lies where in it.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// `$ETCD_TESTBED_DIR`, or `/var/lib/etcd-testbed`.
    ///
    /// # Errors
    /// When the path is relative, or holds blanks (it is written into many a configuration).
    pub fn from_env() -> Result<Self> {
        let root = std::env::var("ETCD_TESTBED_DIR").unwrap_or_else(|_| "/var/lib/etcd-testbed".to_owned());
        ensure!(root.starts_with('/') && root.len() > 1, "ETCD_TESTBED_DIR must be absolute, not `{root}`");
        ensure!(!root.contains(char::is_whitespace), "ETCD_TESTBED_DIR must not hold blanks: `{root}`");
        Ok(Self { root: PathBuf::from(root.trim_end_matches('/')) })
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Beside the state directory, because it outlives it.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.root.with_extension("lock")
    }

    /// Written last by `up`: its presence says that the boot was finished.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.root.join("testbed.json")
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_of("admin")
    }

    #[must_use]
    pub fn kubeconfig_of(&self, who: &str) -> PathBuf {
        self.pki().join(format!("{who}.kubeconfig"))
    }

    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    #[must_use]
    pub fn daemons(&self) -> PathBuf {
        self.root.join("daemons")
    }

    #[must_use]
    pub fn log(&self, daemon: &str) -> PathBuf {
        self.root.join("logs").join(format!("{daemon}.log"))
    }

    #[must_use]
    pub fn node(&self, node: Node) -> PathBuf {
        self.root.join("nodes").join(node.to_string())
    }

    #[must_use]
    pub fn containerd_socket(&self, node: Node) -> PathBuf {
        self.node(node).join("containerd.sock")
    }

    /// One directory a volume, named as its PersistentVolume.
    #[must_use]
    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// Where kubelet and the controller manager look for FlexVolume drivers.
    #[must_use]
    pub fn volume_plugins(&self) -> PathBuf {
        self.root.join("volume-plugins")
    }

    /// kubectl, etcdctl and a copy of this program: what daemons and people call by a path that stays.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }
}
