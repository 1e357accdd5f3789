//! Takes the backup that is due, beside whatever else is done in the turn.

use jiff::Timestamp;

use super::Performer;
use crate::{plan::backup, sidecar::facts::View, volume::Mark};

impl Performer<'_> {
    /// Hears what is told of backups, and begins the one that is due in a process of its own.
    pub(in crate::sidecar) async fn back_up(self) {
        let Self { config, me, told, memory, hands, now } = self;
        let object = hands.object.object().filter(|object| object.spec.cluster_uid == me.cluster_uid).cloned();
        if let Some(status) = object.as_ref().and_then(|object| object.status.as_ref()) {
            memory.backups.adopt(&status.backups);
        }
        // A volume that is another's is not written on.
        let own = |mark: &Mark| mark.cluster_uid == me.cluster_uid && mark.member == me.member;
        if !hands.volume.mark().is_some_and(own) {
            return;
        }
        let said = object.as_ref().map(|object| object.spec.backups.as_ref());
        hands.backups.hear(said, &me.cluster_uid).await;
        let Some(wanted) = hands.backups.wanted().filter(|_| hands.backups.is_free()) else { return };
        let view = View { config, me, told, hands, now };
        let backups = &memory.backups;
        let due = backup::due(backup::Facts {
            policy: &wanted.policy,
            ordered: said.flatten().and_then(|told| told.now.as_deref()),
            turn: view.backup_turn(memory),
            known: &|name| backups.knows(name),
            resting: &|name| backups.rests(name, now),
            now: Timestamp::now(),
        });
        let endpoints = view.endpoints();
        if let Some(name) = due {
            hands.backups.begin(&name, &endpoints);
        }
    }
}
