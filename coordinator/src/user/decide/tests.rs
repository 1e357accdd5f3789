//! Claims about who gets a certificate, by example.

use etcd_operator_shared::api::{EtcdCluster, EtcdUserSpec, EtcdUserStatus, cluster::Incarnation};
use serde_json::{Value, json};

use super::*;
use crate::cluster::decide::incarnation;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn user(name: &str) -> EtcdUser {
    let mut user = EtcdUser::new(name, EtcdUserSpec { cluster: "demo".into(), secret_name: None });
    user.metadata.namespace = Some("ns".into());
    user.metadata.uid = Some(format!("uid-{name}"));
    user.metadata.creation_timestamp = Some(now().into());
    user
}

fn cluster(security: &Value, begun: bool) -> EtcdCluster {
    let spec = json!({"version": "v3.5.21", "security": security});
    let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
    cluster.metadata.uid = Some("u".into());
    let wanted = etcd_operator_shared::validate::cluster(&cluster).unwrap();
    let first = incarnation::first(&cluster, &wanted);
    cluster.status.get_or_insert_default().incarnation = Some(Incarnation { members_created: begun, ..first });
    cluster
}

fn encrypted() -> EtcdCluster {
    cluster(&json!({"client": {"mode": "Auto"}}), true)
}

fn decided(user: &EtcdUser, cluster: Option<&EtcdCluster>, others: &[EtcdUser]) -> Verdict {
    decide(user, &Facts::of(user, cluster, others), now())
}

fn reason(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Refused(objection) => objection.reason(),
        Verdict::Issue(_) => "Issue",
        Verdict::Rests(..) => "Rests",
    }
}

/// A user that was issued what `verdict` orders, until so many hours from now.
fn issued(mut user: EtcdUser, verdict: Verdict, hours: i64) -> EtcdUser {
    let Verdict::Issue(order) = verdict else { panic!("{verdict:?}") };
    let end = now() + SignedDuration::from_hours(hours);
    user.status = Some(EtcdUserStatus {
        issued_for: Some(order.print),
        not_after: Some(end.to_string()),
        renew_after: Some(renewal(now(), end).to_string()),
        ..EtcdUserStatus::default()
    });
    user
}

#[test]
fn a_user_of_an_encrypted_cluster_that_has_begun_gets_a_certificate() {
    let app = user("app");
    assert_eq!(reason(decided(&app, Some(&encrypted()), &[])), "Issue");
    assert_eq!(reason(decided(&app, None, &[])), "NoSuchCluster");
    assert_eq!(reason(decided(&app, Some(&cluster(&json!({}), true)), &[])), "Issue");
    let peers = cluster(&json!({"client": {"mode": "Plain"}}), true);
    assert_eq!(reason(decided(&app, Some(&peers), &[])), "PlainTraffic");
    let young = cluster(&json!({"client": {"mode": "Auto"}}), false);
    assert_eq!(reason(decided(&app, Some(&young), &[])), "ClusterNotBegun", "its authorities may not be there");
    let mut going = encrypted();
    going.metadata.deletion_timestamp = Some(now().into());
    assert_eq!(reason(decided(&app, Some(&going), &[])), "NoSuchCluster");
}

#[test]
fn nobody_is_root_and_no_name_is_longer_than_a_certificate_takes() {
    assert_eq!(reason(decided(&user("root"), Some(&encrypted()), &[])), "InvalidName");
    assert_eq!(reason(decided(&user(&"a".repeat(65)), Some(&encrypted()), &[])), "InvalidName");
    assert_eq!(reason(decided(&user(&"a".repeat(64)), Some(&encrypted()), &[])), "Issue");
}

#[test]
fn of_two_that_name_one_secret_the_elder_has_it() {
    let (elder, mut younger) = (user("app"), user("web"));
    younger.spec.secret_name = Some("app".into());
    younger.metadata.creation_timestamp = Some((now() + SignedDuration::from_secs(1)).into());
    let all = [elder.clone(), younger.clone()];
    assert_eq!(reason(decided(&elder, Some(&encrypted()), &all)), "Issue");
    assert_eq!(reason(decided(&younger, Some(&encrypted()), &all)), "SecretTaken");
    // Made within one second, one of them has it all the same.
    younger.metadata.creation_timestamp = elder.metadata.creation_timestamp.clone();
    let all = [elder.clone(), younger.clone()];
    let both = [&elder, &younger].map(|user| reason(decided(user, Some(&encrypted()), &all)));
    assert_eq!(both, ["Issue", "SecretTaken"]);
}

#[test]
fn a_certificate_rests_for_two_thirds_of_its_time() {
    let app = user("app");
    let app = issued(app.clone(), decided(&app, Some(&encrypted()), &[]), 90);
    let facts = Facts::of(&app, Some(&encrypted()), &[]);
    let rest = |hours: i64| match decide(&app, &facts, now() + SignedDuration::from_hours(hours)) {
        Verdict::Rests(_, rest) => Some(rest.as_secs() / 3600),
        Verdict::Issue(_) | Verdict::Refused(_) => None,
    };
    assert_eq!([rest(0), rest(59), rest(60), rest(100)], [Some(60), Some(1), None, None]);
}

#[test]
fn for_another_life_of_the_data_or_another_secret_it_is_issued_anew() {
    let app = user("app");
    let app = issued(app.clone(), decided(&app, Some(&encrypted()), &[]), 90);
    assert_eq!(reason(decided(&app, Some(&encrypted()), &[])), "Rests");
    let mut next = encrypted();
    next.status.as_mut().unwrap().incarnation.as_mut().unwrap().number = 2;
    assert_eq!(reason(decided(&app, Some(&next), &[])), "Issue");
    let mut adopted = encrypted();
    adopted.status.as_mut().unwrap().incarnation.as_mut().unwrap().data_uid = Some("former".into());
    assert_eq!(reason(decided(&app, Some(&adopted), &[])), "Issue");
    let mut moved = app;
    moved.spec.secret_name = Some("other".into());
    assert_eq!(reason(decided(&moved, Some(&encrypted()), &[])), "Issue");
}

#[test]
fn an_authority_that_ends_is_not_asked_without_a_pause() {
    let end = now() + SignedDuration::from_secs(1);
    assert_eq!(renewal(now(), end), now() + LEAST);
}

#[test]
fn what_the_api_server_means_is_told_apart() {
    let reason = |words: &str| Objection::of_refusal("app", words).reason();
    let rights = "secrets \"app\" is forbidden: User \"system:serviceaccount:etcd-operator-system:etcd-coordinator\" cannot \
                  update resource \"secrets\" in API group \"\" in the namespace \"ns\"";
    assert_eq!(reason(rights), "NotPermitted");
    let kind = "Secret \"app\" is invalid: type: Invalid value: \"etcd.etcd.io/client\": field is immutable";
    assert_eq!(reason(kind), "ForeignSecret");
    let quota =
        "secrets \"app\" is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=1, limited: secrets=1";
    assert_eq!(reason(quota), "Refused");
}

#[test]
fn applications_are_told_where_the_cluster_is() {
    assert_eq!(endpoints(&user("app")), "https://demo-client.ns.svc:2379");
}
