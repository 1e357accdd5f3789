//! Why there is no way to a version, with the next step.

use etcd_operator_shared::version::{Minor, Version};
use thiserror::Error;

/// Why there is no way to a version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Barred {
    #[error("spec.version {wanted} cannot follow {cluster} at once: {}", next(.force, .wanted))]
    Skips { wanted: Version, cluster: Minor, force: Version },
    #[error("spec.version {wanted} cannot follow {cluster} at once: set it to {} first", from(.cluster.below()))]
    SkipsDown { wanted: Version, cluster: Minor },
    #[error(
        "spec.version {wanted} can follow {least} or later only, and {force} is in force: set it to {least} or later first"
    )]
    TooOldBefore { wanted: Version, force: Version, least: Version },
    #[error(
        "the cluster is {cluster}, and can go down to {least} or later only, not to spec.version {wanted}: set it to {least} or later"
    )]
    TooOldBelow { wanted: Version, cluster: Minor, least: Version },
    #[error("spec.version {wanted} may lose what was written: set it to {least} or later")]
    TooOld { wanted: Version, least: Version },
}

/// Releases before this compare no hashes, and the first of them lost data at a crash.
pub(super) const LEAST: Version = Version { minor: Minor::V3_5, patch: 5 };

/// The first release from which the next minor version can be reached, and to which it can go back.
/// Source: etcd's upgrade guides: 3.5.26 mends the promotion of learners, 3.6.11 what 3.7 reads.
pub(super) fn least(minor: Minor) -> Version {
    match minor {
        Minor::V3_5 => Version { minor, patch: 26 },
        Minor::V3_6 => Version { minor, patch: 11 },
        Minor::V3_7 => Version { minor, patch: 0 },
    }
}

fn from(minor: Option<Minor>) -> String {
    minor.map_or_else(String::new, |minor| format!("{} or later", least(minor)))
}

/// The next step up from what is in force.
fn next(force: &Version, wanted: &Version) -> String {
    let below = wanted.minor.below().map(least);
    match (*force < least(force.minor), below) {
        (true, Some(then)) if then.minor > force.minor => {
            format!("set it to {} or later first, then to {then} or later", least(force.minor))
        }
        (_, Some(then)) => format!("set it to {then} or later first"),
        (_, None) => String::new(),
    }
}
