//! Sees to etcd's users, while this member leads.

use etcd_operator_shared::api::member::{AuthStatus, ToldAuth};

use super::Performer;
use crate::{
    plan::auth::{Facts, is_due, wanted},
    sidecar::{facts, hands::users::Task},
};

impl Performer<'_> {
    /// Begins what is due.
    pub(in crate::sidecar) fn see_to_users(&mut self) {
        let leads = facts::leads(&self.told.observed) && self.memory.running.is_some();
        self.memory.users.note_role(leads);
        let Some(object) = self.hands.object.object() else { return };
        let Some(told) = object.spec.auth.as_ref() else { return };
        let digest = told.digest();
        let due = is_due(Facts {
            leads: leads && self.memory.membership.trusted,
            free: self.hands.users.is_free(),
            // What is wanted may be long past where the API server is not heard.
            current: self.told.seen.connected && !object.spec.paused,
            wanted: &digest,
            last: self.memory.users.last(self.now),
        });
        if !due {
            return;
        }
        let ToldAuth { enabled, users } = told;
        match wanted(*enabled, users) {
            Ok(wanted) => {
                let members = self.told.observed.members.len();
                let Some((own, others)) = self.view().doors() else { return };
                self.hands.users.begin(Task { digest, wanted, own, others, members });
            }
            Err(why) => {
                let status = AuthStatus { wanted: digest, trouble: Some(why), ..AuthStatus::default() };
                self.memory.users.note(status, self.now);
            }
        }
    }
}
