//! Each path, and a change that is played through from the first look to the last.

use super::*;

fn v(text: &str) -> Version {
    text.parse().unwrap()
}

fn minor(text: &str) -> Minor {
    text.parse().unwrap()
}

fn etcd(text: &str) -> Etcd {
    Etcd { version: v(text), image: format!("etcd:{text}") }
}

/// A member of this version in a cluster of this one, all well.
fn told(version: &str, cluster: &str) -> Option<Told> {
    let (version, cluster) = (v(version), minor(cluster));
    let newer = version.minor > Minor::V3_5;
    let log = (version.minor == Minor::V3_6 && cluster == Minor::V3_6).then_some(Minor::V3_7);
    Some(Told { version, cluster: Some(cluster), storage: newer.then_some(cluster), downgrade: None, log })
}

/// Three members of this version in a cluster of this one, all well.
fn view(force: &str, cluster: &str, wanted: &str) -> View {
    View {
        wanted: etcd(wanted),
        force: Some(etcd(force)),
        roll: None,
        formed: true,
        known: Some(minor(cluster)),
        members: vec![told(force, cluster); 3],
        whole: true,
        asked: false,
    }
}

fn refused(course: &Course) -> Option<String> {
    course.refusal().map(|refusal| refusal.to_string())
}

/// What comes of it, in a word.
fn word(course: &Course) -> &'static str {
    match &course.pending {
        None => "goes",
        Some(Pending::Latch) => "goes, written down first",
        Some(Pending::Waits(_)) => "waits",
        Some(Pending::Refused(_)) => "refused",
    }
}

#[test]
fn each_path() {
    let written = "goes, written down first";
    for (force, cluster, wanted, expected) in [
        ("v3.5.21", "3.5", "v3.5.21", "goes"),
        ("v3.5.21", "3.5", "v3.5.35", "goes"),
        ("v3.5.35", "3.5", "v3.5.21", "goes"),
        ("v3.5.35", "3.5", "v3.5.4", "refused"),
        ("v3.5.35", "3.5", "v3.6.16", written),
        ("v3.5.26", "3.5", "v3.6.0", written),
        ("v3.5.25", "3.5", "v3.6.16", "refused"),
        ("v3.5.35", "3.5", "v3.7.3", "refused"),
        ("v3.6.16", "3.6", "v3.7.3", written),
        ("v3.6.10", "3.6", "v3.7.3", "refused"),
        ("v3.6.16", "3.6", "v3.5.35", written),
        ("v3.6.16", "3.6", "v3.5.21", "refused"),
        ("v3.7.3", "3.7", "v3.6.16", written),
        ("v3.7.3", "3.7", "v3.6.10", "refused"),
        ("v3.7.3", "3.7", "v3.5.35", "refused"),
    ] {
        let course = course(&view(force, cluster, wanted));
        assert_eq!(word(&course), expected, "{force} to {wanted}");
        let in_force = if expected == "goes" { wanted } else { force };
        assert_eq!(course.etcd, etcd(in_force), "{force} to {wanted}: nothing is touched before");
        assert_eq!(course.downgrade, None, "{force} to {wanted}");
    }
}

#[test]
fn the_refusal_names_the_next_step() {
    for (force, cluster, wanted, sentence) in [
        (
            "v3.5.21",
            "3.5",
            "v3.7.3",
            "spec.version v3.7.3 cannot follow 3.5 at once: set it to v3.5.26 or later first, then to v3.6.11 or later",
        ),
        ("v3.5.35", "3.5", "v3.7.3", "spec.version v3.7.3 cannot follow 3.5 at once: set it to v3.6.11 or later first"),
        (
            "v3.7.3",
            "3.7",
            "v3.5.35",
            "spec.version v3.5.35 cannot follow 3.7 at once: set it to v3.6.11 or later first",
        ),
        (
            "v3.5.21",
            "3.5",
            "v3.6.16",
            "spec.version v3.6.16 can follow v3.5.26 or later only, and v3.5.21 is in force: set it to v3.5.26 or later first",
        ),
        (
            "v3.6.16",
            "3.6",
            "v3.5.21",
            "the cluster is 3.6, and can go down to v3.5.26 or later only, not to spec.version v3.5.21: set it to v3.5.26 or later",
        ),
        ("v3.5.35", "3.5", "v3.5.2", "spec.version v3.5.2 may lose what was written: set it to v3.5.26 or later"),
    ] {
        assert_eq!(refused(&course(&view(force, cluster, wanted))).as_deref(), Some(sentence));
    }
}

#[test]
fn a_cluster_that_has_not_formed_takes_any_version() {
    let mut view = view("v3.5.4", "3.5", "v3.7.3");
    (view.formed, view.members) = (false, vec![None; 3]);
    assert_eq!(course(&view), Course::plain(etcd("v3.7.3")));
}

/// Takes a decision as the coordinator does: the status is written, then the template.
fn take(view: &mut View) -> Course {
    let course = course(view);
    view.roll = course.roll.clone();
    view.force = Some(course.etcd.clone());
    view.asked |= course.downgrade.is_some();
    course
}

#[test]
fn up_by_one_is_written_down_goes_and_is_forgotten_at_its_end() {
    let mut view = view("v3.5.35", "3.5", "v3.6.16");
    assert_eq!(take(&mut view).pending, Some(Pending::Latch));
    let course = take(&mut view);
    assert_eq!((word(&course), &course.etcd), ("goes", &etcd("v3.6.16")));
    // One after another, and the last one's disk is lost meanwhile.
    for members in [
        [told("v3.5.35", "3.5"), told("v3.5.35", "3.5"), told("v3.6.16", "3.5")],
        [None, told("v3.6.16", "3.5"), told("v3.6.16", "3.5")],
        [told("v3.6.16", "3.5"); 3],
    ] {
        (view.members, view.whole) = (members.to_vec(), members[0].is_some());
        let course = take(&mut view);
        assert_eq!((course.etcd, course.roll.is_some()), (etcd("v3.6.16"), true), "{members:?}");
    }
    view.members = vec![told("v3.6.16", "3.6"); 3];
    assert_eq!(take(&mut view), Course::plain(etcd("v3.6.16")));
}

#[test]
fn up_by_one_waits_until_all_serve_and_run_what_is_in_force() {
    let mut waits = view("v3.5.35", "3.5", "v3.6.16");
    waits.whole = false;
    assert_eq!(word(&course(&waits)), "waits");
    let mut mixed = view("v3.5.35", "3.5", "v3.6.16");
    mixed.members[2] = told("v3.5.21", "3.5");
    assert_eq!((word(&course(&mixed)), course(&mixed).etcd), ("waits", etcd("v3.5.35")));
    let mut allowed = view("v3.6.16", "3.6", "v3.7.3");
    allowed.members[0].as_mut().unwrap().downgrade = Some(Minor::V3_5);
    assert_eq!(word(&course(&allowed)), "waits");
}

#[test]
fn nobody_starts_3_7_before_each_log_can_be_read_by_it() {
    for log in [None, Some(Minor::V3_6)] {
        let mut view = view("v3.6.16", "3.6", "v3.7.3");
        view.members[1].as_mut().unwrap().log = log;
        let course = course(&view);
        assert_eq!((word(&course), course.etcd), ("waits", etcd("v3.6.16")), "{log:?}");
    }
}

#[test]
fn back_before_the_cluster_has_risen_takes_no_leave_of_etcd_even_where_a_member_is_gone() {
    let mut view = view("v3.6.16", "3.5", "v3.5.35");
    view.roll = Some(Roll { from: etcd("v3.5.35"), to: etcd("v3.6.16") });
    view.members = vec![told("v3.5.35", "3.5"), told("v3.5.35", "3.5"), None];
    view.whole = false;
    assert_eq!(course(&view), Course::plain(etcd("v3.5.35")));
    view.members = vec![None; 3];
    assert_eq!(course(&view).etcd, etcd("v3.5.35"), "nobody speaks: what was last told");
}

#[test]
fn down_by_one_is_allowed_by_the_leader_before_any_member_goes() {
    let mut view = view("v3.7.3", "3.7", "v3.6.16");
    assert_eq!((take(&mut view).pending, view.asked), (Some(Pending::Latch), false));
    let asked = take(&mut view);
    assert_eq!(
        (word(&asked), asked.etcd, asked.downgrade),
        ("waits", etcd("v3.7.3"), Some(Downgrade::To(Minor::V3_6)))
    );
    // The cluster falls, member by member; then its databases.
    let fallen = |cluster, storage| {
        let downgrade = Some(Minor::V3_6);
        Some(Told { storage: Some(storage), downgrade, ..told("v3.7.3", cluster).unwrap() })
    };
    for members in [
        [fallen("3.6", Minor::V3_7), fallen("3.7", Minor::V3_7), fallen("3.7", Minor::V3_7)],
        [fallen("3.6", Minor::V3_6), fallen("3.6", Minor::V3_7), fallen("3.6", Minor::V3_6)],
        [fallen("3.6", Minor::V3_6), fallen("3.6", Minor::V3_6), None],
    ] {
        view.members = members.to_vec();
        let course = take(&mut view);
        assert_eq!((course.etcd, course.downgrade), (etcd("v3.7.3"), Some(Downgrade::To(Minor::V3_6))), "{members:?}");
    }
    view.members = vec![fallen("3.6", Minor::V3_6); 3];
    let goes = take(&mut view);
    assert_eq!((word(&goes), goes.etcd, goes.downgrade), ("goes", etcd("v3.6.16"), Some(Downgrade::To(Minor::V3_6))));
    view.members = vec![told("v3.6.16", "3.6"); 3];
    let over = take(&mut view);
    assert_eq!((over.roll, over.downgrade), (None, Some(Downgrade::None)), "nothing is allowed any more");
}

#[test]
fn where_the_first_member_down_loses_its_disk_pods_are_made_as_before_until_the_cluster_is_whole_again() {
    let mut view = view("v3.6.16", "3.6", "v3.5.35");
    view.force = Some(etcd("v3.5.35"));
    view.roll = Some(Roll { from: etcd("v3.6.16"), to: etcd("v3.5.35") });
    view.asked = true;
    // The leader's agent took the leave back, so that somebody can join, and the cluster has risen again.
    (view.members, view.whole) = (vec![told("v3.6.16", "3.6"), told("v3.6.16", "3.6"), None], false);
    for _ in 0..3 {
        let back = take(&mut view);
        assert_eq!((&back.etcd, back.downgrade), (&etcd("v3.6.16"), Some(Downgrade::To(Minor::V3_5))), "{back:?}");
    }
    (view.members, view.whole) = (vec![told("v3.6.16", "3.6"); 3], true);
    assert_eq!(take(&mut view).downgrade, Some(Downgrade::To(Minor::V3_5)), "and it goes down again");
}

#[test]
fn the_way_down_is_not_begun_before_all_serve_and_not_given_up_when_one_does_not_for_a_moment() {
    let mut view = view("v3.7.3", "3.7", "v3.6.16");
    view.whole = false;
    let first = take(&mut view);
    assert_eq!((word(&first), first.roll, first.downgrade), ("waits", None, None));
    view.whole = true;
    take(&mut view);
    take(&mut view);
    view.whole = false;
    view.members[2] = None;
    assert_eq!(take(&mut view).downgrade, Some(Downgrade::To(Minor::V3_6)));
}

#[test]
fn a_change_of_mind_on_the_way_down_takes_the_leave_back_first() {
    let mut view = view("v3.7.3", "3.7", "v3.6.16");
    take(&mut view);
    take(&mut view);
    view.members = vec![told("v3.7.3", "3.6"), told("v3.7.3", "3.6"), told("v3.6.16", "3.6")];
    view.members.iter_mut().flatten().for_each(|told| told.downgrade = Some(Minor::V3_6));
    take(&mut view);
    assert_eq!(view.force, Some(etcd("v3.6.16")));
    view.wanted = etcd("v3.7.3");
    let turned = take(&mut view);
    assert_eq!((word(&turned), turned.downgrade), ("waits", Some(Downgrade::None)));
    view.members.iter_mut().flatten().for_each(|told| told.downgrade = None);
    take(&mut view);
    assert_eq!(take(&mut view).etcd, etcd("v3.7.3"));
}

#[test]
fn agents_of_before_say_what_they_run_and_that_is_enough_up_to_3_6() {
    let older = |version: &str| Some(Told { cluster: None, storage: None, log: None, ..told(version, "3.5").unwrap() });
    let mut view = view("v3.5.35", "3.5", "v3.6.16");
    (view.known, view.members) = (None, vec![older("v3.5.35"); 3]);
    assert_eq!(word(&course(&view)), "goes, written down first");
    view.members[1] = None;
    assert_eq!((word(&course(&view)), course(&view).etcd), ("waits", etcd("v3.5.35")));
    view.wanted = etcd("v3.5.36");
    assert_eq!(course(&view), Course::plain(etcd("v3.5.36")), "a patch waits for nobody");
}

#[test]
fn a_patch_goes_whoever_is_away_also_in_the_midst_of_a_change() {
    let mut view = view("v3.6.14", "3.5", "v3.6.16");
    view.roll = Some(Roll { from: etcd("v3.5.35"), to: etcd("v3.6.14") });
    (view.members, view.whole) = (vec![told("v3.5.35", "3.5"), None, None], false);
    let course = course(&view);
    assert_eq!(course.etcd, etcd("v3.6.16"));
    assert_eq!(course.roll, Some(Roll { from: etcd("v3.5.35"), to: etcd("v3.6.16") }));
}

#[test]
fn what_was_begun_goes_to_its_end_when_a_farther_version_is_refused() {
    let mut view = view("v3.6.16", "3.5", "v3.7.3");
    view.roll = Some(Roll { from: etcd("v3.5.35"), to: etcd("v3.6.16") });
    view.members[0] = told("v3.5.35", "3.5");
    let course = course(&view);
    assert_eq!((word(&course), course.etcd), ("refused", etcd("v3.6.16")));
    assert!(course.roll.is_some());
}

#[test]
fn what_a_stranger_wrote_into_the_template_is_not_in_force() {
    let mut cluster =
        EtcdCluster::new("demo", serde_json::from_value(serde_json::json!({"version": "v3.5.35"})).unwrap());
    let wanted = etcd_operator_shared::validate::cluster(&cluster).unwrap();
    let mut facts = crate::cluster::facts::tests::healthy(3);
    let force = |cluster: &EtcdCluster, facts: &Facts| View::of(cluster, &wanted, facts, 3, true).force;
    facts.set.as_mut().unwrap().etcd = Some(etcd("v3.5.21"));
    assert_eq!(force(&cluster, &facts), Some(etcd("v3.5.21")), "a status of before does not say");
    cluster.status.get_or_insert_default().etcd = Some(etcd("v3.5.35").told());
    assert_eq!(force(&cluster, &facts), Some(etcd("v3.5.35")));
    facts.set = None;
    assert_eq!(force(&cluster, &facts), Some(etcd("v3.5.35")), "also where the StatefulSet is gone");
}

#[test]
fn while_one_version_is_refused_everything_is_made_with_the_other() {
    use crate::cluster::decide::{Waited, decide};
    let spec = serde_json::json!({"version": "v3.7.3"});
    let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
    cluster.metadata.uid = Some("u".into());
    let founders = ["demo-0", "demo-1", "demo-2"];
    let incarnation =
        serde_json::json!({"number": 1, "token": "t", "initialMembers": founders, "membersCreated": true});
    let status = serde_json::json!({"clusterId": "c", "incarnation": incarnation});
    cluster.status = serde_json::from_value(status).unwrap();
    let mut facts = crate::cluster::facts::tests::healthy(3);
    facts.set.as_mut().unwrap().etcd = Some(etcd("v3.5.21"));
    let decision = decide(&cluster, &facts, Waited::default());
    let wanted = decision.care.unwrap().wanted;
    assert_eq!((wanted.version, wanted.image), (v("v3.5.21"), "etcd:v3.5.21".to_owned()));
    assert_eq!(decision.refusal.map(|refusal| refusal.reason()), Some("VersionRefused"));
}
