//! Is the cluster as it should be, as the coordinator sums it up? Other checks say why not.

use super::{Check, Finding, Scene};
use crate::{
    print::units::age,
    view::{answer::Answer, page::Said},
};

const CHECK: Check = Check::Ready;
pub fn check(scene: &Scene) -> Vec<Finding> {
    let Some(said) = scene.page.condition("Ready") else {
        return vec![Finding::unknown(CHECK, "no coordinator has said yet how it is")];
    };
    let words = words(scene, said);
    let since = age(said.since, scene.now);
    vec![match said.status {
        Answer::True => Finding::fine(CHECK, words),
        Answer::False | Answer::Unknown if scene.is_being_changed() => {
            Finding::note(CHECK, format!("not for {since}, while it is being changed: {words}"))
        }
        Answer::False => Finding::fault(CHECK, format!("not for {since}: {words}")),
        Answer::Unknown => Finding::fault(CHECK, format!("not known for {since}: {words}")),
    }]
}

/// What stalls it is told by the check of the spec.
fn words(scene: &Scene, said: &Said) -> String {
    let stalled = scene.page.condition("Stalled").filter(|stalled| stalled.status == Answer::True);
    match stalled {
        Some(stalled) if stalled.reason == said.reason => format!("{}: see the check of the spec", said.reason),
        Some(_) | None => format!("{}: {}", said.reason, said.message),
    }
}

#[cfg(test)]
mod tests {
    use etcd_operator_shared::api::cluster::Phase;
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        diagnose::{
            Outcome,
            scene::tests::{of, well},
        },
        view::page::tests::{say, sources},
    };

    /// Not Ready for an hour in this phase; or for no longer than that.
    fn outcome(phase: Phase, minutes: i64) -> Outcome {
        let mut ill = sources(3);
        ill.cluster.status.as_mut().unwrap().phase = Some(phase);
        say(&mut ill.cluster, "Ready", "False", "MembersMissing", "2 of 3 members serve");
        let mut scene = of(ill);
        scene.now = scene.page.condition("Ready").unwrap().since + SignedDuration::from_mins(minutes);
        check(&scene)[0].outcome
    }

    #[test]
    fn what_is_planned_is_a_note_until_it_takes_long() {
        assert_eq!(check(&well(3))[0].outcome, Outcome::Fine);
        assert_eq!(outcome(Phase::Degraded, 0), Outcome::Fault);
        assert_eq!(outcome(Phase::Upgrading, 1), Outcome::Note);
        assert_eq!(outcome(Phase::Creating, 6), Outcome::Fault);
    }
}
