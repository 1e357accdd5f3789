//! Who serves, who leads, and what the members agree on.

use etcd_operator_shared::{
    api::{
        EtcdMemberStatus,
        cluster::MemberSummary,
        member::{EtcdMember, Role},
    },
    quorum::quorum,
    version::Version,
};
use kube::ResourceExt;

use crate::facts::{Facts, Seat, Voice};

/// The members, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub wanted: u32,
    pub ready: u32,
    /// Silent ones: they may serve or not.
    pub unknown: u32,
    pub leader: Option<String>,
    /// Lowest version of those that speak.
    pub version: Option<String>,
    pub cluster_id: Option<String>,
    /// Largest database file in bytes.
    pub db_size: Option<u64>,
    /// Alarms with the member that raised them.
    pub alarms: Vec<String>,
    pub members: Vec<MemberSummary>,
}

/// How many serve, against the quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    All,
    Quorum,
    /// With the silent ones it may be a quorum.
    Unclear,
    TooFew,
}

pub fn of(facts: &Facts, wanted: u32) -> Tally {
    let mut tally = Tally { wanted, ..Tally::default() };
    let mut newest_term = None;
    for (ordinal, seat) in &facts.seats {
        let name = name(seat);
        let voice = seat.voice();
        tally.members.push(summary(&name, seat, voice));
        if *ordinal < wanted {
            tally.ready += u32::from(matches!(voice, Voice::Ready(_)));
            tally.unknown += u32::from(voice == Voice::Unknown);
        }
        if let Voice::Ready(said) | Voice::NotReady(said) = voice {
            tally.add(said, &name);
            // Two may say that they lead: the one of the later term does.
            if said.role == Some(Role::Leader) && (newest_term.is_none() || said.term > newest_term.flatten()) {
                tally.leader = Some(name);
                newest_term = Some(said.term);
            }
        }
    }
    tally
}

impl Tally {
    fn add(&mut self, said: &EtcdMemberStatus, name: &str) {
        let parsed = |text: &String| text.parse::<Version>().ok();
        let version = said.version.clone().filter(|v| parsed(v).is_some());
        self.version = [self.version.take(), version].into_iter().flatten().min_by_key(parsed);
        self.cluster_id = self.cluster_id.take().or_else(|| said.cluster_id.clone());
        self.db_size = self.db_size.max(said.db_size.map(i64::unsigned_abs));
        self.alarms.extend(said.alarms.iter().map(|alarm| format!("{alarm} of {name}")));
    }

    pub fn serving(&self) -> Serving {
        let quorum = u32::try_from(quorum(self.wanted as usize)).unwrap_or(u32::MAX);
        let Self { wanted, ready, unknown, leader, .. } = self;
        match (*ready, leader) {
            (ready, Some(_)) if ready == *wanted => Serving::All,
            (ready, Some(_)) if ready >= quorum => Serving::Quorum,
            // The leader may be one of the silent.
            (ready, _) if *unknown > 0 && ready + unknown >= quorum => Serving::Unclear,
            _ => Serving::TooFew,
        }
    }
}

fn name(seat: &Seat) -> String {
    let member = seat.member.as_deref().map(EtcdMember::name_any);
    member.or_else(|| seat.pod.as_ref().map(|p| p.name.clone())).unwrap_or_default()
}

fn summary(name: &str, seat: &Seat, voice: Voice<'_>) -> MemberSummary {
    let noted = seat.member.as_ref().and_then(|m| m.status.as_ref());
    let (ready, role, reason) = match voice {
        Voice::Ready(said) => ("True", role(said), None),
        Voice::NotReady(said) => ("False", role(said), Some(said.reason.clone())),
        Voice::Down => ("False", "Unknown", Some("NotStarted".to_owned())),
        Voice::Unknown => ("Unknown", "Unknown", Some("Silent".to_owned())),
        Voice::Absent => ("False", "Unknown", Some("NoPod".to_owned())),
    };
    let trouble = seat.pod.as_ref().and_then(|p| p.trouble.as_ref()).map(|t| t.reason.as_str().to_owned());
    MemberSummary {
        name: name.to_owned(),
        id: noted.and_then(|s| s.member_id.clone()),
        role: role.to_owned(),
        ready: ready.to_owned(),
        reason: trouble.or(reason).filter(|r| !r.is_empty()),
    }
}

fn role(said: &EtcdMemberStatus) -> &'static str {
    match said.role {
        Some(Role::Leader) => "Leader",
        Some(Role::Follower) => "Follower",
        Some(Role::Learner) => "Learner",
        None => "Unknown",
    }
}
