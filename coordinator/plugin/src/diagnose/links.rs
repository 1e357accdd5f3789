//! Do the members reach each other?

use etcd_operator_shared::api::{
    EtcdMember,
    member::{MemberPhase, Role},
};

use super::{Check, Finding, Scene, finding::or_fine};
use crate::view::{answer::Answer, row::Row};

const CHECK: Check = Check::Links;

pub fn check(scene: &Scene) -> Vec<Finding> {
    if let Some(why) = scene.sources.members.caveat() {
        return vec![Finding::unknown(CHECK, why)];
    }
    let leaders = leaders(scene);
    let mut found = rivals(&leaders);
    let newest = newest_leader(scene);
    found.extend(newest.into_iter().flat_map(|leader| unconnected(scene, leader)));
    match newest {
        None if scene.wanted().count() == 0 => or_fine(found, CHECK, "no member is wanted"),
        None if found.is_empty() => {
            vec![Finding::unknown(CHECK, "no member says that it leads, and none else knows who is connected")]
        }
        _ => or_fine(found, CHECK, "the leader is connected to every member whose etcd runs"),
    }
}

/// Members whose agents say, in their present pods, that they lead.
fn leaders(scene: &Scene) -> Vec<&EtcdMember> {
    // Only of an agent that speaks in its present pod is a phase known.
    let speaks = |row: &Row| row.phase.is_some() && row.ready != Answer::Unknown;
    let heard = |name: &str| scene.page.members.iter().any(|row| row.name == name && speaks(row));
    let leads = |member: &&EtcdMember| {
        let role = member.status.as_ref().and_then(|status| status.role);
        role == Some(Role::Leader) && member.metadata.name.as_deref().is_some_and(heard)
    };
    scene.members().iter().filter(leads).collect()
}

/// Of several that say so, the one of the highest term.
pub fn newest_leader(scene: &Scene) -> Option<&EtcdMember> {
    leaders(scene).into_iter().max_by_key(|leader| term(leader))
}

fn term(member: &EtcdMember) -> i64 {
    member.status.as_ref().and_then(|status| status.term).unwrap_or_default()
}

/// Statuses are written one after the other: of two that lead for a moment, one has not been heard since.
fn rivals(leaders: &[&EtcdMember]) -> Vec<Finding> {
    let said = |member: &&EtcdMember| {
        format!("{} in term {}", member.metadata.name.as_deref().unwrap_or_default(), term(member))
    };
    let all: Vec<String> = leaders.iter().map(said).collect();
    let words = format!("more than one says that it leads: {}", all.join(", "));
    let advice = "look again in a few seconds; if it stays so, the one of the lower term is cut off from the others \
         or from the API server";
    (leaders.len() > 1).then(|| Finding::note(CHECK, words).advise(advice)).into_iter().collect()
}

fn unconnected(scene: &Scene, leader: &EtcdMember) -> Vec<Finding> {
    let own = leader.metadata.name.as_deref().unwrap_or_default();
    let list = leader.status.iter().flat_map(|status| status.membership.iter().flat_map(|list| &list.members));
    // Whose etcd does not run is connected to nobody, and other checks say why.
    let is_up = |name: &str| scene.pod(name).is_some_and(is_made) && runs_etcd(scene, name);
    let apart = list.filter(|entry| entry.name != own && entry.started && !entry.connected && is_up(&entry.name));
    let found = apart.map(|entry| {
        let words = format!("the leader {own} has no connection to it, although its etcd runs");
        let between = [own, &entry.name]
            .map(|name| scene.pod(name).and_then(|pod| pod.spec.as_ref()?.node_name.clone()).unwrap_or_default());
        let advice =
            format!("look at NetworkPolicies, and at port 2380 between nodes {} and {}", between[0], between[1]);
        Finding::fault(CHECK, words).of(&entry.name).advise(advice)
    });
    found.collect()
}

/// As its agent says it in its present pod.
fn runs_etcd(scene: &Scene, name: &str) -> bool {
    let phase = scene.page.members.iter().find(|row| row.name == name).and_then(|row| row.phase);
    match phase {
        Some(MemberPhase::Running | MemberPhase::Leaving) => true,
        // One that joins has an entry in the list before its etcd is started.
        Some(
            MemberPhase::Waiting
            | MemberPhase::Starting
            | MemberPhase::Joining
            | MemberPhase::Held
            | MemberPhase::Failing
            | MemberPhase::Left,
        )
        | None => false,
    }
}

fn is_made(pod: &k8s_openapi::api::core::v1::Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
        && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
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
            tests::{member, sources},
        },
    };

    fn scene(change: impl Fn(&mut Vec<EtcdMember>)) -> Scene {
        let mut items: Vec<EtcdMember> = (0..3).map(|k| member(&format!("demo-{k}"), true)).collect();
        let name = |k: u32| format!("demo-{k}");
        let entry = |k: u32, on: bool| json!({"id": "a", "name": name(k), "started": true, "connected": on});
        let list = json!({"generation": 1, "members": [entry(0, false), entry(1, true), entry(2, false)]});
        items[0].status.as_mut().unwrap().membership = read(list);
        change(&mut items);
        of(Sources { members: Known::Read(Listed { items, unreadable: vec![] }), ..sources(3) })
    }

    #[test]
    fn a_member_that_runs_and_that_the_leader_does_not_reach_is_a_fault() {
        let found = check(&scene(|_| {}));
        assert_eq!((found.len(), found[0].outcome, found[0].subject.as_deref()), (1, Outcome::Fault, Some("demo-2")));
        assert!(found[0].advice.as_ref().unwrap().contains("between nodes node-of-demo-0 and node-of-demo-2"));
    }

    #[test]
    fn whose_etcd_does_not_run_is_connected_to_nobody_and_that_is_no_matter_of_links() {
        let found = check(&scene(|items| {
            items[2].status.as_mut().unwrap().phase = Some(MemberPhase::Starting);
        }));
        assert_eq!(found[0].outcome, Outcome::Fine);
    }

    #[test]
    fn two_that_say_that_they_lead_are_named_with_their_terms() {
        let found = check(&scene(|items| {
            let other = items[1].status.as_mut().unwrap();
            (other.role, other.term) = (Some(Role::Leader), Some(4));
        }));
        assert_eq!(found[0].outcome, Outcome::Note);
        assert!(found[0].message.contains("demo-0 in term 3, demo-1 in term 4"), "{found:?}");
    }

    #[test]
    fn without_a_leader_nothing_is_known_of_links() {
        assert_eq!(check(&well(3))[0].outcome, Outcome::Fine);
        let headless = scene(|items| items[0].status.as_mut().unwrap().role = Some(Role::Follower));
        assert_eq!(check(&headless)[0].outcome, Outcome::Unknown);
    }
}
