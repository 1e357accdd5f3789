//! One word for what the cluster is doing.
//!
//! ```text
//!   Creating ──all serve──▶ Running ◀──▶ Upgrading, Scaling
//!      ▲                    │  ▲
//!      │ wake        fewer  ▼  │ all serve
//!   Stopped ◀── Scaling   Degraded ◀──▶ Unavailable         Stalled: a person must act first
//! ```
//! An upgrade and a change of the size keep their word until all serve; losing the quorum meanwhile does not hide behind it.

use etcd_operator_shared::api::cluster::Phase;

use super::{Scene, tally::Serving};

pub fn of(was: Option<Phase>, formed: bool, scene: &Scene<'_>) -> Phase {
    if scene.stopped && (scene.founded || scene.view.refusal.is_none()) {
        return if scene.pods == 0 { Phase::Stopped } else { Phase::Scaling };
    }
    let serving = if scene.founded { scene.tally.serving() } else { Serving::TooFew };
    let held = scene.held().is_some() || (scene.view.refusal.is_some() && scene.view.facts.set.is_none());
    let wakes = scene.view.facts.replicas() == 0;
    match (serving, was) {
        (Serving::All, _) if scene.rolling => Phase::Upgrading,
        (Serving::All, _) if scene.moving => Phase::Scaling,
        (Serving::All, _) => Phase::Running,
        (Serving::TooFew, _) if held => Phase::Stalled,
        (Serving::Quorum | Serving::Unclear, Some(Phase::Upgrading)) => Phase::Upgrading,
        _ if scene.rolling => Phase::Upgrading,
        (_, None | Some(Phase::Creating | Phase::Stopped)) => Phase::Creating,
        _ if !formed || wakes => Phase::Creating,
        (Serving::Quorum | Serving::Unclear, Some(Phase::Scaling)) => Phase::Scaling,
        (Serving::Quorum | Serving::Unclear, Some(_)) if scene.moving => Phase::Scaling,
        (Serving::Quorum | Serving::Unclear, Some(_)) => Phase::Degraded,
        (Serving::TooFew, Some(_)) => Phase::Unavailable,
    }
}
