//! Builds Kubernetes, CoreDNS and etcd from the Go module proxy, once, into a cache outside the clone.
//!
//! The Go modules in `tools/` name the versions; they are compiled into this program, so that it needs no path of the
//! clone at run time. A build goes into a folder of its own that is renamed at the end: a folder with the right name
//! is a finished build.

use crate::command::run;
use crate::lock::Lock;
use crate::progress::Progress;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One Go module and the programs built from it.
#[derive(Debug)]
pub struct Tool {
    pub name: &'static str,
    sources: &'static [(&'static str, &'static str)],
    /// Go package and the name of the program it becomes.
    programs: &'static [(&'static str, &'static str)],
    /// Other names of the first program, which looks at its own.
    aliases: &'static [&'static str],
    ldflags: &'static str,
}

macro_rules! sources {
    ($folder:expr, $($file:literal)+) => {
        &[$(($file, include_str!(concat!($folder, "/", $file)))),+]
    };
}

/// The application of the tests (`tests/client`): built when the first test needs it, no part of a testbed.
pub const CLIENT: Tool = Tool {
    name: "client",
    sources: sources!(
        "../client",
        "go.mod" "go.sum" "check.go" "final.go" "history.go" "keys.go" "linear.go" "load.go" "main.go" "members.go" "watch.go"
    ),
    programs: &[(".", "client")],
    aliases: &[],
    ldflags: "-s -w",
};

const ETCD_PROGRAMS: &[(&str, &str)] = &[
    ("go.etcd.io/etcd/server/v3", "etcd"),
    ("go.etcd.io/etcd/etcdctl/v3", "etcdctl"),
    ("go.etcd.io/etcd/etcdutl/v3", "etcdutl"),
];

macro_rules! etcd {
    ($version:literal) => {
        Tool {
            name: concat!("etcd-", $version),
            sources: sources!(concat!("tools/etcd/", $version), "go.mod" "go.sum" "tools.go"),
            programs: ETCD_PROGRAMS,
            aliases: &[],
            ldflags: "-s -w",
        }
    };
}

pub const KUBERNETES: Tool = Tool {
    name: "kubernetes-v1.34.4",
    sources: sources!("tools/kubernetes", "go.mod" "go.sum" "main.go"),
    programs: &[(".", "kubernetes")],
    aliases: &["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"],
    ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 -X k8s.io/component-base/version.gitMajor=1 \
              -X k8s.io/component-base/version.gitMinor=34 -X k8s.io/component-base/version.gitTreeState=clean \
              -X k8s.io/client-go/pkg/version.gitVersion=v1.34.4",
};

pub const COREDNS: Tool = Tool {
    name: "coredns-v1.15.0",
    sources: sources!("tools/coredns", "go.mod" "go.sum" "main.go"),
    programs: &[(".", "coredns")],
    aliases: &[],
    ldflags: "-s -w",
};

/// The etcd versions that have an image in the testbed, oldest first.
pub const ETCD_VERSIONS: [&str; 4] = ["v3.5.21", "v3.5.35", "v3.6.16", "v3.7.3"];
pub const ETCDS: [Tool; 4] = [etcd!("v3.5.21"), etcd!("v3.5.35"), etcd!("v3.6.16"), etcd!("v3.7.3")];

/// The folders of every tool, all built.
#[derive(Clone, Debug)]
pub struct Toolchain {
    pub kubernetes: PathBuf,
    pub coredns: PathBuf,
    /// In the order of [`ETCD_VERSIONS`].
    pub etcds: Vec<PathBuf>,
}

impl Toolchain {
    /// Builds what the cache lacks: minutes the first time, nothing later.
    ///
    /// # Errors
    /// When `go` is missing or a build fails.
    pub fn ready(progress: Progress) -> Result<Self> {
        Ok(Self {
            kubernetes: KUBERNETES.ready(progress)?,
            coredns: COREDNS.ready(progress)?,
            etcds: ETCDS.iter().map(|etcd| etcd.ready(progress)).collect::<Result<_>>()?,
        })
    }

    /// The newest etcd of the stock control plane's generation: the API server's own store.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.etcds[2]
    }

    /// Tells two sets of binaries apart.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut all = vec![self.kubernetes.display().to_string(), self.coredns.display().to_string()];
        all.extend(self.etcds.iter().map(|folder| folder.display().to_string()));
        all.join(":")
    }
}

impl Tool {
    /// The folder in the cache, named after all that goes into the build.
    fn folder(&self) -> Result<PathBuf> {
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        for (name, text) in self.sources {
            digest.update(name.as_bytes());
            digest.update(text.as_bytes());
        }
        digest.update(self.ldflags.as_bytes());
        Ok(cache()?.join(format!("{}-{}", self.name, short_hex(digest.finish().as_ref()))))
    }

    /// The folder with its programs, built if the cache lacks them.
    ///
    /// # Errors
    /// When `go` is missing or the build fails.
    pub fn ready(&self, progress: Progress) -> Result<PathBuf> {
        let folder = self.folder()?;
        if folder.exists() {
            return Ok(folder);
        }
        let _lock = Lock::take(&cache()?.join(format!("{}.lock", self.name)), || {
            progress.say(format!("{}: another run builds it", self.name));
        })?;
        if !folder.exists() {
            progress.say(format!("{}: building (minutes, the first time)", self.name));
            self.build(&folder).with_context(|| format!("build {}", self.name))?;
            progress.say(format!("{}: built", self.name));
        }
        Ok(folder)
    }

    fn build(&self, folder: &Path) -> Result<()> {
        let work = cache()?.join(format!("{}.building", self.name));
        let source = work.join("source");
        let out = work.join("out");
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        fs::create_dir_all(&source)?;
        fs::create_dir_all(&out)?;
        for (name, text) in self.sources {
            fs::write(source.join(name), text)?;
        }
        for (package, program) in self.programs {
            run(Command::new("nice")
                .args(["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", self.ldflags, "-o"])
                .arg(out.join(program))
                .arg(package)
                .env("CGO_ENABLED", "0")
                .current_dir(&source))?;
        }
        for alias in self.aliases {
            symlink(self.programs[0].1, out.join(alias))?;
        }
        fs::rename(&out, folder)?;
        fs::remove_dir_all(&work)?;
        Ok(())
    }
}

/// `$ETCD_TESTBED_CACHE`, or the user's cache folder.
///
/// # Errors
/// When neither it nor a home is set.
pub fn cache() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ETCD_TESTBED_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let caches = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME").context("neither ETCD_TESTBED_CACHE nor HOME is set")?)
            .join(".cache"),
    };
    Ok(caches.join("etcd-operator"))
}

/// The first half of a digest: plenty to tell builds apart.
#[must_use]
pub fn short_hex(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
