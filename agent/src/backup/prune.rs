//! Prunes a store after a schedule's backup was stored in it: the decision is [`crate::plan::retention`]'s.
//!
//! A backup goes manifest first, then what a proof found, then its data: one that is half gone is none, and what is
//! left of it goes the next time. Data without a manifest goes once it is older than a day by the store's own clock: a
//! backup may be on its way to it.

use std::collections::BTreeSet;

use etcd_operator_shared::{
    backup::{DATA, Manifest, VERIFIED, manifest_key, verified_key},
    validate::Backup,
};

use super::{
    Failure,
    manifests::{self, Contents, Entry, parts},
    store::Place,
};
use crate::plan::retention::{Kept, Policy, surplus};

/// Seconds after which data without a manifest is nobody's: no backup takes so long.
const ORPHAN: i64 = 24 * 3600;

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    pub backups: Vec<String>,
    /// Keys of what belonged to no backup.
    pub orphans: Vec<String>,
}

/// Prunes a place. `newest` is the backup that was just stored.
///
/// # Errors
/// When the store does not say what is in it, or does not delete.
pub async fn prune(place: &Place, policy: &Backup, newest: &Manifest) -> Result<Pruned, Failure> {
    // In this order: data that is put later than its look is not seen by it, and its manifest comes later still.
    let data = place.all(DATA).await?;
    let proofs = place.all(VERIFIED).await?;
    let now = place.stored(&manifest_key(newest.incarnation, &newest.name)).await?;
    let contents = manifests::all(place).await?;
    let mut pruned = Pruned::default();
    for entry in superfluous(&contents, policy) {
        for key in parts(&entry.manifest) {
            place.delete(&key).await?;
        }
        pruned.backups.push(entry.manifest.name.clone());
    }
    // Whose data it is that an unknown manifest names, nobody knows.
    let Some(now) = now.filter(|_| contents.strange.is_empty()) else { return Ok(pruned) };
    let wanted: BTreeSet<String> = contents.entries.iter().flat_map(|entry| named(&entry.manifest)).collect();
    for found in data.into_iter().chain(proofs) {
        if !wanted.contains(&found.key) && found.stored + ORPHAN < now {
            place.delete(&found.key).await?;
            pruned.orphans.push(found.key);
        }
    }
    Ok(pruned)
}

fn named(manifest: &Manifest) -> [String; 2] {
    [manifest.data.clone(), verified_key(manifest.incarnation, &manifest.name)]
}

fn superfluous<'a>(contents: &'a Contents, policy: &Backup) -> Vec<&'a Entry> {
    let policy = Policy {
        schedules: policy
            .schedules
            .iter()
            .map(|s| (s.name.clone(), usize::try_from(s.keep).unwrap_or(usize::MAX)))
            .collect(),
        verified: usize::try_from(policy.keep_verified).unwrap_or(usize::MAX),
    };
    let there: Vec<Kept> = contents.entries.iter().map(kept).collect();
    let go = surplus(&there, &policy);
    contents.entries.iter().filter(|entry| go.contains(&kept(entry))).collect()
}

fn kept(entry: &Entry) -> Kept {
    let Manifest { incarnation, at_least, name, schedule, slot, .. } = &entry.manifest;
    Kept {
        incarnation: *incarnation,
        revision: *at_least,
        slot: slot.clone().zip(schedule.clone()),
        name: name.clone(),
        verified: entry.verified,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{
        manifests::tests::{manifest, put},
        store::tests::in_memory,
    };
    use etcd_operator_shared::validate;
    use serde_json::json;

    fn policy(keep: i32, verified: i32) -> Backup {
        let raw = json!({
            "store": {"s3": {"bucket": "backups"}},
            "schedules": [{"name": "hourly", "cron": "0 * * * *", "keep": keep}],
            "keepVerified": verified,
        });
        validate::backup(&serde_json::from_value(raw).unwrap()).unwrap()
    }

    fn hourly(hour: i64) -> Manifest {
        manifest(1, hour, &format!("hourly-20261126T{hour:02}00Z"))
    }

    async fn all(place: &Place) -> Vec<String> {
        let mut keys: Vec<_> = place.all("").await.unwrap().into_iter().map(|found| found.key).collect();
        keys.sort();
        keys
    }

    #[tokio::test]
    async fn what_a_schedule_does_not_keep_goes_with_all_its_parts() {
        let place = in_memory();
        for hour in 1..5 {
            put(&place, &hourly(hour), true).await;
        }
        let ordered = manifest(1, 0, "once-a");
        put(&place, &ordered, false).await;
        let pruned = prune(&place, &policy(2, 1), &hourly(4)).await.unwrap();
        assert_eq!(pruned.backups, [hourly(1).name, hourly(2).name]);
        assert!(pruned.orphans.is_empty());
        let mut wanted: Vec<String> = [hourly(3), hourly(4)].iter().flat_map(parts).collect();
        wanted.extend([parts(&ordered)[0].clone(), ordered.data]);
        wanted.sort();
        assert_eq!(all(&place).await, wanted);
    }

    #[tokio::test]
    async fn data_that_nobody_names_yet_may_be_on_its_way() {
        let place = in_memory();
        put(&place, &hourly(1), false).await;
        place.put_once("data/other.db.zst", vec![1]).await.unwrap();
        assert_eq!(prune(&place, &policy(2, 1), &hourly(1)).await.unwrap(), Pruned::default());
        assert!(place.get("data/other.db.zst").await.unwrap().is_some());
    }
}
