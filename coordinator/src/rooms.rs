//! Which room may import which: only those that stand before it. So every arrow points one way, and the rooms that
//! decide can reach no client.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// All rooms, the lowest first.
const ROOMS: [&str; 54] = [
    "ownership",
    "print",
    "metrics",
    "pki",
    "apiserver",
    "authorities",
    "cluster/facts",
    "cluster/decide",
    "cluster/build",
    "cluster/salvage",
    "cluster/caches",
    "cluster/fetch",
    "cluster/timers",
    "cluster/inquiries",
    "cluster/rehearsals",
    "cluster/turns",
    "cluster/installations",
    "cluster/context",
    "cluster/sweep",
    "cluster/outcome",
    "cluster/apply",
    "cluster/incarnation",
    "cluster/report",
    "cluster/unreadable",
    "cluster/vouchers",
    "cluster/installation",
    "cluster/reconcile",
    "cluster/controller",
    "user/facts",
    "user/words",
    "user/decide",
    "user/build",
    "user/context",
    "user/apply",
    "user/report",
    "user/reconcile",
    "user/controller",
    "proofs",
    "backup/facts",
    "backup/decide",
    "backup/context",
    "backup/act",
    "backup/report",
    "backup/reconcile",
    "backup/controller",
    "restore/facts",
    "restore/decide",
    "restore/act",
    "restore/report",
    "restore/reconcile",
    "restore/controller",
    "args",
    "crds",
    "process",
];

/// These decide or derive, and do nothing.
const PURE: [&str; 14] = [
    "ownership",
    "print",
    "pki",
    "cluster/facts",
    "cluster/decide",
    "cluster/build",
    "cluster/report/status",
    "user/facts",
    "user/decide",
    "user/build",
    "backup/facts",
    "backup/decide",
    "restore/facts",
    "restore/decide",
];

/// What a pure room has no word for.
const IMPURE: [&str; 6] = ["tokio", "async ", "crate::apiserver", "::now()", "kube::Client", "std::env"];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![root.clone()], vec![]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().with_extension("");
                found.push((name.to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// The room of a file or of a path in the crate; `None` for the crate's own roof.
fn room(path: &str) -> Option<usize> {
    ROOMS.iter().position(|room| path == *room || path.starts_with(&format!("{room}/")))
}

/// All paths below `crate::` that a text names, with `/` between their parts.
fn imports(text: &str) -> Vec<String> {
    let mut found = vec![];
    for (_, rest) in text.match_indices("crate::").map(|(at, word)| text.split_at(at + word.len())) {
        let mut depth = 0;
        let end = rest.find(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth < 0 || (depth == 0 && !(c.is_alphanumeric() || "_:{}".contains(c)))
        });
        branch(&rest[..end.unwrap_or(rest.len())], "", &mut found);
    }
    found
}

fn branch(tree: &str, prefix: &str, found: &mut Vec<String>) {
    let Some((head, rest)) = tree.split_once('{') else {
        return found.push(format!("{prefix}{}", tree.trim().replace("::", "/")));
    };
    let prefix = format!("{prefix}{}", head.trim().replace("::", "/"));
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let mut depth = 0;
    let split = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    };
    inner.split(split).filter(|part| !part.trim().is_empty()).for_each(|part| branch(part, &prefix, found));
}

#[test]
fn a_room_imports_only_rooms_that_stand_before_it() {
    let mut arrows = 0;
    for (file, text) in sources() {
        let Some(here) = room(&file) else { continue };
        for path in imports(&text) {
            let there = room(&path).unwrap_or_else(|| panic!("{file} imports {path}, which stands in no room"));
            assert!(there <= here, "{file} imports {path}, which stands above it");
            arrows += usize::from(there < here);
        }
    }
    assert!(arrows > 50, "the arrows are found at all: {arrows}");
}

#[test]
fn rooms_that_decide_have_no_client_no_clock_and_no_environment() {
    for (file, text) in sources() {
        let tests = file.contains("tests");
        if !tests && PURE.iter().any(|room| file.starts_with(room)) {
            let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let word = IMPURE.iter().find(|word| code.contains(**word));
            assert_eq!(word, None, "{file}");
        }
    }
}

#[test]
fn a_nested_import_is_read_whole() {
    let text =
        "use crate::{\n    apiserver::{Failed, gone},\n    cluster::context::Context,\n};\nlet x = crate::args::Run;";
    assert_eq!(imports(text), ["apiserver/Failed", "apiserver/gone", "cluster/context/Context", "args/Run"]);
}
