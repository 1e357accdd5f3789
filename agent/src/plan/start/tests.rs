//! `start` against an oracle: every combination of facts, and a few claims by name.
//!
//! The oracle is written from the promise, not from the code: it says which starts are *safe*, by asking what each fact
//! proves, and `start` may do nothing that it does not allow.

use super::*;
use crate::volume::mark::FORMAT;

const INITIAL_ID: &str = "aaaa";

fn me() -> Identity {
    Identity { cluster_uid: "ours".into(), incarnation: 2, member: "demo-0".into() }
}

fn mark() -> Mark {
    Mark {
        format: FORMAT,
        cluster_uid: "ours".into(),
        incarnation: 2,
        member: "demo-0".into(),
        volume_id: "mine".into(),
        claim: 1,
        member_id: Some(INITIAL_ID.into()),
        counter: 5,
        peers: vec![],
    }
}

fn known() -> Known {
    Known {
        cluster_uid: "ours".into(),
        incarnation: 2,
        initial: true,
        initial_members: vec!["demo-0".into(), "demo-1".into(), "demo-2".into()],
        initial_id: INITIAL_ID.into(),
        claim: Some(Claim { number: 1, volume_id: "mine".into() }),
        counter: 5,
        stopped: false,
    }
}

fn marked(mark: Mark, lived: bool, wal: bool) -> Volume {
    Volume::Marked(Marked { mark, lived, wal })
}

/// Every volume that the facts can describe.
fn volumes() -> Vec<Volume> {
    let mut all = vec![Volume::Unreadable("io error".into()), Volume::Blank, Volume::Unmarked];
    for cluster_uid in ["ours", "theirs"] {
        for member in ["demo-0", "demo-1"] {
            for incarnation in 1..=3 {
                for claim in 0..=3 {
                    for member_id in [None, Some(INITIAL_ID), Some("bbbb")] {
                        for counter in [4, 5, 6] {
                            for (lived, wal) in [(false, false), (false, true), (true, false), (true, true)] {
                                let mark = Mark {
                                    cluster_uid: cluster_uid.into(),
                                    member: member.into(),
                                    incarnation,
                                    claim,
                                    member_id: member_id.map(Into::into),
                                    counter,
                                    ..mark()
                                };
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
                        for stopped in [false, true] {
                            let mut known =
                                Known { cluster_uid: cluster_uid.into(), incarnation, initial, stopped, ..known() };
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
        Volume::Marked(_) | Volume::Unreadable(_) | Volume::Blank | Volume::Unmarked => None,
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

#[test]
fn etcd_starts_exactly_when_the_oracle_calls_it_proven() {
    let mut seen = [0_u32; 2];
    for volume in volumes() {
        for object in objects() {
            let step = start(&me(), &volume, &object);
            let facts = || format!("{volume:?}\n{object:?}\n{step:?}");
            assert_eq!(step == Start::Bootstrap, bootstrap_is_proven(&volume, &object), "{}", facts());
            assert_eq!(step == Start::Resume, resume_is_safe(&volume, &object), "{}", facts());
            seen[0] += u32::from(step == Start::Bootstrap);
            seen[1] += u32::from(step == Start::Resume);
        }
    }
    assert!(seen.iter().all(|n| *n > 0), "the combinations must reach both starts: {seen:?}");
}

#[test]
fn no_step_writes_on_a_volume_that_is_not_mine() {
    for volume in volumes() {
        for object in objects() {
            let step = start(&me(), &volume, &object);
            let passive = matches!(step, Start::Wait(_) | Start::Hold(_));
            assert!(passive || volume == Volume::Blank || mine(&volume).is_some(), "{volume:?}\n{object:?}\n{step:?}");
        }
    }
}

#[test]
fn an_unclaimed_volume_never_takes_over_another_volumes_claim() {
    for volume in volumes() {
        for object in objects() {
            let Object::Known(k) = &object else { continue };
            let others = k.claim.as_ref().is_some_and(|c| c.volume_id != "mine");
            let claims = matches!(start(&me(), &volume, &object), Start::Claim { .. });
            assert!(!(others && claims), "{volume:?}\n{object:?}");
        }
    }
}

#[test]
fn a_claim_always_rises() {
    for volume in volumes() {
        for object in objects() {
            if let (Start::Claim { number, member_id: _ }, Object::Known(k)) = (start(&me(), &volume, &object), &object)
            {
                let claimed = k.claim.as_ref().map_or(0, |c| c.number);
                assert!(number > claimed && number > mine(&volume).unwrap().mark.claim);
            }
        }
    }
}

/// Plays the steps as the sidecar does, with the API server accepting every claim, until etcd starts or nothing moves.
fn play(mut volume: Volume, object: Object) -> Start {
    let Object::Known(mut known) = object else { panic!("play needs an object") };
    for _ in 0..10 {
        let step = start(&me(), &volume, &Object::Known(known.clone()));
        let Volume::Marked(m) = &mut volume else {
            assert_eq!(step, Start::Touch);
            let fresh = Mark { volume_id: "fresh".into(), claim: 0, member_id: None, counter: 0, ..mark() };
            volume = marked(fresh, false, false);
            continue;
        };
        match step {
            Start::Claim { number, member_id } => {
                known.claim = Some(Claim { number, volume_id: m.mark.volume_id.clone() });
                m.mark.claim = number;
                m.mark.member_id = Some(member_id);
            }
            Start::SetLived => m.lived = true,
            Start::Touch | Start::Bootstrap | Start::Resume | Start::Join(_) | Start::Wait(_) | Start::Hold(_) => {
                return step;
            }
        }
    }
    panic!("no end in ten steps")
}

#[test]
fn a_first_start_reaches_bootstrap() {
    let object = Known { claim: None, counter: 0, ..known() };
    assert_eq!(play(Volume::Blank, Object::Known(object)), Start::Bootstrap);
}

#[test]
fn a_crash_after_an_accepted_claim_claims_again_and_goes_on() {
    let volume = marked(Mark { claim: 0, member_id: None, counter: 0, ..mark() }, false, false);
    let object = Known { counter: 0, ..known() };
    assert_eq!(play(volume, Object::Known(object)), Start::Bootstrap);
}

#[test]
fn an_emptied_volume_whose_id_ran_never_starts_under_it_again() {
    assert_eq!(play(marked(mark(), true, false), Object::Known(known())), Start::Join(Lost::Data));
}

#[test]
fn a_blank_volume_of_a_claimed_member_never_starts_under_its_id() {
    assert_eq!(play(Volume::Blank, Object::Known(known())), Start::Join(Lost::Volume));
}

#[test]
fn an_object_made_again_proves_nothing() {
    let object = Known { initial: false, claim: None, counter: 0, ..known() };
    assert_eq!(play(Volume::Blank, Object::Known(object.clone())), Start::Join(Lost::Proof));
    assert_eq!(play(marked(mark(), true, true), Object::Known(object)), Start::Resume, "data needs no proof");
}

#[test]
fn an_intact_volume_starts_without_the_api_server_and_an_empty_one_does_not() {
    assert_eq!(start(&me(), &marked(mark(), true, true), &Object::Away), Start::Resume);
    assert_eq!(start(&me(), &marked(mark(), false, false), &Object::Away), Start::Wait(Wait::ApiServer));
}

#[test]
fn an_older_copy_of_the_volume_is_held() {
    let object = Known { counter: 9, ..known() };
    let step = start(&me(), &marked(mark(), true, true), &Object::Known(object));
    assert_eq!(step, Start::Hold(Hold::OlderCopy { volume: 5, object: 9 }));
}
