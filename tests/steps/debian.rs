//! Programs out of Debian's packages, unpacked into the cache and never installed: what installs Prometheus starts it, too.
//!
//! No version is pinned: a mirror holds the newest of a release and no other, and apt checks what it downloads by Debian's keys. Who uses
//! a program asks it for its version.

use crate::lock::Lock;
use crate::process::{self, Heard};
use crate::toolchain::cache;
use crate::view::Far;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package of the machine's own release of Debian.
#[derive(Debug)]
pub struct Package {
    pub name: &'static str,
}

/// Prometheus and its promtool, for the tests of the alerts.
pub static PROMETHEUS: Package = Package { name: "prometheus" };

impl Package {
    /// The folder with its programs, fetched if the cache lacks them.
    ///
    /// # Errors
    /// When this is no Debian, or the package cannot be had.
    pub fn ready(&self, tell: &dyn Fn(Far)) -> Result<PathBuf> {
        let folder = cache()?.join(format!("debian-{}", self.name));
        if folder.exists() {
            return Ok(folder);
        }
        let _lock = Lock::take(&cache()?.join(format!("debian-{}.lock", self.name)), || {
            tell(Far::Words("another run fetches it".to_owned()));
        })?;
        if !folder.exists() {
            tell(Far::Words("fetching Debian's package".to_owned()));
            self.fetch(&folder).with_context(|| format!("fetch Debian's package {}", self.name))?;
        }
        Ok(folder)
    }

    fn fetch(&self, folder: &Path) -> Result<()> {
        let work = cache()?.join(format!("debian-{}.fetching", self.name));
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        fs::create_dir_all(&work)?;
        // A machine whose lists are old, or that has none yet, has to look first.
        if self.download(&work).is_err() {
            run(privileged(call("apt-get", &["update", "-qq"])))?;
            self.download(&work)?;
        }
        let found = fs::read_dir(&work)?.filter_map(|entry| Some(entry.ok()?.path()));
        let archives: Vec<PathBuf> = found.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect();
        ensure!(archives.len() == 1, "apt-get left {archives:?}");
        let out = work.join("out");
        let mut unpack = call("dpkg", &["-x"]);
        unpack.arg(&archives[0]).arg(&out);
        run(unpack)?;
        fs::rename(out.join("usr/bin"), folder)?;
        fs::remove_dir_all(&work)?;
        Ok(())
    }

    fn download(&self, into: &Path) -> Result<()> {
        // The user whom apt would do it as may not write there.
        let mut download = call("apt-get", &["-qq", "-o", "APT::Sandbox::User=root", "download", self.name]);
        download.current_dir(into);
        run(download)
    }
}

fn privileged(command: Command) -> Command {
    if nix::unistd::geteuid().is_root() {
        return command;
    }
    let mut sudo = Command::new("sudo");
    sudo.arg(command.get_program()).args(command.get_args());
    sudo
}

fn run(command: Command) -> Result<()> {
    process::run(command, &mut |_| Heard::Kept)
}

/// A program with some arguments.
fn call(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}
