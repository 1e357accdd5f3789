//! Do enough members serve, and how many more may be lost?

use std::collections::BTreeSet;

use etcd_operator_shared::{names, quorum::quorum};

use super::{Check, Finding, Scene, links};
use crate::view::{answer::Answer, row::Row};

const CHECK: Check = Check::Quorum;

pub fn check(scene: &Scene) -> Vec<Finding> {
    let voters = voters(scene);
    let rows: Vec<&Row> = scene.page.members.iter().filter(|row| voters.contains(&row.name)).collect();
    let count = |answer| rows.iter().filter(|row| row.ready == answer).count();
    let (serve, unknown, needed) = (count(Answer::True), count(Answer::Unknown), quorum(voters.len()));
    let silent = rows.iter().find(|row| row.ready == Answer::Unknown).map(|row| row.name.as_str()).unwrap_or_default();
    let words = format!("{serve} of {} voters serve, a quorum is {needed}", voters.len());
    vec![if voters.is_empty() || scene.page.size == 0 {
        Finding::note(CHECK, "no member is wanted, and nobody serves")
    } else if scene.page.incarnation.is_none() {
        Finding::note(CHECK, "the cluster has not begun yet")
    } else if serve < needed && scene.is_being_changed() {
        Finding::note(CHECK, format!("it is being changed: {words}"))
    } else if serve < needed && serve + unknown >= needed {
        Finding::unknown(CHECK, format!("{words}, and {unknown} are not heard"))
            .advise(format!("ask one of them: kubectl exec {silent} -c agent -- etcd-agent status"))
    } else if serve < needed {
        let advice = "bring members back, as the other faults say: nothing can be written until then, and nothing is \
             lost by waiting";
        Finding::fault(CHECK, format!("no quorum: {words}")).advise(advice)
    } else if serve == needed && serve < voters.len() {
        Finding::note(CHECK, format!("{words}: one more loss stops all writes"))
    } else {
        Finding::fine(CHECK, words)
    }]
}

/// Who votes: as the leader's agent has read it; where nobody leads, all that the size asks for.
fn voters(scene: &Scene) -> BTreeSet<String> {
    let list = links::newest_leader(scene).and_then(|leader| leader.status.as_ref()?.membership.as_ref());
    let listed = list.into_iter().flat_map(|list| &list.members).filter(|entry| !entry.learner);
    let listed: BTreeSet<String> = listed.map(|entry| entry.name.clone()).collect();
    let wanted = || (0..u32::try_from(scene.page.size).unwrap_or_default()).map(|k| names::member(&scene.page.name, k));
    if listed.is_empty() { wanted().collect() } else { listed }
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
    fn members_that_are_only_to_come_cost_no_quorum() {
        let mut one = member("demo-0", true);
        let list = json!({"generation": 1, "members": [
            {"id": "a", "name": "demo-0", "started": true}, {"id": "b", "name": "demo-1", "learner": true}]});
        one.status.as_mut().unwrap().membership = read(list);
        let members = Known::Read(Listed { items: vec![one, member("demo-1", false)], unreadable: vec![] });
        let found = check(&of(Sources { members, ..sources(3) }));
        assert_eq!(found, [Finding::fine(CHECK, "1 of 1 voters serve, a quorum is 1")]);
    }

    #[test]
    fn silence_is_no_loss() {
        let pods = ["True", "Unknown", "Unknown"].iter().enumerate().map(|(k, ready)| pod(&format!("demo-{k}"), ready));
        let scene = of(Sources { pods: Known::Read(pods.collect()), ..sources(3) });
        assert_eq!(check(&scene)[0].outcome, Outcome::Unknown);
    }
}
