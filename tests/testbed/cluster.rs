//! The cluster that tests run against: the testbed, or one the user already has.
//!
//! `KUBECONFIG` decides: unset, or naming the testbed's own file, means the testbed (booted if need be); anything
//! else is a cluster of somebody else, which is used as it is and has no fault handles.

use crate::command::run;
use crate::evidence;
use crate::faults::Faults;
use crate::layout::Layout;
use crate::machine::Testbed;
use crate::progress::Progress;
use crate::toolchain::ETCD_VERSIONS;
use anyhow::{Context, Result, bail};
use kube::{Client, Config};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A cluster and what can be done with it.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Testbed { testbed: Testbed, faults: Faults },
    Foreign { context: String },
}

impl Cluster {
    /// Connects to the cluster that the environment names.
    ///
    /// # Errors
    /// When it cannot be reached, or the testbed cannot be booted.
    pub async fn connect() -> Result<Self> {
        match foreign_kubeconfig()? {
            None => {
                let testbed = match Testbed::attach() {
                    Ok(testbed) if testbed.is_alive() => testbed,
                    _ => Testbed::up(3, &ETCD_VERSIONS, Progress::start()).await?,
                };
                let client = testbed.client().await?;
                let faults = Faults::new(&testbed, client.clone());
                Ok(Self { client, kind: Kind::Testbed { testbed, faults } })
            }
            Some(path) => {
                let mut config = Config::infer().await.with_context(|| format!("read {}", path.display()))?;
                config.default_retry = false;
                let context = run(Command::new("kubectl").args(["config", "current-context"]))
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
                Ok(Self { client: Client::try_from(config)?, kind: Kind::Foreign { context } })
            }
        }
    }

    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The fault handles; none on a cluster of somebody else.
    #[must_use]
    pub fn faults(&self) -> Option<&Faults> {
        match &self.kind {
            Kind::Testbed { faults, .. } => Some(faults),
            Kind::Foreign { .. } => None,
        }
    }

    /// As [`faults`](Self::faults), and says on stderr that the test is skipped when there are none.
    #[must_use]
    pub fn faults_or_skip(&self) -> Option<&Faults> {
        if self.faults().is_none() {
            eprintln!("skipped: needs fault handles");
        }
        self.faults()
    }

    /// The testbed, when it is one.
    #[must_use]
    pub fn testbed(&self) -> Option<&Testbed> {
        match &self.kind {
            Kind::Testbed { testbed, .. } => Some(testbed),
            Kind::Foreign { .. } => None,
        }
    }

    /// Brings every release of etcd that tests use to the testbed's nodes; a cluster of somebody else pulls its images.
    ///
    /// # Errors
    /// When one cannot be built or a node is down.
    pub async fn stock(&self) -> Result<()> {
        match &self.kind {
            Kind::Testbed { testbed, .. } => testbed.stock(&ETCD_VERSIONS, Progress::start()).await,
            Kind::Foreign { .. } => Ok(()),
        }
    }

    /// Brings the image `name` to every node, and returns the name under which pods find it: on a foreign cluster
    /// that is not kind's, `REGISTRY` says where to push it.
    ///
    /// # Errors
    /// When the tool that loads it fails, or a foreign cluster gives no way.
    pub async fn load_image(&self, archive: &Path, name: &str) -> Result<String> {
        match &self.kind {
            Kind::Testbed { testbed, .. } => {
                testbed.load(archive).await?;
                Ok(name.to_owned())
            }
            Kind::Foreign { context } => load_foreign(context, archive, name),
        }
    }

    /// What a person would look at when a test in `namespace` failed.
    pub async fn evidence(&self, namespace: &str) -> String {
        evidence::gather(self.client(), namespace).await
    }
}

fn load_foreign(context: &str, archive: &Path, name: &str) -> Result<String> {
    if let Some(kind) = context.strip_prefix("kind-") {
        run(Command::new("kind").args(["load", "image-archive", "--name", kind]).arg(archive))?;
        return Ok(name.to_owned());
    }
    let Ok(registry) = std::env::var("REGISTRY") else {
        bail!("the cluster `{context}` gets images from a registry: set REGISTRY to one that it and you can reach");
    };
    let (_, image) = name.rsplit_once('/').unwrap_or(("", name));
    let target = format!("{}/{image}", registry.trim_end_matches('/'));
    let source = format!("docker-archive:{}", archive.display());
    run(Command::new("buildah").args(["--storage-driver", "vfs", "pull", &source]))?;
    run(Command::new("buildah").args(["--storage-driver", "vfs", "push", name, &format!("docker://{target}")]))?;
    Ok(target)
}

fn foreign_kubeconfig() -> Result<Option<PathBuf>> {
    let Some(named) = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()).map(PathBuf::from) else {
        return Ok(None);
    };
    let own = Layout::from_env()?.kubeconfig();
    Ok((named != own).then_some(named))
}
