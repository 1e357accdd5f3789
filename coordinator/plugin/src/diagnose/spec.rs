//! Is the spec acted on, and what does it ask to rest?

use super::{Check, Finding, Scene, finding::or_fine};
use crate::view::answer::Answer;

const CHECK: Check = Check::Spec;
/// Conditions that checks of their own speak of.
const TOLD: [&str; 7] =
    ["Ready", "Available", "Reconciling", "Stalled", "Paused", "CertificatesReady", "BackupHealthy"];

pub fn check(scene: &Scene) -> Vec<Finding> {
    let (cluster, page) = (&scene.sources.cluster, &scene.page);
    let mut found = vec![];
    // The sentence on the condition says what to do as well.
    let stalled = page.condition("Stalled").filter(|said| said.status == Answer::True);
    found.extend(
        stalled.map(|said| Finding::fault(CHECK, format!("a person must act: {}: {}", said.reason, said.message))),
    );
    if let Some(since) = &cluster.metadata.deletion_timestamp {
        let finalizers = cluster.metadata.finalizers.clone().unwrap_or_default();
        found.push(Finding::note(
            CHECK,
            format!("it was deleted at {}, and waits for {}", since.0, finalizers.join(", ")),
        ));
    }
    if cluster.spec.paused {
        let next = page.condition("Paused").map_or("nothing joins, leaves, rolls or is replaced", |said| &said.message);
        found.push(
            Finding::note(CHECK, format!("it is paused: {next}")).advise(format!("kubectl etcd resume {}", page.name)),
        );
    }
    found.extend(cluster.spec.hold.iter().map(|member| {
        Finding::note(CHECK, "its etcd is off, because spec.hold names it")
            .of(member)
            .advise(format!("kubectl etcd release {} {member}", page.name))
    }));
    if cluster.spec.size == 0 {
        let words = "it is stopped: size is 0";
        found.push(
            Finding::note(CHECK, words)
                .advise(format!("kubectl scale etcdcluster {} --replicas=3 wakes it", page.name)),
        );
    }
    let under_way = page.condition("Reconciling").filter(|said| said.status == Answer::True);
    found.extend(
        under_way.map(|said| Finding::note(CHECK, format!("a change is under way: {}: {}", said.reason, said.message))),
    );
    let others =
        page.conditions.iter().filter(|said| !TOLD.contains(&said.kind.as_str()) && said.status == Answer::False);
    found.extend(
        others.map(|said| Finding::note(CHECK, format!("{} is False: {}: {}", said.kind, said.reason, said.message))),
    );
    or_fine(found, CHECK, "it is applied, and nothing waits for a person")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diagnose::{
            Outcome,
            scene::tests::{of, well},
        },
        view::page::tests::{say, sources},
    };

    #[test]
    fn what_waits_for_a_person_is_a_fault_and_what_a_person_has_asked_for_a_note() {
        assert_eq!(check(&well(3))[0].outcome, Outcome::Fine);
        let mut held = sources(3);
        held.cluster.spec.paused = true;
        held.cluster.spec.hold = vec!["demo-1".into()];
        say(&mut held.cluster, "TemplateApplied", "False", "NotAllUsed", "hostNetwork is not used");
        say(&mut held.cluster, "Stalled", "True", "VersionRefused", "v3.7.0 is two minor versions away");
        let found = check(&of(held));
        let outcomes: Vec<Outcome> = found.iter().map(|finding| finding.outcome).collect();
        assert_eq!(outcomes, [Outcome::Fault, Outcome::Note, Outcome::Note, Outcome::Note]);
        assert!(found[0].message.contains("VersionRefused: v3.7.0"), "{found:?}");
    }
}
