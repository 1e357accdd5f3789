//! Each rule by itself, that it comes before those below it, and that nothing but its own facts sets it off.

use super::*;
use crate::{
    plan::start::Claim,
    volume::mark::{self, Voter, Wish},
};

const OWN: &str = "aaaa";
const CLUSTER: &str = "cccc";

/// The facts as values; a test changes what it is about.
struct World {
    me: Identity,
    mark: Mark,
    process: Process,
    object: Object,
    neighbours: Neighbours,
    cluster: Cluster,
    etcd: Option<(String, String, bool)>,
    ran: Option<Ran>,
    list: Option<Vec<Entry>>,
    trusted: bool,
    up_to_date: bool,
    votes: bool,
    progress: Progress,
    seats: Vec<Seat>,
    wished_for: Duration,
    count_due: bool,
    options: (bool, Option<mark::Options>, Duration),
    may_write: bool,
}

fn entry(ordinal: u32) -> Entry {
    let id = if ordinal == 0 { OWN.into() } else { format!("id{ordinal}") };
    Entry { id, member: format!("demo-{ordinal}"), ordinal: Some(ordinal), learner: false, started: true }
}

fn list(ordinals: &[u32]) -> Vec<Entry> {
    ordinals.iter().map(|ordinal| entry(*ordinal)).collect()
}

fn known() -> Known {
    Known {
        cluster_uid: "u".into(),
        incarnation: 1,
        initial: true,
        initial_members: vec![],
        initial_id: OWN.into(),
        restore: None,
        begins_with: None,
        claim: Some(Claim { number: 1, volume_id: "v".into() }),
        counter: 5,
        stopped: false,
        wish: Wish::default(),
        size: 3,
        left: None,
        current: true,
    }
}

/// demo-0 of three, all well.
fn calm() -> World {
    let identity = mark::Identity {
        cluster_uid: "u".into(),
        incarnation: 1,
        member: "demo-0".into(),
        volume_id: "v".into(),
        claim: 1,
        member_id: Some(OWN.into()),
    };
    let voters = trust::voters(&list(&[0, 1, 2]));
    World {
        me: Identity {
            cluster_uid: "u".into(),
            incarnation: 1,
            member: "demo-0".into(),
            ordinal: 0,
            pod_uid: "p".into(),
        },
        mark: Mark { counter: 5, voters, ..Mark::new(identity) },
        process: Process::Running,
        object: Object::Known(known()),
        neighbours: Neighbours::new(),
        cluster: Cluster::Answers(list(&[0, 1, 2])),
        etcd: Some((OWN.into(), CLUSTER.into(), false)),
        ran: None,
        list: Some(list(&[0, 1, 2])),
        trusted: true,
        up_to_date: true,
        votes: true,
        progress: Progress { stalled: Duration::ZERO, serves: Some(Duration::ZERO), mute: None, reopened: false },
        seats: list(&[0, 1, 2]).into_iter().map(|entry| Seat { entry, away: None, mute: None }).collect(),
        wished_for: Duration::ZERO,
        count_due: false,
        options: (false, None, Duration::ZERO),
        may_write: true,
    }
}

fn step(world: &World) -> Running {
    let World { me, mark, process, object, neighbours, cluster, etcd, list, seats, progress, options, .. } = world;
    let options = Options { due: options.0, news: options.1.as_ref(), stopping_for: options.2 };
    let World { trusted, up_to_date, votes, wished_for, count_due, may_write, ran, .. } = *world;
    let etcd = etcd.as_ref().map(|(member_id, cluster_id, leads)| Said {
        member_id,
        cluster_id,
        leads: *leads,
        list: list.as_deref(),
    });
    running(Facts {
        me,
        cluster_id: CLUSTER,
        mark,
        process: *process,
        object,
        neighbours,
        cluster,
        etcd,
        ran,
        downgrade: (None, None),
        trusted,
        up_to_date,
        votes,
        progress: *progress,
        seats,
        wished_for,
        count_due,
        options,
        upkeep: None,
        compared: None,
        may_write,
    })
}

fn superseded(mut world: World) -> World {
    world.object = Object::Known(Known { claim: Some(Claim { number: 2, volume_id: "w".into() }), ..known() });
    world
}

/// The member is not wanted any more.
fn surplus(mut world: World) -> World {
    world.object = Object::Known(Known { size: 0, ..known() });
    world
}

/// The member joined, and does not vote yet.
fn learner(mut world: World) -> World {
    world.mark.joined = true;
    world.votes = false;
    world.cluster = Cluster::Answers(vec![Entry { learner: true, ..entry(0) }, entry(1)]);
    world
}

fn says(mut world: World, member_id: &str, cluster_id: &str) -> World {
    world.etcd = Some((member_id.into(), cluster_id.into(), false));
    world
}

/// Its own list is of itself alone, in a run that was not judged yet.
fn alone(mut world: World) -> World {
    (world.list, world.trusted) = (Some(list(&[0])), false);
    world
}

#[test]
fn nothing_is_due_where_all_is_well() {
    assert_eq!(step(&calm()), Running::Nothing);
}

#[test]
fn an_etcd_of_another_id_or_cluster_is_ended_before_anything_else() {
    let suspicious = |suspicion| Running::Kill(Wrong::Suspicious(suspicion));
    for world in [calm(), superseded(calm()), surplus(calm()), learner(calm())] {
        let other = step(&says(world, "eeee", CLUSTER));
        assert_eq!(other, suspicious(Suspicion::OtherId { found: "eeee".into() }));
    }
    let elsewhere = step(&says(surplus(calm()), OWN, "dddd"));
    assert_eq!(elsewhere, suspicious(Suspicion::OtherCluster { found: "dddd".into() }));
    let mut silent = calm();
    silent.etcd = None;
    assert_eq!(step(&silent), Running::Nothing, "one that says nothing yet is not judged");
}

#[test]
fn an_etcd_that_is_suddenly_alone_is_ended_in_its_first_judgement_only() {
    let lost = calm().mark.voters.into_iter().filter(|voter| voter.id != OWN).collect::<Vec<Voter>>();
    let forced = Running::Kill(Wrong::Suspicious(Suspicion::Forced { lost }));
    assert_eq!(step(&alone(calm())), forced);
    assert_eq!(step(&alone(superseded(calm()))), forced, "before another volume's word");
    let mut judged = alone(calm());
    judged.trusted = true;
    assert_eq!(step(&judged), Running::Record(trust::voters(&list(&[0]))), "nobody can force it while it runs");
}

#[test]
fn a_volume_that_its_object_remembers_more_of_is_an_older_copy_also_when_that_is_heard_late() {
    let mut world = calm();
    world.object = Object::Known(Known { counter: 9, ..known() });
    let older = Running::Kill(Wrong::OlderCopy { volume: 5, object: 9 });
    assert_eq!(step(&world), older);
    world.object = Object::Known(Known { counter: 9, size: 0, ..known() });
    assert_eq!(step(&world), older, "also as it leaves");
    let others_claim = Some(Claim { number: 1, volume_id: "w".into() });
    world.object = Object::Known(Known { counter: 9, claim: others_claim, ..known() });
    assert_eq!(step(&world), Running::Nothing, "the counter is of the volume with the claim");
    world.object = Object::Known(Known { counter: 9, incarnation: 2, ..known() });
    assert_eq!(step(&world), Running::Nothing, "and of its incarnation");
}

#[test]
fn a_superseded_member_stops_unless_it_has_yet_to_claim() {
    assert_eq!(step(&superseded(calm())), Running::Halt(Why::Superseded));
    let mut joined = superseded(calm());
    (joined.mark.joined, joined.mark.identity.claim, joined.votes) = (true, 0, true);
    assert_eq!(step(&joined), Running::Claim { number: 3, member_id: OWN.into() });
    let mut lower = calm();
    lower.object = Object::Known(Known { claim: Some(Claim { number: 1, volume_id: "w".into() }), ..known() });
    assert_eq!(step(&lower), Running::Nothing, "an older claim silences nobody");
    let mut pausing = superseded(calm());
    pausing.process = Process::Pausing;
    assert_eq!(step(&pausing), Running::Nothing, "it does not run: the start decides");
}

#[test]
fn a_member_that_keeps_ending_is_not_brought_back_to_be_let_go() {
    let mut world = surplus(calm());
    world.process = Process::Pausing;
    assert_eq!(step(&world), Running::Halt(Why::EndsWhileLeaving));
    let mut wanted = calm();
    wanted.process = Process::Pausing;
    assert_eq!(step(&wanted), Running::Nothing);
}

#[test]
fn what_is_written_down_comes_before_the_membership_and_waits_for_nothing() {
    let mut world = surplus(calm());
    world.list = Some(list(&[0, 1]));
    assert_eq!(step(&world), Running::Record(trust::voters(&list(&[0, 1]))));
    world = surplus(calm());
    world.count_due = true;
    assert_eq!(step(&world), Running::Count);
    world = learner(calm());
    world.mark.identity.claim = 0;
    assert!(matches!(step(&world), Running::Claim { .. }));
    world.may_write = false;
    assert!(matches!(step(&world), Running::Learn(_)), "a write that cannot begin holds nothing up");
}

#[test]
fn only_a_member_that_joined_claims_while_it_runs() {
    let mut founder = calm();
    founder.mark.identity.claim = 0;
    assert_eq!(step(&founder), Running::Nothing, "a founder claimed before it started");
}

#[test]
fn a_surplus_member_leaves_and_a_leader_hands_over_only_by_a_word_that_is_up_to_date() {
    let mut world = surplus(calm());
    world.cluster = Cluster::Answers(list(&[0]));
    assert_eq!(step(&world), Running::Leave(Leave::Remove { id: OWN.into() }));
    world.up_to_date = false;
    assert_eq!(step(&world), Running::Nothing);
    world.cluster = Cluster::Answers(list(&[1]));
    assert_eq!(step(&world), Running::Leave(Leave::Halt), "out is out, whoever leads");
    world.cluster = Cluster::Silent("no answer".into());
    assert_eq!(step(&world), Running::Leave(Leave::Silent));
}

#[test]
fn a_wish_that_may_be_old_is_no_wish() {
    let mut world = calm();
    world.object = Object::Known(Known { size: 0, current: false, ..known() });
    assert_eq!(step(&world), Running::Nothing);
    world.object = Object::Known(Known { size: 0, stopped: true, ..known() });
    assert_eq!(step(&world), Running::Nothing);
}

#[test]
fn a_leader_looks_after_others_once_it_has_nothing_to_learn() {
    let mut world = calm();
    world.etcd = Some((OWN.into(), CLUSTER.into(), true));
    world.seats[2] = Seat { away: Some(Duration::from_secs(60)), ..world.seats[2].clone() };
    assert_eq!(step(&world), Running::Nothing, "a voter that is wanted and away stays");
    world.object = Object::Known(Known { size: 1, ..known() });
    assert!(matches!(step(&world), Running::Remove(Removal { why: steward::Why::SurplusAndAway, .. })));
    world.object = Object::Known(Known { size: 1, current: false, ..known() });
    assert_eq!(step(&world), Running::Nothing, "a size of before");
    world.object = Object::Known(Known { size: 1, ..known() });
    world.etcd = Some((OWN.into(), CLUSTER.into(), false));
    assert_eq!(step(&world), Running::Nothing, "only beside the leader");
}

#[test]
fn the_others_are_asked_to_leave_and_to_be_promoted_and_for_nothing_else() {
    let me = calm().me;
    let wanted = Object::Known(known());
    let not = Object::Known(Known { size: 0, ..known() });
    assert!(needs_list(&me, &not, false, None));
    assert!(needs_list(&me, &wanted, true, None));
    assert!(needs_list(&me, &wanted, false, Some(LONELY)), "they may serve without it");
    assert!(!needs_list(&me, &wanted, false, Some(Duration::from_secs(1))), "an election may be under way");
    assert!(!needs_list(&me, &wanted, false, None));
}

fn paused(mut world: World) -> World {
    if let Object::Known(known) = &mut world.object {
        known.wish.paused = true;
    }
    world
}

#[test]
fn while_all_rests_nobody_leaves_is_promoted_or_removed() {
    let mut leaves = surplus(calm());
    leaves.cluster = Cluster::Answers(list(&[0]));
    assert_eq!(step(&paused(leaves)), Running::Nothing);
    assert_eq!(step(&paused(learner(calm()))), Running::Nothing);
    let mut stalled = learner(calm());
    stalled.progress.stalled = Duration::from_secs(100_000);
    assert_eq!(step(&paused(stalled)), Running::Nothing, "it does not give its place up");
    let mut leads = calm();
    leads.etcd = Some((OWN.into(), CLUSTER.into(), true));
    leads.seats[2] = Seat { away: Some(Duration::from_secs(600)), ..leads.seats[2].clone() };
    leads.object = Object::Known(Known { size: 1, ..known() });
    assert!(matches!(step(&leads), Running::Remove(_)));
    assert_eq!(step(&paused(leads)), Running::Nothing);
}

#[test]
fn while_all_rests_what_is_wrong_is_still_ended() {
    assert!(matches!(step(&paused(says(calm(), "eeee", CLUSTER))), Running::Kill(_)));
    let mut pausing = surplus(calm());
    pausing.process = Process::Pausing;
    assert_eq!(step(&paused(pausing)), Running::Nothing, "the launcher brings it back");
}

fn held(mut world: World) -> World {
    if let Object::Known(known) = &mut world.object {
        known.wish.held = true;
    }
    world
}

fn leading(mut world: World) -> World {
    world.etcd = Some((OWN.into(), CLUSTER.into(), true));
    world
}

#[test]
fn a_member_that_a_person_holds_hands_over_and_stops() {
    let halt = Running::Halt(Why::HeldBySpec);
    assert_eq!(step(&held(calm())), halt);
    assert_eq!(step(&held(leading(calm()))), Running::HandOver { to: "id1".into() });
    let mut unsure = held(calm());
    unsure.up_to_date = false;
    assert_eq!(step(&unsure), Running::Nothing, "leadership may have come here");
    let mut long = held(leading(calm()));
    (long.wished_for, long.up_to_date) = (HAND_OVER, false);
    assert_eq!(step(&long), halt, "nobody takes it");
    let mut alone = held(leading(calm()));
    alone.seats.iter_mut().skip(1).for_each(|seat| seat.away = Some(Duration::ZERO));
    assert_eq!(step(&alone), halt, "nobody can");
    let mut ends = held(calm());
    ends.process = Process::Pausing;
    assert_eq!(step(&ends), halt, "it keeps ending by itself");
    ends.process = Process::Stopping;
    assert_eq!(step(&ends), Running::Nothing);
}

#[test]
fn a_hold_is_kept_by_the_mark_and_goes_before_the_membership_but_not_before_what_is_wrong() {
    let mut away = calm();
    (away.object, away.mark.wish.held) = (Object::Away, true);
    assert_eq!(step(&away), Running::Halt(Why::HeldBySpec));
    assert_eq!(step(&held(surplus(calm()))), Running::Halt(Why::HeldBySpec));
    assert!(matches!(step(&says(held(calm()), "eeee", CLUSTER)), Running::Kill(_)));
}

#[test]
fn another_version_goes_onto_the_mark_once() {
    let mut world = calm();
    world.ran = Some(Ran { version: "v3.6.16".parse().unwrap(), cluster: None });
    assert_eq!(step(&world), Running::Version { version: "v3.6.16".into(), cluster: None });
    world.mark.version = Some("v3.6.16".into());
    assert_eq!(step(&world), Running::Nothing);
}

/// etcd runs with other options than it is to.
fn outdated(mut world: World) -> World {
    world.options.0 = true;
    world
}

#[test]
fn etcd_with_other_options_is_started_once_more_and_hands_over_before() {
    let halt = Running::Halt(Why::OtherOptions);
    assert_eq!(step(&outdated(calm())), halt);
    assert_eq!(step(&outdated(leading(calm()))), Running::HandOver { to: "id1".into() });
    let mut long = outdated(leading(calm()));
    long.wished_for = HAND_OVER;
    assert_eq!(step(&long), halt, "nobody takes it over");
    let mut pauses = outdated(calm());
    pauses.process = Process::Pausing;
    assert_eq!(step(&pauses), halt, "it comes back as it is to be");
}

#[test]
fn an_etcd_that_comes_back_at_once_does_not_wait_long_for_its_clients() {
    let mut stops = outdated(calm());
    stops.process = Process::Stopping;
    assert_eq!(step(&stops), Running::Nothing);
    stops.options.2 = DRAIN;
    assert_eq!(step(&stops), Running::Hurry);
    stops.options.0 = false;
    assert_eq!(step(&stops), Running::Nothing, "it was asked to end for another reason");
}

#[test]
fn options_are_kept_before_anything_is_done_about_them_and_nobody_leaving_or_held_is_started_again() {
    let news = mark::Options { good: Some("{}".into()), ..mark::Options::default() };
    let mut known = outdated(calm());
    known.options.1 = Some(news.clone());
    assert_eq!(step(&known), Running::Options(news));
    assert!(matches!(step(&outdated(surplus(calm()))), Running::Leave(_)));
    assert_eq!(step(&outdated(held(calm()))), Running::Halt(Why::HeldBySpec));
    assert!(matches!(step(&outdated(says(calm(), "eeee", CLUSTER))), Running::Kill(_)));
}
