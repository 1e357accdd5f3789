//! Who serves, who leads, and what the members agree on.

use etcd_operator_shared::{
    api::{
        EtcdMemberStatus,
        cluster::MemberSummary,
        member::{EtcdMember, MemberPhase, Role},
    },
    quorum::quorum,
    version::Version,
};
use kube::ResourceExt;

use crate::{
    facts::{Facts, Seat, Voice},
    membership::Membership,
};

/// The members, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Members that are meant to serve, and those of them that do.
    pub wanted: u32,
    pub ready: u32,
    /// Members that have a vote, those of them that serve, and the silent ones: these may serve or not.
    pub voters: u32,
    pub voting: u32,
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

/// `before`: what was said last, for an ID that a member has lost with its disk and a successor has not yet got.
pub fn of(facts: &Facts, membership: &Membership, wanted: u32, before: &[MemberSummary]) -> Tally {
    let electorate = membership.electorate(facts);
    let voters = u32::try_from(electorate.len()).unwrap_or(u32::MAX);
    let leader = facts.leader().map(|(_, member)| member.name_any());
    let mut tally = Tally { wanted, voters, ..Tally::default() };
    for (ordinal, seat) in &facts.seats {
        let name = name(seat);
        let voice = seat.voice();
        let mut summary = summary(&name, seat, voice, membership);
        let former = before.iter().find(|m| m.name == name && m.reason.as_deref() != Some("Left"));
        summary.id = summary.id.or_else(|| former?.id.clone());
        tally.members.push(summary);
        let serves = matches!(voice, Voice::Ready(_));
        tally.ready += u32::from(serves && *ordinal < wanted);
        if electorate.contains(ordinal) {
            tally.voting += u32::from(serves);
            tally.unknown += u32::from(voice == Voice::Unknown);
        }
        if let Voice::Ready(said) | Voice::NotReady(said) = voice {
            tally.add(said, &name);
            if leader.as_ref() == Some(&name) {
                tally.leader = Some(name);
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
        let quorum = u32::try_from(quorum(self.voters as usize)).unwrap_or(u32::MAX);
        let Self { wanted, ready, voting, unknown, leader, .. } = self;
        match (*voting, leader) {
            (_, Some(_)) if ready == wanted => Serving::All,
            (voting, Some(_)) if voting >= quorum => Serving::Quorum,
            // The leader may be one of the silent.
            (voting, _) if *unknown > 0 && voting + unknown >= quorum => Serving::Unclear,
            _ => Serving::TooFew,
        }
    }
}

fn name(seat: &Seat) -> String {
    let member = seat.member.as_deref().map(EtcdMember::name_any);
    member.or_else(|| seat.pod.as_ref().map(|p| p.name.clone())).unwrap_or_default()
}

fn summary(name: &str, seat: &Seat, voice: Voice<'_>, membership: &Membership) -> MemberSummary {
    let noted = seat.member.as_ref().and_then(|m| m.status.as_ref());
    let silent =
        if membership.list.iter().flatten().any(|e| e.learner && e.name == name) { "Learner" } else { "Unknown" };
    let (ready, role, reason) = match voice {
        Voice::Ready(said) => ("True", role(said), None),
        Voice::NotReady(said) => ("False", role(said), Some(why(said))),
        Voice::Down => ("False", None, Some("NotStarted".to_owned())),
        Voice::Unknown => ("Unknown", None, Some("Silent".to_owned())),
        Voice::Absent if noted.is_some_and(|s| s.left_pod_uid.is_some()) => ("False", None, Some("Left".to_owned())),
        Voice::Absent => ("False", None, Some("NoPod".to_owned())),
    };
    let trouble = seat.pod.as_ref().and_then(|p| p.trouble.as_ref()).map(|t| t.reason.as_str().to_owned());
    MemberSummary {
        name: name.to_owned(),
        id: noted.and_then(|s| s.member_id.clone()),
        role: role.unwrap_or(silent).to_owned(),
        ready: ready.to_owned(),
        reason: trouble.or(reason).filter(|r| !r.is_empty()),
    }
}

/// Why a member is not ready; one that goes says so in these words and no others.
fn why(said: &EtcdMemberStatus) -> String {
    match said.phase {
        Some(MemberPhase::Leaving) => "Leaving".to_owned(),
        Some(MemberPhase::Left) => "Left".to_owned(),
        Some(
            MemberPhase::Waiting
            | MemberPhase::Starting
            | MemberPhase::Joining
            | MemberPhase::Running
            | MemberPhase::Held
            | MemberPhase::Failing,
        )
        | None => said.reason.clone(),
    }
}

fn role(said: &EtcdMemberStatus) -> Option<&'static str> {
    said.role.map(|role| match role {
        Role::Leader => "Leader",
        Role::Follower => "Follower",
        Role::Learner => "Learner",
    })
}
