//! What happened to members, told from one status to the next: joined, became a voter, was replaced, leaves, has left.
//!
//! A member's ID tells it apart from its predecessors, so that nothing is told twice: a new ID is a new member,
//! whatever role or silence is seen in between. The IDs of the founders are reckoned: these do not join.

use etcd_operator_shared::{
    api::{
        EtcdCluster, EtcdClusterStatus,
        cluster::{Incarnation, MemberSummary},
    },
    ids, names,
};
use kube::ResourceExt;

use super::Note;

/// What happened between two statuses of one incarnation, once the cluster had formed.
pub fn of(cluster: &EtcdCluster, before: &EtcdClusterStatus, after: &EtcdClusterStatus) -> Vec<Note> {
    let (Some(incarnation), Some(former)) = (&after.incarnation, &before.incarnation) else { return vec![] };
    if incarnation.number != former.number || before.cluster_id.is_none() {
        return vec![];
    }
    let mut notes = Vec::new();
    for member in &after.members {
        let old = before.members.iter().find(|m| m.name == member.name);
        notes.extend(joined(cluster, incarnation, old, member));
        notes.extend(promoted(old, member));
        notes.extend(went(old, member));
    }
    notes
}

/// An ID that was not there before, and is no founder's.
fn joined(
    cluster: &EtcdCluster,
    incarnation: &Incarnation,
    old: Option<&MemberSummary>,
    new: &MemberSummary,
) -> Option<Note> {
    let (name, id) = (&new.name, new.id.as_ref()?);
    let former = old.and_then(|old| old.id.as_ref());
    let scheme = names::Scheme::of(incarnation.encrypted.peer);
    let url = names::peer_url(scheme, name, &cluster.name_any(), &cluster.namespace().unwrap_or_default());
    if former == Some(id) || *id == ids::initial_member(&url, &incarnation.token) {
        return None;
    }
    Some(match former {
        Some(former) if old.is_some_and(|old| !is(old, "Left")) => {
            let text = format!("{name} is replaced: it joins as learner {id} in place of {former}");
            Note::normal("MemberReplaced", "Join", text)
        }
        Some(_) | None => Note::normal("MemberJoining", "Join", format!("{name} joins as learner {id}")),
    })
}

/// One that was a learner, or not there, and has a vote.
fn promoted(old: Option<&MemberSummary>, new: &MemberSummary) -> Option<Note> {
    let (name, id) = (&new.name, new.id.as_ref()?);
    let votes = matches!(new.role.as_str(), "Follower" | "Leader");
    let learned = old.is_some_and(|old| old.role == "Learner" && old.id.as_ref() == Some(id));
    (votes && learned).then(|| Note::normal("MemberPromoted", "Join", format!("{name} ({id}) has become a voter")))
}

fn went(old: Option<&MemberSummary>, new: &MemberSummary) -> Option<Note> {
    let name = &new.name;
    let begins = |reason: &str| is(new, reason) && !old.is_some_and(|old| is(old, reason));
    if begins("Leaving") && !old.is_some_and(|old| is(old, "Left")) {
        return Some(Note::normal("MemberLeaving", "Leave", format!("{name} is leaving the cluster")));
    }
    begins("Left").then(|| Note::normal("MemberLeft", "Leave", format!("{name} has left the cluster")))
}

fn is(member: &MemberSummary, reason: &str) -> bool {
    member.reason.as_deref() == Some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cluster() -> EtcdCluster {
        let mut cluster = EtcdCluster::new("demo", serde_json::from_value(json!({"version": "v3.5.21"})).unwrap());
        cluster.metadata.namespace = Some("ns".into());
        cluster
    }

    /// Members as name, ID, role, reason; an empty word is none.
    fn status(number: i64, members: &[(&str, &str, &str, &str)]) -> EtcdClusterStatus {
        let some = |word: &str| (!word.is_empty()).then(|| word.to_owned());
        let member = |(name, id, role, reason): &(&str, &str, &str, &str)| MemberSummary {
            name: (*name).into(),
            id: some(id),
            role: (*role).into(),
            ready: "True".into(),
            reason: some(reason),
        };
        let initial_members = crate::cluster::decide::incarnation::initial_members("demo", 1);
        let token = format!("t{number}");
        EtcdClusterStatus {
            incarnation: Some(Incarnation {
                number,
                token,
                initial_members,
                data_uid: None,
                restored: None,
                has_store: false,
                members_created: true,
                ended: None,
                next: None,
                quota_backend: None,
                encrypted: Default::default(),
            }),
            cluster_id: Some("c".into()),
            members: members.iter().map(member).collect(),
            ..EtcdClusterStatus::default()
        }
    }

    fn reasons(before: &EtcdClusterStatus, after: &EtcdClusterStatus) -> Vec<String> {
        of(&cluster(), before, after).into_iter().map(|note| note.reason).collect()
    }

    #[test]
    fn a_member_that_joins_is_told_of_twice_and_never_again() {
        let history = [
            status(1, &[]),
            status(1, &[("demo-1", "", "Unknown", "WaitingToJoin")]),
            status(1, &[("demo-1", "b", "Unknown", "Starting")]),
            status(1, &[("demo-1", "b", "Learner", "CatchingUp")]),
            status(1, &[("demo-1", "b", "Follower", "")]),
            status(1, &[("demo-1", "b", "Unknown", "Silent")]),
            status(1, &[("demo-1", "b", "Leader", "")]),
        ];
        let told: Vec<String> = history.windows(2).flat_map(|pair| reasons(&pair[0], &pair[1])).collect();
        assert_eq!(told, ["MemberJoining", "MemberPromoted"]);
    }

    #[test]
    fn founders_do_not_join() {
        let id = ids::initial_member(&names::peer_url(names::Scheme::Http, "demo-0", "demo", "ns"), "t1");
        assert!(reasons(&status(1, &[]), &status(1, &[("demo-0", &id, "Leader", "")])).is_empty());
    }

    #[test]
    fn a_new_id_in_the_place_of_another_is_a_replacement() {
        let before = status(1, &[("demo-1", "b", "Follower", "")]);
        let after = status(1, &[("demo-1", "c", "Learner", "CatchingUp")]);
        assert_eq!(of(&cluster(), &before, &after)[0].text, "demo-1 is replaced: it joins as learner c in place of b");
    }

    #[test]
    fn one_that_has_left_and_comes_back_joins() {
        let before = status(1, &[("demo-1", "b", "Unknown", "Left")]);
        assert_eq!(reasons(&before, &status(1, &[("demo-1", "c", "Learner", "")])), ["MemberJoining"]);
    }

    #[test]
    fn a_departure_is_told_when_it_begins_and_when_it_is_over() {
        let at = |reason: &str| status(1, &[("demo-1", "b", "Follower", reason)]);
        let history = [at(""), at("Leaving"), at("Left"), at("Left")];
        let told: Vec<String> = history.windows(2).flat_map(|pair| reasons(&pair[0], &pair[1])).collect();
        assert_eq!(told, ["MemberLeaving", "MemberLeft"]);
    }

    #[test]
    fn members_of_another_incarnation_are_not_compared() {
        let before = status(1, &[("demo-1", "b", "Follower", "")]);
        assert!(reasons(&before, &status(2, &[("demo-1", "c", "Follower", "")])).is_empty());
    }
}
