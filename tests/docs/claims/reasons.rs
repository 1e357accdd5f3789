//! Claim: every reason that the programs give stands on the page of reasons, and every reason of the page is one that they give.
//!
//! A reason is a word in CamelCase in the programs' source. What looks like one and is none is listed below, so that nobody can add a
//! reason without telling what it means.

use crate::clone;
use crate::pages;
use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = "how-to/troubleshoot.md";

/// Where reasons are given.
const ROOMS: [&str; 13] = [
    "coordinator/src/cluster/apply",
    "coordinator/src/cluster/decide",
    "coordinator/src/cluster/facts",
    "coordinator/src/cluster/report",
    "coordinator/src/cluster/installation.rs",
    "coordinator/src/cluster/unreadable.rs",
    "coordinator/src/backup",
    "coordinator/src/restore",
    "coordinator/src/user",
    "agent/src/plan",
    "agent/src/backup",
    "agent/src/cli/snapshot.rs",
    "shared/src/api/member.rs",
];

/// What Kubernetes, S3 and etcd say, and names of kinds.
const OF_OTHERS: [&str; 32] = [
    "Apply",
    "Code",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "Error",
    "EtcdMember",
    "EtcdMemberStatus",
    "ExternalProvisioning",
    "FailedBinding",
    "FailedCreate",
    "False",
    "Follower",
    "ImagePullBackOff",
    "InvalidImageName",
    "Leader",
    "NoSuchBucket",
    "OOMKilled",
    "PartialEq",
    "PersistentVolumeClaim",
    "PodScheduled",
    "PostStartHookError",
    "ProvisioningFailed",
    "RegistryUnavailable",
    "RunContainerError",
    "StatefulSet",
    "Succeeded",
    "SuccessfulCreate",
    "True",
    "Unknown",
];
/// What is done, in events.
const ACTIONS: [&str; 18] = [
    "Adopt",
    "Found",
    "Grow",
    "Issue",
    "Join",
    "Leave",
    "Maintain",
    "Read",
    "Reconcile",
    "Replace",
    "Restore",
    "Retire",
    "Scale",
    "StepBack",
    "Take",
    "TakeOver",
    "Update",
    "Verify",
];
/// Columns of kubectl.
const COLUMNS: [&str; 6] = ["Message", "Phase", "Reason", "Restarts", "Role", "Version"];

#[test]
fn every_reason_is_told_and_none_is_told_that_is_not_given() {
    let (given, told) = (given(), told());
    assert!(given.len() > 150 && told.len() > 100, "{} are given, {} told", given.len(), told.len());
    let none: BTreeSet<&str> = [&OF_OTHERS[..], &ACTIONS, &COLUMNS].concat().into_iter().collect();
    let silent: Vec<_> = given.iter().filter(|word| !told.contains(*word) && !none.contains(word.as_str())).collect();
    assert!(
        silent.is_empty(),
        "{PAGE} does not tell of {silent:?}; what is no reason belongs into a list of this file"
    );
    let unheard: Vec<_> = told.iter().filter(|word| !given.contains(*word)).collect();
    assert!(unheard.is_empty(), "{PAGE} tells of {unheard:?}, which nobody gives");
    let stale: Vec<_> = none.iter().filter(|word| !given.contains(**word) || told.contains(**word)).collect();
    assert!(stale.is_empty(), "{stale:?} need not be in the lists of this file");
}

/// Words in backticks in the first column of the page's tables.
fn told() -> BTreeSet<String> {
    let page = pages::named(PAGE).unwrap();
    let rows = page.text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let words = rows.flat_map(|first| first.split('`').skip(1).step_by(2));
    words.filter(|word| is_reason(word)).map(str::to_owned).collect()
}

fn given() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for room in ROOMS {
        look(&clone(room), &mut words);
    }
    words
}

fn look(path: &Path, words: &mut BTreeSet<String>) {
    if path.is_dir() {
        let tests = path.file_name().is_some_and(|name| name == "tests");
        for entry in std::fs::read_dir(path).unwrap().filter(|_| !tests) {
            look(&entry.unwrap().path(), words);
        }
        return;
    }
    let name = path.file_name().unwrap().to_string_lossy();
    if name.ends_with(".rs") && name != "tests.rs" {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code = code.split("#[cfg(test)]\npub mod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        words.extend(lines.flat_map(literals).filter(|word| is_reason(word)).map(str::to_owned));
    }
}

/// What stands between quotation marks on a line; none of ours has one inside that is escaped and a reason.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

fn is_reason(word: &str) -> bool {
    let letters = word.len() > 3 && word.chars().all(|c| c.is_ascii_alphanumeric());
    letters && word.starts_with(|c: char| c.is_ascii_uppercase()) && word.contains(|c: char| c.is_ascii_lowercase())
}

#[test]
fn words_are_taken_for_reasons_by_their_form() {
    let line = r#"  if one == "NotStored" { two("not this", "Nor this", "CorruptWAL", "Auto2") }"#;
    let found: Vec<&str> = literals(line).filter(|word| is_reason(word)).collect();
    assert_eq!(found, ["NotStored", "CorruptWAL", "Auto2"]);
}
