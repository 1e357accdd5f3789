//! What is remembered of the membership between turns: what this run of etcd has shown, and since when the wish is known.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    hosts::AddressBook,
    observe::etcd::Observed,
    plan::{
        list::{Entry, with_id},
        running::Progress,
        start::Object,
    },
};

/// An etcd that has not said for this long whether it leads does not.
const MUTE: Duration = Duration::from_secs(3);
/// An answer that is older says nothing of whether etcd answers now: a learner is asked fifty times a second.
const FRESH: Duration = Duration::from_secs(1);
/// A membership that does not settle within this is looked at as seldom as any other: nothing there is a matter of
/// milliseconds.
const HURRY: Duration = Duration::from_secs(120);

#[derive(Default)]
pub(in crate::sidecar) struct Membership {
    /// Whether this run of etcd was seen to vote.
    pub votes: bool,
    /// Whether its list was found to be the cluster's.
    pub trusted: bool,
    /// Why the member is on its way out, while it is.
    pub leaving: Option<String>,
    /// The learner's ID for which etcd was started once more.
    pub reopened: Option<String>,
    asking_since: Option<Instant>,
    /// Generation of the EtcdMember, and since when it is known.
    wish: Option<(i64, Instant)>,
    /// The newest generation that a list was read after.
    proven: Option<i64>,
    /// How far the learner had come when it last came further, and when that was.
    progress: Option<(Point, Instant)>,
    /// An index at or before which the others had listed this run's member as started.
    published: Option<u64>,
    /// Since when etcd has applied that much without answering.
    mute: Option<Instant>,
    /// Since when etcd has answered.
    serving: Option<Instant>,
    /// Since when this run of etcd has known no leader, or no quorum has confirmed a read of it.
    leaderless: Option<Instant>,
    /// Members whose agent does not answer at its address, and since when.
    silent: BTreeMap<String, Instant>,
}

/// The applied index, and bytes of the database and of a snapshot that is being received.
type Point = (u64, Option<u64>);

impl Membership {
    /// etcd's process is another one. What is known of the wish stays.
    pub(super) fn new_run(&mut self) {
        let reopened = self.reopened.take();
        let (asking_since, wish, silent) = (self.asking_since, self.wish, std::mem::take(&mut self.silent));
        *self = Self { asking_since, wish, reopened, silent, ..Self::default() };
    }

    /// Takes whether etcd knows a leader and a quorum.
    pub(in crate::sidecar) fn note_leader(&mut self, observed: &Observed, now: Instant) {
        let unled = observed.status.as_ref().is_some_and(|status| status.leader_id.is_none());
        let lost = observed.confirmed && (unled || observed.no_quorum.is_some());
        self.leaderless = lost.then(|| self.leaderless.unwrap_or(now));
    }

    /// For how long it has known none, once it had.
    pub(in crate::sidecar) fn leaderless_for(&self, now: Instant) -> Option<Duration> {
        self.leaderless.map(|since| now.duration_since(since))
    }

    /// Takes whose agents answer at the addresses that are known.
    pub(in crate::sidecar) fn note_agents(&mut self, book: &AddressBook, now: Instant) {
        let confirmed = book.confirmed();
        let mute = book.addresses().into_iter().map(|(name, _)| name).filter(|name| !confirmed.contains(name));
        self.silent = mute.map(|name| (name.clone(), self.silent.get(&name).copied().unwrap_or(now))).collect();
    }

    /// For how long a member's agent has not answered.
    pub(in crate::sidecar) fn mute_for(&self, member: &str, now: Instant) -> Option<Duration> {
        self.silent.get(member).map(|since| now.duration_since(*since))
    }

    pub(in crate::sidecar) fn note_wish(&mut self, generation: Option<i64>, now: Instant) {
        if generation != self.wish.map(|(generation, _)| generation) {
            self.wish = generation.map(|generation| (generation, now));
        }
    }

    /// For how long the present wish has been known.
    pub(in crate::sidecar) fn wished_for(&self, now: Instant) -> Duration {
        self.wish.map(|(_, since)| now.duration_since(since)).unwrap_or_default()
    }

    /// The generation of the EtcdMember that the last list was read after.
    pub(in crate::sidecar) fn proven(&self) -> Option<i64> {
        self.proven
    }

    pub(in crate::sidecar) fn ask(&mut self, wanted: bool, now: Instant) {
        self.asking_since = wanted.then(|| self.asking_since.unwrap_or(now));
    }

    /// Whether an answer is of the asking that goes on now: an older one is out of date.
    pub(in crate::sidecar) fn asks_since(&self, asked: Instant) -> bool {
        self.asking_since.is_some_and(|since| asked >= since)
    }

    /// Whether the leader's agent must look more often: the membership is not yet as wished, or not yet known to be.
    pub(in crate::sidecar) fn must_hurry(&self, observed: &Observed, object: &Object, now: Instant) -> bool {
        let (Object::Known(known), Some(status)) = (object, &observed.status) else { return false };
        let leads = status.leader_id.as_ref() == Some(&status.member_id);
        let members = &observed.members;
        let settled = members.len() == known.size as usize && members.iter().all(|m| !m.learner && m.started);
        let told = self.wish.is_none_or(|(generation, _)| self.proven == Some(generation));
        let lately = self.wish.is_some_and(|(_, since)| now.duration_since(since) < HURRY);
        leads && known.current && !known.stopped && lately && !(settled && told)
    }

    /// Whether the role that etcd last reported is up to date: it has answered since the agent knows that the member is to
    /// go, and since the agent's last change of the membership, or it has been silent for [`MUTE`].
    pub(in crate::sidecar) fn is_up_to_date(&self, observed: &Observed, changed: Instant, now: Instant) -> bool {
        let since = self.wish.map_or(now, |(_, since)| since.max(changed));
        observed.stated.is_some_and(|at| at >= since) || now.duration_since(since) > MUTE
    }

    pub(in crate::sidecar) fn note_list(&mut self, observed: &Observed) {
        if let (Some((generation, since)), Some(asked)) = (self.wish, observed.members_asked)
            && asked > since
        {
            self.proven = Some(generation);
        }
    }

    /// How far the learner with this ID is. `listed` is what the others say, and the raft index at or before which it was
    /// decided; `bytes` grow while etcd receives a snapshot.
    pub(in crate::sidecar) fn progress(
        &mut self,
        own_id: &str,
        observed: &Observed,
        listed: Option<(&[Entry], u64)>,
        bytes: Option<u64>,
        now: Instant,
    ) -> Progress {
        let started = |(list, index): (&[Entry], u64)| with_id(list, own_id).filter(|e| e.started).map(|_| index);
        Progress {
            stalled: self.stalled(observed, bytes, now),
            serves: self.serves(observed, now),
            mute: self.mute(observed, listed.and_then(started), now),
            reopened: self.reopened.as_deref() == Some(own_id),
        }
    }

    /// For how long etcd has answered, as far as the agent was there to see it.
    fn serves(&mut self, observed: &Observed, now: Instant) -> Option<Duration> {
        let answers = observed.answered.is_some_and(|at| now.duration_since(at) < FRESH);
        self.serving = answers.then(|| self.serving.unwrap_or(now));
        self.serving.map(|since| now.duration_since(since))
    }

    /// For how long etcd has been mute: it has applied all that the others had when they listed it as started.
    fn mute(&mut self, observed: &Observed, listed_at: Option<u64>, now: Instant) -> Option<Duration> {
        self.published = self.published.or(listed_at);
        let knows = self.published.is_some_and(|index| observed.applied >= Some(index));
        self.mute = (knows && observed.answered.is_none()).then(|| self.mute.unwrap_or(now));
        self.mute.map(|since| now.duration_since(since))
    }

    /// Time since the learner last came further, or since nobody was asked: a learner cannot catch up with nobody.
    fn stalled(&mut self, observed: &Observed, bytes: Option<u64>, now: Instant) -> Duration {
        let index = observed.status.as_ref().map(|status| status.raft_applied_index).or(observed.applied);
        let point = (index.unwrap_or_default(), bytes);
        match self.progress {
            Some((last, since)) if last == point && observed.no_quorum.is_none() => now.duration_since(since),
            Some(_) | None => {
                self.progress = Some((point, now));
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    fn answered(at: Instant) -> Observed {
        Observed { answered: Some(at), stated: Some(at), ..Observed::default() }
    }

    #[test]
    fn a_role_is_up_to_date_only_when_etcd_has_spoken_since_the_wish_and_since_the_last_change() {
        let (mut memory, start) = (Membership::default(), Instant::now());
        memory.note_wish(Some(2), at(start, 100));
        let asked = |answer, changed, now| {
            memory.is_up_to_date(&answered(at(start, answer)), at(start, changed), at(start, now))
        };
        assert!(!asked(50, 0, 200), "it spoke before the wish was known");
        assert!(asked(150, 0, 200));
        assert!(!asked(150, 160, 200), "it spoke before the last change");
        assert!(asked(50, 0, 3_200), "one that says nothing does not lead");
    }

    #[test]
    fn a_list_proves_only_the_wish_that_was_known_before_it_was_read() {
        let (mut memory, start) = (Membership::default(), Instant::now());
        let read = |millis| Observed { members_asked: Some(at(start, millis)), ..Observed::default() };
        memory.note_wish(Some(7), at(start, 100));
        memory.note_list(&read(50));
        assert_eq!(memory.proven(), None);
        memory.note_list(&read(150));
        assert_eq!(memory.proven(), Some(7));
        memory.note_wish(Some(8), at(start, 200));
        memory.note_list(&read(150));
        assert_eq!(memory.proven(), Some(7));
        assert_eq!(memory.wished_for(at(start, 250)), Duration::from_millis(50));
    }

    #[test]
    fn a_learner_stalls_only_while_neither_index_nor_snapshot_grows() {
        let (mut memory, start) = (Membership::default(), Instant::now());
        let mut stalled = |bytes, no_quorum: Option<&str>, millis| {
            let observed = Observed { no_quorum: no_quorum.map(Into::into), ..Observed::default() };
            memory.progress("a", &observed, None, Some(bytes), at(start, millis)).stalled
        };
        assert_eq!(stalled(1, None, 0), Duration::ZERO);
        assert_eq!(stalled(1, None, 500), Duration::from_millis(500));
        assert_eq!(stalled(2, None, 600), Duration::ZERO);
        assert_eq!(stalled(2, Some("no leader"), 900), Duration::ZERO, "nobody is there to catch up with");
        assert_eq!(stalled(2, None, 1_000), Duration::from_millis(100));
    }

    #[test]
    fn an_etcd_is_mute_once_it_has_applied_its_own_entry_and_says_nothing() {
        let (mut memory, start) = (Membership::default(), Instant::now());
        let entry = Entry { id: "a".into(), member: "demo-1".into(), ordinal: Some(1), learner: true, started: true };
        let list = [entry];
        let mut mute = |applied, listed: Option<(&[Entry], u64)>, millis| {
            let observed = Observed { applied: Some(applied), ..Observed::default() };
            memory.progress("a", &observed, listed, None, at(start, millis)).mute
        };
        assert_eq!(mute(9, Some((&list, 10)), 0), None);
        assert_eq!(mute(10, None, 50), Some(Duration::ZERO), "what was listed once is remembered");
        assert_eq!(mute(10, None, 150), Some(Duration::from_millis(100)));
    }

    #[test]
    fn another_process_forgets_what_the_last_one_showed_and_keeps_the_wish() {
        let (mut memory, start) = (Membership::default(), Instant::now());
        memory.note_wish(Some(3), start);
        (memory.votes, memory.trusted, memory.reopened) = (true, true, Some("a".into()));
        memory.new_run();
        assert!(!memory.votes && !memory.trusted);
        assert_eq!(memory.reopened.as_deref(), Some("a"));
        assert_eq!(memory.wished_for(at(start, 5)), Duration::from_millis(5));
    }

    #[test]
    fn a_member_is_leaderless_from_when_it_lost_the_leader_that_it_had() {
        let (mut memory, start) = (Membership::default(), Instant::now());
        let mut after = |confirmed, no_quorum: Option<&str>, millis| {
            let observed = Observed { confirmed, no_quorum: no_quorum.map(Into::into), ..Observed::default() };
            memory.note_leader(&observed, at(start, millis));
            memory.leaderless_for(at(start, millis))
        };
        assert_eq!(after(false, Some("no leader"), 0), None, "it has not found one yet");
        assert_eq!(after(true, Some("no leader"), 100), Some(Duration::ZERO));
        assert_eq!(after(true, Some("timed out"), 300), Some(Duration::from_millis(200)));
        assert_eq!(after(true, None, 400), None);
    }

    #[test]
    fn an_answer_of_an_earlier_asking_is_out_of_date() {
        let (mut memory, start) = (Membership::default(), Instant::now());
        memory.ask(true, at(start, 10));
        memory.ask(true, at(start, 20));
        assert!(memory.asks_since(at(start, 10)) && !memory.asks_since(at(start, 9)));
        memory.ask(false, at(start, 30));
        assert!(!memory.asks_since(at(start, 40)));
    }
}
