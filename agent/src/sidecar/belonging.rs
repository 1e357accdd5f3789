//! What a member whose etcd runs does about the membership: leave when it is not wanted, become a voter when it joined, and
//! beside the leader look after the others. And what it says of the membership.

use std::time::{Duration, Instant};

use etcd_operator_shared::{
    api::member::{MemberEntry, Membership, Role},
    names::{PORT_CLIENT, ordinal},
};
use tracing::{info, warn};

use super::{errands::Errand, ledger::Ledger, notes, turn::Sidecar};
use crate::{
    crash,
    etcd::peers::Act,
    facts::{etcd::Observed, launcher::Launcher},
    launch::protocol::Request,
    plan::{
        health,
        learn::{self, Learn, learn},
        leave::{self, Leave, leave},
        list,
        start::{Identity, Known, Object, next_claim},
        steward::{self, Seat},
    },
};

/// An etcd that has not said for this long whether it leads does not.
const MUTE: Duration = Duration::from_secs(3);

/// What is remembered between turns.
#[derive(Default)]
pub(super) struct Belonging {
    /// Whether this run of etcd was seen to vote.
    pub votes: bool,
    /// Why the member is on its way out, while it is.
    pub leaving: Option<String>,
    asking_since: Option<Instant>,
    /// Generation of the EtcdMember, and since when it is known.
    wish: Option<(i64, Instant)>,
    /// The newest generation that a list was read after.
    proven: Option<i64>,
    /// The last applied index that was new, and when it was.
    progress: Option<(u64, Instant)>,
    /// An index at or before which the others had listed this run's member as started.
    published: Option<u64>,
    /// Since when etcd has applied that much without answering.
    mute: Option<Instant>,
    /// The learner's ID for which etcd was started once more.
    reopened: Option<String>,
}

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
    fn is_told_by(&self, observed: &Observed, acted: Instant) -> bool {
        let since = self.wish.map_or_else(Instant::now, |(_, since)| since.max(acted));
        observed.answered.is_some_and(|at| at >= since) || since.elapsed() > MUTE
    }

    fn note_list(&mut self, observed: &Observed) {
        if let (Some((generation, since)), Some(asked)) = (self.wish, observed.members_asked)
            && asked > since
        {
            self.proven = Some(generation);
        }
    }

    /// For how long etcd has been mute: it has applied all that the others had when they listed it as started.
    fn mute(&mut self, observed: &Observed, listed_at: Option<u64>) -> Option<Duration> {
        self.published = self.published.or(listed_at);
        let knows = self.published.is_some_and(|index| observed.applied >= Some(index));
        self.mute = (knows && observed.answered.is_none()).then(|| self.mute.unwrap_or_else(Instant::now));
        self.mute.map(|since| since.elapsed())
    }

    fn stalled(&mut self, observed: &Observed) -> Duration {
        let index = observed.status.as_ref().map_or(0, |status| status.raft_applied_index);
        match self.progress {
            Some((last, since)) if last == index => since.elapsed(),
            Some(_) | None => {
                self.progress = Some((index, Instant::now()));
                Duration::ZERO
            }
        }
    }
}

impl Sidecar {
    /// What is due while etcd runs, pauses or stops.
    pub(super) async fn stand_by(&mut self, launcher: &Launcher, observed: &Observed, object: &Object) {
        if self.disk.mark().is_none() {
            self.disk.look().await;
        }
        if self.is_superseded() && notes::process(launcher) == health::Process::Running {
            warn!("another volume speaks for this member now; etcd is stopped");
            self.request(Request::Halt);
        }
        if let (Some(status), Some(mark)) = (&observed.status, self.disk.mark())
            && mark.member_id.as_ref().is_some_and(|id| *id != status.member_id)
        {
            warn!(etcd = status.member_id, mark = mark.member_id, "etcd runs under another ID than it was given");
            self.mistaken = Some(mark.volume_id.clone());
            self.request(Request::Kill);
            return;
        }
        if self.disk.is_counter_due() {
            self.disk.raise_counter(self.peers()).await;
        }
        self.belonging.note_list(observed);
        match object {
            Object::Known(known) if known.dooms(self.me.ordinal) => self.leave(launcher, observed, known),
            Object::Known(_) | Object::Awaited | Object::Away | Object::Missing => {
                self.belonging.leaving = None;
                self.learn(launcher, observed).await;
                self.look_after_others(observed, object);
            }
        }
        self.claim_late(object);
    }

    fn is_superseded(&self) -> bool {
        match (self.ledger.claim(), self.disk.mark()) {
            // A volume that joined without a claim is behind every claim that stands; it claims itself.
            (Some(claim), Some(mark)) => {
                claim.volume_id != mark.volume_id && claim.number > mark.claim && !(mark.joined && mark.claim == 0)
            }
            (None, _) | (_, None) => false,
        }
    }

    /// A member that joined while the API server was away claims when it is back.
    fn claim_late(&mut self, object: &Object) {
        let (Object::Known(known), Some(mark)) = (object, self.disk.mark()) else { return };
        if let (Some(number), Some(id), true) = (next_claim(mark, known), mark.member_id.clone(), mark.joined) {
            self.claim(number, Some(id));
        }
    }

    fn leave(&mut self, launcher: &Launcher, observed: &Observed, known: &Known) {
        let Some(own_id) = self.disk.mark().and_then(|mark| mark.member_id.clone()) else { return };
        let leads = observed.status.as_ref().is_some_and(|s| s.leader_id.as_ref() == Some(&s.member_id));
        let away = if leads { self.away(observed) } else { vec![] };
        let cluster = self.cluster();
        let (me, size) = (&self.me, known.size);
        let facts =
            leave::Facts { me, own_id: &own_id, size, leads, cluster: &cluster, away: &away, ordinal: self.ordinals() };
        let step = leave(facts);
        // Leadership may have come here since the last look: one that leads hands over before it goes.
        let goes = matches!(step, Leave::MoveLeader { .. } | Leave::Remove { .. });
        if goes && !self.belonging.is_told_by(observed, self.errands.acted()) {
            return;
        }
        self.belonging.leaving = match (&step, self.errands.trouble()) {
            // What was begun is not over because the others are being asked again.
            (Leave::Silent, _) => self.belonging.leaving.take(),
            (Leave::After(_), _) => None,
            (_, Some(why)) => Some(format!("the member is leaving the cluster; it is tried again: {why}")),
            (_, None) => Some("the member is leaving the cluster".into()),
        };
        match step {
            // Out of the membership and not wanted any more: nothing can be finished here, only clients kept waiting.
            Leave::Halt => {
                crash::point("before-kill");
                self.request(if launcher.protocol >= 2 { Request::Kill } else { Request::Halt });
            }
            Leave::MoveLeader { to } => self.errands.run(Errand::MoveLeader { to }, vec![]),
            Leave::Remove { id } => self.act(Act::Remove { id }),
            Leave::After(_) | Leave::Silent => {}
        }
        // A member that keeps ending is not brought back to be let go.
        if notes::process(launcher) == health::Process::Pausing {
            self.request(Request::Halt);
        }
    }

    /// A member that joined asks to vote until it does.
    async fn learn(&mut self, launcher: &Launcher, observed: &Observed) {
        if self.belonging.votes || !self.is_joined() {
            return;
        }
        let Some(own_id) = self.disk.mark().and_then(|mark| mark.member_id.clone()) else { return };
        let cluster = self.cluster();
        let started = cluster.list().and_then(|list| list::with_id(list, &own_id)).is_some_and(|entry| entry.started);
        let listed_at = started.then(|| self.wires.heard.borrow().index);
        let facts = learn::Facts {
            own_id: &own_id,
            cluster: &cluster,
            stalled: self.belonging.stalled(observed),
            serves: observed.answered.is_some(),
            mute: self.belonging.mute(observed, listed_at),
            reopened: self.belonging.reopened.as_ref() == Some(&own_id),
        };
        match learn(facts) {
            Learn::Done => {
                info!(id = own_id, "the member votes");
                self.belonging.votes = true;
                self.disk.note_vote().await;
            }
            Learn::Promote { id } => self.act(Act::Promote { id }),
            // A launcher of before this request would stop etcd in good order, which can take long.
            Learn::Reopen if launcher.protocol >= 2 => {
                info!(
                    id = own_id,
                    "etcd learned of its own place from a snapshot; it is started once more, to serve at once"
                );
                self.belonging.reopened = Some(own_id);
                self.request(Request::Kill);
            }
            Learn::GiveUp { id } => {
                warn!(id, "the learner makes no progress and gives its place up");
                self.errands.rest();
                self.act(Act::Remove { id });
            }
            Learn::Reopen | Learn::Wait => {}
        }
    }

    /// Beside the leader: at most one removal for those that cannot help themselves.
    fn look_after_others(&mut self, observed: &Observed, object: &Object) {
        let Some(own) = observed.status.as_ref().filter(|s| s.leader_id.as_ref() == Some(&s.member_id)) else { return };
        let size = match object {
            Object::Known(known) if known.current && !known.stopped => Some(known.size),
            Object::Known(_) | Object::Awaited | Object::Away | Object::Missing => None,
        };
        let wished_for = self.belonging.wish.map(|(_, since)| since.elapsed()).unwrap_or_default();
        let seats = self.seats(observed);
        if let Some(removal) = steward::next(steward::Facts { own_id: &own.member_id, size, wished_for, seats: &seats })
        {
            info!(member = removal.member, why = removal.why.sentence(), "removed beside the leader");
            self.errands
                .run(Errand::Act(Act::Remove { id: removal.id }), vec![format!("http://127.0.0.1:{PORT_CLIENT}")]);
        }
    }

    fn seats(&self, observed: &Observed) -> Vec<Seat> {
        let now = Instant::now();
        let (Some(links), ordinals) = (observed.links.as_ref(), self.ordinals()) else { return vec![] };
        let seat = |entry: &list::Entry| Seat {
            ordinal: ordinals(&self.me, &entry.member),
            away: links.away(&entry.id, now),
            entry: entry.clone(),
        };
        observed.members.iter().map(seat).collect()
    }

    fn away(&self, observed: &Observed) -> Vec<String> {
        self.seats(observed).into_iter().filter(|seat| seat.away.is_some()).map(|seat| seat.entry.id).collect()
    }

    /// The membership as the leader's agent tells it.
    pub(super) fn membership(&self, observed: &Observed, role: Option<Role>) -> Option<Membership> {
        let generation = self.belonging.proven.filter(|_| role == Some(Role::Leader))?;
        let own = observed.status.as_ref().map(|status| &status.member_id);
        let mut members: Vec<MemberEntry> = self
            .seats(observed)
            .into_iter()
            .map(|Seat { entry, away, .. }| MemberEntry {
                connected: away.is_none() || Some(&entry.id) == own,
                id: entry.id,
                name: entry.member,
                learner: entry.learner,
                started: entry.started,
            })
            .collect();
        members.sort_by(|a, b| a.id.cmp(&b.id));
        Some(Membership { generation, members })
    }

    fn ordinals(&self) -> fn(&Identity, &str) -> Option<u32> {
        |me, member| {
            let cluster = me.member.strip_suffix(&format!("-{}", me.ordinal))?;
            ordinal(cluster, member)
        }
    }

    fn request(&self, request: Request) {
        // Full: the launcher has enough to do; the next turn asks again.
        let _ = self.wires.requests.try_send(request);
    }
}
