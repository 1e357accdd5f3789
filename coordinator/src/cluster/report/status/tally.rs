//! Who serves, who leads, and what the members agree on.

use etcd_operator_shared::{
    api::{EtcdMemberStatus, cluster::MemberSummary},
    quorum::quorum,
    version::{Minor, Version},
};

use super::{Input, members, problems::camel};
use crate::cluster::{
    decide::Decision,
    facts::{Readiness, pod_trouble::shorten},
};

/// The members, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Members that are meant to serve, and those of them that do.
    pub wanted: u32,
    pub ready: u32,
    /// Members that have a vote, those of them that serve or that a leader which serves is connected to, and the silent
    /// ones: these may serve or not.
    pub voters: u32,
    pub voting: u32,
    pub unknown: u32,
    pub leader: Option<String>,
    /// Lowest version of those that speak.
    pub version: Option<String>,
    /// The lowest that any of them calls the cluster's version.
    pub cluster_version: Option<Minor>,
    pub cluster_id: Option<String>,
    /// Largest database file in bytes.
    pub db_size: Option<u64>,
    /// Alarms with the member that raised them.
    pub alarms: Vec<String>,
    /// What else a person should know of members that serve: the reason, and the sentence with the member's name.
    pub notices: Vec<(String, String)>,
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

pub fn of(input: Input<'_>) -> Tally {
    let Input { facts, decision: Decision { membership, size: wanted, .. }, .. } = input;
    let wanted = *wanted;
    let electorate = membership.electorate(facts);
    let voters = u32::try_from(electorate.len()).unwrap_or(u32::MAX);
    let leader = facts.leader().map(|(_, member)| member.name.clone());
    let mut tally = Tally { wanted, voters, ..Tally::default() };
    for (ordinal, slot) in &facts.slots {
        let name = members::name(slot);
        let readiness = slot.readiness();
        tally.members.push(members::summary(input, slot));
        let serves = matches!(readiness, Readiness::Ready(_));
        tally.ready += u32::from(serves && *ordinal < wanted);
        if electorate.contains(ordinal) {
            // One that was promoted a moment ago votes before its agent says that it serves.
            let connected = facts.serves() && membership.connects(&name);
            tally.voting += u32::from(serves || connected);
            tally.unknown += u32::from(readiness == Readiness::Unknown && !connected);
        }
        if let Readiness::Ready(said) | Readiness::NotReady(said) = readiness {
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
        let cluster = said.cluster_version.as_ref().and_then(|text| text.parse().ok());
        self.cluster_version = self.cluster_version.into_iter().chain(cluster).min();
        self.cluster_id = self.cluster_id.take().or_else(|| said.cluster_id.clone());
        self.db_size = self.db_size.max(said.db_size.map(i64::unsigned_abs));
        let notices = said.notices.iter();
        self.notices.extend(notices.map(|n| (camel(&n.reason), format!("member {name}: {}", shorten(&n.message)))));
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
