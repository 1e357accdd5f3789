//! One word for what the cluster is doing.
//!
//! ```text
//!   Creating ──all serve──▶ Running ◀──▶ Upgrading, Scaling
//!      ▲                    │  ▲
//!      │ wake        fewer  ▼  │ all serve
//!   Stopped ◀── Scaling   Degraded ◀──▶ Unavailable         Stalled: a person must act first
//! ```
//! An upgrade and a change of the size keep their word until all serve; neither a lost quorum nor a voter that has not
//! served for long hides behind it. What would be changed by the operator is Paused while it rests; what is wrong is not.

use etcd_operator_shared::api::cluster::Phase;

use super::{Derived, tally::Serving};

pub fn of(was: Option<Phase>, formed: bool, derived: &Derived<'_>) -> Phase {
    match unless_paused(was, formed, derived) {
        Phase::Creating | Phase::Running | Phase::Scaling | Phase::Upgrading
            if derived.input.decision.paused.is_some() =>
        {
            Phase::Paused
        }
        phase => phase,
    }
}

fn unless_paused(was: Option<Phase>, formed: bool, derived: &Derived<'_>) -> Phase {
    if derived.input.cluster.metadata.deletion_timestamp.is_some() {
        return Phase::Deleting;
    }
    if derived.stopped && (derived.founded || derived.input.decision.refusal.is_none()) {
        return if derived.pods == 0 { Phase::Stopped } else { Phase::Scaling };
    }
    let serving = if derived.founded { derived.tally.serving() } else { Serving::TooFew };
    let refused = derived.input.decision.refusal.is_some() || !derived.input.denials.is_empty();
    let held = derived.held().is_some() || (refused && derived.input.facts.set.is_none());
    let wakes = derived.input.facts.replicas() == 0;
    match (serving, was) {
        (Serving::All, _) if derived.rolling => Phase::Upgrading,
        (Serving::All, _) if derived.moving => Phase::Scaling,
        (Serving::All, _) => Phase::Running,
        (Serving::TooFew, _) if held => Phase::Stalled,
        (Serving::Quorum | Serving::Unclear, _) if formed && derived.is_lacking() => Phase::Degraded,
        (Serving::TooFew, _) if formed && !wakes && derived.is_lacking() => Phase::Unavailable,
        (Serving::Quorum | Serving::Unclear, Some(Phase::Upgrading)) => Phase::Upgrading,
        // Of a single voter no quorum is left while it is replaced.
        (Serving::TooFew, Some(Phase::Upgrading)) if derived.tally.voters <= 1 => Phase::Upgrading,
        _ if derived.rolling => Phase::Upgrading,
        (_, None | Some(Phase::Creating | Phase::Stopped)) => Phase::Creating,
        _ if !formed || wakes => Phase::Creating,
        (Serving::Quorum | Serving::Unclear, Some(Phase::Scaling)) => Phase::Scaling,
        (Serving::Quorum | Serving::Unclear, Some(_)) if derived.moving => Phase::Scaling,
        (Serving::Quorum | Serving::Unclear, Some(_)) => Phase::Degraded,
        (Serving::TooFew, Some(_)) => Phase::Unavailable,
    }
}
