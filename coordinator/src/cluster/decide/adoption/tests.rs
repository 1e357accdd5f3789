//! Claims about which data is gone on with, by example.

use etcd_operator_shared::{api::cluster::Encrypted, validate};
use serde_json::json;

use super::*;
use crate::{
    cluster::{
        decide::{Waited, decide, incarnation, step::Step},
        facts::{Facts, Source},
    },
    ownership::Stranger,
};

/// An EtcdCluster `demo` with this UID.
fn cluster(uid: &str, size: u32, adopt: bool) -> EtcdCluster {
    let spec = json!({"version": "v3.5.21", "size": size, "storage": {"adopt": adopt}});
    let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
    cluster.metadata.namespace = Some("ns".into());
    cluster.metadata.uid = Some(uid.into());
    cluster
}

/// Incarnation `number` of the cluster `old`, of three.
fn former(number: i64) -> Incarnation {
    let old = cluster("old", 3, false);
    let first = incarnation::first(&old, &validate::cluster(&old).unwrap());
    Incarnation { number, token: names::token("ns", "demo", "old", number), ..first }
}

/// The claim of a member of `old`, with this incarnation noted on it.
fn claim(ordinal: u32, number: i64) -> FoundVolumeClaim {
    FoundVolumeClaim {
        name: format!("data-demo-{ordinal}"),
        cluster: Some("demo".into()),
        cluster_uid: Some("old".into()),
        note: Some(note(&cluster("old", 3, false), &former(number))),
        deleting: false,
    }
}

fn left(claims: Vec<FoundVolumeClaim>) -> Ground {
    Ground { claims, ..Ground::default() }
}

fn adopts(size: u32, ground: &Ground) -> Result<Incarnation, Refusal> {
    let new = cluster("new", size, true);
    adopted(&new, &validate::cluster(&new).unwrap(), ground)
}

fn unable(size: u32, ground: &Ground) -> String {
    adopts(size, ground).unwrap_err().to_string()
}

#[test]
fn what_was_encrypted_goes_on_encrypted_whatever_the_spec_says() {
    let encrypted = Encrypted { peer: true, client: true };
    let noted = note(&cluster("old", 3, false), &Incarnation { encrypted, ..former(1) });
    let claims = (0..3).map(|k| FoundVolumeClaim { note: Some(noted.clone()), ..claim(k, 1) });
    assert_eq!(adopts(3, &left(claims.collect())).unwrap().encrypted, encrypted);
    assert!(
        !note(&cluster("old", 3, false), &Incarnation { encrypted: Encrypted::default(), ..former(1) })
            .contains("encrypted"),
        "the note of a plain one is what it was"
    );
}

#[test]
fn what_is_noted_goes_on_under_the_uid_with_which_it_began_and_nobody_bootstraps() {
    let went_on = adopts(3, &left((0..3).map(|k| claim(k, 1)).collect())).unwrap();
    assert_eq!(went_on, Incarnation { members_created: true, data_uid: Some("old".into()), ..former(1) });
}

#[test]
fn lost_disks_are_no_obstacle_and_the_newest_incarnation_is_the_one_that_goes_on() {
    let went_on = adopts(5, &left(vec![claim(1, 1), claim(2, 2)])).unwrap();
    assert_eq!((went_on.number, went_on.token.as_str()), (2, "ns/demo/old/2"));
}

#[test]
fn the_heir_of_an_heir_goes_on_with_the_same_life() {
    let mut heir = cluster("heir", 3, true);
    let inherited = adopts(3, &left(vec![claim(0, 1)])).unwrap();
    heir.status.get_or_insert_default().incarnation = Some(inherited.clone());
    let again = FoundVolumeClaim { note: Some(note(&heir, &inherited)), ..claim(0, 1) };
    assert_eq!(adopts(3, &left(vec![again])), Ok(inherited.clone()));
    let next = incarnation::next(&heir, &validate::cluster(&heir).unwrap(), &inherited);
    assert_eq!((next.token.as_str(), next.data_uid.as_deref()), ("ns/demo/old/2", Some("old")));
}

#[test]
fn volumes_of_two_clusters_are_not_mixed() {
    let other = FoundVolumeClaim { cluster_uid: Some("other".into()), ..claim(1, 1) };
    assert!(unable(3, &left(vec![claim(0, 1), other])).contains("data-demo-1 of other"));
    let unlabelled = FoundVolumeClaim { cluster_uid: None, ..claim(1, 1) };
    assert!(unable(3, &left(vec![claim(0, 1), unlabelled])).contains("data-demo-1 of nobody"));
}

#[test]
fn a_strangers_volume_is_none_of_a_former_cluster() {
    for stranger in [None, Some("other")] {
        let claim = FoundVolumeClaim { cluster: stranger.map(Into::into), ..claim(0, 1) };
        assert!(unable(3, &left(vec![claim])).contains("was not made for an EtcdCluster demo"));
    }
}

#[test]
fn a_volume_that_does_not_say_of_which_life_it_is_is_not_guessed_about() {
    let elsewhere = former(1).token.replace("ns/", "other/");
    let forged = |change: &dyn Fn(&mut Incarnation)| {
        let mut noted: Incarnation = serde_json::from_str(claim(0, 1).note.as_ref().unwrap()).unwrap();
        change(&mut noted);
        serde_json::to_string(&noted).unwrap()
    };
    let notes = [
        None,
        Some("{".to_owned()),
        Some(forged(&|noted| noted.token.clone_from(&elsewhere))),
        Some(forged(&|noted| noted.number = 7)),
        Some(forged(&|noted| noted.data_uid = None)),
        Some(forged(&|noted| noted.initial_members.clear())),
        Some(forged(&|noted| noted.initial_members.push("else-0".into()))),
    ];
    for note in notes {
        let unnoted = FoundVolumeClaim { note: note.clone(), ..claim(0, 1) };
        assert!(unable(3, &left(vec![unnoted])).contains("none of its volumes says"), "{note:?}");
    }
}

#[test]
fn a_volume_that_goes_is_waited_for() {
    let leaves = FoundVolumeClaim { deleting: true, ..claim(1, 1) };
    assert_eq!(adopts(3, &left(vec![claim(0, 1), leaves])), Err(Refusal::VolumeLeaving("data-demo-1".into())));
}

#[test]
fn no_member_is_left_out_by_a_smaller_size() {
    let five = left((0..5).map(|k| claim(k, 1)).collect());
    assert!(unable(3, &five).contains("spec.size of 5 or more"));
    assert!(adopts(5, &five).is_ok() && adopts(7, &five).is_ok());
    assert!(unable(1, &left(vec![claim(1, 1)])).contains("spec.size of 3 or more"));
}

fn set() -> Stranger {
    Stranger { kind: "StatefulSet".into(), name: "demo".into(), leaves: false }
}

#[test]
fn pods_that_were_left_as_orphans_are_gone_on_with_and_those_of_others_are_not() {
    let orphans = |uid: &str| Ground {
        set: Some(FoundSet::Orphan { uid: uid.into(), set: set() }),
        ..left(vec![claim(0, 1), claim(1, 1)])
    };
    assert!(adopts(3, &orphans("old")).is_ok());
    assert!(unable(3, &orphans("other")).contains("StatefulSet demo of other"));
    let theirs = Ground { set: Some(FoundSet::Foreign(set())), ..orphans("old") };
    assert_eq!(adopts(3, &theirs), Err(Refusal::ForeignObject(set())));
}

#[test]
fn without_the_wish_nothing_is_gone_on_with_and_the_sentence_names_it() {
    let grounds = [
        left(vec![claim(0, 1)]),
        Ground { set: Some(FoundSet::Orphan { uid: "old".into(), set: set() }), ..left(vec![claim(0, 1)]) },
    ];
    for ground in grounds {
        let facts = Facts { cluster: "demo".into(), source: Source::Live, ground: Some(ground), ..Facts::default() };
        let decided = |adopt| decide(&cluster("new", 3, adopt), &facts, Waited::default());
        let refusal = decided(false).refusal.unwrap();
        assert!(refusal.to_string().contains("spec.storage.adopt"), "{refusal}");
        assert!(matches!(decided(true).step, Step::Begin(went_on) if went_on.members_created));
    }
}

#[test]
fn the_wish_is_none_once_an_incarnation_is_there_or_where_nothing_lies() {
    let ground = left(vec![claim(0, 1)]);
    let facts = Facts { cluster: "demo".into(), source: Source::Live, ground: Some(ground), ..Facts::default() };
    let mut begun = cluster("new", 3, true);
    begun.status.get_or_insert_default().incarnation =
        Some(incarnation::first(&begun, &validate::cluster(&begun).unwrap()));
    assert_eq!(decide(&begun, &facts, Waited::default()).refusal.unwrap().reason(), "StaleVolume");
    let free = Facts { ground: Some(Ground::default()), ..facts };
    let Step::Begin(first) = decide(&cluster("new", 3, true), &free, Waited::default()).step else { panic!() };
    assert_eq!((first.data_uid, first.members_created), (None, false));
}
