//! One volume: a folder with a sparse file, and for class `local` the folder it is mounted on.

use crate::command::call;
use crate::layout::Layout;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filesystem {
    Ext4,
    /// Grows while it is mounted without CAP_SYS_RESOURCE, which ext4 asks for and some sandboxes lack.
    Xfs,
}

/// A volume by the name of its PersistentVolume.
#[derive(Clone, Debug)]
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    #[must_use]
    pub fn new(layout: &Layout, volume: &str) -> Self {
        Self { folder: layout.volumes().join(volume) }
    }

    /// The sparse file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// Where class `local` mounts it.
    #[must_use]
    pub fn mount_point(&self) -> PathBuf {
        self.folder.join("mount")
    }

    /// Makes and formats the file, unless it is there: a second try after a crash finds the work of the first.
    ///
    /// # Errors
    /// When mkfs refuses, for instance a size below a few hundred KiB.
    pub fn create(&self, bytes: u64, filesystem: Filesystem) -> Result<()> {
        if self.file().exists() {
            return Ok(());
        }
        fs::create_dir_all(self.mount_point())?;
        let draft = self.folder.join("draft");
        File::create(&draft)?.set_len(bytes)?;
        filesystem.make(&draft)?;
        fs::rename(&draft, self.file()).with_context(|| format!("create {}", self.file().display()))
    }

    /// Makes the filesystem anew, empty. Nothing may have it mounted.
    ///
    /// # Errors
    /// When it is in use.
    pub fn reformat(&self) -> Result<()> {
        ensure!(self.mounts().is_empty(), "{} is mounted", self.file().display());
        let (bytes, filesystem) = (fs::metadata(self.file())?.len(), self.filesystem()?);
        let file = File::options().write(true).open(self.file())?;
        file.set_len(0)?;
        file.set_len(bytes)?;
        filesystem.make(&self.file())
    }

    /// Makes it larger while it is mounted, unless it is as large.
    ///
    /// # Errors
    /// When it is not mounted, or cannot grow.
    pub fn grow(&self, bytes: u64) -> Result<()> {
        ensure!(self.filesystem()? == Filesystem::Xfs, "{} cannot grow while it is mounted", self.file().display());
        let file = File::options().write(true).open(self.file())?;
        if file.metadata()?.len() < bytes {
            file.set_len(bytes)?;
        }
        let device = self.device().context("the volume has no device")?;
        call(&format!("losetup --set-capacity {device}"))?;
        call(&format!("xfs_growfs {}", self.mount_point().display())).map(drop)
    }

    /// What its first bytes say.
    fn filesystem(&self) -> Result<Filesystem> {
        let mut magic = [0; 4];
        File::open(self.file())?.read_exact(&mut magic)?;
        Ok(if magic == *b"XFSB" { Filesystem::Xfs } else { Filesystem::Ext4 })
    }

    /// Mounts it for class `local`, unless it is.
    ///
    /// # Errors
    /// When no loop device is left or the filesystem is broken.
    pub fn mount(&self) -> Result<()> {
        let target = self.mount_point();
        if self.mounts().contains(&target) {
            return Ok(());
        }
        // errors=remount-ro: a filesystem that meets an error stops writing, as most installations have it.
        let how = match self.filesystem()? {
            Filesystem::Ext4 => "-t ext4 -o loop,errors=remount-ro",
            Filesystem::Xfs => "-t xfs -o loop",
        };
        call(&format!("mount {how} {} {}", self.file().display(), target.display())).map(drop)
    }

    /// Gives the file a loop device, or finds the one it has.
    ///
    /// # Errors
    /// When no loop device is left.
    pub fn attach(&self) -> Result<String> {
        match self.device() {
            Some(device) => Ok(device),
            None => Ok(call(&format!("losetup --find --show {}", self.file().display()))?.trim().to_owned()),
        }
    }

    /// Takes the loop device away.
    ///
    /// # Errors
    /// When something still has it mounted: then nothing is changed.
    pub fn detach(&self) -> Result<()> {
        let Some(device) = self.device() else { return Ok(()) };
        ensure!(self.mounts().is_empty(), "{device} is still mounted at {:?}", self.mounts());
        call(&format!("losetup --detach {device}")).map(drop)
    }

    /// Removes the volume.
    ///
    /// # Errors
    /// When a node still has it attached or mounted.
    pub fn remove(&self) -> Result<()> {
        if self.mounts().contains(&self.mount_point()) {
            call(&format!("umount {}", self.mount_point().display()))?;
        }
        ensure!(self.device().is_none(), "{} is still attached", self.file().display());
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    /// The loop device behind which the file is, such as `/dev/loop3`.
    #[must_use]
    pub fn device(&self) -> Option<String> {
        loop_devices().into_iter().find(|(_, file)| *file == self.file()).map(|(device, _)| device)
    }

    /// Every place where it is mounted, kubelet's bind mounts for pods included.
    #[must_use]
    pub fn mounts(&self) -> Vec<PathBuf> {
        let Some(device) = self.device() else { return vec![] };
        mounts().into_iter().filter(|(source, _)| *source == device).map(|(_, target)| target).collect()
    }
}

/// Every loop device in use, with its file.
#[must_use]
pub fn loop_devices() -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir("/sys/block") else { return vec![] };
    let device = |entry: fs::DirEntry| {
        let file = fs::read_to_string(entry.path().join("loop/backing_file")).ok()?;
        let file = file.trim().trim_end_matches(" (deleted)").to_owned();
        Some((format!("/dev/{}", entry.file_name().to_string_lossy()), PathBuf::from(file)))
    };
    entries.flatten().filter_map(device).collect()
}

/// Source and target of every mount, oldest first.
#[must_use]
pub fn mounts() -> Vec<(String, PathBuf)> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mount = |line: &str| {
        let mut fields = line.split(' ');
        Some((fields.next()?.to_owned(), PathBuf::from(fields.next()?.replace("\\040", " "))))
    };
    text.lines().filter_map(mount).collect()
}

impl Filesystem {
    fn make(self, file: &Path) -> Result<()> {
        let program = match self {
            // Lazy tables: mkfs returns at once for any size. No blocks reserved for root: a full disk is full for
            // everyone.
            Self::Ext4 => "mkfs.ext4 -q -F -m 0 -E lazy_itable_init=1,lazy_journal_init=1,nodiscard",
            // Not below 300 MB.
            Self::Xfs => "mkfs.xfs -q -f -K",
        };
        call(&format!("{program} {}", file.display())).map(drop)
    }
}
