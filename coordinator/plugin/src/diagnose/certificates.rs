//! Where traffic is encrypted: does every member have certificates that go on being valid?

use jiff::Timestamp;

use super::{Check, Finding, Scene, finding::or_fine};
use crate::{print::units::until, view::answer::Answer};

const CHECK: Check = Check::Certificates;
const ADVICE: &str = "look at the coordinator: it signs what the members' agents ask for";

pub fn check(scene: &Scene) -> Vec<Finding> {
    let incarnation = scene.sources.cluster.status.as_ref().and_then(|status| status.incarnation.as_ref());
    let encrypted = incarnation.map(|one| one.encrypted).unwrap_or_default();
    if !encrypted.peer && !encrypted.client {
        return vec![Finding::fine(CHECK, "traffic is plain: there are none")];
    }
    if let Some(said) = scene.page.condition("CertificatesReady") {
        let words = format!("{}: {}", said.reason, said.message);
        match said.status {
            // The coordinator names the first to end, and more than ends alone.
            Answer::False => return vec![Finding::fault(CHECK, words).advise(ADVICE)],
            Answer::Unknown => return vec![Finding::unknown(CHECK, words)],
            Answer::True => {}
        }
    }
    let ends = scene.members().iter().filter_map(|member| {
        let end: Timestamp = member.status.as_ref()?.certificates.as_ref()?.not_after.as_ref()?.parse().ok()?;
        Some((member.metadata.name.as_deref()?, end))
    });
    let ends: Vec<(&str, Timestamp)> = ends.collect();
    // Those that should be renewed by now the coordinator names, or where it is away the member's own agent.
    let found = ends.iter().filter(|(_, end)| *end <= scene.now).map(|(name, end)| {
        Finding::fault(CHECK, format!("its certificates have ended at {end}")).of(*name).advise(ADVICE)
    });
    let first = ends.iter().min_by_key(|(_, end)| *end).and_then(|(name, end)| Some((name, until(*end, scene.now)?)));
    let fine = first.map_or_else(
        || "every member has them".to_owned(),
        |(name, left)| format!("the first to end are those of {name}, in {left}"),
    );
    or_fine(found.collect(), CHECK, fine)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        apiserver::lists::{Known, Listed},
        diagnose::{
            Outcome,
            scene::tests::{of, read, well},
        },
        view::page::{
            Sources,
            tests::{member, say, sources},
        },
    };

    /// An encrypted cluster of one whose certificates end then.
    fn ending(at: &str) -> Sources {
        let mut one = member("demo-0", true);
        one.status.as_mut().unwrap().certificates = read(json!({"notAfter": at}));
        let mut all = sources(1);
        all.cluster.status.as_mut().unwrap().incarnation.as_mut().unwrap().encrypted.peer = true;
        Sources { members: Known::Read(Listed { items: vec![one], unreadable: vec![] }), ..all }
    }

    #[test]
    fn certificates_that_have_ended_are_a_fault() {
        let found = |at: &str| check(&of(ending(at))).remove(0);
        assert_eq!(found("2027-01-27T12:00:00Z"), Finding::fine(CHECK, "the first to end are those of demo-0, in 61d"));
        assert!(found("2026-11-27T11:00:00Z").message.contains("have ended"));
    }

    #[test]
    fn what_the_coordinator_says_of_them_comes_first() {
        let mut sources = ending("2027-01-27T12:00:00Z");
        say(&mut sources.cluster, "CertificatesReady", "False", "AuthorityLost", "the Secret is gone");
        let found = check(&of(sources));
        assert_eq!(
            (found[0].outcome, found[0].message.as_str()),
            (Outcome::Fault, "AuthorityLost: the Secret is gone")
        );
        assert_eq!(check(&well(3))[0].outcome, Outcome::Fine);
    }
}
