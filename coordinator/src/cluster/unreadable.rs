//! EtcdClusters that cannot be read: each says so on itself, and no other waits for it.
//!
//! ```text
//!   watch ─▶ what cannot be read ─▶ condition Stalled=True, Unreadable (where it is not said yet) and an event
//!                    ▲                           │ not written: again later
//!                    └───────────────────────────┘
//! ```
//! Nothing else is done for such a cluster; its pods are left as they are. Once the object is mended the watch brings it
//! back, and reconciliation writes over what was said here.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::api::EtcdCluster;
use futures::{StreamExt, channel::mpsc};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::{PartialObjectMeta, PartialObjectMetaExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::warn;

use crate::{
    apiserver::{Cause, Failed, guard::Unreadable, recorder::Note},
    cluster::{
        context::Context,
        facts::pod_trouble::shorten,
        report::status::condition::{ConditionUpdate, Status, upsert},
    },
};

const REASON: &str = "Unreadable";
/// Pause before what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Tells of each that comes; `again` leads to `found`.
pub async fn tell(
    ctx: Arc<Context>,
    mut found: mpsc::UnboundedReceiver<Unreadable>,
    again: mpsc::UnboundedSender<Unreadable>,
) {
    while let Some(one) = found.next().await {
        let Err(failed) = tell_one(&ctx, &one).await else { continue };
        let (namespace, name) = (&one.metadata.namespace, &one.metadata.name);
        warn!(namespace, name, %failed, "an EtcdCluster that cannot be read could not be told so");
        // What the API server refuses it will refuse again; of a conflict the watch tells.
        if matches!(failed.cause, Cause::Timeout | Cause::Unavailable(_) | Cause::Broken(_)) {
            let again = again.clone();
            tokio::spawn(async move {
                tokio::time::sleep(AGAIN).await;
                let _ = again.unbounded_send(one);
            });
        }
    }
}

async fn tell_one(ctx: &Context, one: &Unreadable) -> Result<(), Failed> {
    let Some(status) = status(one, Timestamp::now()) else { return Ok(()) };
    let Unreadable { metadata, whole: _, words } = one;
    let (namespace, name) =
        (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default());
    warn!(namespace, name, words, "an EtcdCluster cannot be read: nothing is done for it");
    let about = metadata.clone().into_request_partial::<EtcdCluster>();
    ctx.events.note(&about, Note { warns: true, ..Note::normal(REASON, "Read", sentence(words)) });
    let patch =
        json!({ "metadata": { "uid": metadata.uid, "resourceVersion": metadata.resource_version }, "status": status });
    match ctx.api.merge_status::<PartialObjectMeta<EtcdCluster>>(namespace, name, &patch).await {
        Ok(_) | Err(Failed { cause: Cause::Conflict | Cause::Missing, .. }) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// What its status is to say beside what it says already; `None` where it says so.
fn status(one: &Unreadable, now: Timestamp) -> Option<Value> {
    let before: Vec<Condition> =
        one.whole.pointer("/status/conditions").map(Vec::deserialize).and_then(Result::ok).unwrap_or_default();
    let mut conditions = before.clone();
    let generation = one.metadata.generation;
    let mut say = |kind, status, message: String| {
        upsert(&mut conditions, ConditionUpdate { kind, status, reason: REASON.into(), message }, generation, now);
    };
    let see = || "the object cannot be read: see the condition Stalled".to_owned();
    say("Ready", Status::Unknown, see());
    say("Reconciling", Status::False, see());
    say("Stalled", Status::True, sentence(&one.words));
    let status = json!({ "observedGeneration": generation, "phase": "Stalled", "conditions": conditions });
    (conditions != before).then_some(status)
}

fn sentence(words: &str) -> String {
    format!("this object cannot be read, and nothing is done for it until it is mended: {}", shorten(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::guard::Guard;

    fn unreadable(status: &Value) -> Unreadable {
        let spread =
            json!([{"maxSkew": 3_000_000_000_i64, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]);
        let whole = json!({
            "metadata": {"namespace": "ns", "name": "poison", "generation": 2},
            "spec": {"version": "v3.5.21", "pod": {"topologySpreadConstraints": spread}},
            "status": status,
        });
        serde_json::from_value::<Guard<EtcdCluster>>(whole).unwrap().0.unwrap_err()
    }

    #[test]
    fn what_cannot_be_read_says_so_once_and_names_the_field() {
        let kept = json!({"type": "Mine", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let said = status(&unreadable(&json!({"conditions": [kept]})), Timestamp::UNIX_EPOCH).unwrap();
        let conditions = said["conditions"].as_array().unwrap();
        assert_eq!(conditions[0], kept, "what others say stays");
        let stalled = conditions.iter().find(|c| c["type"] == "Stalled").unwrap();
        assert_eq!((&stalled["status"], &stalled["reason"]), (&json!("True"), &json!("Unreadable")));
        let message = stalled["message"].as_str().unwrap();
        assert!(
            message.contains("spec.pod.topologySpreadConstraints[0].maxSkew") && message.contains("3000000000"),
            "{message}"
        );
        assert_eq!((&said["phase"], &said["observedGeneration"]), (&json!("Stalled"), &json!(2)));
        assert!(status(&unreadable(&said), Timestamp::UNIX_EPOCH).is_none(), "it is said already");
    }
}
