//! Claim: every link leads to something that is there, every page is reached from the first one, and every example is told of.

use crate::clone;
use crate::pages::{self, FOLDER, Page, anchors};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Texts beside the pages that lead to them.
const READMES: [&str; 8] = [
    "README.md",
    "manifests/README.md",
    "manifests/monitoring/README.md",
    "manifests/charts/etcd-operator/README.md",
    "agent/README.md",
    "coordinator/README.md",
    "coordinator/plugin/README.md",
    "tests/README.md",
];

/// The first page.
const INDEX: &str = "README.md";

#[test]
fn every_link_leads_to_something_that_is_there() {
    let readmes = READMES.iter().map(|name| {
        let text = std::fs::read_to_string(clone(name)).unwrap();
        let links = pages::links(&text, Path::new(name).parent().unwrap());
        ((*name).to_owned(), text, links)
    });
    let pages = pages::all().unwrap().into_iter().map(|page| (page.name.clone(), page.text.clone(), page.links()));
    for (name, text, links) in readmes.chain(pages) {
        for (target, path) in links {
            let path = clone(&path.to_string_lossy());
            let there = if target.starts_with('#') { text.clone() } else { read(&path, &name, &target) };
            if let Some((_, anchor)) = target.split_once('#') {
                assert!(anchors(&there).iter().any(|known| known == anchor), "{name}: {target} leads to no heading");
            }
        }
    }
}

fn read(path: &Path, name: &str, target: &str) -> String {
    assert!(path.exists(), "{name}: {target} leads nowhere");
    if path.extension().is_some_and(|end| end == "md") { std::fs::read_to_string(path).unwrap() } else { String::new() }
}

#[test]
fn every_page_is_reached_from_the_first_one() {
    let pages = pages::all().unwrap();
    let (mut reached, mut next) = (BTreeSet::from([INDEX.to_owned()]), vec![INDEX.to_owned()]);
    while let Some(name) = next.pop() {
        let page: &Page = pages.iter().find(|page| page.name == name).unwrap();
        let inside = page.links().into_iter().map(|(_, path)| plain(&path));
        for name in
            inside.filter_map(|path| path.strip_prefix(FOLDER).ok().map(|path| path.to_string_lossy().into_owned()))
        {
            if pages.iter().any(|page| page.name == name) && reached.insert(name.clone()) {
                next.push(name);
            }
        }
    }
    let all: BTreeSet<String> = pages.into_iter().map(|page| page.name).collect();
    assert_eq!(all.difference(&reached).collect::<Vec<_>>(), Vec::<&String>::new());
    let top = std::fs::read_to_string(clone("README.md")).unwrap();
    assert!(top.contains("](manifests/docs/README.md)"), "the README leads to no documentation");
}

#[test]
fn every_example_is_told_of() {
    let told: String = pages::all().unwrap().into_iter().map(|page| page.text).collect();
    for entry in std::fs::read_dir(clone("manifests/examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(told.contains(&format!("examples/{name}")), "no page tells of examples/{name}");
    }
}

/// The same path without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
        plain
    })
}
