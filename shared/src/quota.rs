//! How large the database may be on a volume.
//!
//! Beside the database a volume holds the write-ahead log (five files of 64 MB that are kept, one that is made ready, one
//! that is written), and now and then a second copy of the database: while it is defragmented, and while a snapshot is
//! received. Source: etcd `server/storage/wal/wal.go` (`SegmentSizeBytes`), `--max-wals`.

/// Of what no database is larger unless a person says so. etcd's own default.
const DEFAULT: u64 = 2 << 30;
const LOG: u64 = 448 << 20;
/// A database, its copy, and what it grows by while the quota is noticed.
const COPIES: f64 = 2.2;
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
}
