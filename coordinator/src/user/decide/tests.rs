//! Claims about who gets a certificate, by example.

use etcd_operator_shared::api::{
    EtcdCluster, EtcdUserSpec, EtcdUserStatus,
    cluster::Incarnation,
    member::{AuthStatus, ToldAuth, Ungranted},
};
use serde_json::{Value, json};

use super::*;
use crate::{cluster::decide::incarnation, user::facts::Grant};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn user(name: &str) -> EtcdUser {
    let mut user = EtcdUser::new(name, EtcdUserSpec { cluster: "demo".into(), ..EtcdUserSpec::default() });
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
    decide(user, &Facts::of(user, cluster, others, None), now())
}

fn reason(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Refused(objection) => objection.reason(),
        Verdict::Issue(_) => "Issue",
        Verdict::Revoke(..) => "Revoke",
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
    let facts = Facts::of(&app, Some(&encrypted()), &[], None);
    let rest = |hours: i64| match decide(&app, &facts, now() + SignedDuration::from_hours(hours)) {
        Verdict::Rests(_, rest) => Some(rest.as_secs() / 3600),
        Verdict::Issue(_) | Verdict::Revoke(..) | Verdict::Refused(_) => None,
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

/// The number that the next certificate of a user gets, who then has it written down.
fn number(user: &mut EtcdUser, drawn: &str, hours: i64) -> String {
    let Verdict::Issue(order) = decided(user, Some(&encrypted()), &[]) else { panic!("nothing is due") };
    let (serial, all) = account(user, &order, drawn, now() + SignedDuration::from_hours(hours), now());
    if let Some(all) = all {
        user.status.get_or_insert_default().certificates = all;
    }
    serial
}

#[test]
fn what_is_tried_again_has_the_number_that_was_written_down_and_what_is_renewed_another() {
    let mut app = user("app");
    assert_eq!(number(&mut app, "1", 2160), "1");
    assert_eq!(number(&mut app, "2", 2161), "1", "its first attempt may have come through, or not");
    app.status.as_mut().unwrap().serial = Some("1".into());
    assert_eq!(number(&mut app, "3", 2161), "3", "that one is in the Secret");
    let all = valid(&app, now());
    assert_eq!(all.iter().map(|one| &*one.serial).collect::<Vec<_>>(), ["1", "3"], "a renewal revokes nothing");
    assert!(valid(&app, now() + SignedDuration::from_hours(3000)).is_empty(), "what has ended is forgotten");
    app.spec.reissue = 1;
    assert_eq!(number(&mut app, "4", 2161), "4", "what is pending would be revoked");
}

#[test]
fn another_certificate_on_request_or_for_other_data_revokes_those_before_once_it_is_there() {
    let mut app = user("app");
    number(&mut app, "1", 90);
    app.status.as_mut().unwrap().serial = Some("1".into());
    app.spec.reissue = 1;
    assert_eq!(reason(decided(&app, Some(&encrypted()), &[])), "Issue", "first the new one");
    number(&mut app, "2", 90);
    let certificates = app.status.clone().unwrap().certificates;
    let verdict = decided(&app, Some(&encrypted()), &[]);
    let mut app = issued(app, verdict, 90);
    app.status.as_mut().unwrap().certificates = certificates;
    let Verdict::Revoke(_, old) = decided(&app, Some(&encrypted()), &[]) else { panic!("nothing is revoked") };
    assert_eq!(old.iter().map(|one| &*one.serial).collect::<Vec<_>>(), ["1"]);
    app.status.as_mut().unwrap().certificates.remove(0);
    assert_eq!(reason(decided(&app, Some(&encrypted()), &[])), "Rests");
}

#[test]
fn no_more_are_issued_than_are_kept_account_of() {
    let mut app = user("app");
    for serial in 0..MANY {
        number(&mut app, &serial.to_string(), 90);
        app.status.as_mut().unwrap().serial = Some(serial.to_string());
    }
    assert_eq!(reason(decided(&app, Some(&encrypted()), &[])), "TooManyCertificates");
    app.spec.reissue = 1;
    assert_eq!(reason(decided(&app, Some(&encrypted()), &[])), "Issue");
}

#[test]
fn a_user_is_granted_what_the_leaders_agent_says_of_what_is_wanted_now() {
    let (app, wanted) = (user("app"), ToldAuth { enabled: true, users: "[]".into() });
    let grant = |auth: Option<bool>, said: Option<AuthStatus>| {
        let mut cluster = cluster(&json!({"client": {"mode": "Auto"}, "auth": auth}), true);
        cluster.status.as_mut().unwrap().auth = said;
        Facts::of(&app, Some(&cluster), &[], Some(&wanted)).grant
    };
    let done = AuthStatus { wanted: wanted.digest(), enabled: true, ..AuthStatus::default() };
    assert_eq!((grant(None, Some(done.clone())), grant(Some(false), None)), (Grant::Unmanaged, Grant::Off));
    assert_eq!(
        (grant(Some(true), None), grant(Some(true), Some(done.clone()))),
        (Grant::Pending(None), Grant::Granted)
    );
    let former = AuthStatus { wanted: "former".into(), ..done.clone() };
    assert_eq!(grant(Some(true), Some(former)), Grant::Pending(None));
    let off = AuthStatus { enabled: false, trouble: Some("why".into()), ..done.clone() };
    assert_eq!(grant(Some(true), Some(off)), Grant::Pending(Some("why".into())));
    let ungranted = vec![Ungranted { user: "app".into(), why: "foreign".into() }];
    assert_eq!(grant(Some(true), Some(AuthStatus { ungranted, ..done })), Grant::Ungranted("foreign".into()));
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
