//! The other members as this one's etcd sees them: what the agent beside the leader does for them, and says of them.

use std::time::Instant;

use etcd_operator_shared::{
    api::member::{MemberEntry, Membership, Role},
    names::{PORT_CLIENT, ordinal},
};
use tracing::info;

use super::{errands::Errand, turn::Sidecar};
use crate::{
    etcd::peers::Act,
    facts::etcd::Observed,
    plan::{
        list,
        start::{Identity, Object},
        steward::{self, Seat},
    },
};

impl Sidecar {
    /// Beside the leader: at most one removal for those that cannot help themselves.
    pub(super) fn look_after_others(&mut self, observed: &Observed, object: &Object) {
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

    pub(super) fn away(&self, observed: &Observed) -> Vec<String> {
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

    pub(super) fn ordinals(&self) -> fn(&Identity, &str) -> Option<u32> {
        |me, member| {
            let cluster = me.member.strip_suffix(&format!("-{}", me.ordinal))?;
            ordinal(cluster, member)
        }
    }
}
