//! Claims about who is answered, by example.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::{api::member::Peer, validate};
use serde_json::{Value, json};

use super::*;
use crate::{
    cluster::{
        decide::{Waited, decide, incarnation, refusal::Refusal},
        facts::{Member, certificates::Pools, tests::healthy},
    },
    pki::PrivateKey,
};

fn cluster(security: &Value) -> EtcdCluster {
    let spec = json!({"version": "v3.5.21", "security": security});
    let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
    cluster.metadata.namespace = Some("ns".into());
    cluster.metadata.uid = Some("u".into());
    let wanted = validate::cluster(&cluster).unwrap();
    let first = incarnation::first(&cluster, &wanted);
    cluster.status.get_or_insert_default().incarnation = Some(Incarnation { members_created: true, ..first });
    cluster
}

fn encrypted() -> EtcdCluster {
    cluster(&json!({"peer": {"mode": "Auto"}, "client": {"mode": "Auto"}}))
}

/// An encrypted cluster to whose members these names were added.
fn named(names: &[&str]) -> EtcdCluster {
    cluster(&json!({"peer": {"mode": "Auto"}, "client": {"mode": "Auto", "names": names}}))
}

fn held() -> Held {
    Held {
        generation: 1,
        asked: 1,
        trust: Pools { peer: "peer".into(), client: "client".into() },
        shown: "client".into(),
        change: None,
        revoked: 1,
        end: Timestamp::MAX,
        over: false,
        renewal: Timestamp::MAX,
        aged: false,
    }
}

/// Three members that are well, with authorities that are known.
fn facts() -> Facts {
    Facts { authorities: Some(Known::Held(Box::new(held()))), ..healthy(3) }
}

fn change(facts: &mut Facts, ordinal: u32, change: impl FnOnce(&mut Member)) {
    let slot = facts.slots.get_mut(&ordinal).unwrap();
    change(Arc::make_mut(slot.member.as_mut().unwrap()));
}

fn asks_for(facts: &mut Facts, ordinal: u32) -> PublicKey {
    let key = PrivateKey::make().unwrap().public();
    let asked = Some(Asked::Key { digest: key.digest().into(), key: key.clone() });
    change(facts, ordinal, |member| {
        let answered = member.certificates.take().and_then(|all| all.answered);
        member.certificates = Some(Box::new(Certificates { asked, answered }));
    });
    key
}

/// A member that was answered for a key, with the names that are wanted where nobody adds any.
fn answered_for(facts: &mut Facts, ordinal: u32, key: &str) {
    let names = Names::of(&encrypted(), &names::member("demo", ordinal), &[]).print(1);
    let (peer, client) = (Some(print::of("peer")), Some(print::of("client")));
    let (digest, pools) = Default::default();
    let answered =
        Some(Answered { key: key.into(), names: names.into(), digest, pools, peer, client, revoked: Some(1) });
    change(facts, ordinal, |member| {
        let asked = member.certificates.take().and_then(|all| all.asked);
        member.certificates = Some(Box::new(Certificates { asked, answered }));
    });
}

fn answers(cluster: &EtcdCluster, facts: &Facts) -> Vec<(u32, Key)> {
    let decision = decide(cluster, facts, Waited::default());
    let due = decision.care.unwrap().certificates;
    due.answers.into_iter().map(|answer| (answer.ordinal, answer.key)).collect()
}

fn wish(cluster: &EtcdCluster) -> (Incarnation, Encryption) {
    let present = cluster.status.as_ref().unwrap().incarnation.clone().unwrap();
    (present, validate::encryption(cluster.spec.security.as_ref()).unwrap())
}

#[test]
fn who_asks_is_answered_once_a_key() {
    let mut facts = facts();
    let key = asks_for(&mut facts, 1);
    assert_eq!(answers(&encrypted(), &facts), [(1, Key::Asked(key.clone()))]);
    answered_for(&mut facts, 1, &key.digest());
    assert_eq!(answers(&encrypted(), &facts), []);
    let another = asks_for(&mut facts, 1);
    assert_eq!(answers(&encrypted(), &facts), [(1, Key::Asked(another))], "a renewal");
}

#[test]
fn only_the_agent_of_the_very_pod_of_the_stateful_set_is_answered() {
    let waits = |befalls: &dyn Fn(&mut Facts)| {
        let mut facts = facts();
        asks_for(&mut facts, 1);
        befalls(&mut facts);
        answers(&encrypted(), &facts).len()
    };
    let pod = |change: &dyn Fn(&mut crate::cluster::facts::Pod)| {
        waits(&|facts| change(facts.slots.get_mut(&1).unwrap().pod.as_mut().unwrap()))
    };
    assert_eq!(waits(&|_| ()), 1);
    assert_eq!(pod(&|pod| pod.uid = "another".into()), 0, "a former pod's agent has asked");
    assert_eq!(pod(&|pod| pod.controller = None), 0);
    assert_eq!(pod(&|pod| pod.controller = Some("somebody".into())), 0);
    assert_eq!(pod(&|pod| pod.deleting = true), 0);
    assert_eq!(waits(&|facts| facts.slots.get_mut(&1).unwrap().pod = None), 0);
    let mut unmade = facts();
    asks_for(&mut unmade, 1);
    unmade.set = None;
    let cluster = encrypted();
    let (present, encryption) = wish(&cluster);
    assert_eq!(due(&cluster, &encryption, &present, &unmade), Due::default());
}

#[test]
fn other_names_are_signed_for_the_same_key() {
    let mut facts = facts();
    answered_for(&mut facts, 0, "in use");
    let key = asks_for(&mut facts, 1);
    answered_for(&mut facts, 1, &key.digest());
    assert_eq!(answers(&encrypted(), &facts), []);
    assert_eq!(answers(&named(&["etcd.example.com"]), &facts), [(0, Key::Answered), (1, Key::Asked(key))]);
    assert_eq!(answers(&named(&["localhost"]), &facts), [], "a name that is there already");
}

#[test]
fn a_list_of_revoked_certificates_is_told_to_whoever_does_not_know_it_and_nothing_is_signed_anew() {
    let (mut facts, cluster) = (facts(), encrypted());
    for ordinal in 0..3 {
        answered_for(&mut facts, ordinal, "in use");
    }
    let lists = |facts: &Facts, cluster: &EtcdCluster| {
        let due = decide(cluster, facts, Waited::default()).care.unwrap().certificates;
        assert_eq!(due.answers, []);
        due.lists.into_keys().collect::<Vec<_>>()
    };
    let (present, encryption) = wish(&cluster);
    assert_eq!(lists(&facts, &cluster), [0; 0]);
    assert!(!asks(&cluster, &encryption, &present, &facts));
    change(&mut facts, 1, |member| {
        member.certificates.as_mut().unwrap().answered.as_mut().unwrap().revoked = None;
    });
    assert!(asks(&cluster, &encryption, &present, &facts), "an operator of before told it of none");
    assert_eq!(lists(&facts, &cluster), [1]);
    assert_eq!(facts.told_revoked(), None);
    let revoked = Held { revoked: 2, ..held() };
    facts.revoked = Some(2);
    facts.authorities = Some(Known::Held(Box::new(revoked)));
    assert_eq!(lists(&facts, &cluster), [0, 1, 2]);
    facts.authorities = Some(Known::Missing);
    assert_eq!(lists(&facts, &cluster), [0; 0]);
}

#[test]
fn a_list_that_is_older_than_what_members_know_is_told_to_nobody() {
    let mut facts = facts();
    answered_for(&mut facts, 0, "in use");
    change(&mut facts, 0, |member| {
        member.certificates.as_mut().unwrap().answered.as_mut().unwrap().revoked = Some(9);
    });
    facts.revoked = Some(1);
    let due = decide(&encrypted(), &facts, Waited::default()).care.unwrap().certificates;
    assert_eq!((due.lists, facts.latest_revoked()), (BTreeMap::new(), Some((9, "demo-0"))));
}

#[test]
fn nonsense_is_said_and_keeps_nobody_else_waiting() {
    let mut facts = facts();
    let asked = Some(Asked::Nonsense(Unsuitable::Signature));
    change(&mut facts, 0, |member| member.certificates = Some(Box::new(Certificates { asked, answered: None })));
    let key = asks_for(&mut facts, 2);
    let due = decide(&encrypted(), &facts, Waited::default()).care.unwrap().certificates;
    assert_eq!(due.nonsense, [(0, Unsuitable::Signature)].into());
    assert_eq!(due.answers.into_iter().map(|answer| answer.key).collect::<Vec<_>>(), [Key::Asked(key)]);
}

#[test]
fn with_authorities_that_are_lost_exchanged_or_over_nobody_is_answered_and_a_person_is_told() {
    let mut facts = facts();
    answered_for(&mut facts, 0, "in use");
    asks_for(&mut facts, 1);
    let trust = Pools { client: "another".into(), ..held().trust };
    let other = Known::Held(Box::new(Held { trust, ..held() }));
    let over = Known::Held(Box::new(Held { over: true, ..held() }));
    for (known, reason) in
        [(Known::Missing, "AuthorityLost"), (other, "AuthorityExchanged"), (over, "AuthorityExpired")]
    {
        let facts = Facts { authorities: Some(known), ..facts.clone() };
        assert_eq!(answers(&encrypted(), &facts), [], "{reason}");
        let refusal = decide(&encrypted(), &facts, Waited::default()).refusal;
        assert_eq!(refusal.as_ref().map(Refusal::reason), Some(reason));
    }
    let unknown = Facts { authorities: None, ..facts };
    assert_eq!(answers(&encrypted(), &unknown), [], "nothing is known of them yet");
    assert_eq!(decide(&encrypted(), &unknown, Waited::default()).refusal, None);
}

#[test]
fn a_plain_cluster_answers_nobody_and_asks_for_no_authority() {
    let plain = cluster(&json!({"peer": {"mode": "Plain"}, "client": {"mode": "Plain"}}));
    let mut facts = facts();
    asks_for(&mut facts, 1);
    assert_eq!(answers(&plain, &facts), []);
    let known = |cluster: &EtcdCluster| {
        let (present, encryption) = wish(cluster);
        asks(cluster, &encryption, &present, &facts)
    };
    assert_eq!((known(&plain), known(&encrypted())), (false, true));
}

#[test]
fn while_a_cluster_forms_certificates_wait_with_the_addresses() {
    let (mut facts, cluster) = (facts(), encrypted());
    asks_for(&mut facts, 0);
    let pod = facts.slots.get_mut(&2).unwrap().pod.as_mut().unwrap();
    pod.address = None;
    assert_eq!(answers(&cluster, &facts), []);
    let waited = Waited { address: Duration::from_secs(1), ..Waited::default() };
    assert_eq!(decide(&cluster, &facts, waited).care.unwrap().certificates.answers.len(), 1);
    let peers = (0..2).map(|k| Peer { name: names::member("demo", k), address: format!("10.0.0.{k}") }).collect();
    change(&mut facts, 0, |member| Arc::make_mut(&mut member.spec).peers = peers);
    assert_eq!(answers(&cluster, &facts).len(), 1, "one that comes back");
}

#[test]
fn a_cluster_that_rests_renews_its_certificates() {
    let (mut facts, mut cluster) = (facts(), encrypted());
    asks_for(&mut facts, 0);
    cluster.spec.paused = true;
    assert_eq!(answers(&cluster, &facts).len(), 1);
}
