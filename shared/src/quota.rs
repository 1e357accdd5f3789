//! How large the database may be on a volume.
//!
//! Beside the database a volume holds the write-ahead log (five files of 64 MB that are kept, one that is made ready, one
//! that is written), and now and then a second copy of the database: while it is defragmented, and while a snapshot is
//! received. Source: etcd `server/storage/wal/wal.go` (`SegmentSizeBytes`), `--max-wals`.

use crate::{
    api::{EtcdCluster, cluster::Incarnation},
    quantity,
};

/// Of what no database is larger unless a person says so. etcd's own default.
const DEFAULT: u64 = 2 << 30;
const LOG: u64 = 448 << 20;
/// A database, its copy, and what it grows by while the quota is noticed.
const COPIES: f64 = 2.2;
const MIB: u64 = 1 << 20;
/// Smaller volumes are good for trials, and get this part all the same: a database that fills it fills the disk.
const SMALL: u64 = 4;

/// The quota of a volume, where a person names none.
#[must_use]
pub fn of(volume: u64) -> u64 {
    // Whole mebibytes.
    (volume / SMALL).min(DEFAULT) >> 20 << 20
}

/// A quota as a person would write it.
#[must_use]
pub fn text(quota: u64) -> String {
    match quota >> 20 {
        mebibytes if mebibytes % 1024 == 0 => format!("{}Gi", mebibytes / 1024),
        mebibytes => format!("{mebibytes}Mi"),
    }
}

/// The quota that a cluster's members have: what is named, else what was chosen when its data began; or more, where it has grown.
#[must_use]
pub fn in_force(cluster: &EtcdCluster, incarnation: Option<&Incarnation>) -> String {
    let begun = incarnation.and_then(|incarnation| incarnation.quota_backend.clone());
    let named = cluster.spec.etcd.quota_backend.as_ref().map(|named| named.0.clone());
    let by_volume = || text(of(quantity::bytes(&cluster.spec.storage.size).unwrap_or_default()));
    let wanted = named.or(begun).unwrap_or_else(by_volume);
    let grown = cluster.status.as_ref().and_then(|status| status.grown.as_ref()?.quota_backend.clone());
    grown.filter(|grown| is_more(grown, &wanted)).unwrap_or(wanted)
}

/// Whether one quantity is more than another one.
#[must_use]
pub fn is_more(one: &str, other: &str) -> bool {
    quantity::bytes(one).is_ok_and(|one| quantity::bytes(other).is_ok_and(|other| one > other))
}

/// The quota after this one, where it grows: half as much more, in whole mebibytes.
#[must_use]
pub fn next(quota: u64) -> u64 {
    quota.saturating_add(quota / 2) / MIB * MIB
}

/// The smallest volume, in whole mebibytes, that has room for the log and a second copy of the database too. What is good enough for
/// trials is not.
#[must_use]
pub fn needs(quota: u64) -> u64 {
    // One more byte: as the schema reckons, it may be a hair too small.
    (quota.saturating_mul(11).div_ceil(5)).saturating_add(LOG + 1).div_ceil(MIB) * MIB
}

/// The largest quota, in whole mebibytes, for which a volume has that room.
#[must_use]
pub fn most(volume: u64) -> u64 {
    (volume / MIB * MIB).saturating_sub(LOG + 1) / 11 * 5 / MIB * MIB
}

/// Whether a quota leaves the room that etcd needs. Reckoned in floating point, as the schema does.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn fits(quota: u64, volume: u64) -> bool {
    let (quota, volume) = (quota as f64, volume as f64);
    quota * SMALL as f64 <= volume || quota * COPIES + LOG as f64 <= volume
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_always_fits_and_is_etcds_own_on_a_volume_of_a_default_size() {
        for mebibytes in (64..20_000).step_by(7) {
            assert!(fits(of(mebibytes << 20), mebibytes << 20), "{mebibytes}Mi");
        }
        assert_eq!([1_u64, 8, 100].map(|gibibytes| of(gibibytes << 30) >> 20), [256, 2048, 2048]);
    }

    #[test]
    fn a_quota_that_would_fill_the_disk_does_not_fit() {
        assert!(!fits(2 << 30, 1 << 30));
        assert!(fits(256 << 20, 1 << 30) && fits(3 << 30, 8 << 30) && !fits(4 << 30, 8 << 30));
    }

    #[test]
    fn a_volume_fits_the_quota_that_it_is_reckoned_for_and_hardly_more() {
        for mebibytes in (16..100_000).step_by(7) {
            let (quota, volume) = (mebibytes << 20, needs(mebibytes << 20));
            assert!(fits(quota, volume) && most(volume) >= quota && most(volume) <= quota + MIB, "{mebibytes}Mi");
            assert!(most(quota) == 0 || needs(most(quota)) <= quota, "{mebibytes}Mi");
        }
    }

    #[test]
    fn what_has_grown_counts_where_it_is_more_than_what_is_wanted() {
        let quota = |named: serde_json::Value, grown: &str| {
            let spec =
                serde_json::json!({"version": "v3.5.21", "storage": {"size": "1Gi"}, "etcd": {"quotaBackend": named}});
            let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
            let status = serde_json::json!({"grown": {"quotaBackend": grown}});
            cluster.status = Some(serde_json::from_value(status).unwrap());
            in_force(&cluster, None)
        };
        assert_eq!(quota(serde_json::Value::Null, "384Mi"), "384Mi");
        assert_eq!(quota("1Gi".into(), "384Mi"), "1Gi");
        assert_eq!(quota("1Gi".into(), "nothing"), "1Gi");
        assert_eq!(quota(serde_json::Value::Null, "1Mi"), "256Mi");
    }
}
