//! `start` against an oracle: every combination of facts, and a few claims by name.
//!
//! The oracle is written from the promise, not from the code: it says which starts are *safe*, by asking what each fact
//! proves, and `start` may do nothing that it does not allow.

use std::{sync::LazyLock, time::Duration};

use super::*;
use crate::{
    plan::{addresses::Addresses, list::Entry, trust::Neighbours},
    volume::mark::{self, Voter, Wish},
};

const INITIAL_ID: &str = "aaaa";

fn me() -> Identity {
    Identity {
        cluster_uid: "ours".into(),
        incarnation: 2,
        member: "demo-0".into(),
        ordinal: 0,
        pod_uid: "this-pod".into(),
    }
}

fn mark() -> Mark {
    let identity = mark::Identity {
        cluster_uid: "ours".into(),
        incarnation: 2,
        member: "demo-0".into(),
        volume_id: "mine".into(),
        claim: 1,
        member_id: Some(INITIAL_ID.into()),
    };
    Mark { counter: 5, ..Mark::new(identity) }
}

/// A mark after the member was added with an ID that the cluster gave.
fn added(claim: i64) -> Mark {
    let identity = mark::Identity { claim, member_id: Some("bbbb".into()), ..mark().identity };
    Mark { identity, joined: true, ..mark() }
}

fn entry(id: &str, member: &str) -> Entry {
    let ordinal = member.strip_prefix("demo-").and_then(|digits| digits.parse().ok());
    Entry { id: id.into(), member: member.into(), ordinal, learner: false, started: true }
}

/// What the others may say: nothing, or a list with this member under its first ID, under another one, or not at all.
fn clusters() -> Vec<Cluster> {
    let list = |own: &[Entry]| Cluster::Answers([own, &[entry("cccc", "demo-1")]].concat());
    vec![
        Cluster::Awaited,
        Cluster::Silent("no answer".into()),
        list(&[entry(INITIAL_ID, "demo-0")]),
        list(&[entry("bbbb", "demo-0")]),
        list(&[]),
    ]
}

fn silent() -> Cluster {
    Cluster::Silent("no answer".into())
}

/// Nothing is missing but what the test is about.
fn facts<'a>(me: &'a Identity, volume: &'a Volume, object: &'a Object, cluster: &'a Cluster) -> Facts<'a> {
    static NOBODY: Neighbours = Neighbours::new();
    Facts {
        me,
        volume,
        object,
        cluster,
        expelled: false,
        neighbours: &NOBODY,
        addresses: known_addresses(),
        certified: true,
        launcher: Launcher::Rests,
    }
}

fn known_addresses() -> &'static Addresses {
    static LONG_AGO: LazyLock<Addresses> =
        LazyLock::new(|| Addresses { waited: Duration::from_secs(3600), ..Addresses::default() });
    &LONG_AGO
}

fn step(volume: &Volume, object: &Object, cluster: &Cluster) -> Start {
    start(facts(&me(), volume, object, cluster))
}

fn known() -> Known {
    Known {
        cluster_uid: "ours".into(),
        incarnation: 2,
        initial: true,
        initial_members: vec!["demo-0".into(), "demo-1".into(), "demo-2".into()],
        initial_id: INITIAL_ID.into(),
        restore: None,
        begins_with: None,
        claim: Some(Claim { number: 1, volume_id: "mine".into() }),
        counter: 5,
        stopped: false,
        wish: Wish::default(),
        size: 3,
        left: None,
        current: true,
    }
}

fn marked(mark: Mark, lived: bool, wal: bool) -> Volume {
    Volume::Marked(Marked { mark, lived, wal, remains: wal })
}

/// Every volume that the facts can describe.
fn volumes() -> Vec<Volume> {
    let mut all = vec![Volume::Unreadable("io error".into()), Volume::InUse, Volume::Blank, Volume::Unmarked];
    for cluster_uid in ["ours", "theirs"] {
        for member in ["demo-0", "demo-1"] {
            for incarnation in 1..=3 {
                for claim in 0..=3 {
                    for member_id in [None, Some(INITIAL_ID), Some("bbbb")] {
                        for counter in [4, 5, 6] {
                            for (lived, wal) in [(false, false), (false, true), (true, false), (true, true)] {
                                let identity = mark::Identity {
                                    cluster_uid: cluster_uid.into(),
                                    member: member.into(),
                                    incarnation,
                                    claim,
                                    member_id: member_id.map(Into::into),
                                    ..mark().identity
                                };
                                let joined = member_id == Some("bbbb");
                                let mark = Mark { identity, joined, counter, ..mark() };
                                all.push(marked(mark, lived, wal));
                            }
                        }
                    }
                }
            }
        }
    }
    all
}

/// Every EtcdMember that the facts can describe.
fn objects() -> Vec<Object> {
    let mut all = vec![Object::Awaited, Object::Away, Object::Missing];
    let claims = [None, Some((1, "mine")), Some((2, "mine")), Some((1, "other")), Some((3, "other"))];
    for cluster_uid in ["ours", "theirs"] {
        for incarnation in 1..=3 {
            for initial in [false, true] {
                for listed in [false, true] {
                    for claim in claims {
                        for (stopped, size, current) in
                            [(false, 3, true), (true, 3, true), (false, 0, true), (false, 0, false)]
                        {
                            let cluster_uid = cluster_uid.into();
                            let mut known =
                                Known { cluster_uid, incarnation, initial, stopped, size, current, ..known() };
                            known.claim = claim.map(|(number, v)| Claim { number, volume_id: v.into() });
                            if !listed {
                                known.initial_members.remove(0);
                            }
                            all.push(Object::Known(known));
                        }
                    }
                }
            }
        }
    }
    all
}

/// Whether the mark says that this very pod, in this incarnation, may use the volume.
fn mine(volume: &Volume) -> Option<&Marked> {
    match volume {
        Volume::Marked(m) if m.mark.cluster_uid == "ours" && m.mark.member == "demo-0" && m.mark.incarnation == 2 => {
            Some(m)
        }
        Volume::Marked(_) | Volume::Unreadable(_) | Volume::InUse | Volume::Blank | Volume::Unmarked => None,
    }
}

/// What must be proven before an ID runs on an empty disk.
fn bootstrap_is_proven(volume: &Volume, object: &Object) -> bool {
    let (Some(m), Object::Known(k)) = (mine(volume), object) else { return false };
    let accepted = k.claim == Some(Claim { number: m.mark.claim, volume_id: "mine".into() }) && m.mark.claim > 0;
    let never_ran = !m.lived && !m.wal && m.mark.member_id.as_deref() == Some(INITIAL_ID);
    let ours =
        k.cluster_uid == "ours" && k.incarnation == 2 && k.initial && k.initial_members.contains(&"demo-0".into());
    accepted && never_ran && ours && !k.stopped && k.counter <= m.mark.counter
}

/// What must be true before etcd runs on a WAL.
fn resume_is_safe(volume: &Volume, object: &Object) -> bool {
    let Some(m) = mine(volume) else { return false };
    let intact = m.wal && m.lived && m.mark.member_id.is_some();
    let not_superseded = match object {
        Object::Awaited => false,
        Object::Away | Object::Missing => true,
        Object::Known(k) => {
            let claim = k.claim.as_ref();
            let speaks = claim.is_some_and(|c| c.volume_id == "mine" && c.number == m.mark.claim);
            k.cluster_uid == "ours" && k.incarnation == 2 && speaks && !k.stopped && k.counter <= m.mark.counter
        }
    };
    intact && not_superseded
}

/// Whether the others, if they answer, list the ID that the mark names: without it there is nothing to start.
fn is_listed(volume: &Volume, cluster: &Cluster) -> bool {
    let id = mine(volume).and_then(|m| m.mark.member_id.clone()).unwrap_or_default();
    cluster.list().is_none_or(|list| list::with_id(list, &id).is_some())
}

/// Whether the member is to leave and the others may let it: then it does not start at all.
fn leaves(object: &Object, cluster: &Cluster) -> bool {
    matches!(object, Object::Known(k) if k.is_surplus(0)) && !matches!(cluster, Cluster::Silent(_))
}

/// Asks for every combination of facts.
fn everywhere(mut check: impl FnMut(&Volume, &Object, &Cluster, &Start)) {
    let (volumes, objects, clusters) = (volumes(), objects(), clusters());
    for volume in &volumes {
        for object in &objects {
            for cluster in &clusters {
                check(volume, object, cluster, &step(volume, object, cluster));
            }
        }
    }
}

#[test]
fn etcd_starts_exactly_when_the_oracle_calls_it_proven() {
    let mut seen = [0_u32; 2];
    everywhere(|volume, object, cluster, step| {
        let facts = || format!("{volume:?}\n{object:?}\n{cluster:?}\n{step:?}");
        let stays = is_listed(volume, cluster) && !leaves(object, cluster);
        assert_eq!(*step == Start::Bootstrap, bootstrap_is_proven(volume, object) && stays, "{}", facts());
        assert_eq!(*step == Start::Resume, resume_is_safe(volume, object) && stays, "{}", facts());
        seen[0] += u32::from(*step == Start::Bootstrap);
        seen[1] += u32::from(*step == Start::Resume);
    });
    assert!(seen.iter().all(|n| *n > 0), "the combinations must reach both starts: {seen:?}");
}

/// Told to begin with data that is served there, or nowhere.
fn told_of_data(from: Option<&str>) -> Option<ToldRestore> {
    Some(ToldRestore { digest: "d1".into(), size: 7, from: from.map(Into::into), bump: None })
}

fn snapshot() -> Snapshot {
    Snapshot { digest: "d1".into(), size: 7, from: "10.0.0.9:2383".into(), bump: 0 }
}

#[test]
fn in_a_cluster_that_begins_with_data_a_founder_restores_exactly_where_it_would_bootstrap() {
    let mut seen = 0;
    everywhere(|volume, object, cluster, before| {
        let Object::Known(known) = object else { return };
        let told = |from| Object::Known(Known { restore: told_of_data(from), ..known.clone() });
        let facts = || format!("{volume:?}\n{object:?}\n{cluster:?}\n{before:?}");
        let served = step(volume, &told(Some("10.0.0.9:2383")), cluster);
        let unserved = step(volume, &told(None), cluster);
        if *before != Start::Bootstrap {
            assert_eq!((&served, &unserved), (before, before), "{}", facts());
            return;
        }
        assert_eq!(served, Start::Restore(snapshot()), "{}", facts());
        assert_eq!(unserved, Start::Wait(Wait::Snapshot), "{}", facts());
        seen += 1;
    });
    assert!(seen > 0, "the combinations must reach it");
}

#[test]
fn no_step_writes_on_a_volume_that_is_not_mine() {
    everywhere(|volume, object, cluster, step| {
        let passive = matches!(step, Start::Wait(_) | Start::Hold(_));
        // An older life is set aside where pod and object agree on the newer one.
        let older = matches!(volume, Volume::Marked(m) if m.mark.incarnation < 2
            && m.mark.cluster_uid == "ours" && m.mark.member == "demo-0");
        let agreed = matches!(object, Object::Known(k) if k.incarnation == 2 && k.cluster_uid == "ours");
        let allowed = passive || *volume == Volume::Blank || mine(volume).is_some() || (older && agreed);
        assert!(allowed, "{volume:?}\n{object:?}\n{cluster:?}\n{step:?}");
    });
}

#[test]
fn nothing_is_moved_removed_or_added_while_the_others_are_silent() {
    everywhere(|volume, object, cluster, step| {
        let older = mine(volume).is_none();
        let acts = matches!(step, Start::Remove { .. } | Start::Add | Start::Join | Start::Retire);
        let moves = matches!(step, Start::SetAside(_) | Start::Renew { .. }) && !older;
        assert!(cluster.list().is_some() || !(acts || moves), "{volume:?}\n{object:?}\n{step:?}");
    });
}

#[test]
fn an_entry_of_a_volume_that_may_still_run_is_never_removed() {
    everywhere(|volume, object, cluster, step| {
        let Start::Remove { id } = step else { return };
        let doomed = matches!(object, Object::Known(k) if k.is_surplus(0));
        let own = mine(volume).and_then(|m| m.mark.member_id.clone()) == Some(id.clone());
        let wal = mine(volume).is_some_and(|m| m.wal);
        assert!(doomed || !(own && wal), "{volume:?}\n{object:?}\n{cluster:?}\n{step:?}");
    });
}

#[test]
fn data_is_set_aside_only_when_its_id_is_out_of_the_membership() {
    everywhere(|volume, object, cluster, step| {
        let (Start::SetAside(_), Some(_)) = (step, mine(volume)) else { return };
        assert!(!is_listed(volume, cluster), "{volume:?}\n{object:?}\n{cluster:?}");
    });
}

#[test]
fn an_unclaimed_volume_takes_over_another_volumes_claim_only_for_an_id_of_its_own() {
    everywhere(|volume, object, _, step| {
        let Object::Known(k) = object else { return };
        let others = k.claim.as_ref().is_some_and(|c| c.volume_id != "mine");
        let fresh_id = mine(volume).is_some_and(|m| m.mark.joined && (m.wal || !m.lived));
        assert!(!(others && matches!(step, Start::Claim { .. })) || fresh_id, "{volume:?}\n{object:?}");
    });
}

#[test]
fn a_claim_always_rises() {
    everywhere(|volume, object, _, step| {
        if let (Start::Claim { number, member_id: _ }, Object::Known(k)) = (step, object) {
            let claimed = k.claim.as_ref().map_or(0, |c| c.number);
            assert!(*number > claimed && *number > mine(volume).unwrap().mark.claim);
        }
    });
}

/// A small cluster and this member: the steps are played as the sidecar does them, until etcd starts or nothing moves.
struct Stage {
    volume: Volume,
    known: Known,
    cluster: Cluster,
    done: Vec<Start>,
}

impl Stage {
    fn new(volume: Volume, known: Known, cluster: Cluster) -> Self {
        Self { volume, known, cluster, done: vec![] }
    }

    fn play(&mut self) -> Start {
        for number in 0..20 {
            let step = step(&self.volume, &Object::Known(self.known.clone()), &self.cluster);
            self.done.push(step.clone());
            match (&mut self.volume, &step) {
                (Volume::Marked(m), Start::Restore(_)) => (m.wal, m.remains) = (true, true),
                (volume, Start::Touch) => *volume = marked(blank(number, false), false, false),
                (Volume::Marked(m), Start::Claim { number, member_id }) => {
                    self.known.claim = Some(Claim { number: *number, volume_id: m.mark.volume_id.clone() });
                    self.known.counter = m.mark.counter;
                    (m.mark.identity.claim, m.mark.identity.member_id) = (*number, member_id.clone());
                }
                (Volume::Marked(m), Start::SetLived) => m.lived = true,
                (Volume::Marked(m), Start::SetAside(_)) => (m.wal, m.remains) = (false, false),
                (volume, Start::Renew { replacing }) => *volume = marked(blank(number, *replacing), false, false),
                (_, Start::Remove { id }) => self.list().retain(|entry| entry.id != *id),
                (Volume::Marked(m), Start::Add) => {
                    (m.mark.joined, m.mark.replacing) = (true, false);
                    m.mark.identity.member_id = Some("fresh".into());
                    self.list().push(Entry { learner: true, started: false, ..entry("fresh", "demo-0") });
                }
                (Volume::Marked(m), Start::Retire) => m.mark.retired = Some("this-pod".into()),
                _ => return step,
            }
        }
        panic!("no end: {:?}", self.done)
    }

    fn list(&mut self) -> &mut Vec<Entry> {
        match &mut self.cluster {
            Cluster::Answers(list) => list,
            Cluster::Awaited | Cluster::Silent(_) => panic!("nobody answers"),
        }
    }
}

fn blank(number: usize, replacing: bool) -> Mark {
    let volume_id = format!("volume-{number}");
    let identity = mark::Identity { volume_id, claim: 0, member_id: None, ..mark().identity };
    Mark { identity, replacing, counter: 0, ..mark() }
}

fn play(volume: Volume, known: Known) -> Start {
    Stage::new(volume, known, silent()).play()
}

/// The others, with this member listed under its first ID.
fn others() -> Cluster {
    Cluster::Answers(vec![entry(INITIAL_ID, "demo-0"), entry("cccc", "demo-1"), entry("dddd", "demo-2")])
}

#[test]
fn a_first_start_reaches_bootstrap() {
    assert_eq!(play(Volume::Blank, Known { claim: None, counter: 0, ..known() }), Start::Bootstrap);
}

#[test]
fn a_crash_after_an_accepted_claim_claims_again_and_goes_on() {
    let mut mark = blank(1, false);
    mark.identity.volume_id = "mine".into();
    assert_eq!(play(marked(mark, false, false), Known { counter: 0, ..known() }), Start::Bootstrap);
}

#[test]
fn a_lost_disk_is_stranded_alone_and_joins_under_a_new_id_with_the_others() {
    for (volume, lost) in [(marked(mark(), true, false), Lost::Data), (Volume::Blank, Lost::Volume)] {
        assert_eq!(play(volume.clone(), known()), Start::Stranded(lost));
        let mut stage = Stage::new(volume, known(), others());
        assert_eq!(stage.play(), Start::Join);
        let position = |wanted: &Start| stage.done.iter().position(|step| step == wanted).unwrap();
        assert!(position(&Start::Remove { id: INITIAL_ID.into() }) < position(&Start::Add), "{:?}", stage.done);
    }
}

#[test]
fn an_object_made_again_proves_nothing() {
    let object = Known { initial: false, claim: None, counter: 0, ..known() };
    assert_eq!(play(Volume::Blank, object.clone()), Start::Stranded(Lost::Proof));
    assert_eq!(play(marked(mark(), true, true), object), Start::Resume, "data needs no proof");
}

#[test]
fn a_member_that_was_removed_sets_its_data_aside_and_joins_anew() {
    let without_me = Cluster::Answers(vec![entry("cccc", "demo-1")]);
    let mut stage = Stage::new(marked(mark(), true, true), known(), without_me);
    assert_eq!(stage.play(), Start::Join);
    assert_eq!(stage.done[0], Start::SetAside(Lost::Removed));
    let claimed = stage.done.iter().position(|step| matches!(step, Start::Claim { .. })).unwrap();
    let added = stage.done.iter().position(|step| *step == Start::Add).unwrap();
    assert!(claimed < added, "a twin must know before its place is taken: {:?}", stage.done);
    let (me, volume, object) = (me(), marked(mark(), true, true), Object::Known(known()));
    let asked = |cluster: &Cluster| start(Facts { expelled: true, ..facts(&me, &volume, &object, cluster) });
    assert_eq!(asked(&Cluster::Awaited), Start::Wait(Wait::Confirmation), "etcd's word alone is not enough");
    assert_eq!(asked(&silent()), Start::Resume, "and no reason to stay away for ever");
}

#[test]
fn a_twin_whose_place_is_taken_holds() {
    let list = Cluster::Answers(vec![entry("eeee", "demo-0"), entry("cccc", "demo-1")]);
    for object in [Object::Away, Object::Known(known())] {
        let step = step(&marked(mark(), true, true), &object, &list);
        assert_eq!(step, Start::Hold(Hold::Superseded { by: "eeee".into() }));
    }
}

#[test]
fn data_under_another_id_than_the_marks_is_set_aside() {
    let list = Cluster::Answers(vec![entry("bbbb", "demo-0"), entry("cccc", "demo-1")]);
    let suspicion = Some(Suspicion::OtherId { found: "eeee".into() });
    let ask = |mark: Mark| step(&marked(mark, true, true), &Object::Known(known()), &list);
    assert_eq!(ask(Mark { suspicion: suspicion.clone(), ..added(1) }), Start::SetAside(Lost::Removed));
    let held = |start: &Start| matches!(start, Start::Hold(Hold::NotItself(_)));
    let voter = Mark { suspicion: suspicion.clone(), voted: true, ..added(1) };
    assert!(held(&ask(voter)), "what a voter has may be the only copy");
    assert!(held(&ask(Mark { suspicion, ..mark() })), "and so may a founder's");
}

#[test]
fn data_that_was_forced_to_be_a_cluster_of_its_own_is_held_until_nobody_holds_the_lost_voters_ids() {
    let voter =
        |ordinal: u32, id: &str| Voter { id: id.into(), member: format!("demo-{ordinal}"), ordinal: Some(ordinal) };
    let voters = vec![voter(0, INITIAL_ID), voter(1, "cccc"), voter(2, "dddd")];
    let suspicion = Some(Suspicion::Forced { lost: voters[1..].to_vec() });
    let volume = marked(Mark { voters, suspicion, ..mark() }, true, true);
    let (me, object) = (me(), Object::Known(known()));
    for cluster in [silent(), others(), Cluster::Answers(vec![entry("cccc", "demo-1")])] {
        let ask = |neighbours: &Neighbours| start(Facts { neighbours, ..facts(&me, &volume, &object, &cluster) });
        let held = |start: Start| matches!(start, Start::Hold(Hold::NotItself(_)));
        assert!(held(ask(&Neighbours::new())));
        let one_holds = [("demo-1".into(), Some("cccc".into())), ("demo-2".into(), None)].into();
        assert!(held(ask(&one_holds)));
        let none_holds = [("demo-1".into(), Some("new".into())), ("demo-2".into(), None)].into();
        assert_eq!(ask(&none_holds), Start::Trust);
    }
}

#[test]
fn what_a_log_left_behind_is_set_aside_before_any_first_start() {
    let left = |mark: Mark, lived| Volume::Marked(Marked { mark, lived, wal: false, remains: true });
    assert_eq!(step(&left(mark(), false), &Object::Known(known()), &silent()), Start::SetAside(Lost::Leftover));
    let lost = step(&left(mark(), true), &Object::Known(known()), &others());
    assert_eq!(lost, Start::SetAside(Lost::Data), "a database without its log is not the member's any more");
    let joins = step(&left(added(1), false), &Object::Known(known()), &Cluster::Answers(vec![entry("bbbb", "demo-0")]));
    assert!(matches!(joins, Start::SetAside(_)), "{joins:?}");
    let older = Mark { identity: mark::Identity { incarnation: 1, ..mark().identity }, ..mark() };
    let step = step(&left(older, true), &Object::Known(known()), &silent());
    assert_eq!(step, Start::SetAside(Lost::Incarnation), "it would be served as the new life's");
}

#[test]
fn only_what_the_others_hold_is_deleted() {
    let founder = mark();
    assert_eq!(fate(Lost::Removed, &founder, 100, 100), Fate::Kept);
    assert_eq!(fate(Lost::Removed, &founder, 100, 99), Fate::Deleted, "their copy would not fit beside it");
    assert_eq!(fate(Lost::Removed, &added(1), 1, 100), Fate::Deleted, "a learner's");
    assert_eq!(fate(Lost::Removed, &Mark { voted: true, ..added(1) }, 1, 100), Fate::Kept);
    for mark in [founder, added(1)] {
        assert_eq!(fate(Lost::Incarnation, &mark, 100, 0), Fate::Kept, "it is nowhere else");
        assert_eq!(fate(Lost::Leftover, &mark, 100, 0), Fate::Kept);
    }
}

#[test]
fn a_launcher_that_is_not_heard_bars_all_that_moves_data() {
    everywhere(|volume, object, cluster, step| {
        let me = me();
        let asked = Facts { launcher: Launcher::Unheard, ..facts(&me, volume, object, cluster) };
        let moves = matches!(
            step,
            Start::SetAside(_) | Start::Renew { .. } | Start::Retire | Start::Remove { .. } | Start::Add
        );
        let wanted = if moves { &Start::Wait(Wait::Launcher) } else { step };
        assert_eq!(&start(asked), wanted, "{volume:?}\n{object:?}\n{cluster:?}");
    });
}

#[test]
fn etcd_waits_for_the_addresses_of_its_peers() {
    let fresh = Addresses::default();
    let (me, object) = (me(), Object::Known(known()));
    let (blank, cluster) = (marked(mark(), false, false), silent());
    let first = Facts { addresses: &fresh, ..facts(&me, &blank, &object, &cluster) };
    let others = || vec!["demo-1".to_owned(), "demo-2".to_owned()];
    assert_eq!(start(first), Start::Wait(Wait::Addresses(others())));
    let told = Addresses { told: others(), ..fresh };
    let data = marked(mark(), true, true);
    let again = Facts { addresses: &told, ..facts(&me, &data, &object, &cluster) };
    assert_eq!(start(again), Start::Wait(Wait::Addresses(others())));
}

#[test]
fn an_entry_that_this_volume_was_given_is_taken_over_and_any_other_is_not() {
    let list = |id: &str| Cluster::Answers(vec![Entry { learner: true, started: false, ..entry(id, "demo-0") }]);
    let volume = marked(added(1), false, false);
    assert_eq!(step(&volume, &Object::Known(known()), &list("bbbb")), Start::Join);
    assert_eq!(step(&volume, &Object::Known(known()), &list("eeee")), Start::Remove { id: "eeee".into() });
    let lived = marked(added(0), true, false);
    assert_eq!(step(&lived, &Object::Known(known()), &list("bbbb")), Start::Renew { replacing: true });
}

#[test]
fn a_learner_under_way_is_waited_for() {
    let claim = Some(Claim { number: 1, volume_id: "volume-1".into() });
    let object = Object::Known(Known { initial: false, claim, counter: 0, initial_members: vec![], ..known() });
    let learner = Entry { learner: true, ..entry("eeee", "demo-4") };
    let list = Cluster::Answers(vec![entry("cccc", "demo-1"), learner]);
    let mut mark = blank(1, true);
    mark.identity.claim = 1;
    let volume = marked(mark, false, false);
    assert_eq!(step(&volume, &object, &list), Start::Wait(Wait::Turn { behind: "demo-4".into() }));
}

#[test]
fn an_unwanted_member_leaves_for_good_and_its_successor_joins() {
    let unwanted = Known { size: 0, ..known() };
    let mut stage = Stage::new(marked(mark(), true, true), unwanted, others());
    assert_eq!(stage.play(), Start::Left);
    stage.known.size = 3;
    assert_eq!(stage.play(), Start::Left, "also when it is wanted again");
    let successor = Identity { pod_uid: "next-pod".into(), ..me() };
    let object = Object::Known(stage.known.clone());
    let asked = facts(&successor, &stage.volume, &object, &stage.cluster);
    assert_eq!(start(asked), Start::SetAside(Lost::Retired));
}

#[test]
fn an_unwanted_founder_forms_the_cluster_first_when_nobody_answers() {
    let unwanted = Known { size: 0, claim: None, counter: 0, ..known() };
    assert_eq!(play(Volume::Blank, unwanted), Start::Bootstrap);
}

#[test]
fn without_the_api_server_the_membership_says_who_is_wanted() {
    let lost = marked(mark(), true, false);
    assert_eq!(step(&lost, &Object::Away, &others()), Start::Renew { replacing: true });
    let without_me = Cluster::Answers(vec![entry("cccc", "demo-1")]);
    assert_eq!(step(&lost, &Object::Away, &without_me), Start::Wait(Wait::ApiServer));
    let removed_itself = marked(blank(1, true), false, false);
    assert_eq!(step(&removed_itself, &Object::Away, &without_me), Start::Add);
}

#[test]
fn a_volume_that_joined_without_a_claim_claims_later_unless_it_was_replaced() {
    let other = Known { claim: Some(Claim { number: 3, volume_id: "gone".into() }), ..known() };
    let volume = marked(added(0), true, true);
    let id = || Some("bbbb".to_owned());
    let list = |id: &str| Cluster::Answers(vec![entry(id, "demo-0")]);
    let ask = |cluster: &Cluster| step(&volume, &Object::Known(other.clone()), cluster);
    assert_eq!(ask(&silent()), Start::Claim { number: 4, member_id: id() });
    assert_eq!(ask(&list("bbbb")), Start::Claim { number: 4, member_id: id() });
    assert_eq!(ask(&list("eeee")), Start::Hold(Hold::Superseded { by: "gone".into() }));
}

#[test]
fn an_intact_volume_starts_without_the_api_server_and_an_empty_one_does_not() {
    assert_eq!(step(&marked(mark(), true, true), &Object::Away, &silent()), Start::Resume);
    assert_eq!(step(&marked(mark(), false, false), &Object::Away, &silent()), Start::Wait(Wait::ApiServer));
}

#[test]
fn an_older_copy_of_the_volume_is_held() {
    let object = Object::Known(Known { counter: 9, ..known() });
    let step = step(&marked(mark(), true, true), &object, &silent());
    assert_eq!(step, Start::Hold(Hold::OlderCopy { volume: 5, object: 9 }));
}

#[test]
fn an_older_incarnation_is_set_aside_where_pod_and_object_agree() {
    let mut old = mark();
    old.identity.incarnation = 1;
    let fresh = Known { claim: None, counter: 0, ..known() };
    let mut stage = Stage::new(marked(old.clone(), true, true), fresh, silent());
    assert_eq!(stage.play(), Start::Bootstrap);
    assert_eq!(stage.done[..2], [Start::SetAside(Lost::Incarnation), Start::Renew { replacing: false }]);
    let hold = Start::Hold(Hold::OlderIncarnation { found: 1 });
    assert_eq!(step(&marked(old, true, true), &Object::Away, &silent()), hold);
}

const RESTS: Wish = Wish { paused: true, held: false };

fn paused(known: Known) -> Known {
    Known { wish: RESTS, ..known }
}

#[test]
fn while_all_rests_no_data_is_moved_and_nobody_gets_or_loses_a_place() {
    let objects: Vec<Object> = objects()
        .into_iter()
        .map(|object| match object {
            Object::Known(known) => Object::Known(paused(known)),
            Object::Awaited | Object::Away | Object::Missing => object,
        })
        .collect();
    for (volume, cluster) in volumes().iter().flat_map(|volume| clusters().into_iter().map(move |one| (volume, one))) {
        for object in objects.iter().filter(|object| matches!(object, Object::Known(_))) {
            let step = step(volume, object, &cluster);
            let moves = matches!(
                step,
                Start::SetAside(_) | Start::Renew { .. } | Start::Remove { .. } | Start::Add | Start::Retire
            );
            assert!(!moves, "{volume:?}\n{object:?}\n{cluster:?}\n{step:?}");
        }
    }
}

#[test]
fn a_member_that_is_one_comes_back_while_all_rests() {
    let list = Cluster::Answers(vec![entry(INITIAL_ID, "demo-0"), entry("cccc", "demo-1")]);
    let object = |known: Known| Object::Known(paused(known));
    assert_eq!(step(&marked(mark(), true, true), &object(known()), &list), Start::Resume);
    let surplus = Known { size: 0, ..known() };
    assert_eq!(step(&marked(mark(), true, true), &object(surplus), &list), Start::Resume, "it has not left");
    let learner = Cluster::Answers(vec![Entry { learner: true, ..entry("bbbb", "demo-0") }, entry("cccc", "demo-1")]);
    assert_eq!(step(&marked(added(1), false, false), &object(known()), &learner), Start::Join, "it was added before");
    let lost = step(&marked(mark(), true, false), &object(known()), &list);
    assert_eq!(lost, Start::Wait(Wait::Unpaused), "its data is lost: it needs a place");
}

#[test]
fn the_mark_keeps_a_wish_for_an_agent_that_hears_nobody() {
    let list = Cluster::Answers(vec![entry(INITIAL_ID, "demo-0"), entry("cccc", "demo-1")]);
    let lost = |wish| marked(Mark { wish, ..mark() }, true, false);
    assert_eq!(step(&lost(RESTS), &Object::Away, &list), Start::Wait(Wait::Unpaused));
    assert_ne!(step(&lost(Wish::default()), &Object::Away, &list), Start::Wait(Wait::Unpaused));
    assert_ne!(step(&lost(RESTS), &Object::Known(known()), &list), Start::Wait(Wait::Unpaused), "it was taken back");
}

#[test]
fn a_wish_goes_onto_the_mark_of_an_own_volume_once_and_only_as_long_as_it_is_sure() {
    let object = Object::Known(paused(known()));
    assert_eq!(object.news(&me(), &mark()), Some(RESTS));
    assert_eq!(object.news(&me(), &Mark { wish: RESTS, ..mark() }), None);
    let foreign = mark::Identity { member: "demo-1".into(), ..mark().identity };
    assert_eq!(object.news(&me(), &Mark { identity: foreign, ..mark() }), None);
    assert_eq!(Object::Known(Known { current: false, ..paused(known()) }).news(&me(), &mark()), None);
    assert_eq!(Object::Away.news(&me(), &mark()), None);
}

#[test]
fn a_member_that_a_person_holds_is_not_started_and_its_volume_not_touched() {
    let held = Wish { held: true, ..Wish::default() };
    for volume in volumes() {
        for cluster in clusters() {
            let object = Object::Known(Known { wish: held, ..known() });
            assert_eq!(step(&volume, &object, &cluster), Start::Hold(Hold::BySpec), "{volume:?}");
        }
    }
    let list = Cluster::Answers(vec![entry(INITIAL_ID, "demo-0"), entry("cccc", "demo-1")]);
    let kept = |wish| marked(Mark { wish, ..mark() }, true, true);
    for object in [Object::Awaited, Object::Away, Object::Missing] {
        assert_eq!(step(&kept(held), &object, &list), Start::Hold(Hold::BySpec), "the mark keeps it: {object:?}");
    }
    assert_eq!(step(&kept(held), &Object::Known(known()), &list), Start::Resume, "it is released");
}

#[test]
fn a_founder_that_restores_resumes_on_what_it_restored_and_never_bootstraps() {
    let restore = told_of_data(Some("10.0.0.9:2383"));
    let first = Known { restore: restore.clone(), claim: None, counter: 0, ..known() };
    let mut stage = Stage::new(Volume::Blank, first, silent());
    assert_eq!(stage.play(), Start::Resume);
    let position = |wanted: &Start| stage.done.iter().position(|step| step == wanted).unwrap();
    let restored = position(&Start::Restore(snapshot()));
    assert!(restored < position(&Start::SetLived) && !stage.done.contains(&Start::Bootstrap), "{:?}", stage.done);
    let claim = stage.done.iter().position(|step| matches!(step, Start::Claim { .. })).unwrap();
    assert!(claim < restored, "{:?}", stage.done);
    let told = Object::Known(Known { restore, ..known() });
    assert_eq!(
        step(&marked(mark(), true, false), &told, &silent()),
        Start::Stranded(Lost::Data),
        "lost later, it joins"
    );
}

#[test]
fn what_a_restore_needs_besides_is_what_a_first_start_needs() {
    let (me, cluster, volume) = (me(), silent(), marked(mark(), false, false));
    let object = |wish| Object::Known(Known { restore: told_of_data(Some("10.0.0.9:2383")), wish, ..known() });
    let free = object(Wish::default());
    let asked = Facts { certified: false, ..facts(&me, &volume, &free, &cluster) };
    assert_eq!(start(asked), Start::Wait(Wait::Certificates));
    let fresh = Addresses::default();
    let asked = Facts { addresses: &fresh, ..facts(&me, &volume, &free, &cluster) };
    assert_eq!(start(asked), Start::Wait(Wait::Addresses(vec!["demo-1".into(), "demo-2".into()])));
    assert_eq!(step(&volume, &object(RESTS), &cluster), Start::Restore(snapshot()), "as a first start");
    let held = Wish { held: true, ..Wish::default() };
    assert_eq!(step(&volume, &object(held), &cluster), Start::Hold(Hold::BySpec));
    for missing in [Object::Awaited, Object::Away, Object::Missing] {
        assert!(matches!(step(&volume, &missing, &cluster), Start::Wait(_)), "{missing:?}");
    }
}

#[test]
fn where_the_token_says_that_the_life_begins_with_data_nobody_begins_empty_or_with_other_data() {
    let served = told_of_data(Some("10.0.0.9:2383"));
    let ask = |restore, says: &str| {
        let known = Known { restore, begins_with: Some(says.into()), ..known() };
        step(&marked(mark(), false, false), &Object::Known(known), &silent())
    };
    assert_eq!(ask(served.clone(), "d1"), Start::Restore(snapshot()));
    for (restore, says) in [(None, "d1"), (told_of_data(None), "d1"), (served, "d2")] {
        assert_eq!(ask(restore, says), Start::Wait(Wait::Snapshot));
    }
}
