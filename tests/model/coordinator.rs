//! What the coordinator sees of a world, and what its real decision is then. Decisions are remembered: they are pure.
//!
//! Told apart from the world are its caches and its clock: what it sees is as of now, and what it waits for has taken long
//! enough. Addresses are none, so that none are published: instead every list is in doubt from when a pod goes until it was
//! read again.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc, time::Duration};

use etcd_coordinator::cluster::{
    decide::{Care, Decision, Waited, decide, incarnation::initial_members, replicas::RAISE_AFTER, step::Step},
    facts::{self, Claim, Facts, Pod, Set, Slot, Storage, Version, agent::Agent, places::Places, swap::Container},
};
use etcd_operator_shared::{
    api::{
        EtcdCluster, EtcdMember, EtcdMemberSpec, EtcdMemberStatus,
        cluster::{Encrypted, Incarnation},
        member::{MemberEntry, Membership, Role},
    },
    names,
};
use serde_json::json;

use crate::{
    hash::Memo,
    mistake::{Mistake, Rules},
    places::seats,
    world::{Object, SEATS, World},
};

/// Everything that a decision depends on, as small values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Sight {
    wish: u8,
    paused: bool,
    ending: bool,
    incarnation: u8,
    founders: u8,
    formed: bool,
    replicas: u8,
    members: [Option<Member>; SEATS],
    pods: [bool; SEATS],
    volumes: [bool; SEATS],
}

/// An EtcdMember.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Member {
    size: u8,
    stopped: bool,
    paused: bool,
    /// Whether a member left there, and whether it was that of the pod that is there.
    left: Option<bool>,
    /// Whether the agent of the pod that is there has spoken, and the term that it has seen.
    said: bool,
    term: Option<u8>,
    leads: Option<Leads>,
}

/// What a leader's agent has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Leads {
    serves: bool,
    /// The ordinals on its list.
    seats: u8,
    fresh: bool,
}

/// What of a decision moves the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// What every EtcdMember is told: the size, whether the cluster is stopped, and whether all rests.
    pub size: u8,
    pub stopped: bool,
    pub paused: bool,
    pub replicas: Option<u8>,
    /// Pods that have left and are wanted again, members to clear away: ordinals.
    pub succeeded: u8,
    pub retired: u8,
    /// Whether the incarnation is over.
    pub ends: bool,
    /// Ordinals below this have an EtcdMember.
    pub seats: u8,
}

thread_local! {
    static DECISIONS: RefCell<Memo<Sight, Orders>> = RefCell::default();
}

/// UID of a pod that is there, and of all that are not.
const HERE: &str = "here";
const GONE: &str = "gone";

impl World {
    /// What the coordinator wants now.
    #[must_use]
    pub fn orders(&self, rules: &Rules) -> Orders {
        let sight = self.sight();
        let orders = DECISIONS.with_borrow_mut(|decisions| *decisions.entry(sight).or_insert_with(|| sight.ask()));
        match rules.mistake {
            Some(mistake) => self.twisted_orders(mistake, orders),
            None => orders,
        }
    }

    /// What a planted mistake makes of what the coordinator wants.
    fn twisted_orders(&self, mistake: Mistake, orders: Orders) -> Orders {
        let (now, wish) = (self.replicas, self.wish);
        let rises = orders.replicas.is_some_and(|n| n > now);
        match mistake {
            Mistake::LowerBeforeLeft if wish > 0 && wish < now => Orders { replicas: Some(wish), ..orders },
            Mistake::LowerBeforeLeft if now > 0 && rises => Orders { replicas: None, ..orders },
            Mistake::WakeToTheWish if rises => Orders { replicas: Some(wish).filter(|wish| *wish > now), ..orders },
            Mistake::ClearWhileStopped if orders.stopped && now == 0 => {
                let vacant =
                    seats().filter(|seat| self.seats[*seat].pod.is_none() && self.seats[*seat].object.is_some());
                Orders { retired: vacant.fold(0, |set, seat| set | 1 << seat), ..orders }
            }
            _ => orders,
        }
    }

    fn sight(&self) -> Sight {
        let member = |seat: usize| self.seats[seat].object.map(|object| self.member_seen(seat, object));
        Sight {
            wish: self.wish,
            paused: self.paused,
            ending: self.ending,
            incarnation: self.incarnation,
            founders: self.life(self.incarnation).founders,
            formed: self.formed,
            replicas: self.replicas,
            members: std::array::from_fn(member),
            pods: std::array::from_fn(|seat| self.seats[seat].pod.is_some()),
            volumes: std::array::from_fn(|seat| self.seats[seat].volume.is_some()),
        }
    }

    fn member_seen(&self, seat: usize, object: Object) -> Member {
        let pod = self.seats[seat].pod.as_ref();
        let here = |uid: u8| pod.is_some_and(|pod| pod.uid == uid);
        let said = object.spoke.is_some_and(here);
        let seen = self.volume(seat).and_then(|volume| volume.wal).map(|wal| wal.term);
        let serves = || self.leader(self.incarnation).is_some_and(|(at, _)| at == seat);
        let leads = object.told.filter(|_| said);
        Member {
            size: object.notes.size,
            stopped: object.notes.stopped,
            paused: object.notes.paused,
            left: object.notes.left.map(here),
            said,
            term: leads.map(|told| told.term).or(seen.filter(|_| said && pod.is_some_and(|pod| !pod.agent.mute))),
            leads: leads.map(|told| Leads { serves: serves(), seats: told.seats, fresh: told.fresh }),
        }
    }
}

impl Sight {
    /// The real decision.
    fn ask(&self) -> Orders {
        let spec = json!({
            "version": "v3.5.21",
            "size": self.wish,
            "paused": self.paused,
            "recovery": { "abandonIncarnation": if self.ending { self.incarnation } else { 0 } },
        });
        let spec = serde_json::from_value(spec).expect("a spec as a user may write it");
        let incarnation = Incarnation {
            number: self.incarnation.into(),
            token: String::new(),
            initial_members: initial_members("demo", self.founders.into()),
            data_uid: None,
            restored: None,
            has_store: false,
            members_created: true,
            quota_backend: None,
            encrypted: Encrypted::default(),
            ended: None,
        };
        let facts = self.facts(&incarnation);
        let mut cluster = EtcdCluster::new("demo", spec);
        let status = cluster.status.get_or_insert_default();
        status.incarnation = Some(incarnation);
        status.cluster_id = self.formed.then(String::new);
        let leader = if facts.serves() { Duration::ZERO } else { RAISE_AFTER };
        Orders::of(&decide(&cluster, &facts, Waited { address: Duration::ZERO, leader }))
    }

    fn facts(&self, life: &Incarnation) -> Facts {
        let set = Set {
            version: Version::default(),
            replicas: self.replicas.into(),
            newest: Some(String::new()),
            frame: None,
            agent: Some(String::new()),
            deleting: false,
            etcd: None,
            options: None,
            storage: Storage::default(),
        };
        let seat = |seat: usize| {
            let member = self.members[seat].map(|member| Arc::new(member.real(seat, life)));
            let serves = self.members[seat].and_then(|member| member.leads).is_some_and(|leads| leads.serves);
            let pod = self.pods[seat].then(|| Pod {
                name: names::member("demo", seat as u32),
                uid: HERE.into(),
                shape: String::new(),
                controller: None,
                unmarked: false,
                frame: None,
                agent: Agent::default(),
                etcd: Container::default(),
                asked: None,
                options: None,
                node: None,
                address: None,
                ready: serves,
                deleting: false,
                etcd_runs: true,
                trouble: None,
                trial: None,
            });
            (seat as u32, Slot { pod, member })
        };
        let volumes = seats().filter(|seat| self.volumes[*seat]).map(|seat| (seat as u32, Claim::default()));
        Facts {
            cluster: "demo".into(),
            set: Some(set),
            slots: seats().map(seat).collect::<BTreeMap<_, _>>(),
            claims: volumes.collect(),
            places: Some(Places { from: 0, to: u32::MAX, ..Places::default() }),
            ..Facts::default()
        }
    }
}

impl Member {
    fn real(self, seat: usize, life: &Incarnation) -> facts::Member {
        let spec = EtcdMemberSpec {
            cluster_name: "demo".into(),
            cluster_uid: String::new(),
            incarnation: life.number,
            token: String::new(),
            initial: false,
            initial_members: life.initial_members.clone(),
            peers: vec![],
            account: None,
            size: self.size.into(),
            stopped: self.stopped,
            paused: self.paused,
            held: false,
            downgrade: None,
            certificates: None,
            options: None,
            backups: None,
            maintenance: None,
            restore: None,
            retiring: false,
        };
        let status = EtcdMemberStatus {
            pod_uid: Some(if self.said { HERE } else { GONE }.into()),
            left_pod_uid: self.left.map(|here| if here { HERE } else { GONE }.into()),
            ready: self.leads.is_some_and(|leads| leads.serves),
            role: self.leads.map(|_| Role::Leader),
            membership: self.leads.map(Leads::membership),
            term: self.term.map(i64::from),
            ..EtcdMemberStatus::default()
        };
        let mut member =
            EtcdMember { status: Some(status), ..EtcdMember::new(&names::member("demo", seat as u32), spec) };
        member.metadata.generation = Some(1);
        facts::Member::of(&member)
    }
}

impl Leads {
    fn membership(self) -> Membership {
        let entry = |seat: usize| MemberEntry {
            id: seat.to_string(),
            name: names::member("demo", seat as u32),
            learner: false,
            started: true,
            connected: true,
        };
        let listed = seats().filter(|seat| self.seats & 1 << seat != 0);
        Membership { generation: self.fresh.into(), members: listed.map(entry).collect() }
    }
}

impl Orders {
    fn of(decision: &Decision) -> Self {
        let small = |n: u32| u8::try_from(n).unwrap_or(u8::MAX);
        let Care { desired, departed, members, .. } = decision.care.as_ref().expect("an incarnation is cared for");
        let (mut replicas, mut succeeded, mut ends) = (None, vec![], false);
        match &decision.step {
            Step::SetReplicas(n) => replicas = Some(small(*n)),
            Step::Replace(deletions) => {
                succeeded = deletions.iter().filter_map(|one| names::ordinal("demo", &one.name)).collect();
            }
            Step::End(_) => ends = true,
            Step::Look(_)
            | Step::Begin(_)
            | Step::MakeMembers
            | Step::Swap(_)
            | Step::Turn(_)
            | Step::Move(_)
            | Step::Refresh(_)
            | Step::Try(_)
            | Step::Wait(_)
            | Step::Nothing => {}
        }
        let set = |ordinals: &mut dyn Iterator<Item = u32>| ordinals.fold(0, |set, ordinal| set | 1 << ordinal);
        Self {
            size: small(desired.size),
            stopped: desired.stopped,
            paused: desired.paused,
            replicas,
            succeeded: set(&mut succeeded.into_iter()),
            retired: set(&mut departed.iter().map(|departed| departed.ordinal)),
            ends,
            seats: small(*members),
        }
    }
}
