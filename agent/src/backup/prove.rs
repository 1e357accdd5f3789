//! Proves a backup: another etcd opens it, and its keys are those of the members that it was taken of.
//!
//! It runs in a throw-away pod with etcd's own image, beside nobody, and leaves the snapshot file where a restore is
//! served from. What it finds is [`Proof::Bad`] only where trying again cannot help: a store that is away, too little
//! room or an etcd that does not start say nothing of the backup. One without any hash is bad: nobody could ever say
//! that it is equal to anything.

mod choose;
mod fetch;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use etcd_operator_shared::backup::{Manifest, Proof, Question, manifest_key, verified_key};

use self::choose::Chosen;
use super::{
    Failure,
    content::Whole,
    store::Place,
    trial::{self, Scene},
};
use crate::volume::Store;

/// The snapshot file of a backup that was proven.
const FILE: &str = "snapshot.db";
/// The same before.
const PART: &str = "snapshot.db.part";
/// The throw-away etcd's folder.
const TRIAL: &str = "proof";
/// Beside the file and the restored data: the log that etcd allocates, and pages that a compaction leaves.
const SPARE: u64 = 512 << 20;
/// Kubelet shows 4 KiB of a termination message; this is of the sentence.
const SENTENCE: usize = 1_500;

/// Where a proof runs.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    pub credentials: &'a Path,
    pub volume: &'a Path,
    /// Where the image keeps its programs.
    pub programs: Option<&'a OsStr>,
}

/// Answers a question.
pub async fn prove(question: &Question, stage: Stage<'_>) -> Result<Proof, Failure> {
    let place = Place::open(&question.store, &question.path, stage.credentials)?;
    prove_in(&place, question, stage).await
}

async fn prove_in(place: &Place, question: &Question, stage: Stage<'_>) -> Result<Proof, Failure> {
    let Chosen { place, manifest } = choose::choose(place, question).await?;
    expected(&manifest, question)?;
    clear(stage.volume)?;
    let opened = open(&place, &manifest, stage).await;
    if opened.is_err() {
        // What is wrong, or waits for something else, needs no room meanwhile.
        let _ = clear(stage.volume);
    }
    opened
}

async fn open(place: &Place, manifest: &Manifest, stage: Stage<'_>) -> Result<Proof, Failure> {
    let part = stage.volume.join(PART);
    let scene = Scene {
        snapshot: &part,
        folder: &stage.volume.join(TRIAL),
        namespace: &manifest.namespace,
        cluster: &manifest.cluster,
        programs: stage.programs,
    };
    let version = trial::version(scene, manifest)?;
    has_room(manifest, stage.volume)?;
    let whole = fetch::fetch(place, manifest, &part).await?;
    let revision = trial::compare(scene, version, manifest).await?;
    let proof = good(place, manifest, whole, revision);
    publish(place, manifest, &proof).await?;
    keep(stage.volume).map_err(|error| Failure::file("the snapshot", &error))?;
    Ok(proof)
}

/// What a failure says of the backup.
#[must_use]
pub fn meaning(failure: &Failure) -> Proof {
    let (reason, message) = (failure.reason().to_owned(), clipped(&failure.to_string()));
    match failure {
        Failure::Integrity { .. } => Proof::Bad { reason, message },
        Failure::Failed { .. }
        | Failure::Usage(_)
        | Failure::NotFound(_)
        | Failure::Store { .. }
        | Failure::NoRoom(_) => Proof::Unknown { reason, message },
    }
}

fn clipped(sentence: &str) -> String {
    let end = sentence.char_indices().map(|(at, _)| at).take_while(|at| *at <= SENTENCE).last().unwrap_or_default();
    if sentence.len() <= SENTENCE { sentence.to_owned() } else { format!("{}…", &sentence[..end]) }
}

/// Before anything is fetched.
fn expected(manifest: &Manifest, question: &Question) -> Result<(), Failure> {
    if let Some(digest) = question.digest.as_ref().filter(|digest| **digest != manifest.digest) {
        let message = format!("its digest is {}, and {digest} is wanted: it is another backup now", manifest.digest);
        return Err(Failure::integrity("OtherDigest", message));
    }
    if manifest.hashes.is_empty() {
        let message = "its manifest has no hash of its keys: nobody can say that it is equal to the original";
        return Err(Failure::integrity("NoHash", message));
    }
    Ok(())
}

fn has_room(manifest: &Manifest, volume: &Path) -> Result<(), Failure> {
    let bytes = manifest.bytes.unsigned_abs();
    let needed = bytes.saturating_mul(5) / 2 + SPARE;
    let room = Store::new(volume.to_owned()).room().map_err(|error| Failure::file("the proof", &error))?;
    if room.free >= needed {
        return Ok(());
    }
    let message = format!("opening {bytes} bytes takes room for {needed}, and {} are free", room.free);
    Err(Failure::NoRoom(message))
}

fn good(place: &Place, manifest: &Manifest, whole: Whole, revision: i64) -> Proof {
    Proof::Good {
        location: place.location(&manifest_key(manifest.incarnation, &manifest.name)),
        name: manifest.name.clone(),
        digest: whole.digest,
        bytes: manifest.bytes,
        revision,
        version: manifest.version.clone(),
        log: None,
    }
}

/// Says it in the store, where it was not said before: a restore may only be allowed to read.
async fn publish(place: &Place, manifest: &Manifest, proof: &Proof) -> Result<(), Failure> {
    let key = verified_key(manifest.incarnation, &manifest.name);
    if place.stored(&key).await?.is_some() {
        return Ok(());
    }
    let text = serde_json::to_vec_pretty(proof).map_err(|error| Failure::failed("Failed", error.to_string()))?;
    place.put_once(&key, text).await.map(drop)
}

/// What an earlier try has left.
fn clear(volume: &Path) -> Result<(), Failure> {
    let gone = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    let cleared = gone(fs::remove_dir_all(volume.join(TRIAL)))
        .and_then(|()| gone(fs::remove_file(volume.join(PART))))
        .and_then(|()| gone(fs::remove_file(volume.join(FILE))));
    cleared.map_err(|error| Failure::file("the proof's folder", &error))
}

/// The file gets its name: whoever finds it there finds what was proven.
fn keep(volume: &Path) -> io::Result<()> {
    File::open(volume.join(PART))?.sync_all()?;
    fs::rename(volume.join(PART), volume.join(FILE))?;
    File::open(volume)?.sync_all()?;
    fs::remove_dir_all(volume.join(TRIAL))
}

/// Where the snapshot file of a proven backup is.
#[must_use]
pub fn file(volume: &Path) -> PathBuf {
    volume.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::manifests::tests::manifest;

    fn question(digest: Option<&str>) -> Question {
        let store = serde_json::from_str(r#"{"s3": {"bucket": "backups"}}"#).unwrap();
        Question { store, path: "ns/demo/u".into(), name: None, digest: digest.map(Into::into) }
    }

    #[test]
    fn what_may_pass_says_nothing_of_the_backup() {
        for unknown in [
            Failure::store("StoreFails", "away"),
            Failure::NotFound("gone".into()),
            Failure::failed("EtcdNotStarted", "no"),
            Failure::NoRoom("full".into()),
        ] {
            assert!(matches!(meaning(&unknown), Proof::Unknown { .. }), "{unknown}");
        }
        let bad = meaning(&Failure::integrity("WrongTrailer", "x".repeat(9_000)));
        assert!(matches!(&bad, Proof::Bad { reason, .. } if reason == "WrongTrailer"));
        assert!(serde_json::to_vec(&bad).unwrap().len() < 4_096, "kubelet shows all of it");
    }

    #[test]
    fn only_the_wanted_bytes_and_what_can_be_compared_are_fetched() {
        let hash =
            etcd_operator_shared::backup::Hash { member: "demo-0".into(), hash: 1, revision: 1, compact_revision: -1 };
        let one = Manifest { hashes: vec![hash], ..manifest(1, 1, "once-a") };
        assert!(expected(&one, &question(None)).is_ok() && expected(&one, &question(Some("d"))).is_ok());
        assert_eq!(expected(&one, &question(Some("e"))).unwrap_err().reason(), "OtherDigest");
        assert_eq!(expected(&manifest(1, 1, "once-a"), &question(None)).unwrap_err().reason(), "NoHash");
    }

    #[test]
    fn what_was_proven_has_its_name_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(file(dir.path()), "an earlier one").unwrap();
        clear(dir.path()).unwrap();
        assert!(!file(dir.path()).exists());
        fs::write(dir.path().join(PART), "proven").unwrap();
        fs::create_dir(dir.path().join(TRIAL)).unwrap();
        keep(dir.path()).unwrap();
        assert_eq!(fs::read(file(dir.path())).unwrap(), b"proven");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
