//! Settles which installation of the operator acts on a cluster, before anything else is done about it. When is
//! [`crate::cluster::decide::installation`]'s to say.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::{api::EtcdCluster, names};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use rand::RngExt;
use serde_json::json;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    apiserver::{Cause, Failed, recorder::Note},
    cluster::{
        context::Context,
        decide::{
            Decision,
            installation::{RivalLease, Rivals, Stand, stand},
            refusal::Refusal,
            step::Step,
        },
        installations::Said,
        outcome::{Outcome, Seen},
        report,
    },
};

/// Pause before a cluster of another installation is looked at again, in seconds; no two in step.
const AGAIN: std::ops::Range<f64> = 8.0..12.0;

/// What came of it.
#[derive(Debug)]
pub enum Settled {
    /// This installation acts.
    Ours(Seen),
    /// It acts, and the kinds are too old for the mark.
    Unmarked(Seen, Failed),
    /// Another one acts; look again after this time.
    Theirs(Duration),
    /// The mark could not be written: somebody was faster, or the API server is away.
    Failed(Failed),
}

pub async fn settle(ctx: &Context, seen: Seen) -> Settled {
    let marked = seen.cluster.status.as_ref().and_then(|status| status.operator.clone());
    let mine = ctx.installations.mine.as_deref();
    let rival = match marked.as_deref() {
        Some(other) if Some(other) != mine => lease_of(ctx, other).await,
        Some(_) | None => RivalLease::Hidden,
    };
    match (stand(marked.as_deref(), mine, rival), mine) {
        (Stand::StepsBack { silent }, mine) => {
            let acts = marked.unwrap_or_default();
            step_back(ctx, seen, Rivals { acts, mine: mine.map(str::to_owned), silent }).await
        }
        (Stand::Claims, Some(mine)) => claim(ctx, seen, mine).await,
        (Stand::Claims | Stand::Acts, _) => Settled::Ours(seen),
    }
}

/// What is known of another installation's Lease. One that cannot be looked at may well be renewed.
async fn lease_of(ctx: &Context, installation: &str) -> RivalLease {
    let now = Instant::now();
    let Some((namespace, name)) = names::lease_of(installation) else { return RivalLease::Hidden };
    if let Some(known) = ctx.installations.known(installation, now) {
        return known;
    }
    let said = match ctx.api.get::<Lease>(namespace, name).await {
        Ok(Some(lease)) => Said::There(lease.resource_version().unwrap_or_default()),
        Ok(None) => Said::Missing,
        Err(failed) => {
            warn!(installation, %failed, "the Lease of another installation cannot be read");
            Said::Hidden
        }
    };
    ctx.installations.read(installation, said, now)
}

/// Writes our name, if nobody wrote the object since it was read.
async fn claim(ctx: &Context, seen: Seen, mine: &str) -> Settled {
    let Seen { cluster, facts } = seen;
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let patch = json!({
        "metadata": { "resourceVersion": cluster.resource_version() },
        "status": { "operator": mine },
    });
    let written = match ctx.api.merge_status::<EtcdCluster>(&namespace, &name, &patch).await {
        Ok(written) => Arc::new(written),
        Err(failed) => return Settled::Failed(failed),
    };
    if written.status.as_ref().and_then(|status| status.operator.as_deref()) != Some(mine) {
        let attempt = format!("mark EtcdCluster {name} as looked after by {mine}");
        return Settled::Unmarked(Seen { cluster, facts }, Failed { attempt, cause: Cause::Dropped });
    }
    let former = cluster.status.as_ref().and_then(|status| status.operator.clone());
    if let Some(former) = former {
        info!(%namespace, %name, former, "the installation that acted on this cluster is gone: taken over");
        let text = format!("the operator of Lease {former} is gone, and that of Lease {mine} takes over");
        ctx.events.note(&*cluster, Note::normal("OperatorChanged", "TakeOver", text));
    }
    ctx.installations.forget(&cluster.uid().unwrap_or_default());
    ctx.caches.wrote(Arc::clone(&written));
    Settled::Ours(Seen { cluster: written, facts })
}

/// Nothing is done; a person is told. On the status only where nobody else writes it.
async fn step_back(ctx: &Context, seen: Seen, rivals: Rivals) -> Settled {
    let refusal = Refusal::OtherOperator(rivals.clone());
    if ctx.installations.tells(&seen.cluster.uid().unwrap_or_default(), Instant::now()) {
        let (namespace, name) = (seen.cluster.namespace().unwrap_or_default(), seen.cluster.name_any());
        warn!(%namespace, %name, "{refusal}");
        let note = Note::normal(refusal.reason(), "StepBack", refusal.to_string());
        ctx.events.note(&*seen.cluster, Note { warns: true, ..note });
    }
    if rivals.silent {
        let decision = Decision::untouched(&seen.cluster, &seen.facts, Step::Nothing, Some(refusal));
        let told = report::tell(ctx, &Outcome::new(seen, decision, vec![])).await;
        if let Some(failed) = told.failed {
            return Settled::Failed(failed);
        }
    }
    Settled::Theirs(Duration::from_secs_f64(rand::rng().random_range(AGAIN)))
}
