//! Claims about what tools read: what is refused, what is stopped, and that no word outlives its cause.

use super::*;

fn denial() -> Denial {
    Denial { attempt: "apply Service demo-client".into(), words: "port 80 is not in the range".into() }
}

const SENTENCE: &str = "the API server refuses to apply Service demo-client: port 80 is not in the range";

#[test]
fn what_the_api_server_refuses_stalls_a_cluster_that_serves_and_is_not_hidden_by_it() {
    let denials = [denial()];
    let status = besides(&cluster(3), &healthy(3), &Step::Nothing, Besides { denials: &denials, ..Besides::default() });
    assert_eq!(status.phase, Some(Phase::Running));
    assert_eq!(condition(&status, "Stalled"), ("True", "Refused", SENTENCE));
    let (ready, reason, message) = condition(&status, "Ready");
    assert_eq!((ready, reason), ("True", "AllMembersServe"));
    assert!(message.ends_with(SENTENCE), "{message}");
}

#[test]
fn a_refusal_does_not_hide_what_goes_on_besides() {
    let denials = [denial()];
    let status =
        besides(&cluster(5), &healthy(3), &Step::SetReplicas(5), Besides { denials: &denials, ..Besides::default() });
    let (reconciling, reason, message) = condition(&status, "Reconciling");
    assert_eq!((reconciling, reason), ("False", "Stalled"));
    assert!(message.ends_with("besides, starting demo-3, demo-4"), "{message}");
}

#[test]
fn a_cluster_that_cannot_be_made_says_why() {
    let denials = [denial()];
    let facts = Facts { cluster: "demo".into(), ..Facts::default() };
    let status = besides(&cluster(3), &facts, &Step::Nothing, Besides { denials: &denials, ..Besides::default() });
    assert_eq!(status.phase, Some(Phase::Stalled));
    assert_eq!(condition(&status, "Ready"), ("False", "Refused", SENTENCE));
}

#[test]
fn a_stopped_cluster_is_as_its_spec_says_and_one_that_stops_is_not_yet() {
    let mut facts = healthy(3);
    let stopping = told(&cluster(0), &facts, None);
    assert_eq!((condition(&stopping, "Ready").0, condition(&stopping, "Ready").1), ("False", "Stopped"));
    facts.slots.values_mut().for_each(|slot| slot.pod = None);
    let stopped = told(&cluster(0), &facts, None);
    assert_eq!((condition(&stopped, "Ready").0, condition(&stopped, "Ready").1), ("True", "Stopped"));
    assert_eq!((condition(&stopped, "Reconciling").0, condition(&stopped, "Available").0), ("False", "False"));
}

#[test]
fn a_member_that_is_lost_in_a_roll_does_not_hide_behind_it_for_ever() {
    let mut cluster = cluster(3);
    cluster.status = Some(EtcdClusterStatus {
        phase: Some(Phase::Upgrading),
        cluster_id: Some("c".into()),
        ..EtcdClusterStatus::default()
    });
    let mut facts = healthy(3);
    facts.slots.get_mut(&2).unwrap().pod = None;
    let phase = |seconds: u64| {
        let lacking = Duration::from_secs(seconds);
        besides(&cluster, &facts, &Step::Nothing, Besides { lacking, ..Besides::default() }).phase
    };
    assert_eq!((phase(10), phase(120)), (Some(Phase::Upgrading), Some(Phase::Degraded)));
}

#[test]
fn a_member_whose_status_cannot_be_read_is_silent_and_named() {
    let mut facts = healthy(3);
    let mut unreadable = member(1, None);
    let words = "status.restarts: invalid value: integer `3000000000`, expected i32";
    unreadable.unreadable = Some(words.into());
    facts.slots.get_mut(&1).unwrap().member = Some(Arc::new(unreadable));
    let status = told(&cluster(3), &facts, None);
    let line = &status.members[1];
    assert_eq!((line.ready.as_str(), line.reason.as_deref()), ("Unknown", Some("Unreadable")));
    let ready = status.conditions.iter().find(|c| c.type_ == "Ready").unwrap();
    assert_eq!(ready.reason, "MemberUnreadable");
    assert!(ready.message.contains("EtcdMember demo-1 cannot be read") && ready.message.contains(words), "{ready:?}");
}
