//! A claim's disk: full, hung, failing, corrupt, emptied or replaced.

use super::Faults;
use crate::command::call;
use crate::storage::disk::Disk;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::Api;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

/// What fills a disk.
pub(super) const FILLER: &str = ".filled-by-the-testbed";

/// The disk behind a bound claim.
#[derive(Clone, Debug)]
pub struct Volume {
    disk: Disk,
}

impl Faults {
    /// The disk of a claim.
    ///
    /// # Errors
    /// When the claim is not bound yet.
    pub async fn volume(&self, namespace: &str, claim: &str) -> Result<Volume> {
        let claims = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), namespace);
        let bound = claims.get(claim).await?.spec.and_then(|spec| spec.volume_name);
        let name = bound.with_context(|| format!("claim {namespace}/{claim} is not bound"))?;
        Ok(Volume { disk: Disk::new(&self.layout, &name) })
    }
}

impl Volume {
    /// Where its files can be reached on this machine.
    ///
    /// # Errors
    /// When nothing has it mounted: a volume of class `network` without a pod.
    pub fn path(&self) -> Result<PathBuf> {
        self.disk.mounts().into_iter().next().with_context(|| format!("{} is not mounted", self.disk.file().display()))
    }

    /// Hangs the disk: writers block, and cannot even be killed, until it thaws.
    ///
    /// # Errors
    /// When it is not mounted or frozen already.
    pub fn freeze(&self) -> Result<Frozen> {
        let path = self.path()?;
        call(&format!("fsfreeze --freeze {}", path.display()))?;
        Ok(Frozen { path })
    }

    /// Fills the disk to the last byte.
    ///
    /// # Errors
    /// When it is not mounted.
    pub fn fill(&self) -> Result<Filled> {
        let filled = Filled { file: self.path()?.join(FILLER) };
        filled.refill()?;
        Ok(filled)
    }

    /// Writes `bytes` over a file of the volume at `offset`: what a reader sees is what a flipped bit on the disk
    /// would show.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn corrupt(&self, file: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let path = self.inside(file)?;
        let file = File::options().write(true).open(&path).with_context(|| format!("open {}", path.display()))?;
        file.write_all_at(bytes, offset)?;
        Ok(file.sync_all()?)
    }

    /// Removes every file, whether or not a process has it open.
    ///
    /// # Errors
    /// When it is not mounted.
    pub fn wipe(&self) -> Result<()> {
        for entry in fs::read_dir(self.path()?)? {
            let entry = entry?;
            if entry.file_name() == "lost+found" {
                continue;
            }
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
        Ok(())
    }

    /// Puts a blank disk in its place, as a machine with a new disk would have. Delete the pod first: one that runs
    /// keeps the old disk mounted.
    ///
    /// # Errors
    /// When a pod has it mounted.
    pub fn replace(&self) -> Result<()> {
        let mount = self.disk.mount_point();
        let local = self.disk.mounts().contains(&mount);
        if local {
            ensure!(self.disk.mounts().len() == 1, "a pod has it mounted: {:?}", self.disk.mounts());
            call(&format!("umount {}", mount.display()))?;
        }
        self.disk.reformat()?;
        if local { self.disk.mount() } else { Ok(()) }
    }

    /// Makes the filesystem meet an error, upon which it becomes read-only for everyone, open files included. It
    /// stays so until it is mounted anew ([`repair`](Self::repair)).
    ///
    /// # Errors
    /// When it is not mounted.
    pub fn fail(&self) -> Result<()> {
        let device = self.disk.device().context("the volume has no device")?;
        let trigger = Path::new("/sys/fs/ext4").join(device.trim_start_matches("/dev/")).join("trigger_fs_error");
        fs::write(&trigger, "the testbed says so").with_context(|| format!("write {}", trigger.display()))
    }

    /// Checks the filesystem and mounts it anew. Delete the pod first, and see that no new one comes (a hung
    /// controller manager makes none).
    ///
    /// # Errors
    /// When a pod has it mounted or it is beyond repair.
    pub fn repair(&self) -> Result<()> {
        let mount = self.disk.mount_point();
        ensure!(self.disk.mounts() == [mount.clone()], "a pod has it mounted: {:?}", self.disk.mounts());
        call(&format!("umount {}", mount.display()))?;
        // Exit code 1 says that errors were corrected.
        let _ = call(&format!("e2fsck -f -y {}", self.disk.file().display()));
        self.disk.mount()
    }

    fn inside(&self, file: &str) -> Result<PathBuf> {
        let plain = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
        ensure!(plain, "`{file}` must be a path inside the volume");
        Ok(self.path()?.join(file))
    }
}

/// A hung disk; thaws when dropped.
#[must_use]
#[derive(Debug)]
pub struct Frozen {
    path: PathBuf,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = call(&format!("fsfreeze --unfreeze {}", self.path.display()));
    }
}

/// A full disk; has room again when dropped.
#[must_use]
#[derive(Debug)]
pub struct Filled {
    file: PathBuf,
}

impl Filled {
    /// Takes what has been given back meanwhile: etcd that mends the end of its WAL truncates it.
    ///
    /// # Errors
    /// When the disk does not take writes for another reason than that it is full.
    pub fn refill(&self) -> Result<()> {
        let mut file = File::options().create(true).append(true).open(&self.file)?;
        // Delayed allocation reserves more than it uses, and gives the rest back when what was written is on the disk.
        while fill_up(&mut file)? > 0 {
            let _ = file.sync_all();
        }
        Ok(())
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// Writes until not one byte more fits; returns how many did.
fn fill_up(file: &mut File) -> Result<usize> {
    let block = vec![0x5a; 1 << 20];
    let (mut size, mut all) = (block.len(), 0);
    // Whole blocks, then ever smaller ones: what is left is less than a sector.
    while size > 0 {
        match file.write(&block[..size]) {
            Ok(written) if written > 0 => all += written,
            Ok(_) => size /= 2,
            Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
            Err(error) => return Err(error).context("fill the disk"),
        }
    }
    Ok(all)
}
