//! Three members, their Secret and their objects: what agents and API server do is played, what is decided and signed is real. What is said
//! of a member may be long ago, and what is seen of it older still.

use std::{collections::HashMap, sync::Arc, time::Duration};

use etcd_operator_shared::{
    api::{
        EtcdCluster,
        member::{Certificates as Said, ClientCertificates, Issued, PeerCertificate},
    },
    names, validate,
};
use jiff::Timestamp;
use serde_json::Value;
use x509_parser::{certificate::X509Certificate, parse_x509_certificate, pem::Pem};

use super::cluster;
use crate::{
    cluster::{
        decide::{
            certificates::{self, Key},
            rotation,
        },
        facts::{
            Facts,
            certificates::{Asked, Certificates, Held, Known},
            tests::healthy,
        },
    },
    pki::{Leaf, Pair, PrivateKey, PublicKey, Side, Usage},
};

const LIFE: Duration = Duration::from_secs(87_600 * 3600);
const LEAF: Duration = Duration::from_secs(30);
/// Between two events.
const TICK: Duration = Duration::from_secs(1);

/// Something that happens.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// The coordinator looks and acts; `stale`: its caches have not heard of what was said last.
    Reconcile { stale: bool },
    /// An agent checks what its member was answered, and takes it into use.
    Take(u32),
    /// The volume takes what is in use.
    Keep(u32),
    /// The agent says how its member is.
    Say(u32),
    /// etcd is started once more in its pod.
    Restart(u32),
    /// The pod is another one, on the same volume.
    NewPod(u32),
    /// The disk is lost: the member begins with nothing.
    LoseVolume(u32),
    /// Two thirds of its certificates' time are over.
    Renew(u32),
    /// A person raises the generation.
    Ask,
}

#[derive(Clone, Default)]
struct Member {
    /// What the coordinator has answered.
    told: Option<Issued>,
    asked: Option<PublicKey>,
    used: Option<Issued>,
    volume: Option<Issued>,
    /// Whom etcd believes: of its peers, and all of it as a digest. `None`: it does not run.
    loaded: Option<(String, String)>,
    /// Whom it was to believe before.
    before: Option<String>,
    pod: u32,
    /// What its agent said last, from which pod.
    said: Option<(Said, u32)>,
}

pub struct World {
    pub cluster: EtcdCluster,
    pub pair: Pair,
    pub asked: i64,
    now: Timestamp,
    members: Vec<Member>,
    /// As the caches had them before the last event.
    seen: Vec<Member>,
    keys: HashMap<String, PublicKey>,
    taken: HashMap<(String, String), bool>,
}

impl World {
    /// A cluster that has formed, and whose authorities were never changed. What `ca` asks for is asked for now.
    pub fn begun(ca: &Value) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let pair = Pair::make(("demo", "ns"), LIFE, 1, now).unwrap();
        let mut world = Self {
            cluster: cluster(ca),
            pair,
            asked: 1,
            now,
            members: vec![Member::default(); 3],
            seen: vec![],
            keys: HashMap::new(),
            taken: HashMap::new(),
        };
        for member in 0..3 {
            world.asks(member);
            let key = world.members[member as usize].asked.clone().unwrap();
            let issued = world.sign(member, &key);
            world.members[member as usize].told = Some(issued);
            world.take(member);
            world.restart(member);
            world.settle(member);
        }
        world.seen = world.members.clone();
        world
    }

    pub fn befalls(&mut self, event: Event) {
        self.now += TICK;
        let before = self.members.clone();
        match event {
            Event::Reconcile { stale } => self.reconcile(stale),
            Event::Take(member) => self.take(member),
            Event::Keep(member) => self.keep(member),
            Event::Say(member) => self.say(member),
            Event::Restart(member) => self.restart(member),
            Event::NewPod(member) => {
                let one = &mut self.members[member as usize];
                (one.used, one.pod, one.loaded, one.before) = (one.volume.clone(), one.pod + 1, None, None);
                let (used, told) = (one.used.as_ref(), one.told.as_ref());
                // What it was answered is for a key that is lost, and what the volume has is as old as the key before.
                let asks = one.asked.take().is_some() || used.map(|used| &used.key) != told.map(|told| &told.key);
                self.restart(member);
                if asks {
                    self.asks(member);
                }
            }
            Event::LoseVolume(member) => {
                let one = &mut self.members[member as usize];
                (one.used, one.volume, one.loaded, one.before, one.pod) = (None, None, None, None, one.pod + 1);
                self.asks(member);
            }
            Event::Renew(member) => self.asks(member),
            Event::Ask => {
                self.asked += 1;
                let security = self.cluster.spec.security.as_mut().unwrap();
                security.ca.as_mut().unwrap().generation = Some(self.asked);
            }
        }
        if !matches!(event, Event::Reconcile { .. }) {
            self.seen = before;
        }
    }

    /// As the real one: what takes from somebody is decided again on what is there now.
    pub fn reconcile(&mut self, stale: bool) {
        let incarnation = self.cluster.status.as_ref().unwrap().incarnation.clone().unwrap();
        let encryption = validate::encryption(self.cluster.spec.security.as_ref()).unwrap();
        let decide = |facts: &Facts| rotation::next(&self.cluster, &encryption, &incarnation, facts).act;
        let act = decide(&self.facts(stale));
        let act = match act {
            Some(act) if act.is_final() => decide(&self.facts(false)),
            other => other,
        };
        if let Some(act) = act.filter(|act| act.generation == self.pair.history.generation) {
            let pair = std::mem::replace(&mut self.pair, Pair::make(("x", "x"), LIFE, 1, self.now).unwrap());
            self.pair = pair.further(act.step, ("demo", "ns"), LIFE, self.now).unwrap();
        }
        let facts = self.facts(stale);
        for answer in certificates::due(&self.cluster, &encryption, &incarnation, &facts).answers {
            let key = match answer.key {
                Key::Asked(key) => key,
                Key::Answered => {
                    let told = self.members[answer.ordinal as usize].told.as_ref();
                    self.keys[&told.unwrap().key].clone()
                }
            };
            let issued = self.sign(answer.ordinal, &key);
            self.members[answer.ordinal as usize].told = Some(issued);
        }
    }

    /// As it is done where answers are applied.
    fn sign(&self, ordinal: u32, key: &PublicKey) -> Issued {
        let member = names::member("demo", ordinal);
        let names = certificates::Names::of(&self.cluster, &member, &[]);
        let chain = |side| {
            let leaf = Leaf { common: &member, names: &names.peer, usage: Usage::Both };
            self.pair.sign(side, leaf, key, LEAF, self.now).unwrap().chain
        };
        let trust = |side| self.pair.trust(side).to_owned();
        Issued {
            key: key.digest(),
            names: names.print(self.pair.history.generation),
            peer: Some(PeerCertificate { chain: chain(Side::Peer), trust: trust(Side::Peer) }),
            client: Some(ClientCertificates {
                server: chain(Side::Client),
                root: chain(Side::Client),
                trust: trust(Side::Client),
                revoked: None,
            }),
        }
    }

    /// The agent's own check, and what it does then: `agent/src/tls/check.rs`, `agent/src/plan/certificates.rs`.
    fn take(&mut self, ordinal: u32) {
        let one = self.members[ordinal as usize].clone();
        let Some(told) = one.told.clone().filter(|told| one.used.as_ref() != Some(told)) else { return };
        let asked = one.asked.as_ref().is_some_and(|asked| asked.digest() == told.key);
        if !asked && one.used.as_ref().is_none_or(|used| used.key != told.key) {
            return;
        }
        let peer = told.peer.clone().unwrap();
        let former = one.used.as_ref().map(|used| used.peer.clone().unwrap().trust);
        let is_loaded = one.loaded.as_ref().is_some_and(|(loaded, _)| Some(loaded) == former.as_ref());
        let before = one.before.clone().filter(|_| !is_loaded);
        let believed: Vec<String> = before.into_iter().chain(former).collect();
        for pool in believed.iter().chain([&peer.trust]) {
            if !self.accepts(pool, &peer.chain) {
                return;
            }
        }
        let one = &mut self.members[ordinal as usize];
        one.before = believed.into_iter().rfind(|pool| *pool != peer.trust);
        one.used = Some(told);
        one.asked = one.asked.take().filter(|_| !asked);
        if one.loaded.is_none() {
            self.restart(ordinal);
        }
    }

    fn keep(&mut self, ordinal: u32) {
        let one = &mut self.members[ordinal as usize];
        one.volume.clone_from(&one.used);
    }

    fn say(&mut self, ordinal: u32) {
        let one = &mut self.members[ordinal as usize];
        let kept = one.used.as_ref().filter(|used| one.volume.as_ref() == Some(used));
        let said = Said {
            key: one.used.as_ref().map(|used| used.key.clone()),
            used: kept.map(Issued::digest),
            loaded: one.loaded.as_ref().map(|(_, digest)| digest.clone()),
            ..Said::default()
        };
        one.said = Some((said, one.pod));
    }

    /// All that an agent has to do.
    pub fn settle(&mut self, ordinal: u32) {
        self.take(ordinal);
        self.keep(ordinal);
        self.say(ordinal);
    }

    pub fn restart(&mut self, ordinal: u32) {
        let one = &mut self.members[ordinal as usize];
        let believed = one.used.as_ref().map(|used| (used.peer.clone().unwrap().trust, used.pools()));
        one.loaded = believed;
    }

    fn asks(&mut self, ordinal: u32) {
        let key = PrivateKey::make().unwrap().public();
        self.keys.insert(key.digest(), key.clone());
        self.members[ordinal as usize].asked = Some(key);
    }

    /// Applications have had time to take what they were given.
    pub fn waits(&mut self) {
        self.now += LEAF;
    }

    /// Everybody does what is due, and nothing else happens any more.
    pub fn comes_to_rest(&mut self) {
        for _ in 0..20 {
            self.waits();
            self.reconcile(false);
            for ordinal in 0..3 {
                self.settle(ordinal);
                self.restart(ordinal);
                self.settle(ordinal);
            }
        }
    }

    /// Who is refused by whom, of all that run.
    pub fn refused(&mut self) -> Option<String> {
        for (who, by) in (0..3).flat_map(|who| (0..3).map(move |by| (who, by))) {
            let (one, other) = (&self.members[who], &self.members[by]);
            let Some(((pool, _), used)) = other.loaded.clone().zip(one.used.clone()) else { continue };
            if one.loaded.is_some() && !self.accepts(&pool, &used.peer.unwrap().chain) {
                return Some(format!("demo-{who} is refused by demo-{by}"));
            }
        }
        None
    }

    /// Whether who believes these takes this chain.
    fn accepts(&mut self, pool: &str, chain: &str) -> bool {
        let known = (pool.to_owned(), chain.to_owned());
        *self.taken.entry(known).or_insert_with(|| accepts(pool, chain))
    }

    pub fn facts(&self, stale: bool) -> Facts {
        let mut facts = healthy(3);
        let members = if stale { &self.seen } else { &self.members };
        for (ordinal, member) in (0..).zip(members) {
            let slot = facts.slots.get_mut(&ordinal).unwrap();
            let uid = |pod: u32| format!("pod-{ordinal}-{pod}");
            slot.pod.as_mut().unwrap().uid = uid(member.pod);
            let known = Arc::make_mut(slot.member.as_mut().unwrap());
            let asked = member.asked.clone().map(|key| Asked::Key { digest: key.digest().into(), key });
            let answered = Certificates::of(member.told.as_ref(), None).and_then(|all| all.answered);
            known.certificates = Some(Box::new(Certificates { asked, answered }));
            let status = known.status.as_mut().unwrap();
            status.certificates = member.said.as_ref().map(|(said, _)| said.clone());
            status.pod_uid = member.said.as_ref().map(|(_, pod)| uid(*pod));
        }
        Facts {
            authorities: Some(Known::Held(Box::new(Held::of(&self.pair, self.now)))),
            certified: Some(vec![]),
            ..facts
        }
    }
}

/// As every TLS library does it, for chains of one and two.
fn accepts(pool: &str, chain: &str) -> bool {
    let read = |text: &str| -> Vec<Pem> { Pem::iter_from_buffer(text.as_bytes()).map(Result::unwrap).collect() };
    let (roots, chain) = (read(pool), read(chain));
    let root = parse_x509_certificate(&roots[0].contents).unwrap().1;
    let leaf = parse_x509_certificate(&chain[0].contents).unwrap().1;
    let vouches = |by: &X509Certificate<'_>, of: &X509Certificate<'_>| {
        of.issuer().as_raw() == by.subject().as_raw() && of.verify_signature(Some(by.public_key())).is_ok()
    };
    vouches(&root, &leaf)
        || chain.get(1).is_some_and(|word| {
            let word = parse_x509_certificate(&word.contents).unwrap().1;
            vouches(&root, &word) && vouches(&word, &leaf)
        })
}
