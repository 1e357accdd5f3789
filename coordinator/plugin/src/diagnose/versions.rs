//! Do all members run the same etcd, and the one that is wanted?

use std::collections::BTreeMap;

use super::{Check, Finding, Scene, finding::or_fine};

const CHECK: Check = Check::Versions;

pub fn check(scene: &Scene) -> Vec<Finding> {
    let mut found = vec![];
    if let Some(roll) = &scene.page.version.roll {
        found.push(Finding::note(CHECK, format!("etcd goes from {} to {}", roll.from.version, roll.to.version)));
    }
    let running = running(scene);
    if running.len() > 1 {
        let each = running.iter().map(|(version, members)| format!("{version} on {}", members.join(", ")));
        found.push(Finding::note(
            CHECK,
            format!("members run different versions: {}", each.collect::<Vec<_>>().join("; ")),
        ));
    }
    let bare = |version: &str| version.trim_start_matches('v').to_owned();
    let made_with =
        scene.sources.cluster.status.as_ref().and_then(|status| status.etcd.as_ref()).map(|etcd| bare(&etcd.version));
    let wanted = &scene.page.version.wanted;
    if let Some(made_with) = made_with.filter(|version| scene.page.version.roll.is_none() && *version != bare(wanted)) {
        let words = format!("{wanted} is wanted, and pods are still made with v{made_with}");
        found.push(
            Finding::note(CHECK, words).advise("the check of the spec says what it waits for, or what is refused"),
        );
    }
    let all = running
        .keys()
        .next()
        .map_or_else(|| "no member says what it runs".to_owned(), |version| format!("all members run {version}"));
    or_fine(found, CHECK, all)
}

fn running(scene: &Scene) -> BTreeMap<&str, Vec<&str>> {
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in scene.wanted() {
        if let Some(version) = &row.version {
            all.entry(version).or_default().push(&row.name);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        diagnose::{
            Outcome,
            scene::tests::{of, read, well},
        },
        view::page::tests::sources,
    };

    #[test]
    fn different_versions_are_a_note_with_who_runs_what() {
        let mut scene = well(3);
        scene.page.members[2].version = Some("v3.6.11".into());
        let found = check(&scene);
        assert_eq!(found[0].outcome, Outcome::Note);
        assert!(found[0].message.ends_with("v3.5.21 on demo-0, demo-1; v3.6.11 on demo-2"), "{found:?}");
    }

    #[test]
    fn a_version_that_is_wanted_and_not_in_force_is_a_note() {
        assert_eq!(check(&well(3)), [Finding::fine(CHECK, "all members run v3.5.21")]);
        let mut waits = sources(3);
        waits.cluster.spec.version = "3.6.11".into();
        waits.cluster.status.as_mut().unwrap().etcd = read(json!({"version": "v3.5.21", "image": "i"}));
        assert!(check(&of(waits))[0].message.starts_with("3.6.11 is wanted"));
    }
}
