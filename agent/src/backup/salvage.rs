//! Salvages what a member's volume holds, where a quorum is lost: all of its log, as a snapshot that a new life of the
//! cluster can begin with.
//!
//! ```text
//!   both locks ─▶ is it the member's, of this life? ─▶ a copy ─▶ its log is told that a quorum has all of it
//!     ─▶ etcd alone on the copy, until it has applied that ─▶ its database and a trailer: salvage/<incarnation>/<digest>.db
//! ```
//! The data itself is not touched, so whoever dies on the way is followed by one who begins anew. What was salvaged once
//! stays and is the answer from then on: members of the next life begin with these very bytes.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use etcd_operator_shared::backup::{LogEnd, Proof};
use ring::digest::{Context, SHA256};

use super::{
    Failure,
    content::Content,
    trial::{self, Scene},
};
use crate::{
    serve::bytes::Served,
    volume::{
        Mark, Store,
        lock::{self, Lock},
        log::end::{self, End},
        salvage::SAID,
        store::write_durably,
    },
};

/// Beside the copy: the log that etcd allocates, and pages that it needs while it runs.
const SPARE: u64 = 256 << 20;
const PIECE: usize = 256 << 10;

/// Whose volume it is.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    pub namespace: &'a str,
    pub cluster: &'a str,
    pub cluster_uid: &'a str,
    pub incarnation: i64,
    pub member: &'a str,
}

/// Reads the volume at `volume`; `scratch` is empty and thrown away later.
///
/// # Errors
/// When it is not that member's, of that life, or its data cannot be opened.
pub async fn salvage(
    whose: Whose<'_>,
    volume: &Path,
    scratch: &Path,
    programs: Option<&OsStr>,
) -> Result<Proof, Failure> {
    let store = Store::new(volume.to_owned());
    let _locks = locked(&store)?;
    let (mark, data) = found(&store, whose)?;
    let found = end::end(&data).map_err(|error| damaged(&error))?;
    if let Some(said) = said_before(&store, whose.incarnation, &log_end(&mark, &found)) {
        return Ok(said);
    }
    store.clear_salvaged().map_err(|error| Failure::file("the snapshot", &error))?;
    let version = trial::of_image(programs)?;
    let folder = scratch.join("salvage");
    let unreadable = |error: &io::Error| Failure::file("a copy of the data", error);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unreadable(&error)),
        _ => {}
    }
    let scene = Scene {
        snapshot: Path::new(""),
        folder: &folder,
        namespace: whose.namespace,
        cluster: whose.cluster,
        programs,
    };
    let copy = trial::data_dir(scene);
    has_room(&store, &data, scratch)?;
    copied(&data, &copy).map_err(|error| unreadable(&error))?;
    // Of the copy: it is the copy's file that is written.
    let end = end::end(&copy).map_err(|error| damaged(&error))?;
    end.make_all_committed().map_err(|error| unreadable(&error))?;
    let revision = trial::alone(scene, version, end.index).await?;
    let database = copy.join("member/snap/db");
    let said = |digest, bytes| Proof::Good {
        location: format!("the volume of {}", whose.member),
        name: whose.member.to_owned(),
        digest,
        bytes,
        revision,
        version: version.to_string(),
        log: Some(log_end(&mark, &end)),
    };
    let proof =
        kept(&store, whose.incarnation, &database, said).map_err(|error| Failure::file("the snapshot", &error))?;
    let _ = fs::remove_dir_all(&folder);
    Ok(proof)
}

/// Neither an agent nor a launcher may be at work on it.
fn locked(store: &Store) -> Result<[Lock; 2], Failure> {
    let lock = |holder| {
        Lock::take(&store.lock_path(holder)).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Failure::failed("VolumeInUse", "somebody is at work on the volume"),
            _ => Failure::file("the volume's lock", &error),
        })
    };
    Ok([lock(lock::AGENT)?, lock(lock::LAUNCHER)?])
}

/// The mark, and the data that is looked for: the member's own, or what it has set aside of an earlier life.
fn found(store: &Store, whose: Whose<'_>) -> Result<(Mark, PathBuf), Failure> {
    let none = |why: String| Failure::integrity("NoData", why);
    let unreadable =
        |error: io::Error| Failure::failed("VolumeUnreadable", format!("the volume cannot be read: {error}"));
    let Some(mark) = store.read_mark().map_err(unreadable)? else {
        return Err(none("its volume is empty: it was lost, and made anew".into()));
    };
    if mark.cluster_uid != whose.cluster_uid || mark.member != whose.member {
        return Err(none(format!("its volume is that of {} of another cluster", mark.member)));
    }
    let wanted = whose.incarnation;
    let data = match mark.incarnation.cmp(&wanted) {
        std::cmp::Ordering::Equal if mark.suspicion.is_some() => {
            return Err(none("an etcd ran on its volume that was not this member".into()));
        }
        std::cmp::Ordering::Equal => store.data_dir(),
        std::cmp::Ordering::Greater => store
            .newest_aside(wanted)
            .map_err(unreadable)?
            .ok_or_else(|| none(format!("nothing is set aside on its volume of incarnation {wanted}")))?,
        std::cmp::Ordering::Less => {
            let found = mark.incarnation;
            return Err(none(format!("its volume is of incarnation {found}, and {wanted} is to be read")));
        }
    };
    if !data.join("member/wal").try_exists().map_err(unreadable)?
        || !data.join("member/snap/db").try_exists().map_err(unreadable)?
    {
        return Err(none("its volume holds no data: that was lost".into()));
    }
    Ok((mark, data))
}

fn damaged(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::NotFound => {
            Failure::integrity("CorruptLog", format!("its log cannot be understood: {error}"))
        }
        _ => Failure::file("a copy of the data", error),
    }
}

fn has_room(store: &Store, data: &Path, scratch: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::failed("VolumeUnreadable", format!("the volume cannot be read: {error}"));
    let bytes = size(&data.join("member")).map_err(failed)?;
    let database = fs::metadata(data.join("member/snap/db")).map_err(failed)?.len();
    for (what, where_, needed) in [
        ("the pod that reads it", Store::new(scratch.to_owned()), bytes + SPARE),
        ("its volume", store.clone(), database + (1 << 20)),
    ] {
        let free = where_.room().map_err(failed)?.free;
        if free < needed {
            return Err(Failure::NoRoom(format!("{what} lacks room for a copy: {needed} bytes, and {free} are free")));
        }
    }
    Ok(())
}

fn size(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

fn copied(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copied(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn log_end(mark: &Mark, end: &End) -> LogEnd {
    LogEnd {
        term: end.term,
        index: end.index,
        commit: end.commit,
        torn: end.torn,
        votes: mark.voters.iter().any(|voter| Some(&voter.id) == mark.member_id.as_ref()),
        voters: mark.voters.iter().map(|voter| voter.member.clone()).collect(),
    }
}

/// What was salvaged of this life before, if all of it is still there and the log goes no further by now: a life that
/// was taken up again has gone on.
fn said_before(store: &Store, incarnation: i64, end: &LogEnd) -> Option<Proof> {
    let folder = store.salvaged_of(incarnation);
    let said: Proof = serde_json::from_slice(&fs::read(folder.join(SAID)).ok()?).ok()?;
    let Proof::Good { digest, log: Some(log), .. } = &said else { return None };
    if log != end {
        return None;
    }
    Served::of(&store.salvaged(incarnation, digest), Some(digest)).is_ok().then_some(said)
}

/// Puts the database with a trailer onto the volume, and then what is said of it.
fn kept(
    store: &Store,
    incarnation: i64,
    database: &Path,
    said: impl FnOnce(String, i64) -> Proof,
) -> io::Result<Proof> {
    let folder = store.salvaged_of(incarnation);
    fs::create_dir_all(&folder)?;
    let part = folder.join("part");
    let (digest, bytes) = with_trailer(database, &part)?;
    fs::rename(&part, store.salvaged(incarnation, &digest))?;
    let said = said(digest, bytes.try_into().unwrap_or(i64::MAX));
    write_durably(&folder, SAID, &serde_json::to_vec(&said)?)?;
    File::open(store.root())?.sync_all()?;
    Ok(said)
}

/// A snapshot file is the database and a SHA-256 of it. Returns the digest of all of it, and its length.
fn with_trailer(database: &Path, to: &Path) -> io::Result<(String, u64)> {
    let (mut from, mut file) = (File::open(database)?, File::create(to)?);
    let (mut sum, mut content, mut piece) = (Context::new(&SHA256), Content::default(), vec![0; PIECE]);
    loop {
        let length = from.read(&mut piece)?;
        if length == 0 {
            break;
        }
        sum.update(&piece[..length]);
        content.pass(&piece[..length]);
        file.write_all(&piece[..length])?;
    }
    let trailer = sum.finish();
    content.pass(trailer.as_ref());
    file.write_all(trailer.as_ref())?;
    file.sync_all()?;
    let whole = content.end().map_err(|failure| io::Error::other(failure.to_string()))?;
    Ok((whole.digest, whole.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::mark::Identity;

    const WHOSE: Whose<'static> =
        Whose { namespace: "ns", cluster: "demo", cluster_uid: "u", incarnation: 3, member: "demo-0" };

    /// A volume whose mark is of this life, with data in these folders.
    fn volume(incarnation: i64, folders: &[&str]) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let identity = Identity {
            cluster_uid: "u".into(),
            incarnation,
            member: "demo-0".into(),
            volume_id: "v".into(),
            claim: 1,
            member_id: Some("1".into()),
        };
        store.write_mark(&Mark::new(identity)).unwrap();
        for folder in folders {
            fs::create_dir_all(dir.path().join(folder).join("member/wal")).unwrap();
            fs::create_dir_all(dir.path().join(folder).join("member/snap")).unwrap();
            fs::write(dir.path().join(folder).join("member/snap/db"), "pages").unwrap();
        }
        (dir, store)
    }

    #[test]
    fn only_data_of_the_life_that_is_asked_for_is_read() {
        let place = |incarnation, folders: &[&str]| {
            let (_dir, store) = volume(incarnation, folders);
            let found = found(&store, WHOSE).map(|(_, data)| data.strip_prefix(store.root()).unwrap().to_owned());
            found.map_err(|failure| failure.to_string())
        };
        assert_eq!(place(3, &["data"]).unwrap(), Path::new("data"));
        let asides = ["data", "aside-3-2", "aside-3-10", "aside-2-11"];
        assert_eq!(place(4, &asides).unwrap(), Path::new("aside-3-10"), "what was set aside last");
        for (incarnation, folders, words) in [
            (3, &[][..], "holds no data"),
            (4, &["data"][..], "nothing is set aside"),
            (2, &["data"][..], "is of incarnation 2"),
        ] {
            let said = place(incarnation, folders).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
        let (_dir, store) = volume(3, &["data"]);
        let other = found(&store, Whose { member: "demo-1", ..WHOSE }).unwrap_err();
        assert!(matches!(other, Failure::Integrity { .. }), "{other}");
    }

    #[test]
    fn a_database_with_a_trailer_is_a_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let (database, snapshot) = (dir.path().join("db"), dir.path().join("snapshot"));
        fs::write(&database, vec![7; 4096 * 300]).unwrap();
        let (digest, bytes) = with_trailer(&database, &snapshot).unwrap();
        assert_eq!(bytes, 4096 * 300 + 32);
        assert_eq!(Served::of(&snapshot, Some(&digest)).unwrap().size, bytes);
        fs::write(&database, "cut short").unwrap();
        assert!(with_trailer(&database, &snapshot).is_err(), "pages are whole");
    }

    #[test]
    fn what_was_said_before_counts_only_as_long_as_the_log_is_the_same_and_the_bytes_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let (store, database) = (Store::new(dir.path().to_owned()), dir.path().join("db"));
        fs::write(&database, vec![7; 4096]).unwrap();
        let log = LogEnd { term: 2, index: 9, commit: 8, torn: false, votes: true, voters: vec!["demo-0".into()] };
        let good = |digest, bytes| Proof::Good {
            location: "there".into(),
            name: "demo-0".into(),
            digest,
            bytes,
            revision: 5,
            version: "v3.5.21".into(),
            log: Some(log.clone()),
        };
        let said = kept(&store, 3, &database, good).unwrap();
        assert_eq!(said_before(&store, 3, &log), Some(said.clone()));
        assert_eq!(said_before(&store, 4, &log), None, "another life");
        assert_eq!(said_before(&store, 3, &LogEnd { index: 10, ..log.clone() }), None, "more was written since");
        let Proof::Good { digest, .. } = &said else { panic!() };
        fs::write(store.salvaged(3, digest), "other").unwrap();
        assert_eq!(said_before(&store, 3, &log), None, "other bytes");
    }
}
