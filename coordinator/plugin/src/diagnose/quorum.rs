//! Do enough members serve, and how many more may be lost?

use etcd_operator_shared::quorum::quorum;

use super::{Check, Finding, Scene};
use crate::view::answer::Answer;

const CHECK: Check = Check::Quorum;

pub fn check(scene: &Scene) -> Vec<Finding> {
    let wanted: Vec<_> = scene.wanted().collect();
    let count =
        |answer| wanted.iter().filter(|row| row.ready == answer && row.role.as_deref() != Some("Learner")).count();
    let (serve, unknown, needed) = (count(Answer::True), count(Answer::Unknown), quorum(wanted.len()));
    let words = format!("{serve} of {} members serve, {needed} are needed", wanted.len());
    vec![if wanted.is_empty() {
        Finding::note(CHECK, "no member is wanted, and nobody serves")
    } else if serve < needed && serve + unknown >= needed {
        Finding::unknown(CHECK, format!("{words}, and {unknown} are not heard"))
            .advise("ask one of them: kubectl exec MEMBER -c agent -- etcd-agent status")
    } else if serve < needed {
        let advice = "bring members back, as the other faults say: nothing can be written until then, and nothing is lost by waiting";
        Finding::fault(CHECK, format!("no quorum: {words}")).advise(advice)
    } else if serve == needed && serve < wanted.len() {
        Finding::note(CHECK, format!("{words}: one more loss stops all writes"))
    } else {
        Finding::fine(CHECK, words)
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apiserver::lists::{Known, Listed},
        diagnose::{
            Outcome,
            scene::tests::{of, well},
        },
        view::page::{
            Sources,
            tests::{member, pod, sources},
        },
    };

    /// Three members, of which so many serve; the others say that they do not.
    fn serving(serve: usize) -> Scene {
        let items = (0..3).map(|k| member(&format!("demo-{k}"), k < serve)).collect();
        of(Sources { members: Known::Read(Listed { items, unreadable: vec![] }), ..sources(3) })
    }

    #[test]
    fn the_last_member_of_a_quorum_is_worth_a_note_and_less_is_a_fault() {
        let outcomes: Vec<Outcome> = [3, 2, 1, 0].into_iter().map(|serve| check(&serving(serve))[0].outcome).collect();
        assert_eq!(outcomes, [Outcome::Fine, Outcome::Note, Outcome::Fault, Outcome::Fault]);
        assert_eq!(check(&well(1))[0].outcome, Outcome::Fine);
    }

    #[test]
    fn silence_is_no_loss() {
        let pods = ["True", "Unknown", "Unknown"].iter().enumerate().map(|(k, ready)| pod(&format!("demo-{k}"), ready));
        let scene = of(Sources { pods: Known::Read(pods.collect()), ..sources(3) });
        assert_eq!(check(&scene)[0].outcome, Outcome::Unknown);
    }
}
