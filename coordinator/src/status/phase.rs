//! One word for what the cluster is doing.
//!
//! ```text
//!   Creating ──all serve──▶ Running ◀──▶ Upgrading
//!      ▲                    │  ▲
//!      │ wake        fewer  ▼  │ all serve
//!   Stopped ◀── Scaling   Degraded ◀──▶ Unavailable         Stalled: a person must act first
//! ```

use etcd_operator_shared::api::cluster::Phase;

use super::{Scene, tally::Serving};

pub fn of(was: Option<Phase>, formed: bool, scene: &Scene<'_>) -> Phase {
    let founded = scene.view.members > 0;
    if scene.stopped && (founded || scene.view.refusal.is_none()) {
        return if scene.pods == 0 { Phase::Stopped } else { Phase::Scaling };
    }
    let serving = if founded { scene.tally.serving() } else { Serving::TooFew };
    let held = scene.held().is_some() || (scene.view.refusal.is_some() && scene.view.facts.set.is_none());
    match (serving, was) {
        (Serving::All, _) if scene.rolling => Phase::Upgrading,
        (Serving::All, _) => Phase::Running,
        (Serving::TooFew, _) if held => Phase::Stalled,
        (Serving::Quorum | Serving::Unclear, Some(Phase::Upgrading)) => Phase::Upgrading,
        _ if scene.rolling => Phase::Upgrading,
        (_, None | Some(Phase::Creating | Phase::Stopped | Phase::Scaling)) => Phase::Creating,
        _ if !formed => Phase::Creating,
        (Serving::Quorum | Serving::Unclear, Some(_)) => Phase::Degraded,
        (Serving::TooFew, Some(_)) => Phase::Unavailable,
    }
}
