//! What is remembered of the membership between turns.

use std::time::{Duration, Instant};

use super::ledger::Ledger;
use crate::{facts::etcd::Observed, plan::start::Object};

/// An etcd that has not said for this long whether it leads does not.
const MUTE: Duration = Duration::from_secs(3);

/// A learner is asked fifty times a second.
const FRESH: Duration = Duration::from_secs(1);

/// What is remembered between turns.
#[derive(Default)]
pub(super) struct Belonging {
    /// Whether this run of etcd was seen to vote.
    pub votes: bool,
    /// Why the member is on its way out, while it is.
    pub leaving: Option<String>,
    asking_since: Option<Instant>,
    /// Generation of the EtcdMember, and since when it is known.
    pub wish: Option<(i64, Instant)>,
    /// The newest generation that a list was read after.
    pub proven: Option<i64>,
    /// How far the learner had come when it last came further, and when that was.
    progress: Option<(Progress, Instant)>,
    /// An index at or before which the others had listed this run's member as started.
    published: Option<u64>,
    /// Since when etcd has applied that much without answering.
    mute: Option<Instant>,
    /// Since when etcd has answered.
    serving: Option<Instant>,
    /// The learner's ID for which etcd was started once more.
    pub reopened: Option<String>,
}

/// The applied index, and bytes of the database and of a snapshot that is being received.
type Progress = (u64, Option<u64>);

impl Belonging {
    pub(super) fn new_run(&mut self) {
        let reopened = self.reopened.take();
        *self = Self { asking_since: self.asking_since, wish: self.wish, reopened, ..Self::default() };
    }

    pub(super) fn note_wish(&mut self, ledger: &Ledger) {
        let generation = ledger.object().and_then(|object| object.metadata.generation);
        if generation != self.wish.map(|(generation, _)| generation) {
            self.wish = generation.map(|generation| (generation, Instant::now()));
        }
    }

    pub(super) fn ask(&mut self, wanted: bool) {
        self.asking_since = wanted.then(|| self.asking_since.unwrap_or_else(Instant::now));
    }

    /// Whether an answer is of the asking that goes on now: an older one is out of date.
    pub(super) fn asks_since(&self, asked: Instant) -> bool {
        self.asking_since.is_some_and(|since| asked >= since)
    }

    /// Whether the leader's agent must look more often: the membership is not yet as wished, or not yet known to be.
    pub(super) fn must_hurry(&self, observed: &Observed, object: &Object) -> bool {
        let (Object::Known(known), Some(status)) = (object, &observed.status) else { return false };
        let leads = status.leader_id.as_ref() == Some(&status.member_id);
        let members = &observed.members;
        let settled = members.len() == known.size as usize && members.iter().all(|m| !m.learner && m.started);
        let told = self.wish.is_none_or(|(generation, _)| self.proven == Some(generation));
        // One that does not settle is looked at as seldom as any other: nothing there is a matter of milliseconds.
        let lately = self.wish.is_some_and(|(_, since)| since.elapsed() < Duration::from_secs(120));
        leads && known.current && !known.stopped && lately && !(settled && told)
    }

    /// Whether etcd's own word is younger than the wish that the member goes, and than the last step towards it; or etcd has
    /// no word to say.
    pub(super) fn is_told_by(&self, observed: &Observed, acted: Instant) -> bool {
        let since = self.wish.map_or_else(Instant::now, |(_, since)| since.max(acted));
        observed.answered.is_some_and(|at| at >= since) || since.elapsed() > MUTE
    }

    pub(super) fn note_list(&mut self, observed: &Observed) {
        if let (Some((generation, since)), Some(asked)) = (self.wish, observed.members_asked)
            && asked > since
        {
            self.proven = Some(generation);
        }
    }

    /// For how long etcd has answered, as far as the agent was there to see it.
    pub(super) fn serves(&mut self, observed: &Observed) -> Option<Duration> {
        let answers = observed.answered.is_some_and(|at| at.elapsed() < FRESH);
        self.serving = answers.then(|| self.serving.unwrap_or_else(Instant::now));
        self.serving.map(|since| since.elapsed())
    }

    /// For how long etcd has been mute: it has applied all that the others had when they listed it as started.
    pub(super) fn mute(&mut self, observed: &Observed, listed_at: Option<u64>) -> Option<Duration> {
        self.published = self.published.or(listed_at);
        let knows = self.published.is_some_and(|index| observed.applied >= Some(index));
        self.mute = (knows && observed.answered.is_none()).then(|| self.mute.unwrap_or_else(Instant::now));
        self.mute.map(|since| since.elapsed())
    }

    /// Time since the learner last came further.
    pub(super) fn stalled(&mut self, observed: &Observed, bytes: Option<u64>) -> Duration {
        let index = observed.status.as_ref().map(|status| status.raft_applied_index).or(observed.applied);
        let now = (index.unwrap_or_default(), bytes);
        match self.progress {
            Some((last, since)) if last == now => since.elapsed(),
            Some(_) | None => {
                self.progress = Some((now, Instant::now()));
                Duration::ZERO
            }
        }
    }
}
