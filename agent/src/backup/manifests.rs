//! The manifests of a cluster: which backups there are, and which of them are verified.

use std::collections::BTreeSet;

use etcd_operator_shared::backup::{FORMAT, MANIFESTS, Manifest, VERIFIED, manifest_key, verified_key};
use futures::{StreamExt, TryStreamExt, stream};

use super::{Failure, store::Place};

/// How many manifests are read at a time.
const AT_A_TIME: usize = 8;

/// A backup that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub manifest: Manifest,
    pub verified: bool,
}

/// What is in a place.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// By incarnation and revision, the oldest first.
    pub entries: Vec<Entry>,
    /// Keys of manifests that this program does not understand: nothing is known of their data.
    pub strange: Vec<String>,
}

/// The incarnation and the name that a key below a folder is of.
fn of_key<'a>(key: &'a str, folder: &str) -> Option<(i64, &'a str)> {
    let (incarnation, file) = key.strip_prefix(folder)?.strip_prefix('/')?.split_once('/')?;
    Some((incarnation.parse().ok()?, file.strip_suffix(".json")?))
}

/// Reads a manifest's text.
///
/// # Errors
/// When it is none, or of a later program's.
pub fn read(text: &[u8], location: &str) -> Result<Manifest, Failure> {
    let wrong = |why: String| Failure::integrity("NoManifest", format!("{location} is no manifest: {why}"));
    let manifest: Manifest = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
    if manifest.format > FORMAT {
        return Err(wrong(format!("it has format {}, newer than this program's {FORMAT}", manifest.format)));
    }
    Ok(manifest)
}

/// The manifest of a name in an incarnation, or `None` if there is none.
pub async fn find(place: &Place, incarnation: i64, name: &str) -> Result<Option<Manifest>, Failure> {
    let key = manifest_key(incarnation, name);
    match place.get(&key).await? {
        Some(text) => read(&text, &place.location(&key)).map(Some),
        None => Ok(None),
    }
}

/// The names below a folder, with their incarnations.
async fn names(place: &Place, folder: &str) -> Result<BTreeSet<(i64, String)>, Failure> {
    let found = place.all(folder).await?;
    Ok(found.iter().filter_map(|found| of_key(&found.key, folder)).map(|(n, name)| (n, name.to_owned())).collect())
}

/// The newest manifest of a name in any incarnation, or `None` if there is none.
pub async fn named(place: &Place, name: &str) -> Result<Option<Manifest>, Failure> {
    let newest = names(place, MANIFESTS).await?.into_iter().rev().find(|(_, other)| other == name);
    match newest {
        Some((incarnation, name)) => find(place, incarnation, &name).await,
        None => Ok(None),
    }
}

/// Every backup there is.
pub async fn all(place: &Place) -> Result<Contents, Failure> {
    // In this order: what is verified between the two looks is taken for not yet verified.
    let verified = names(place, VERIFIED).await?;
    let there = names(place, MANIFESTS).await?;
    let read = async |(incarnation, name): &(i64, String)| match find(place, *incarnation, name).await {
        Err(Failure::Integrity { .. }) => Ok(Err(manifest_key(*incarnation, name))),
        Err(failure) => Err(failure),
        // It was deleted meanwhile.
        Ok(None) => Ok(Ok(None)),
        Ok(Some(manifest)) => Ok(Ok(Some(manifest))),
    };
    let read: Vec<_> = stream::iter(there.iter().map(read)).buffer_unordered(AT_A_TIME).try_collect().await?;
    let mut contents = Contents::default();
    for read in read {
        match read {
            Ok(Some(manifest)) => {
                let verified = verified.contains(&(manifest.incarnation, manifest.name.clone()));
                contents.entries.push(Entry { manifest, verified });
            }
            Ok(None) => {}
            Err(key) => contents.strange.push(key),
        }
    }
    contents.entries.sort_by(|a, b| age(&a.manifest).cmp(&age(&b.manifest)));
    Ok(contents)
}

/// What makes a backup of one cluster older than another. No clock: revisions rise, and so do incarnations.
#[must_use]
pub fn age(manifest: &Manifest) -> (i64, i64, &str) {
    (manifest.incarnation, manifest.at_least, &manifest.name)
}

/// Keys of all that belongs to a backup, in the order in which they go: one without a manifest is none.
#[must_use]
pub fn parts(manifest: &Manifest) -> [String; 3] {
    let (incarnation, name) = (manifest.incarnation, &manifest.name);
    [manifest_key(incarnation, name), verified_key(incarnation, name), manifest.data.clone()]
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::backup::store::tests::in_memory;
    use etcd_operator_shared::backup::{data_key, of_schedule};

    pub fn manifest(incarnation: i64, revision: i64, name: &str) -> Manifest {
        let of = of_schedule(name);
        Manifest {
            format: FORMAT,
            name: name.into(),
            schedule: of.map(|(schedule, _)| schedule.to_owned()),
            slot: of.map(|(_, slot)| slot.to_owned()),
            namespace: "ns".into(),
            cluster: "demo".into(),
            cluster_uid: "u".into(),
            incarnation,
            cluster_id: "c".into(),
            member: "demo-0".into(),
            version: "v3.5.21".into(),
            data: data_key(&format!("{incarnation}-{revision}")),
            stored_digest: "s".into(),
            stored_bytes: 1,
            digest: "d".into(),
            bytes: 2,
            at_least: revision,
            hashes: vec![],
            started: "2026-11-26T23:00:00Z".into(),
            taken: "2026-11-26T23:00:01Z".into(),
        }
    }

    /// Puts a backup with its data, and what a proof found.
    pub async fn put(place: &Place, manifest: &Manifest, verified: bool) {
        let [snapshot, proof, data] = parts(manifest);
        place.put_once(&data, vec![0]).await.unwrap();
        if verified {
            place.put_once(&proof, vec![0]).await.unwrap();
        }
        place.put_once(&snapshot, serde_json::to_vec(manifest).unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn backups_are_listed_from_the_oldest_by_incarnation_and_revision() {
        let place = in_memory();
        put(&place, &manifest(2, 5, "b"), true).await;
        put(&place, &manifest(1, 90, "z"), false).await;
        put(&place, &manifest(2, 7, "a"), false).await;
        place.put_once("snapshots/2/new.json", br#"{"format": 9}"#.to_vec()).await.unwrap();
        place.put_once("snapshots/readme", vec![0]).await.unwrap();
        let contents = all(&place).await.unwrap();
        let named: Vec<_> = contents.entries.iter().map(|e| (e.manifest.name.as_str(), e.verified)).collect();
        assert_eq!(named, [("z", false), ("b", true), ("a", false)]);
        assert_eq!(contents.strange, ["snapshots/2/new.json"]);
    }

    #[test]
    fn a_manifest_of_a_later_program_is_refused() {
        let later = Manifest { format: FORMAT + 1, ..manifest(1, 1, "a") };
        let refused = read(&serde_json::to_vec(&later).unwrap(), "here").unwrap_err();
        assert!(refused.code() == 5 && refused.to_string().contains("newer than"), "{refused}");
    }
}
