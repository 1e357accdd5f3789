//! Which backup a question is about.

use etcd_operator_shared::backup::{Manifest, Question};

use crate::backup::{
    Failure,
    manifests::{self, age},
    store::Place,
};

/// A backup, and the place that it stands in.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub place: Place,
    pub manifest: Manifest,
}

/// Finds it: the one that is named, or the newest that is verified. Of clusters with one name, it is the one whose such
/// backup was taken last: their revisions cannot be compared.
pub async fn choose(place: &Place, question: &Question) -> Result<Chosen, Failure> {
    let mut found: Vec<Chosen> = Vec::new();
    for place in places(place, question).await? {
        let manifest = match &question.name {
            Some(name) => manifests::named(&place, name).await?,
            None => newest_verified(&place).await?,
        };
        found.extend(manifest.map(|manifest| Chosen { place, manifest }));
    }
    found.into_iter().max_by(|a, b| taken(&a.manifest).cmp(&taken(&b.manifest))).ok_or_else(|| {
        Failure::NotFound(match &question.name {
            Some(name) => format!("the store has no backup {name} of {}", question.path),
            None => format!("the store has no verified backup of {}", question.path),
        })
    })
}

/// The places of the clusters that are meant.
async fn places(place: &Place, question: &Question) -> Result<Vec<Place>, Failure> {
    let parts: Vec<&str> = question.path.split('/').collect();
    let is_part = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match (parts.len(), parts.iter().all(is_part)) {
        (3, true) => Ok(vec![place.clone()]),
        (2, true) => Ok(place.folders().await?.iter().map(|uid| place.below(uid)).collect()),
        _ => Err(Failure::Usage(format!("{:?} is not namespace, name and UID of a cluster", question.path))),
    }
}

async fn newest_verified(place: &Place) -> Result<Option<Manifest>, Failure> {
    let entries = manifests::all(place).await?.entries.into_iter();
    let verified = entries.filter(|entry| entry.verified).map(|entry| entry.manifest);
    Ok(verified.max_by(|a, b| age(a).cmp(&age(b))))
}

fn taken(manifest: &Manifest) -> Option<jiff::Timestamp> {
    manifest.taken.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{
        manifests::tests::{manifest, put},
        store::tests::in_memory,
    };

    fn question(path: &str, name: Option<&str>) -> Question {
        let store = serde_json::from_str(r#"{"s3": {"bucket": "backups"}}"#).unwrap();
        Question { store, path: path.into(), name: name.map(Into::into), digest: None }
    }

    async fn chosen(place: &Place, path: &str, name: Option<&str>) -> Result<(i64, i64), Failure> {
        choose(place, &question(path, name)).await.map(|chosen| (chosen.manifest.incarnation, chosen.manifest.at_least))
    }

    #[tokio::test]
    async fn the_newest_verified_one_is_meant_where_none_is_named() {
        let place = in_memory();
        for (incarnation, revision, verified) in [(1, 90, true), (2, 5, true), (2, 8, false)] {
            put(&place, &manifest(incarnation, revision, &format!("once-{revision}")), verified).await;
        }
        assert_eq!(chosen(&place, "ns/demo/u", None).await.unwrap(), (2, 5));
        assert_eq!(chosen(&place, "ns/demo/u", Some("once-8")).await.unwrap(), (2, 8));
        let missing = chosen(&place, "ns/demo/u", Some("once-9")).await.unwrap_err();
        assert!(missing.code() == 3 && missing.to_string().contains("once-9"), "{missing}");
    }

    #[tokio::test]
    async fn of_namesakes_the_one_with_the_newest_backup_is_meant() {
        let above = Place::of(in_memory().store(), "etcd/ns/demo");
        for (uid, day, revision) in [("a", 25, 900), ("b", 26, 3)] {
            let taken = format!("2026-11-{day}T23:00:00Z");
            put(&above.below(uid), &Manifest { taken, ..manifest(1, revision, "once-a") }, true).await;
        }
        assert_eq!(chosen(&above, "ns/demo", None).await.unwrap(), (1, 3));
        assert_eq!(chosen(&above, "ns/demo", Some("once-a")).await.unwrap(), (1, 3));
        assert_eq!(chosen(&above, "ns/../demo", None).await.unwrap_err().code(), 2);
        assert_eq!(chosen(&above.below("c"), "ns/demo/c", None).await.unwrap_err().code(), 3);
    }
}
