//! Claims about whole histories: a small world of members that do their part, in which anything may be seen late, cut
//! short or lost; and an oracle that knows who is a member.

mod world;

use std::{collections::BTreeSet, sync::Arc};

use etcd_operator_shared::api::cluster::End;
use proptest::prelude::*;
use world::World;

use super::*;

#[derive(Debug, Clone)]
enum Move {
    Edit(u32),
    Turn { ago: usize, writes: usize },
    Kubernetes,
    Members { awake: u8, heard: u8 },
    Kill(u32),
    Etcd(u8),
    Options(u8),
    Class(u8),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let edit = prop::sample::select(vec![0u32, 1, 3, 5, 7]).prop_map(Move::Edit);
    let turn = (0usize..4, 1usize..40).prop_map(|(ago, writes)| Move::Turn { ago, writes });
    let members = (any::<u8>(), any::<u8>()).prop_map(|(awake, heard)| Move::Members { awake, heard });
    let one = prop_oneof![
        1 => edit,
        8 => turn,
        4 => Just(Move::Kubernetes),
        6 => members,
        1 => (0u32..7).prop_map(Move::Kill),
        1 => (21u8..24).prop_map(Move::Etcd),
        1 => (0u8..3).prop_map(Move::Options),
        1 => (0u8..2).prop_map(Move::Class),
    ];
    prop::collection::vec(one, 1..150)
}

fn play(world: &mut World, moves: Vec<Move>) {
    let mut past = vec![world.clone()];
    for one in moves {
        match one {
            Move::Edit(size) => world.wanted = size,
            Move::Turn { ago, writes } => {
                let cache = past[past.len().saturating_sub(1 + ago)].clone();
                world.turn(&cache, writes);
            }
            Move::Kubernetes => world.kubernetes(),
            Move::Members { awake, heard } => world.members(awake, heard),
            Move::Kill(ordinal) => drop(world.pods.remove(&ordinal)),
            Move::Etcd(etcd) => world.wish.etcd = etcd,
            Move::Options(options) => world.wish.options = options,
            Move::Class(class) => world.class = class,
        }
        let lost = world.etcd.iter().filter(|ordinal| world.is_lost(**ordinal)).count();
        assert!(lost <= 1, "{lost} of {:?} are without their data", world.etcd);
        past.push(world.clone());
    }
}

/// Everybody does what is to be done, and nothing is late.
fn rest(world: &mut World) {
    for _ in 0..90 {
        step(world);
    }
}

fn step(world: &mut World) {
    world.turn(&world.clone(), usize::MAX);
    world.kubernetes();
    world.members(u8::MAX, u8::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn sizes_edited_at_random_end_at_the_wanted_size_and_nothing_is_deleted_too_early(
        first in prop::sample::select(vec![1u32, 3, 5]),
        moves in moves(),
        last in prop::sample::select(vec![1u32, 3, 5, 7]),
    ) {
        let mut world = World::new(first);
        play(&mut world, moves);
        world.wanted = last;
        rest(&mut world);
        prop_assert_eq!(&world.etcd, &world.ordinals(), "{:#?}", world.decision(&world.facts()));
        prop_assert_eq!(world.set.map(|(replicas, _)| replicas), Some(last));
        prop_assert_eq!(world.members.keys().copied().collect::<BTreeSet<_>>(), world.ordinals());
        prop_assert_eq!(world.claims.keys().copied().collect::<BTreeSet<_>>(), world.ordinals());
        prop_assert_eq!(world.decision(&world.facts()).step, Step::Nothing);
    }

    #[test]
    fn an_incarnation_that_is_to_end_ends(first in prop::sample::select(vec![1u32, 3, 5]), moves in moves()) {
        let mut world = World::new(first);
        play(&mut world, moves);
        (world.wanted, world.delete_at_stop) = (0, true);
        rest(&mut world);
        prop_assert_eq!(world.decision(&world.facts()).step, Step::End(End::Stopped));
    }

    /// Whoever is touched is touched alone ([`World::turn`] sees to it), and in the end all run what is wanted.
    #[test]
    fn whatever_is_wanted_of_etcd_comes_to_every_member(first in prop::sample::select(vec![1u32, 3, 5]), moves in moves()) {
        let mut world = World::new(first);
        play(&mut world, moves);
        world.wanted = first;
        rest(&mut world);
        prop_assert_eq!(world.decision(&world.facts()).step, Step::Nothing);
        prop_assert!(world.ordinals().iter().all(|ordinal| world.runs(*ordinal) == Some(world.wish)));
    }

    /// Also one that is given up half-way: wherever the wish ends, there are in the end all members, on volumes of that class. That
    /// none goes while another is away, [`World::turn`] sees to.
    #[test]
    fn volumes_that_are_wanted_otherwise_at_any_time_end_in_the_class_that_is_wanted_last(
        first in prop::sample::select(vec![3u32, 5]),
        before in 0usize..6,
        moves in moves(),
        last in 0u8..2,
    ) {
        let mut world = World::new(first);
        rest(&mut world);
        world.class = 1;
        // Well under way when it begins to go wrong.
        for _ in 0..before * 4 {
            step(&mut world);
        }
        play(&mut world, moves);
        (world.wanted, world.class) = (first, last);
        rest(&mut world);
        let decision = world.decision(&world.live());
        prop_assert_eq!((&decision.step, &world.moving), (&Step::Nothing, &None), "{:#?}", decision);
        prop_assert_eq!(&world.etcd, &world.ordinals());
        prop_assert_eq!(world.claims.keys().copied().collect::<BTreeSet<_>>(), world.ordinals());
        prop_assert!(world.claims.values().all(|volume| volume.class == last && !volume.deleting), "{:?}", world.claims);
    }

    /// What is unknown, silent, old or missing: any part of what was known may be gone from what is seen.
    #[test]
    fn knowing_less_never_lowers_and_never_deletes(
        first in prop::sample::select(vec![3u32, 5]),
        size in prop::sample::select(vec![1u32, 3]),
        moves in moves(),
        lost in prop::collection::vec((0u32..7, 0u8..5), 1..6),
    ) {
        let mut world = World::new(first);
        play(&mut world, moves);
        world.wanted = size;
        let mut facts = world.facts();
        for (ordinal, what) in lost {
            let Some(slot) = facts.slots.get_mut(&ordinal) else { continue };
            match (what, &mut slot.member) {
                (0, Some(member)) => Arc::make_mut(member).status = None,
                (1, _) => slot.pod.iter_mut().for_each(|pod| pod.ready = false),
                (2, _) => slot.pod = None,
                (3, Some(member)) => *Arc::make_mut(member).version.generation.as_mut().unwrap() += 1,
                _ => slot.member = None,
            }
        }
        let decision = world.decision(&facts);
        if let Step::SetReplicas(n) = decision.step {
            prop_assert!(n >= facts.replicas() || world.etcd.last().is_none_or(|highest| *highest < n));
        }
        for departed in decision.care.unwrap().departed {
            prop_assert!(!world.etcd.contains(&departed.ordinal));
        }
    }
}

/// A first incarnation with so many founders, whose EtcdMembers are made.
pub fn begun(founders: u32) -> Incarnation {
    Incarnation {
        number: 1,
        token: "t".into(),
        initial_members: incarnation::initial_members("demo", founders),
        data_uid: None,
        restored: None,
        has_store: false,
        members_created: true,
        ended: None,
        quota_backend: None,
        encrypted: Default::default(),
    }
}
