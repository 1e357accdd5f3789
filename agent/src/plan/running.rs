//! What is due while etcd runs, pauses or stops: one step, with its reason.
//!
//! The order of the rules is the policy. What keeps a wrong etcd from serving comes first; what is over in a moment, and may
//! not wait for a membership that takes minutes, comes before the membership:
//!
//! ```text
//!   1  etcd is of another cluster or ID than the mark's, or says that it is alone (room `trust`)   Kill
//!   2  the EtcdMember remembers more than the volume: an older copy                                Kill
//!   3  another volume speaks for the member                                                        Halt
//!   4  etcd keeps ending, and the member is not wanted                                             Halt
//!   4b a person holds it: leadership is handed over first                                          HandOver, Halt
//!   5  the mark does not know the voters, the versions, or the options; the counter is due; the claim
//!      is not written yet                                                        Record, Version, Options, Count, Claim
//!   5b etcd runs with other options or authorities than it is to: as 4b, and is started again      HandOver, Halt, Hurry
//!   6  the member is not wanted: room `leave`; it joined and does not vote: room `learn`;
//!      etcd leads: rooms `steward`, `downgrade`, `compare`, `upkeep`
//!                    Leave, Learn, Remove, Downgrade, Compare, Upkeep
//! ```
//! While all rests (`spec.paused`) the last group changes nothing. A learner that was added stays one: it serves nobody and is in nobody's
//! way, while a vote more may be the one that a quorum lacks later.
//!
//! Guarantees: a step is either over when its effect is (1 to 5), or asked for again each turn until the membership shows it
//! (6); so no rule hides one below it for ever.

use std::time::Duration;

use etcd_operator_shared::version::{Downgrade, Minor};

use super::{
    compare, downgrade,
    learn::{self, Learn, learn},
    leave::{self, Leave, leave},
    list::{Cluster, Entry},
    start::{Identity, Known, Object, next_claim},
    steward::{self, Removal, Seat},
    trust::{self, Neighbours, Trust},
    upkeep::{self, heir},
    version::{self, Ran},
};
use crate::volume::{
    Mark,
    mark::{self, Suspicion, Voter},
};

/// What etcd's process is doing while it is not at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Process {
    Running,
    /// It ended, and the launcher starts it again by itself.
    Pausing,
    /// It was asked to end.
    Stopping,
}

/// What etcd has said of itself in this run.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    pub member_id: &'a str,
    pub cluster_id: &'a str,
    pub leads: bool,
    /// Its membership, once a linearizable read has confirmed it.
    pub list: Option<&'a [Entry]>,
}

/// How far a learner is, see [`learn::Facts`].
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub stalled: Duration,
    pub serves: Option<Duration>,
    pub mute: Option<Duration>,
    pub reopened: bool,
}

/// All that the step depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub me: &'a Identity,
    /// etcd's ID of this incarnation's cluster.
    pub cluster_id: &'a str,
    /// The mark as it was last read.
    pub mark: &'a Mark,
    pub process: Process,
    pub object: &'a Object,
    pub neighbours: &'a Neighbours,
    /// What the other members say.
    pub cluster: &'a Cluster,
    pub etcd: Option<Said<'a>>,
    /// Which version it is, once it has said so.
    pub ran: Option<Ran>,
    /// What the coordinator says of etcd's downgrades, and what etcd allows now.
    pub downgrade: (Option<Downgrade>, Option<Minor>),
    /// Whether the list of this run was found to be the cluster's.
    pub trusted: bool,
    /// Whether etcd's word is younger than the wish that the member goes and than the last step towards it.
    pub up_to_date: bool,
    /// Whether this run of etcd was seen to vote.
    pub votes: bool,
    pub progress: Progress,
    /// The members as this etcd sees them.
    pub seats: &'a [Seat],
    pub wished_for: Duration,
    pub count_due: bool,
    pub options: Options<'a>,
    /// What is known of the members' databases; `None` where nothing is to be done about them now.
    pub upkeep: Option<upkeep::Known<'a>>,
    /// What is known of their keys; the same.
    pub compared: Option<compare::Known<'a>>,
    /// Whether a write to the EtcdMember could begin now.
    pub may_write: bool,
}

/// What is to be done about etcd's options, see [`super::options`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Whether etcd runs with others than it is to, or believes other authorities.
    pub due: bool,
    /// What the mark is to keep of them.
    pub news: Option<&'a mark::Options>,
    /// For how long etcd has been stopping.
    pub stopping_for: Duration,
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Running {
    /// End etcd at once: whatever it would still do is wrong. What is suspected goes onto the mark.
    Kill(Wrong),
    /// Have etcd stopped, and not started again without an order.
    Halt(Why),
    /// The mark takes the voters, so that they are missed when they are gone.
    Record(Vec<Voter>),
    /// Hand leadership to this ID: the member is about to be stopped.
    HandOver {
        to: String,
    },
    /// The mark takes the versions of etcd and of the cluster: another binary is held against them at a start.
    Version {
        version: String,
        cluster: Option<String>,
    },
    /// The mark takes what is known of etcd's options.
    Options(mark::Options),
    /// End an etcd that was asked to, and waits for its clients: it comes back at once.
    Hurry,
    /// Raise the counter.
    Count,
    /// Write the claim of a member that joined while the API server was away.
    Claim {
        number: i64,
        member_id: String,
    },
    Leave(Leave),
    Learn(Learn),
    Remove(Removal),
    Downgrade(downgrade::Step),
    Compare(compare::Step),
    Upkeep(upkeep::Step),
    /// Nothing is due.
    Nothing,
}

/// What is wrong with an etcd that runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wrong {
    /// It is not the member that the mark is for, or not this cluster's.
    Suspicious(Suspicion),
    /// The EtcdMember remembers a higher counter than the volume has.
    OlderCopy { volume: i64, object: i64 },
}

/// Why etcd is not to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Another volume speaks for the member.
    Superseded,
    /// A person holds it (`spec.hold`).
    HeldBySpec,
    /// It is started again at once, with other options, or believing other authorities.
    OtherOptions,
    /// The member is on its way out and keeps ending: it is not brought back to be let go.
    EndsWhileLeaving,
}

/// Decides the next step. See the module's header for the order.
#[must_use]
pub fn running(facts: Facts<'_>) -> Running {
    let runs = facts.process == Process::Running;
    if let Some(wrong) = wrong(facts) {
        return Running::Kill(wrong);
    }
    if runs && is_superseded(facts.mark, facts.object) {
        return Running::Halt(Why::Superseded);
    }
    let surplus = surplus(facts);
    if surplus.is_some() && facts.process == Process::Pausing {
        return Running::Halt(Why::EndsWhileLeaving);
    }
    if let Some(step) = held(facts) {
        return step;
    }
    if let Some(step) = written(facts) {
        return step;
    }
    if facts.options.due && surplus.is_none() {
        return rest(facts, Why::OtherOptions);
    }
    match surplus {
        Some(known) => leaving(facts, known),
        None => staying(facts),
    }
}

/// Whether the others must be asked for their list while etcd runs: to leave by it, to be promoted, or to find out whether
/// they serve without this member, which knows no leader.
#[must_use]
pub fn needs_list(me: &Identity, object: &Object, learns: bool, leaderless: Option<Duration>) -> bool {
    let surplus = matches!(object, Object::Known(known) if known.is_surplus(me.ordinal));
    surplus || learns || leaderless.is_some_and(|time| time >= LONELY)
}

/// An election takes less.
const LONELY: Duration = Duration::from_secs(3);

fn surplus<'a>(facts: Facts<'a>) -> Option<&'a Known> {
    match facts.object {
        Object::Known(known) if known.is_surplus(facts.me.ordinal) => Some(known),
        Object::Known(_) | Object::Awaited | Object::Away | Object::Missing => None,
    }
}

/// What must not serve any longer.
fn wrong(facts: Facts<'_>) -> Option<Wrong> {
    let mark = facts.mark;
    if let Some(said) = facts.etcd {
        if said.cluster_id != facts.cluster_id {
            return suspicious(Suspicion::OtherCluster { found: said.cluster_id.to_owned() });
        }
        if mark.member_id.as_ref().is_some_and(|id| id != said.member_id) {
            return suspicious(Suspicion::OtherId { found: said.member_id.to_owned() });
        }
        if let (Some(list), false) = (said.list, facts.trusted)
            && let Trust::Forced { lost } = trust::judge(trusting(facts, said.member_id), list)
        {
            return suspicious(Suspicion::Forced { lost });
        }
    }
    let Object::Known(known) = facts.object else { return None };
    // As at a start: an answer that came late must not be taken for one that never came.
    let mine = known.claim.as_ref().is_some_and(|claim| claim.volume_id == mark.volume_id);
    let ours = known.cluster_uid == mark.cluster_uid && known.incarnation == mark.incarnation;
    let behind = mine && ours && known.counter > mark.counter;
    behind.then_some(Wrong::OlderCopy { volume: mark.counter, object: known.counter })
}

fn suspicious(suspicion: Suspicion) -> Option<Wrong> {
    Some(Wrong::Suspicious(suspicion))
}

fn trusting<'a>(facts: Facts<'a>, own_id: &'a str) -> trust::Facts<'a> {
    trust::Facts { own_id, recorded: &facts.mark.voters, object: facts.object, neighbours: facts.neighbours }
}

/// Whether a claim stands that silences this volume. One that joined without a claim is behind every claim; it claims itself.
#[must_use]
pub fn is_superseded(mark: &Mark, object: &Object) -> bool {
    let Object::Known(known) = object else { return false };
    known.claim.as_ref().is_some_and(|claim| {
        claim.volume_id != mark.volume_id && claim.number > mark.claim && !(mark.joined && mark.claim == 0)
    })
}

/// A leader that nobody relieves within this is stopped all the same: etcd itself tries once more as it ends.
const HAND_OVER: Duration = Duration::from_secs(5);

/// How long etcd may wait for its clients when it is to come back at once. What was acknowledged is on the disk.
const DRAIN: Duration = Duration::from_secs(1);

/// What is due before a member rests that a person holds.
fn held(facts: Facts<'_>) -> Option<Running> {
    facts.object.wish(Some(facts.mark)).held.then(|| rest(facts, Why::HeldBySpec))
}

/// What is due before etcd is off for this reason.
fn rest(facts: Facts<'_>, why: Why) -> Running {
    let halt = Running::Halt(why);
    let waits = matches!(facts.object, Object::Known(_)) && facts.wished_for < HAND_OVER;
    match (facts.process, facts.etcd) {
        (Process::Stopping, _) if why == Why::OtherOptions && facts.options.stopping_for >= DRAIN => Running::Hurry,
        (Process::Stopping, _) => Running::Nothing,
        // Leadership may have come here since the last look.
        (Process::Running, _) if waits && !facts.up_to_date => Running::Nothing,
        (Process::Running, Some(Said { member_id, leads: true, .. })) if waits => {
            heir(facts.seats, member_id).map_or(halt, |to| Running::HandOver { to })
        }
        (Process::Running | Process::Pausing, _) => halt,
    }
}

/// What is to be written down, if anything.
fn written(facts: Facts<'_>) -> Option<Running> {
    if let Some(Said { list: Some(list), .. }) = facts.etcd {
        let voters = trust::voters(list);
        if voters != facts.mark.voters {
            return Some(Running::Record(voters));
        }
    }
    if let Some((version, cluster)) = facts.ran.and_then(|ran| version::note(ran, facts.mark)) {
        return Some(Running::Version { version, cluster });
    }
    if let Some(options) = facts.options.news {
        return Some(Running::Options(options.clone()));
    }
    if facts.count_due {
        return Some(Running::Count);
    }
    let Object::Known(known) = facts.object else { return None };
    let number = next_claim(facts.mark, known).filter(|_| facts.may_write && facts.mark.joined)?;
    let member_id = facts.mark.member_id.clone()?;
    Some(Running::Claim { number, member_id })
}

fn leaving(facts: Facts<'_>, known: &Known) -> Running {
    let Some(own_id) = facts.mark.member_id.as_deref() else { return Running::Nothing };
    let leads = facts.etcd.is_some_and(|said| said.leads);
    let away: Vec<String> = match leads {
        true => facts.seats.iter().filter(|seat| seat.away.is_some()).map(|seat| seat.entry.id.clone()).collect(),
        false => vec![],
    };
    let step =
        leave(leave::Facts { me: facts.me, own_id, size: known.size, leads, cluster: facts.cluster, away: &away });
    // Leadership may have come here since the last look: one that leads hands over before it goes.
    let goes = matches!(step, Leave::MoveLeader { .. } | Leave::Remove { .. });
    if goes && !facts.up_to_date { Running::Nothing } else { Running::Leave(step) }
}

fn staying(facts: Facts<'_>) -> Running {
    let paused = facts.object.wish(Some(facts.mark)).paused;
    match learning(facts) {
        None | Some(Learn::Wait) => {}
        Some(Learn::Promote { .. } | Learn::Reopen { .. } | Learn::GiveUp { .. }) if paused => {}
        Some(step) => return Running::Learn(step),
    }
    if paused {
        return Running::Nothing;
    }
    let Some(Said { member_id, leads: true, .. }) = facts.etcd else { return Running::Nothing };
    let size = match facts.object {
        Object::Known(known) if known.current && !known.stopped => Some(known.size),
        Object::Known(_) | Object::Awaited | Object::Away | Object::Missing => None,
    };
    let steward = steward::Facts { own_id: member_id, size, wished_for: facts.wished_for, seats: facts.seats };
    let removal = steward::next(steward).map(Running::Remove);
    let step = removal.or_else(|| going_down(facts, size?));
    step.or_else(|| compared(facts, size)).or_else(|| upkeep(facts, size)).unwrap_or(Running::Nothing)
}

fn compared(facts: Facts<'_>, size: Option<u32>) -> Option<Running> {
    let (known, seats, own_id) = (facts.compared?, facts.seats, facts.etcd?.member_id);
    let step = compare::next(compare::Facts { own_id, size, seats, known });
    step.filter(|_| facts.trusted && facts.up_to_date).map(Running::Compare)
}

fn upkeep(facts: Facts<'_>, size: Option<u32>) -> Option<Running> {
    let (known, seats, own_id) = (facts.upkeep?, facts.seats, facts.etcd?.member_id);
    let step = upkeep::next(upkeep::Facts { own_id, size, seats, known });
    step.filter(|_| facts.trusted && facts.up_to_date).map(Running::Upkeep)
}

fn going_down(facts: Facts<'_>, size: u32) -> Option<Running> {
    let (told, allowed) = facts.downgrade;
    let (own_id, seats, ran) = (facts.etcd?.member_id, facts.seats, facts.ran?);
    let step = downgrade::next(downgrade::Facts { told, own_id, size, seats, ran, allowed });
    step.filter(|_| facts.trusted && facts.up_to_date).map(Running::Downgrade)
}

fn learning(facts: Facts<'_>) -> Option<Learn> {
    let own_id = facts.mark.member_id.as_deref().filter(|_| facts.mark.joined && !facts.votes)?;
    let Progress { stalled, serves, mute, reopened } = facts.progress;
    Some(learn(learn::Facts { own_id, cluster: facts.cluster, stalled, serves, mute, reopened }))
}

impl Why {
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Superseded => "another volume speaks for this member now",
            Self::HeldBySpec => "spec.hold names the member",
            Self::OtherOptions => "it is started again with other options or authorities",
            Self::EndsWhileLeaving => "the member is on its way out, and its etcd keeps ending",
        }
    }
}

#[cfg(test)]
mod tests;
