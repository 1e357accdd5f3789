//! Claims about whole histories: a small world of members that do their part, in which anything may be seen late, cut short
//! or lost; and an oracle that knows who is a member.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use etcd_operator_shared::api::{
    EtcdMember,
    cluster::End,
    member::{MemberPhase, Role},
};
use proptest::prelude::*;

use super::*;
use crate::facts::{
    Pod, Seat,
    tests::{list, member, pod, set, status},
};

/// The cluster as it is. `etcd` is what no coordinator can see: who is a member.
#[derive(Debug, Clone)]
struct World {
    wanted: u32,
    delete_at_stop: bool,
    life: Incarnation,
    etcd: BTreeSet<u32>,
    formed: bool,
    leader: Option<u32>,
    set: Option<(u32, u64)>,
    pods: BTreeMap<u32, Pod>,
    members: BTreeMap<u32, EtcdMember>,
    /// Volumes by ordinal: the UID of each.
    claims: BTreeMap<u32, u64>,
    /// Rises with everything that is made or written.
    clock: u64,
}

impl World {
    fn new(wanted: u32) -> Self {
        let initial_members = founding::initial_members("demo", wanted);
        let life = Incarnation { number: 1, token: "t".into(), initial_members, members_created: true, ended: None };
        let mut world = Self {
            wanted,
            delete_at_stop: false,
            life,
            etcd: BTreeSet::new(),
            formed: false,
            leader: None,
            set: None,
            pods: BTreeMap::new(),
            members: BTreeMap::new(),
            claims: BTreeMap::new(),
            clock: 0,
        };
        let word = Word { size: wanted, ..Word::default() };
        (0..wanted).for_each(|ordinal| world.make(ordinal, &word));
        world
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn make(&mut self, ordinal: u32, word: &Word) {
        let mut made = member(ordinal, None);
        made.metadata.uid = Some(format!("member-{}", self.tick()));
        made.metadata.generation = Some(1);
        (made.spec.size, made.spec.stopped) = (word.size(), word.stopped);
        made.spec.peers.clone_from(&word.peers);
        self.members.entry(ordinal).or_insert(made);
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts { cluster: "demo".into(), ..Facts::default() };
        facts.set = self.set.map(|(replicas, version)| crate::facts::Set {
            resource_version: Some(version.to_string()),
            ..set(replicas, "a")
        });
        for (ordinal, member) in &self.members {
            facts.seats.insert(*ordinal, Seat { member: Some(Arc::new(member.clone())), pod: None });
        }
        for (ordinal, pod) in &self.pods {
            facts.seats.entry(*ordinal).or_default().pod = Some(pod.clone());
        }
        facts.claims = self.claims.keys().map(|ordinal| (*ordinal, false)).collect();
        facts
    }

    fn aim(&self) -> Aim {
        match (self.wanted, self.delete_at_stop) {
            (0, true) => Aim::End(End::Stopped),
            (0, false) => Aim::Stop,
            (size, _) => Aim::Run(size),
        }
    }

    fn course(&self, facts: &Facts) -> Course {
        let long = Duration::from_secs(60);
        Course::of(self.aim(), &self.life, self.formed, facts, Waited { address: long, leader: long })
    }

    /// One turn of a coordinator that sees `cache`, and dies after `writes` writes.
    fn turn(&mut self, cache: &Self, writes: usize) {
        let seen = Self { wanted: self.wanted, ..cache.clone() };
        let (mut facts, mut course) = (seen.facts(), seen.course(&seen.facts()));
        if course.is_final(&facts) {
            facts = self.facts();
            course = self.course(&facts);
        }
        let mut left = writes;
        let mut may = || {
            left = left.saturating_sub(1);
            left > 0
        };
        let there: BTreeSet<u32> = facts.seats.iter().filter(|(_, s)| s.member.is_some()).map(|(k, _)| *k).collect();
        for ordinal in there.iter().copied().chain(0..course.seats).collect::<BTreeSet<_>>() {
            let retired = course.retired.iter().any(|r| r.ordinal == ordinal);
            if !retired && may() {
                self.tell(ordinal, &course.word, there.contains(&ordinal));
            }
        }
        let before = facts.set.as_ref().map(|set| set.replicas);
        let replicas = if let Step::SetReplicas(n) = course.step { Some(n) } else { before };
        let read = facts.set.as_ref().and_then(|set| set.resource_version.clone());
        let same = read == self.set.map(|(_, version)| version.to_string());
        if !may() || !same {
            return;
        }
        if let Some(replicas) = replicas.filter(|replicas| before != Some(*replicas)) {
            self.scale(replicas);
        }
        if let Step::Replace(victims) = &course.step {
            let gone = |pod: &Pod| victims.iter().any(|v| v.uid == pod.uid);
            self.pods.retain(|_, pod| !gone(pod));
        }
        for retired in &course.retired {
            self.retire(retired, may());
        }
        assert_eq!(
            matches!(course.step, Step::End(_)),
            self.delete_at_stop && self.wanted == 0 && self.is_down(&facts)
        );
    }

    fn is_down(&self, facts: &Facts) -> bool {
        facts.set.as_ref().is_some_and(|set| set.replicas == 0) && facts.pods().next().is_none()
    }

    fn tell(&mut self, ordinal: u32, word: &Word, update: bool) {
        if !update {
            return self.make(ordinal, word);
        }
        let Some(member) = self.members.get_mut(&ordinal).filter(|m| !word.is_told_to(m)) else { return };
        (member.spec.size, member.spec.stopped) = (word.size(), word.stopped);
        member.spec.peers.clone_from(&word.peers);
        *member.metadata.generation.as_mut().unwrap() += 1;
    }

    fn scale(&mut self, replicas: u32) {
        let before = self.set.map_or(0, |(replicas, _)| replicas);
        if replicas < before && self.wanted > 0 {
            let highest = self.etcd.last().map_or(0, |highest| highest + 1);
            assert!(replicas >= highest, "{replicas} replicas with members {:?}", self.etcd);
            assert!(self.formed, "lowered before the cluster has formed");
        }
        let stopped = self.members.values().all(|m| m.spec.stopped);
        assert!(replicas > 0 || stopped, "stopped before the members were told");
        assert!((0..replicas).all(|k| self.members.contains_key(&k)), "a pod before its EtcdMember");
        let version = self.tick();
        self.set = Some((replicas, version));
    }

    fn retire(&mut self, retired: &Retired, volume: bool) {
        let Retired { ordinal, uid, .. } = retired;
        assert!(!self.etcd.contains(ordinal), "the volume of member {ordinal} is deleted");
        assert!(!self.pods.contains_key(ordinal), "a volume is deleted under its pod");
        if volume {
            self.claims.remove(ordinal);
            self.members.retain(|k, member| k != ordinal || member.metadata.uid.as_ref() != Some(uid));
        }
    }

    /// The StatefulSet's controller.
    fn kubernetes(&mut self) {
        let Some((replicas, _)) = self.set else { return };
        self.pods.retain(|ordinal, _| *ordinal < replicas);
        for ordinal in 0..replicas {
            if !self.pods.contains_key(&ordinal) {
                let uid = self.tick();
                self.claims.entry(ordinal).or_insert(uid);
                self.pods.insert(ordinal, Pod { uid: format!("pod-{uid}"), ..pod(ordinal, "a") });
            }
        }
    }

    /// etcd and the agents, at most one thing each. Only those of `awake` act, and only those of `heard` reach the API server.
    fn members(&mut self, awake: u8, heard: u8) {
        let majority = |of: &BTreeSet<u32>, pods: &BTreeMap<u32, Pod>| {
            2 * of.iter().filter(|k| pods.contains_key(k)).count() > of.len()
        };
        if !self.formed {
            let founders: BTreeSet<u32> = (0..founding::founders(&self.life)).collect();
            if majority(&founders, &self.pods) {
                (self.etcd, self.formed) = (founders, true);
            }
        }
        let lead = self.etcd.iter().copied().find(|k| self.pods.contains_key(k));
        self.leader = lead.filter(|_| majority(&self.etcd, &self.pods));
        let known: Vec<u32> = self.pods.keys().copied().filter(|k| self.members.contains_key(k)).collect();
        let among = |mask: u8, ordinal: u32| mask & (1 << ordinal) != 0;
        known.iter().filter(|k| among(awake, **k)).for_each(|k| self.agent(*k));
        if self.leader.is_some_and(|leader| among(awake, leader)) {
            self.steward();
        }
        known.into_iter().filter(|k| among(heard, *k)).for_each(|k| self.speak(k));
    }

    fn doomed(&self, ordinal: u32) -> bool {
        self.members.get(&ordinal).is_some_and(|m| !m.spec.stopped && ordinal >= m.spec.size.unsigned_abs())
    }

    fn has_left(&self, ordinal: u32) -> bool {
        let left = self.members[&ordinal].status.as_ref().and_then(|s| s.left_pod_uid.clone());
        left == Some(self.pods[&ordinal].uid.clone())
    }

    /// Joins or leaves, the highest first, while a quorum serves.
    fn agent(&mut self, ordinal: u32) {
        if self.leader.is_none() || self.has_left(ordinal) || self.members[&ordinal].spec.stopped {
            return;
        }
        let highest = self.etcd.iter().copied().filter(|k| self.doomed(*k)).max();
        if !self.doomed(ordinal) {
            self.etcd.insert(ordinal);
        } else if highest == Some(ordinal) || !self.etcd.contains(&ordinal) {
            self.etcd.remove(&ordinal);
            let uid = self.pods[&ordinal].uid.clone();
            let member = self.members.get_mut(&ordinal).unwrap();
            member.status.get_or_insert_with(|| status(ordinal, Role::Follower)).left_pod_uid = Some(uid);
        }
    }

    /// The leader's agent removes those that are to go and are not there.
    fn steward(&mut self) {
        let Some(size) = self.leader.and_then(|l| Some(self.members.get(&l)?.spec.size.unsigned_abs())) else { return };
        let pods = &self.pods;
        self.etcd.retain(|ordinal| *ordinal < size || pods.contains_key(ordinal));
    }

    fn speak(&mut self, ordinal: u32) {
        let (etcd, leads, left) = (self.etcd.clone(), self.leader == Some(ordinal), self.has_left(ordinal));
        let quorum = self.leader.is_some();
        let uid = self.pods[&ordinal].uid.clone();
        let member = self.members.get_mut(&ordinal).unwrap();
        let voters: Vec<u32> = etcd.iter().copied().collect();
        let mut said = status(ordinal, if leads { Role::Leader } else { Role::Follower });
        said.membership = leads.then(|| list(member.metadata.generation.unwrap(), &voters));
        said.ready = quorum && etcd.contains(&ordinal);
        said.phase = Some(if left { MemberPhase::Left } else { MemberPhase::Running });
        said.left_pod_uid = left.then(|| uid.clone());
        said.pod_uid = Some(uid);
        member.status = Some(said);
        self.pods.get_mut(&ordinal).unwrap().ready = quorum && etcd.contains(&ordinal);
    }

    fn ordinals(&self) -> BTreeSet<u32> {
        (0..self.wanted).collect()
    }
}

#[derive(Debug, Clone)]
enum Move {
    Edit(u32),
    Turn { ago: usize, writes: usize },
    Kubernetes,
    Members { awake: u8, heard: u8 },
    Kill(u32),
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
        }
        past.push(world.clone());
    }
}

/// Everybody does what is to be done, and nothing is late.
fn rest(world: &mut World) {
    for _ in 0..60 {
        world.turn(&world.clone(), usize::MAX);
        world.kubernetes();
        world.members(u8::MAX, u8::MAX);
    }
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
        prop_assert_eq!(&world.etcd, &world.ordinals(), "{:#?}", world.course(&world.facts()));
        prop_assert_eq!(world.set.map(|(replicas, _)| replicas), Some(last));
        prop_assert_eq!(world.members.keys().copied().collect::<BTreeSet<_>>(), world.ordinals());
        prop_assert_eq!(world.claims.keys().copied().collect::<BTreeSet<_>>(), world.ordinals());
        prop_assert_eq!(world.course(&world.facts()).step, Step::Nothing);
    }

    #[test]
    fn a_life_that_is_to_end_ends(first in prop::sample::select(vec![1u32, 3, 5]), moves in moves()) {
        let mut world = World::new(first);
        play(&mut world, moves);
        (world.wanted, world.delete_at_stop) = (0, true);
        rest(&mut world);
        prop_assert_eq!(world.course(&world.facts()).step, Step::End(End::Stopped));
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
            let Some(seat) = facts.seats.get_mut(&ordinal) else { continue };
            match (what, &mut seat.member) {
                (0, Some(member)) => Arc::make_mut(member).status = None,
                (1, _) => seat.pod.iter_mut().for_each(|pod| pod.ready = false),
                (2, _) => seat.pod = None,
                (3, Some(member)) => *Arc::make_mut(member).metadata.generation.as_mut().unwrap() += 1,
                _ => seat.member = None,
            }
        }
        let course = world.course(&facts);
        if let Step::SetReplicas(n) = course.step {
            prop_assert!(n >= facts.replicas() || world.etcd.last().is_none_or(|highest| *highest < n));
        }
        for retired in course.retired {
            prop_assert!(!world.etcd.contains(&retired.ordinal));
        }
    }
}
