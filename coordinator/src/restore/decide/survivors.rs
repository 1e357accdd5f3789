//! What is done with the volumes that a lost quorum has left, decided.
//!
//! ```text
//!   not approved ─▶ AwaitsApproval
//!   approved     ─▶ Stops: no pod is left ─▶ Read: a pod a volume ─▶ Stops: until each has said what is on its volume
//!                     └─▶ the log that is furthest on is the data: Found
//! ```
//! The log with the highest term, and in it the highest index, has every entry that any volume that was read has
//! acknowledged: an entry is acknowledged once a quorum has it, and nobody is elected whose log lacks it. So where
//! volumes of so many voters were read that each quorum has one of them, nothing that was acknowledged is lost.

use etcd_operator_shared::{
    api::{
        EtcdRestore,
        restore::{RestorePhase, Volume},
    },
    backup::{LogEnd, Proof},
    quorum::quorum,
};
use jiff::{SignedDuration, Timestamp};

use super::{BUMP, Found, Objection, Verdict};
use crate::{
    cluster::facts::proof::{Seen, State},
    restore::facts::{Cluster, Reading},
};

/// An election takes less: who has no quorum for longer has lost it.
const LOST_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// How long a pod that reads a volume may wait for it, and after which one that could not is made anew.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);

/// The volume whose log is the furthest on, among all that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub seed: String,
    pub volumes: Vec<Volume>,
    /// Whether nothing that was acknowledged can be lost.
    pub whole: bool,
}

/// One that was read.
struct Read<'a> {
    member: &'a str,
    log: &'a LogEnd,
    digest: &'a str,
    bytes: i64,
    revision: i64,
}

/// What a person is to say first.
#[must_use]
pub fn awaits_approval(one: &EtcdRestore, cluster: &Cluster, number: i64) -> Verdict {
    let lost = one.spec.source.survivors.as_ref().map(|named| named.lost.as_slice()).unwrap_or_default();
    if let Some(objection) = unreadable(one, cluster, lost) {
        return Verdict::Refused(objection);
    }
    let left: Vec<&str> = left(cluster, lost).collect();
    let gone = match lost {
        [] => "none is taken for lost (source.survivors.lost)".to_owned(),
        lost => format!("what only {} held is lost", lost.join(", ")),
    };
    Verdict::AwaitsApproval(format!(
        "set spec.replacesIncarnation: {number} to stop all members, read the volumes of {}, and go on with the log that is furthest on; {gone}",
        left.join(", ")
    ))
}

/// Decides about one that is approved, or whose cluster begins with it.
#[must_use]
pub fn decide(one: &EtcdRestore, cluster: &Cluster, lost: &[String], read: &[Reading], now: Timestamp) -> Verdict {
    let status = one.status.clone().unwrap_or_default();
    if let Some(found) = found_before(one) {
        return Verdict::Found(found);
    }
    if let Some(objection) = unreadable(one, cluster, lost) {
        return Verdict::Refused(objection);
    }
    if status.phase != Some(RestorePhase::Stopping) {
        return match cluster.unavailable {
            // That it serves is why its place is to be taken.
            _ if is_of_an_earlier_life(one) => {
                Verdict::Stops("all members are stopped, so that what they have set aside can be read".into())
            }
            None => Verdict::Refused(Objection::HasQuorum(one.spec.cluster.clone())),
            Some(since) if now.duration_since(since) < LOST_AFTER => {
                Verdict::Waits("QuorumMissing", "it waits whether a quorum comes back by itself".into())
            }
            Some(_) => Verdict::Stops("all members are stopped, so that their volumes can be read".into()),
        };
    }
    if !cluster.pods.is_empty() {
        return Verdict::Stops(format!("it waits for {} to go", cluster.pods.join(", ")));
    }
    let members: Vec<&str> = left(cluster, lost).collect();
    let seen = |member: &str| read.iter().find(|one| one.member == member).map(|one| &one.seen);
    let unread: Vec<String> = members
        .iter()
        .filter(|member| seen(member).is_none_or(|seen| again(seen, now)))
        .map(|member| (*member).to_owned())
        .collect();
    if !unread.is_empty() {
        return Verdict::Read(unread);
    }
    let mut all = vec![];
    for member in members {
        match seen(member).map(|seen| &seen.state) {
            Some(State::Said(Proof::Good { digest, bytes, revision, log: Some(log), .. })) => {
                all.push(Read { member, log, digest, bytes: *bytes, revision: *revision });
            }
            Some(State::Said(Proof::Bad { message, .. } | Proof::Unknown { message, .. }) | State::Lost(message)) => {
                return Verdict::Refused(Objection::Volume { member: member.to_owned(), words: message.clone() });
            }
            // A volume may take a while to find its node.
            Some(State::UnderWay(Some(words))) if !is_young(seen(member), now) => {
                return Verdict::Refused(Objection::Volume { member: member.to_owned(), words: words.clone() });
            }
            Some(State::Said(Proof::Good { log: None, .. }) | State::UnderWay(_) | State::Going | State::Absent)
            | None => {
                return Verdict::Stops(format!("the volume of {member} is read"));
            }
        }
    }
    let found = choose(&all, cluster.revision, is_of_an_earlier_life(one));
    found.map_or(Verdict::Refused(Objection::NothingLeft), Verdict::Found)
}

/// Whether it takes back that the place of a life was taken.
fn is_of_an_earlier_life(one: &EtcdRestore) -> bool {
    let wanted = one.spec.source.survivors.as_ref().and_then(|survivors| survivors.incarnation);
    wanted.is_some_and(|wanted| one.spec.replaces_incarnation.is_some_and(|present| wanted < present))
}

/// What was found once is pinned: the bytes are on the seed's volume.
fn found_before(one: &EtcdRestore) -> Option<Found> {
    let status = one.status.clone()?;
    let seed = status.seed?;
    Some(Found {
        location: status.source?,
        digest: status.digest?,
        bytes: status.bytes?,
        revision: status.revision?,
        serves: None,
        bump: status.bump,
        survivors: Some(Choice { seed, volumes: status.volumes, whole: status.bump.is_none() }),
    })
}

fn unreadable(one: &EtcdRestore, cluster: &Cluster, lost: &[String]) -> Option<Objection> {
    if let Some(stranger) = lost.iter().find(|name| !cluster.members.contains(name)) {
        let (cluster, lost) = (one.spec.cluster.clone(), stranger.clone());
        return Some(Objection::NoSuchMember { cluster, lost });
    }
    left(cluster, lost).next().is_none().then_some(Objection::NothingLeft)
}

fn left<'a>(cluster: &'a Cluster, lost: &'a [String]) -> impl Iterator<Item = &'a str> {
    cluster.members.iter().filter(|name| !lost.contains(name)).map(String::as_str)
}

/// Whether a volume is to be read, or once more: after a word that may be another one next time.
fn again(seen: &Seen, now: Timestamp) -> bool {
    match &seen.state {
        State::Absent => true,
        State::Said(Proof::Unknown { .. }) | State::Lost(_) => !is_young(Some(seen), now),
        State::Going | State::UnderWay(_) | State::Said(Proof::Good { .. } | Proof::Bad { .. }) => false,
    }
}

fn is_young(seen: Option<&Seen>, now: Timestamp) -> bool {
    seen.and_then(|seen| seen.since).is_some_and(|since| now.duration_since(since) < PATIENCE)
}

/// The furthest of them. `known`: the highest revision that a member has told of. What is of an earlier life is never all:
/// clients have seen revisions of the later one.
fn choose(all: &[Read<'_>], known: i64, earlier: bool) -> Option<Found> {
    let best = all.iter().max_by_key(|one| (one.log.term, one.log.index, std::cmp::Reverse(one.member)))?;
    let voters = &best.log.voters;
    let votes = all.iter().filter(|one| one.log.votes && voters.iter().any(|voter| voter == one.member)).count();
    let enough = !voters.is_empty() && votes + quorum(voters.len()) > voters.len();
    let whole = enough && !earlier && all.iter().all(|one| !one.log.torn) && best.revision >= known;
    let volume = |one: &Read<'_>| Volume {
        member: one.member.to_owned(),
        term: one.log.term.try_into().unwrap_or(i64::MAX),
        index: one.log.index.try_into().unwrap_or(i64::MAX),
        commit: one.log.commit.try_into().unwrap_or(i64::MAX),
        revision: one.revision,
    };
    Some(Found {
        location: format!("the volume of {}", best.member),
        digest: best.digest.to_owned(),
        bytes: best.bytes,
        revision: best.revision,
        serves: None,
        // Where all is there, revisions go on, and who watches misses nothing.
        bump: (!whole).then(|| BUMP + (known - best.revision).max(0)),
        survivors: Some(Choice { seed: best.member.to_owned(), volumes: all.iter().map(volume).collect(), whole }),
    })
}

#[cfg(test)]
mod tests;
