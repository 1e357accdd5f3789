//! Saves a snapshot into a file or to standard output, for a person.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    Failure,
    content::{Content, Whole},
};
use crate::etcd::member::Member;

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    StandardOutput,
    /// It gets its name once it is whole.
    File(PathBuf),
}

/// Saves this member's snapshot.
///
/// # Errors
/// When etcd does not send it whole, or it cannot be written: then nothing of it is left.
pub async fn save(member: &Member, target: &Target, passed: &mut (dyn FnMut(u64) + Send)) -> Result<Whole, Failure> {
    let saved = write(member, target, passed).await;
    if let (Err(_), Target::File(path)) = (&saved, target) {
        let _ = fs::remove_file(beside(path));
    }
    saved
}

async fn write(member: &Member, target: &Target, passed: &mut (dyn FnMut(u64) + Send)) -> Result<Whole, Failure> {
    let written = |error: io::Error| Failure::file("the snapshot", &error);
    let mut pieces = member.snapshot().await?;
    let mut content = Content::default();
    let mut out = open(target).map_err(written)?;
    while let Some(piece) = pieces.next().await? {
        out.write_all(&piece).map_err(written)?;
        content.pass(&piece);
        passed(content.bytes());
    }
    out.flush().map_err(written)?;
    let whole = content.end()?;
    if let Target::File(path) = target {
        finish(path).map_err(written)?;
    }
    Ok(whole)
}

fn open(target: &Target) -> io::Result<Box<dyn Write>> {
    Ok(match target {
        Target::StandardOutput => Box::new(io::stdout().lock()),
        Target::File(path) => Box::new(File::create(beside(path))?),
    })
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn finish(path: &Path) -> io::Result<()> {
    File::open(beside(path))?.sync_all()?;
    fs::rename(beside(path), path)
}
