//! The testbed as a whole: up, down, status.

use crate::boot::{self, ready_nodes};
use crate::daemon::Daemon;
use crate::image;
use crate::layout::{Layout, MAX_NODES, Node};
use crate::lock::Lock;
use crate::progress::Progress;
use crate::sweep;
use crate::toolchain::{self, Tool, Toolchain};
use anyhow::{Context, Result, bail, ensure};
use kube::Client;
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A running testbed.
#[derive(Clone, Debug)]
pub struct Testbed {
    pub(crate) layout: Layout,
    nodes: usize,
}

/// What was booted, written when the boot was finished.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    nodes: usize,
    tools: String,
}

impl Testbed {
    /// Attaches to the running testbed if it has `nodes` nodes and today's binaries, and boots one otherwise,
    /// sweeping away whatever is there. Its nodes have the images of these `releases` of etcd.
    ///
    /// # Errors
    /// When the tools cannot be built or a part does not come up; then nothing is left of the attempt.
    pub async fn up(nodes: usize, releases: &[&str], progress: Progress) -> Result<Self> {
        ensure!((1..=MAX_NODES).contains(&nodes), "a testbed has 1 to {MAX_NODES} nodes, not {nodes}");
        ensure!(nix::unistd::geteuid().is_root(), "a testbed makes network namespaces and mounts: it needs root");
        let layout = Layout::from_env()?;
        let wanted: Vec<String> = releases.iter().map(|&release| release.to_owned()).collect();
        let tools = tokio::task::spawn_blocking(move || build(&wanted, progress)).await??;
        let _lock = lock(&layout, progress).await?;
        let testbed = Self { layout, nodes };
        let why = match testbed.check().await {
            Ok(()) => {
                testbed.stock(releases, progress).await?;
                return Ok(testbed);
            }
            Err(why) => why,
        };
        if sweep::has_remains(&testbed.layout) {
            progress.say(format!("what is there is removed: {why:#}"));
            testbed.sweep().await?;
        }
        if let Err(error) = testbed.boot(&tools, releases, progress).await {
            let logs = testbed.save_logs();
            testbed.sweep().await.context("sweep after a failed boot")?;
            return match logs {
                Some(logs) => Err(error.context(format!("the boot failed, its logs are in {}", logs.display()))),
                None => Err(error),
            };
        }
        Ok(testbed)
    }

    /// The testbed that runs on this machine.
    ///
    /// # Errors
    /// When there is none.
    pub fn attach() -> Result<Self> {
        let layout = Layout::from_env()?;
        let manifest = Manifest::read(&layout).context("no testbed runs here (`testbed up` boots one)")?;
        Ok(Self { layout, nodes: manifest.nodes })
    }

    /// Whether any of its programs lives: none does after the machine crashed, and its state directory stayed.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Daemon::all(&self.layout).iter().any(Daemon::is_alive)
    }

    /// Removes the testbed, or what is left of one.
    ///
    /// # Errors
    /// When the state directory cannot be removed.
    pub async fn down(progress: Progress) -> Result<()> {
        let layout = Layout::from_env()?;
        let _lock = lock(&layout, progress).await?;
        Self { layout, nodes: 0 }.sweep().await
    }

    /// One line a daemon, and whether the testbed is whole.
    ///
    /// # Errors
    /// When it is not, with the first reason.
    pub async fn status(&self) -> Result<String> {
        let mut daemons = Daemon::all(&self.layout);
        daemons.sort_by(|a, b| a.name.cmp(&b.name));
        let line = |daemon: &Daemon| {
            let state = if daemon.is_alive() { "running" } else { "stopped" };
            let pid = daemon.process.map_or(0, |process| process.pid);
            format!("{:<24} {state} pid {pid:<8} {}", daemon.name, self.layout.log(&daemon.name).display())
        };
        let lines: Vec<String> = daemons.iter().map(line).collect();
        println!("{}", lines.join("\n"));
        self.check_running().await?;
        Ok(format!("{} nodes, KUBECONFIG={}", self.nodes, self.kubeconfig().display()))
    }

    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn nodes(&self) -> impl Iterator<Item = Node> + Clone + use<> {
        Node::all(self.nodes)
    }

    /// A client with the administrator's rights.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        crate::admin(&self.layout).await
    }

    /// The address of the CoreDNS that forgets at once: for pods with `dnsPolicy: None`.
    #[must_use]
    pub fn uncached_dns(&self) -> Ipv4Addr {
        crate::layout::UNCACHED_DNS_IP
    }

    /// Imports an image archive on every node.
    ///
    /// # Errors
    /// When the archive is none or a node is down.
    pub async fn load(&self, archive: &Path) -> Result<()> {
        let (layout, nodes, archive) = (self.layout.clone(), self.nodes(), archive.to_owned());
        tokio::task::spawn_blocking(move || crate::image::load(&layout, nodes, &[archive])).await?
    }

    /// Gives an image that every node has a second name, and one by its digest, which is returned.
    ///
    /// # Errors
    /// When a node lacks the image or is down.
    pub async fn name_image(&self, image: &str, also: &str) -> Result<String> {
        let (layout, nodes, image, also) = (self.layout.clone(), self.nodes(), image.to_owned(), also.to_owned());
        tokio::task::spawn_blocking(move || image::name(&layout, nodes, &image, &also)).await?
    }

    /// Brings the images of these releases of etcd to every node that lacks them, built if need be.
    ///
    /// # Errors
    /// When a release cannot be built or a node is down.
    pub async fn stock(&self, releases: &[&str], progress: Progress) -> Result<()> {
        let (layout, nodes) = (self.layout.clone(), self.nodes());
        let releases: Vec<String> = releases.iter().map(|&release| release.to_owned()).collect();
        tokio::task::spawn_blocking(move || {
            let archives: Result<Vec<PathBuf>> = releases.iter().map(|one| image::etcd(one, progress)).collect();
            image::load(&layout, nodes, &archives?)
        })
        .await?
    }

    async fn check(&self) -> Result<()> {
        let manifest = Manifest::read(&self.layout)?;
        ensure!(manifest.nodes == self.nodes, "it has {} nodes, not {}", manifest.nodes, self.nodes);
        ensure!(manifest.tools == Toolchain::fingerprint()?, "it runs other versions");
        self.check_running().await
    }

    async fn check_running(&self) -> Result<()> {
        if let Some(dead) = Daemon::all(&self.layout).into_iter().find(|daemon| !daemon.is_alive()) {
            bail!("{} does not run", dead.name);
        }
        let ready = tokio::time::timeout(Duration::from_secs(5), async { ready_nodes(&self.client().await?).await });
        let ready = ready.await.context("the API server does not answer")??;
        ensure!(ready == self.nodes, "{ready} of {} nodes are Ready", self.nodes);
        Ok(())
    }

    async fn boot(&self, tools: &Toolchain, releases: &[&str], progress: Progress) -> Result<()> {
        boot::boot(&self.layout, tools, self.nodes, releases, progress).await?;
        let manifest = Manifest { nodes: self.nodes, tools: Toolchain::fingerprint()? };
        fs::write(self.layout.manifest(), serde_json::to_string(&manifest)?)?;
        Ok(())
    }

    /// Moves the logs of a failed boot to the cache, where the next failure replaces them.
    fn save_logs(&self) -> Option<PathBuf> {
        let saved = crate::toolchain::cache().ok()?.join("logs-of-the-last-failed-boot");
        let _ = fs::remove_dir_all(&saved);
        // Not renamed: the cache may be another filesystem.
        crate::command::call(&format!("cp -r {} {}", self.layout.root().join("logs").display(), saved.display()))
            .ok()?;
        Some(saved)
    }

    async fn sweep(&self) -> Result<()> {
        let layout = self.layout.clone();
        tokio::task::spawn_blocking(move || sweep::sweep(&layout)).await?
    }
}

impl Manifest {
    fn read(layout: &Layout) -> Result<Self> {
        let text = fs::read_to_string(layout.manifest()).context("its boot was not finished")?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// All that takes minutes, before anything of the machine is touched.
fn build(releases: &[String], progress: Progress) -> Result<Toolchain> {
    let releases: Vec<&Tool> = releases.iter().map(|release| toolchain::etcd(release)).collect::<Result<_>>()?;
    let tools = Toolchain::ready(|tool| progress.follow(tool.name))?;
    releases.iter().try_for_each(|tool| tool.ready(&progress.follow(tool.name)).map(drop))?;
    Ok(tools)
}

async fn lock(layout: &Layout, progress: Progress) -> Result<Lock> {
    let path = layout.lock_file();
    tokio::task::spawn_blocking(move || Lock::take(&path, || progress.say("another up or down is at work: waiting")))
        .await?
}
