//! Lists the backups of a cluster.

use std::fmt::Write;

use etcd_operator_shared::backup::{Manifest, Proof, manifest_key, verified_key};
use serde_json::{Value, json};

use super::{
    Failure,
    manifests::{self, Contents, Entry},
    store::Place,
};

/// All that are there, the newest first, for a person.
///
/// # Errors
/// When the store does not say.
pub async fn human(place: &Place) -> Result<String, Failure> {
    Ok(table(&manifests::all(place).await?))
}

fn table(contents: &Contents) -> String {
    let longest = contents.entries.iter().map(|entry| entry.manifest.name.len()).max().unwrap_or_default().max(4);
    let mut out = String::new();
    let mut line = |name: &str, taken: &str, size: &str, revision: &str, verified: &str| {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{name:<longest$}  {taken:<20}  {size:>10}  {revision:>12}  {verified}");
    };
    line("NAME", "TAKEN", "SIZE", "REVISION", "VERIFIED");
    for Entry { manifest, verified } in contents.entries.iter().rev() {
        let size = format!("{:.1} MiB", manifest.bytes as f64 / f64::from(1 << 20));
        let verified = if *verified { "yes" } else { "no" };
        line(&manifest.name, &manifest.taken, &size, &manifest.at_least.to_string(), verified);
    }
    for key in &contents.strange {
        let _ = writeln!(out, "{key} cannot be understood: a newer program may have written it");
    }
    out
}

/// The same for a program.
///
/// # Errors
/// When the store does not say.
pub async fn machine(place: &Place) -> Result<Value, Failure> {
    let contents = manifests::all(place).await?;
    let entry = |entry: &Entry| {
        let Entry { manifest, verified } = entry;
        let location = place.location(&manifest_key(manifest.incarnation, &manifest.name));
        json!({"location": location, "verified": verified, "manifest": manifest})
    };
    let backups: Vec<Value> = contents.entries.iter().rev().map(entry).collect();
    Ok(json!({"backups": backups, "notUnderstood": contents.strange}))
}

/// What is known of one backup, in a sentence.
///
/// # Errors
/// When the store does not say, or has no such backup.
pub async fn known(place: &Place, name: &str) -> Result<String, Failure> {
    let manifest = manifests::named(place, name).await?;
    let Some(Manifest { incarnation, taken, at_least, .. }) = manifest else {
        return Err(Failure::NotFound(format!("the store has no backup {name}")));
    };
    let proof = place.get(&verified_key(incarnation, name)).await?;
    let proof: Option<Proof> = proof.and_then(|text| serde_json::from_slice(&text).ok());
    Ok(match proof {
        Some(Proof::Good { revision, .. }) => {
            format!("{name}, taken at {taken}, is verified: another etcd has opened it, at revision {revision}")
        }
        Some(Proof::Bad { .. } | Proof::Unknown { .. }) | None => format!(
            "{name}, taken at {taken} at or after revision {at_least}, is not verified. The operator verifies each backup that has \
             an EtcdBackup: kubectl get etcdbackups. One that is restored is opened by another etcd before"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{
        manifests::tests::{manifest, put},
        store::tests::in_memory,
    };

    #[tokio::test]
    async fn the_newest_stands_first_with_what_is_known_of_it() {
        let place = in_memory();
        put(&place, &manifest(1, 5, "hourly-20261126T2200Z"), false).await;
        put(&place, &manifest(1, 9, "hourly-20261126T2300Z"), true).await;
        let said = human(&place).await.unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert!(
            lines[1].starts_with("hourly-20261126T2300Z  2026-11-26T23:00:01Z") && lines[1].ends_with("9  yes"),
            "{said}"
        );
        assert!(lines[2].ends_with("5  no"), "{said}");
        let value = machine(&place).await.unwrap();
        assert_eq!(value["backups"][0]["location"], "etcd/ns/demo/u/snapshots/1/hourly-20261126T2300Z.json");
        assert_eq!(known(&place, "hourly-20261126T2100Z").await.unwrap_err().code(), 3);
        assert!(known(&place, "hourly-20261126T2200Z").await.unwrap().contains("is not verified"));
    }
}
