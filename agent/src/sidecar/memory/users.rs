//! What was done about etcd's users while this member leads.

use std::time::{Duration, Instant};

use etcd_operator_shared::api::member::AuthStatus;

use crate::plan::auth::Last;

#[derive(Debug, Default)]
pub(in crate::sidecar) struct Users {
    last: Option<(AuthStatus, Instant)>,
}

impl Users {
    /// Another one leads: it finds out for itself, and this one does when it leads again.
    pub(in crate::sidecar) fn note_role(&mut self, leads: bool) {
        if !leads {
            self.last = None;
        }
    }

    pub(in crate::sidecar) fn note(&mut self, status: AuthStatus, now: Instant) {
        self.last = Some((status, now));
    }

    pub(in crate::sidecar) fn last(&self, now: Instant) -> Option<Last<'_>> {
        let (AuthStatus { wanted, trouble, .. }, at) = self.last.as_ref()?;
        let ago: Duration = now.duration_since(*at);
        Some(Last { wanted, failed: trouble.is_some(), ago })
    }

    /// What the EtcdMember is to say.
    pub(in crate::sidecar) fn told(&self) -> Option<&AuthStatus> {
        self.last.as_ref().map(|(status, _)| status)
    }
}
