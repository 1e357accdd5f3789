//! A small world with a coordinator in it: what is true, what is seen of it, and who does what.

mod moves;
mod rolls;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use etcd_operator_shared::{
    api::{
        EtcdCluster,
        cluster::{Incarnation, Moving},
        member::{MemberPhase, Role},
    },
    options::digest,
};
use serde_json::json;

use crate::cluster::{
    decide::{
        Decision, Waited,
        cleanup::Departed,
        decide,
        growth::Growth,
        incarnation,
        membership::Desired,
        step::{Look, Step},
    },
    facts::{
        Facts, Member, Pod, Slot, Version,
        ground::Ground,
        places::{Places, Taken},
        rehearsal::{Answer, Rehearsal},
        swap::Container,
        tests::{list, member, passed, pod, set, status},
        trial::{Place, Trial},
    },
};

pub use moves::Volume;
use moves::class;
pub use rolls::Made;

/// The cluster as it is. `etcd` is what no coordinator can see: who is a member.
#[derive(Debug, Clone)]
pub struct World {
    pub wanted: u32,
    pub delete_at_stop: bool,
    incarnation: Incarnation,
    pub etcd: BTreeSet<u32>,
    formed: bool,
    leader: Option<u32>,
    term: i64,
    pub set: Option<(u32, u64)>,
    pub pods: BTreeMap<u32, Pod>,
    pub members: BTreeMap<u32, Member>,
    pub claims: BTreeMap<u32, Volume>,
    /// UID of the volume that each member's data is on.
    disks: BTreeMap<u32, u64>,
    /// The class that is wanted, and the one that the StatefulSet makes claims of.
    pub class: u8,
    made: u8,
    /// What the status tells of a move.
    pub moving: Option<Moving>,
    /// What is wanted, and what new pods are made with.
    pub wish: Made,
    template: Made,
    /// What etcd runs in each pod, and those whose etcd is just being started once more.
    runs: BTreeMap<u32, Made>,
    down: BTreeSet<u32>,
    /// Rises with everything that is made or written.
    clock: u64,
}

impl World {
    pub fn new(wanted: u32) -> Self {
        let incarnation = super::begun(wanted);
        let mut world = Self {
            wanted,
            delete_at_stop: false,
            incarnation,
            etcd: BTreeSet::new(),
            formed: false,
            leader: None,
            term: 1,
            set: None,
            pods: BTreeMap::new(),
            members: BTreeMap::new(),
            claims: BTreeMap::new(),
            disks: BTreeMap::new(),
            class: 0,
            made: 0,
            moving: None,
            wish: Made::FIRST,
            template: Made::FIRST,
            runs: BTreeMap::new(),
            down: BTreeSet::new(),
            clock: 0,
        };
        let desired = Desired { size: wanted, ..Desired::default() };
        (0..wanted).for_each(|ordinal| world.make(ordinal, &desired));
        world
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn make(&mut self, ordinal: u32, desired: &Desired) {
        let mut made = member(ordinal, None);
        made.version.uid = Some(format!("member-{}", self.tick()));
        made.version.generation = Some(1);
        told(&mut made, desired);
        self.members.entry(ordinal).or_insert(made);
    }

    pub fn facts(&self) -> Facts {
        let mut facts = Facts { cluster: "demo".into(), ..Facts::default() };
        facts.set = self.set.map(|(replicas, version)| crate::cluster::facts::Set {
            version: Version { resource: Some(version.to_string()), ..Version::default() },
            frame: Some("f".into()),
            etcd: Some(self.template.asked()),
            options: Some(self.template.said()),
            ..set(replicas, &self.template.shape())
        });
        facts.rehearsal = Some(Rehearsal { shape: self.template.shape(), answer: Answer::Taken });
        let places = std::iter::once(Place::Anywhere).chain((0..8).map(Place::Beside));
        facts.trials = places.map(|place| Trial { place, ..passed(&self.template.shape()) }).collect();
        for (ordinal, member) in &self.members {
            facts.slots.insert(*ordinal, Slot { member: Some(Arc::new(member.clone())), pod: None });
        }
        for (ordinal, pod) in &self.pods {
            facts.slots.entry(*ordinal).or_default().pod = Some(pod.clone());
        }
        facts.claims = self.claims.iter().map(|(ordinal, volume)| (*ordinal, volume.seen(*ordinal))).collect();
        if let Some(set) = &mut facts.set {
            set.storage.class = Some(class(self.made));
        }
        facts.ground = Some(Ground::default());
        facts.compared()
    }

    fn cluster(&self) -> EtcdCluster {
        let stopped = if self.delete_at_stop { "Delete" } else { "Retain" };
        let spec = json!({
            "version": self.wish.version(),
            "size": self.wanted,
            "storage": { "storageClassName": class(self.class), "retention": { "whenStopped": stopped } },
        });
        let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
        let status = cluster.status.get_or_insert_default();
        status.incarnation = Some(self.incarnation.clone());
        status.moving.clone_from(&self.moving);
        status.cluster_id = self.formed.then(|| "c".to_owned());
        cluster
    }

    pub fn decision(&self, facts: &Facts) -> Decision {
        let long = Duration::from_secs(60);
        decide(&self.cluster(), facts, Waited { address: long, leader: long })
    }

    /// One turn of a coordinator that sees `cache`, and dies after `writes` writes.
    pub fn turn(&mut self, cache: &Self, writes: usize) {
        let mut seen = Self { wanted: self.wanted, wish: self.wish, class: self.class, ..cache.clone() };
        let (mut facts, mut decision) = (seen.facts(), seen.decision(&seen.facts()));
        if decision.is_final(&facts) {
            (facts, seen) = (self.live(), self.clone());
            decision = self.decision(&facts);
        }
        if let Step::Look(Look::Places { from, to }) = decision.step {
            facts.places = Some(self.places(from, to));
            decision = self.decision(&facts);
        }
        let care = decision.care.as_ref().expect("an incarnation is cared for");
        let mut left = writes;
        let mut may = || {
            left = left.saturating_sub(1);
            left > 0
        };
        let there: BTreeSet<u32> = facts.slots.iter().filter(|(_, s)| s.member.is_some()).map(|(k, _)| *k).collect();
        for ordinal in there.iter().copied().chain(0..care.members).collect::<BTreeSet<_>>() {
            let departed = care.departed.iter().any(|r| r.ordinal == ordinal);
            if !departed && may() {
                self.tell(ordinal, &care.desired, there.contains(&ordinal));
            }
        }
        let before = facts.set.as_ref().map(|set| set.replicas);
        let replicas = if let Step::SetReplicas(n) = decision.step { Some(n) } else { before };
        let read = facts.set.as_ref().and_then(|set| set.version.resource.clone());
        let same = read == self.set.map(|(_, version)| version.to_string());
        if !may() || !same {
            return;
        }
        if let Some(replicas) = replicas.filter(|replicas| before != Some(*replicas)) {
            let seen = |k: u32| self.members.contains_key(&k) || there.contains(&k);
            assert!((0..replicas).all(seen), "a pod before its EtcdMember");
            self.scale(replicas);
        }
        if std::mem::replace(&mut self.template, self.wish) == self.wish {
            match &decision.step {
                Step::Move(renewal) => self.renew(renewal, may()),
                step => self.touch(step),
            }
        }
        if matches!(care.growth, Growth::Release(_)) {
            self.set = None;
        }
        if may() && seen.moving == self.moving {
            self.moving.clone_from(&care.moving.told);
        }
        for departed in &care.departed {
            let steps = usize::from(may()) + usize::from(may()) + usize::from(may());
            self.retire(departed, steps);
        }
        assert_eq!(
            matches!(decision.step, Step::End(_)),
            self.delete_at_stop && self.wanted == 0 && self.is_down(&facts)
        );
    }

    fn is_down(&self, facts: &Facts) -> bool {
        facts.set.as_ref().is_some_and(|set| set.replicas == 0) && facts.pods().next().is_none()
    }

    fn tell(&mut self, ordinal: u32, desired: &Desired, update: bool) {
        if !update {
            return self.make(ordinal, desired);
        }
        let Some(member) = self.members.get_mut(&ordinal).filter(|m| !desired.is_told_to(m)) else { return };
        told(member, desired);
        *member.version.generation.as_mut().unwrap() += 1;
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
        let version = self.tick();
        if self.set.is_none() {
            self.made = self.class;
        }
        self.set = Some((replicas, version));
    }

    /// What a live look finds at places.
    fn places(&self, from: u32, to: u32) -> Places {
        let retiring = |ordinal: u32| self.members.get(&ordinal).is_some_and(|member| member.spec.retiring);
        let taken = (from..to).filter(|ordinal| retiring(*ordinal));
        Places { from, to, taken: taken.map(|ordinal| (ordinal, Taken::Retiring(ordinal.to_string()))).collect() }
    }

    /// Marked, volume, EtcdMember: as many of these as the coordinator gets done.
    fn retire(&mut self, departed: &Departed, steps: usize) {
        let Departed { ordinal, uid, .. } = departed;
        assert!(!self.etcd.contains(ordinal), "the volume of member {ordinal} is deleted");
        assert!(!self.pods.contains_key(ordinal), "a volume is deleted under its pod");
        let Some(member) = self.members.get_mut(ordinal).filter(|m| m.version.uid.as_ref() == Some(uid)) else {
            return;
        };
        if steps > 0 && !std::mem::replace(&mut Arc::make_mut(&mut member.spec).retiring, true) {
            *member.version.generation.as_mut().unwrap() += 1;
        }
        if steps > 1 {
            self.claims.remove(ordinal);
        }
        if steps > 2 {
            self.members.remove(ordinal);
        }
    }

    /// The StatefulSet's controller.
    pub fn kubernetes(&mut self) {
        let pods = &self.pods;
        self.claims.retain(|ordinal, volume| !volume.deleting || pods.contains_key(ordinal));
        let Some((replicas, _)) = self.set else { return };
        self.pods.retain(|ordinal, _| *ordinal < replicas);
        for ordinal in 0..replicas {
            if !self.pods.contains_key(&ordinal) {
                let retiring = self.members.get(&ordinal).is_some_and(|member| member.spec.retiring);
                assert!(!retiring, "a pod in place {ordinal}, which is being cleared away");
                let uid = self.tick();
                self.claims.entry(ordinal).or_insert(Volume { uid, class: self.made, deleting: false });
                self.runs.insert(ordinal, self.template);
                self.down.remove(&ordinal);
                let made = Pod {
                    uid: format!("pod-{uid}"),
                    frame: Some("f".into()),
                    asked: Some(self.template.asked()),
                    options: Some(digest(&self.template.said())),
                    ..pod(ordinal, &self.template.shape())
                };
                let etcd = Container { image: self.template.image(), id: Some(uid.to_string()), swapped: None };
                self.pods.insert(ordinal, Pod { etcd, ..made });
            }
        }
        self.kubelets();
    }

    /// etcd and the agents, at most one thing each. Only those of `awake` act, and only those of `heard` reach the API
    /// server.
    pub fn members(&mut self, awake: u8, heard: u8) {
        let down = self.unable();
        let majority = |of: &BTreeSet<u32>, pods: &BTreeMap<u32, Pod>| {
            2 * of.iter().filter(|k| pods.contains_key(k) && !down.contains(k)).count() > of.len()
        };
        if !self.formed {
            let founders: BTreeSet<u32> = (0..incarnation::founders(&self.incarnation)).collect();
            if majority(&founders, &self.pods) {
                (self.etcd, self.formed) = (founders, true);
            }
        }
        let lead = self.etcd.iter().copied().find(|k| self.pods.contains_key(k) && !down.contains(k));
        let lead = lead.filter(|_| majority(&self.etcd, &self.pods));
        self.term += i64::from(lead.is_some() && lead != self.leader);
        self.leader = lead;
        let known: Vec<u32> = self.pods.keys().copied().filter(|k| self.members.contains_key(k)).collect();
        let among = |mask: u8, ordinal: u32| mask & (1 << ordinal) != 0;
        known.iter().filter(|k| among(awake, **k)).for_each(|k| self.turns(*k));
        known.iter().filter(|k| among(awake, **k)).for_each(|k| self.agent(*k));
        if self.leader.is_some_and(|leader| among(awake, leader)) {
            self.steward();
        }
        known.into_iter().filter(|k| among(heard, *k)).for_each(|k| self.speak(k));
    }

    fn surplus(&self, ordinal: u32) -> bool {
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
        let highest = self.etcd.iter().copied().filter(|k| self.surplus(*k)).max();
        if !self.surplus(ordinal) {
            self.etcd.insert(ordinal);
            self.disks.insert(ordinal, self.claims[&ordinal].uid);
        } else if highest == Some(ordinal) || !self.etcd.contains(&ordinal) {
            self.etcd.remove(&ordinal);
            self.disks.remove(&ordinal);
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
        let etcd = &self.etcd;
        self.disks.retain(|ordinal, _| etcd.contains(ordinal));
    }

    fn speak(&mut self, ordinal: u32) {
        let (etcd, leads, left) = (self.etcd.clone(), self.leader == Some(ordinal), self.has_left(ordinal));
        let (quorum, term) = (self.leader.is_some(), self.term);
        let uid = self.pods[&ordinal].uid.clone();
        let member = self.members.get_mut(&ordinal).unwrap();
        let voters: Vec<u32> = etcd.iter().copied().collect();
        let mut said = status(ordinal, if leads { Role::Leader } else { Role::Follower });
        said.membership = leads.then(|| list(member.version.generation.unwrap(), &voters));
        said.term = Some(term);
        let serves = quorum && etcd.contains(&ordinal) && !self.unable().contains(&ordinal);
        let runs = self.runs[&ordinal];
        (said.ready, said.swappable) = (serves, true);
        (said.version, said.options) = (Some(runs.version()), Some(digest(&runs.said())));
        said.phase = Some(if left { MemberPhase::Left } else { MemberPhase::Running });
        said.left_pod_uid = left.then(|| uid.clone());
        said.pod_uid = Some(uid);
        member.status = Some(said);
        self.pods.get_mut(&ordinal).unwrap().ready = serves;
    }

    pub fn ordinals(&self) -> BTreeSet<u32> {
        (0..self.wanted).collect()
    }
}

fn told(member: &mut Member, desired: &Desired) {
    let spec = Arc::make_mut(&mut member.spec);
    (spec.size, spec.stopped) = (desired.size(), desired.stopped);
    spec.peers.clone_from(&desired.peers);
}
