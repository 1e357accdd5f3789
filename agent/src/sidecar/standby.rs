//! What is due while etcd runs: leave when the member is not wanted, become a voter when it joined.

use tracing::{info, warn};

use super::{errands::Errand, notes, turn::Sidecar};
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
        start::{Known, Object, next_claim},
    },
};

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
        let bytes = self.disk.snapshot_bytes().await;
        let facts = learn::Facts {
            own_id: &own_id,
            cluster: &cluster,
            stalled: self.belonging.stalled(observed, bytes),
            serves: self.belonging.serves(observed),
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
                self.orders.obeyed();
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

    fn request(&self, request: Request) {
        // Full: the launcher has enough to do; the next turn asks again.
        let _ = self.wires.requests.try_send(request);
    }
}
