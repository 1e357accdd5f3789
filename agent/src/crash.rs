//! Named points between side effects, where a test lets the agent die.
//!
//! Without the feature `crash-points` a point is nothing. With it, each point ends the process once in the life of a
//! pod: a file beside the launcher's binary remembers it, so that the next start gets further.

/// Every point, in the order in which a first start passes them, then what joining and what leaving adds.
#[cfg(feature = "crash-points")]
pub const POINTS: [&str; 26] = [
    "before-touch",
    "after-touch",
    "before-claim",
    "after-claim-accepted",
    "after-claim-marked",
    "before-expose",
    "after-expose",
    "after-keep",
    "before-order",
    "after-order",
    "after-running",
    "before-set-aside",
    "after-set-aside",
    "after-renew",
    "before-add",
    "after-add",
    "after-id-marked",
    "before-promote",
    "after-promote",
    "before-move-leader",
    "after-move-leader",
    "before-remove",
    "after-remove",
    "before-kill",
    "before-retire",
    "after-retire",
];

/// Those that a founder passes besides where its cluster begins with data.
#[cfg(feature = "crash-points")]
pub const RESTORING: [&str; 6] =
    ["before-fetch", "after-fetch", "before-restore", "after-restore", "before-place", "after-place"];

/// Those of the leader's agent while it makes room in full databases.
#[cfg(feature = "crash-points")]
pub const OF_UPKEEP: [&str; 6] =
    ["before-compact", "after-compact", "before-defragment", "after-defragment", "before-disarm", "after-disarm"];

/// Those of the leader's agent while it makes etcd's users what they are to be.
#[cfg(feature = "crash-points")]
pub const OF_USERS: [&str; 2] = ["before-auth-step", "after-auth-step"];

/// Those of a process that takes a backup. None of them is on the way of a member.
#[cfg(feature = "crash-points")]
pub const OF_BACKUPS: [&str; 2] = ["before-manifest", "after-manifest"];

/// A place where the process may die.
#[cfg(not(feature = "crash-points"))]
pub fn point(_name: &'static str) {}

/// Dies here the first time, unless the file `/crash-points` of the image names other points.
#[cfg(feature = "crash-points")]
pub fn point(name: &'static str) {
    let listed = [&POINTS[..], &RESTORING[..], &OF_UPKEEP[..], &OF_USERS[..], &OF_BACKUPS[..]]
        .iter()
        .any(|points| points.contains(&name));
    assert!(listed, "a point must be listed: {name}");
    let wanted = std::fs::read_to_string("/crash-points").unwrap_or_else(|_| "all".into());
    if !wanted.split_whitespace().any(|w| w == name || w == "all") {
        return;
    }
    let remembered = std::path::Path::new(etcd_operator_shared::names::AGENT_DIR).join(format!("crashed-{name}"));
    if std::fs::File::create_new(&remembered).is_ok() {
        eprintln!("crash point {name}");
        std::process::abort();
    }
}
