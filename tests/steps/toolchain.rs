//! Builds Kubernetes, CoreDNS and etcd from the Go module proxy, once, into a cache outside the clone.
//!
//! The Go modules in `tests/testbed/tools/` name the versions; they are compiled into this program, so that it needs no path of the
//! clone at run time. A build goes into a folder of its own that is renamed at the end: a folder with the right name
//! is a finished build.

use crate::go::Build;
use crate::lock::Lock;
use crate::view::Far;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
pub static CLIENT: Tool = Tool {
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
            sources: sources!(concat!("../testbed/tools/etcd/", $version), "go.mod" "go.sum" "tools.go"),
            programs: ETCD_PROGRAMS,
            aliases: &[],
            ldflags: "-s -w",
        }
    };
}

pub static KUBERNETES: Tool = Tool {
    name: "kubernetes-v1.34.4",
    sources: sources!("../testbed/tools/kubernetes", "go.mod" "go.sum" "main.go"),
    programs: &[(".", "kubernetes")],
    aliases: &["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"],
    ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 -X k8s.io/component-base/version.gitMajor=1 \
              -X k8s.io/component-base/version.gitMinor=34 -X k8s.io/component-base/version.gitTreeState=clean \
              -X k8s.io/client-go/pkg/version.gitVersion=v1.34.4",
};

pub static COREDNS: Tool = Tool {
    name: "coredns-v1.15.0",
    sources: sources!("../testbed/tools/coredns", "go.mod" "go.sum" "main.go"),
    programs: &[(".", "coredns")],
    aliases: &[],
    ldflags: "-s -w",
};

/// An S3 server, for the tests of backups: built when the first of them needs it, no part of a testbed.
pub static GATEWAY: Tool = Tool {
    name: "versitygw-v1.8.0",
    sources: sources!("../testbed/tools/versitygw", "go.mod" "go.sum" "main.go"),
    programs: &[(".", "versitygw")],
    aliases: &[],
    ldflags: "-s -w",
};

/// Helm, for the tests of the chart: built when the first of them needs it, no part of a testbed. Its own Makefile says its version by
/// the same flag.
pub static HELM: Tool = Tool {
    name: "helm-v4.3.1",
    sources: sources!("../testbed/tools/helm", "go.mod" "go.sum" "tools.go"),
    programs: &[("helm.sh/helm/v4/cmd/helm", "helm")],
    aliases: &[],
    ldflags: "-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.1",
};

/// The etcd versions that have an image in the testbed, oldest first.
pub const ETCD_VERSIONS: [&str; 4] = ["v3.5.21", "v3.5.35", "v3.6.16", "v3.7.3"];
pub static ETCDS: [Tool; 4] = [etcd!("v3.5.21"), etcd!("v3.5.35"), etcd!("v3.6.16"), etcd!("v3.7.3")];

/// The release of etcd with this name.
///
/// # Errors
/// When there is none.
pub fn etcd(version: &str) -> Result<&'static Tool> {
    let found = ETCD_VERSIONS.iter().position(|name| *name == version).and_then(|at| ETCDS.get(at));
    found.with_context(|| format!("there is no etcd {version} here, only {}", ETCD_VERSIONS.join(", ")))
}

/// The newest etcd of the stock control plane's generation: the API server's own store.
#[must_use]
pub fn store() -> &'static Tool {
    &ETCDS[2]
}

/// The folders of what a testbed itself runs on, all built.
#[derive(Clone, Debug)]
pub struct Toolchain {
    pub kubernetes: PathBuf,
    pub coredns: PathBuf,
    store: PathBuf,
}

impl Toolchain {
    /// Builds what the cache lacks: minutes the first time, nothing later. `listener` gives who hears how far a tool is.
    ///
    /// # Errors
    /// When `go` is missing or a build fails.
    pub fn ready<L: Fn(Far)>(listener: impl Fn(&Tool) -> L) -> Result<Self> {
        let ready = |tool: &'static Tool| tool.ready(&listener(tool));
        Ok(Self { kubernetes: ready(&KUBERNETES)?, coredns: ready(&COREDNS)?, store: ready(store())? })
    }

    #[must_use]
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// Tells two sets of versions apart, built or not.
    ///
    /// # Errors
    /// When the cache has no place.
    pub fn fingerprint() -> Result<String> {
        let all = [&KUBERNETES, &COREDNS].into_iter().chain(&ETCDS);
        let folders: Vec<String> = all.map(|tool| Ok(tool.folder()?.display().to_string())).collect::<Result<_>>()?;
        Ok(folders.join(":"))
    }
}

impl Tool {
    /// The folder in the cache, named after all that goes into the build.
    ///
    /// # Errors
    /// When the cache has no place.
    pub fn folder(&self) -> Result<PathBuf> {
        let texts = self.sources.iter().flat_map(|(name, text)| [*name, *text]);
        let all: String = texts.chain([self.ldflags]).collect();
        Ok(cache()?.join(format!("{}-{}", self.name, &digest(&all)?[..16])))
    }

    /// The folder with its programs, built if the cache lacks them. `tell` hears how far that is.
    ///
    /// # Errors
    /// When `go` is missing or the build fails.
    pub fn ready(&self, tell: &dyn Fn(Far)) -> Result<PathBuf> {
        let folder = self.folder()?;
        if folder.exists() {
            return Ok(folder);
        }
        let _lock = Lock::take(&cache()?.join(format!("{}.lock", self.name)), || {
            tell(Far::Words("another run builds it".to_owned()));
        })?;
        if !folder.exists() {
            tell(Far::Words("looking what is to be built".to_owned()));
            self.build(&folder, tell).with_context(|| format!("build {}", self.name))?;
        }
        Ok(folder)
    }

    fn build(&self, folder: &Path, tell: &dyn Fn(Far)) -> Result<()> {
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
        Build { source: &source, ldflags: self.ldflags, programs: self.programs }.run(&out, tell)?;
        for alias in self.aliases {
            symlink(self.programs[0].1, out.join(alias))?;
        }
        fs::rename(&out, folder)?;
        fs::remove_dir_all(&work)?;
        Ok(())
    }
}

/// SHA-256 in hexadecimal. By the system's program: a crate for it would be half of what is built before anything is shown.
fn digest(text: &str) -> Result<String> {
    let mut child =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("run sha256sum")?;
    child.stdin.take().context("it has a stdin")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    let digest = String::from_utf8(output.stdout)?;
    ensure!(output.status.success() && digest.len() >= 64, "sha256sum said {digest:?} ({})", output.status);
    Ok(digest)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_is_found_by_its_name_and_no_other() {
        for version in ETCD_VERSIONS {
            assert_eq!(etcd(version).unwrap().name, format!("etcd-{version}"));
        }
        assert!(etcd("v3.4.0").is_err() && etcd("3.5.21").is_err());
    }

    #[test]
    fn a_folder_is_named_after_what_goes_into_the_build() {
        let named = |tool: &Tool| tool.folder().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let names: std::collections::BTreeSet<String> = ETCDS.iter().map(named).collect();
        assert_eq!(names.len(), ETCDS.len());
        let other =
            Tool { name: KUBERNETES.name, sources: KUBERNETES.sources, programs: &[], aliases: &[], ldflags: "-s" };
        assert_ne!(named(&other), named(&KUBERNETES));
    }

    #[test]
    fn a_digest_is_sha_256() {
        assert!(digest("").unwrap().starts_with("e3b0c44298fc1c14"));
    }
}
