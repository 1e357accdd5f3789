//! Tells how a restore goes: the status where it changed, and events.

use etcd_operator_shared::api::{EtcdRestore, EtcdRestoreStatus, restore::RestorePhase};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;

use super::decide::{Verdict, survivors::Choice};
use crate::{
    apiserver::{Cause, Failed, recorder::Note},
    backup::context::Context,
    cluster::report::status::condition::{ConditionUpdate, Status, upsert},
};

/// Writes the status, if it says anything new.
pub async fn tell(ctx: &Context, one: &EtcdRestore, verdict: &Verdict) -> Result<(), Failed> {
    let before = one.status.clone().unwrap_or_default();
    let after = status(one, verdict, Timestamp::now());
    if before == after {
        return Ok(());
    }
    let mut status = json!(after);
    // In a merge, what is left out stays.
    status["from"] = json!(after.from);
    let patch = json!({ "metadata": { "uid": one.uid() }, "status": status });
    let (namespace, name) = (one.namespace().unwrap_or_default(), one.name_any());
    match ctx.clusters.api.merge_status::<EtcdRestore>(&namespace, &name, &patch).await {
        Ok(_) => {
            news(&before, &after).into_iter().for_each(|note| ctx.clusters.events.note(one, note));
            Ok(())
        }
        // Deleted meanwhile.
        Err(Failed { cause: Cause::Missing, .. }) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// How far it is, and whether a person must act.
struct Says {
    phase: RestorePhase,
    ready: bool,
    reason: String,
    message: String,
    stalls: bool,
}

impl Says {
    fn under_way(phase: RestorePhase, reason: &str, message: impl Into<String>) -> Self {
        Self { phase, ready: false, reason: reason.into(), message: message.into(), stalls: false }
    }
}

fn says(one: &EtcdRestore, verdict: &Verdict) -> Option<Says> {
    let of = &one.spec.cluster;
    let rehearsing = |message: String| Says::under_way(RestorePhase::Rehearsing, "Rehearsing", message);
    Some(match verdict {
        Verdict::Refused(objection) => {
            // Members that are stopped stay so until the object is deleted.
            let stays = one.status.as_ref().and_then(|status| status.phase) == Some(RestorePhase::Stopping);
            let phase = if stays { RestorePhase::Stopping } else { RestorePhase::Pending };
            Says { stalls: true, ..Says::under_way(phase, objection.reason(), objection.to_string()) }
        }
        Verdict::Waits(reason, message) => Says::under_way(RestorePhase::Pending, reason, message.clone()),
        Verdict::Prove(_) | Verdict::Read(_) | Verdict::Rests => return None,
        Verdict::AwaitsApproval(message) => {
            Says::under_way(RestorePhase::AwaitingApproval, "AwaitingApproval", message.clone())
        }
        Verdict::Stops(message) => Says::under_way(RestorePhase::Stopping, "Stopping", message.clone()),
        Verdict::Proving(None) => rehearsing("another etcd opens the data before anything begins with it".into()),
        Verdict::Proving(Some(words)) => rehearsing(format!("another etcd is to open the data: {words}")),
        Verdict::Later(words, _) | Verdict::Again(words) => {
            rehearsing(format!("the data could not be opened, and it is tried again: {words}"))
        }
        Verdict::Found(found) => {
            let message = match (&found.serves, &found.survivors) {
                (None, Some(Choice { seed, whole: true, .. })) => format!(
                    "the members of EtcdCluster {of} go on with the log of {seed}: nothing that was acknowledged is lost"
                ),
                (None, Some(Choice { seed, whole: false, .. })) => format!(
                    "the members of EtcdCluster {of} go on with the log of {seed}, the furthest on: what only volumes held that could not be read is lost"
                ),
                (Some(_), _) if one.spec.replaces_incarnation.is_some() => {
                    format!("the members of EtcdCluster {of} are stopped, set their data aside and go on with this")
                }
                (Some(_), _) => format!("the first members of EtcdCluster {of} fetch the data and begin with it"),
                (None, None) => "the data is right, and is about to be served".to_owned(),
            };
            Says::under_way(RestorePhase::Restoring, "Restoring", message)
        }
        Verdict::Bad(reason, message) => {
            Says { stalls: true, ..Says::under_way(RestorePhase::Failed, reason, message.clone()) }
        }
        Verdict::Complete => {
            let message = format!("EtcdCluster {of} serves the data");
            Says { ready: true, ..Says::under_way(RestorePhase::Completed, "Completed", message) }
        }
    })
}

/// The status now.
fn status(one: &EtcdRestore, verdict: &Verdict, now: Timestamp) -> EtcdRestoreStatus {
    let mut status = one.status.clone().unwrap_or_default();
    let Some(Says { phase, ready, reason, message, stalls }) = says(one, verdict) else { return status };
    let generation = one.metadata.generation;
    status.observed_generation = generation;
    status.phase = Some(phase);
    // Whoever served it may be gone.
    status.from = None;
    match verdict {
        Verdict::Found(found) => {
            status.source = Some(found.location.clone());
            status.digest = Some(found.digest.clone());
            (status.bytes, status.revision) = (Some(found.bytes), Some(found.revision));
            status.from.clone_from(&found.serves);
            status.bump = found.bump;
            if let Some(Choice { seed, volumes, whole: _ }) = &found.survivors {
                (status.seed, status.volumes) = (Some(seed.clone()), volumes.clone());
            }
        }
        Verdict::Again(_) => status.failures += 1,
        Verdict::Complete => status.failures = 0,
        Verdict::Refused(_)
        | Verdict::Waits(..)
        | Verdict::Prove(_)
        | Verdict::Proving(_)
        | Verdict::Bad(..)
        | Verdict::Later(..)
        | Verdict::AwaitsApproval(_)
        | Verdict::Stops(_)
        | Verdict::Read(_)
        | Verdict::Rests => {}
    }
    let stalled = match stalls {
        true => (Status::True, reason.clone(), message.clone()),
        false => (Status::False, "NotStalled".to_owned(), "nothing waits for a person".to_owned()),
    };
    for (kind, (status_now, reason, message)) in
        [("Ready", (Status::from(ready), reason, message)), ("Stalled", stalled)]
    {
        upsert(&mut status.conditions, ConditionUpdate { kind, status: status_now, reason, message }, generation, now);
    }
    status
}

/// What changed: how far it is, and each reason to act once.
fn news(before: &EtcdRestoreStatus, after: &EtcdRestoreStatus) -> Option<Note> {
    let condition =
        |status: &EtcdRestoreStatus, kind: &str| status.conditions.iter().find(|one| one.type_ == kind).cloned();
    if let Some(stalled) = condition(after, "Stalled").filter(|one| one.status == "True") {
        let told = condition(before, "Stalled").is_some_and(|one| one.reason == stalled.reason);
        let note = Note::normal(&stalled.reason, "Restore", stalled.message);
        return (!told).then_some(Note { warns: true, ..note });
    }
    let ready = condition(after, "Ready").filter(|_| before.phase != after.phase)?;
    match after.phase? {
        RestorePhase::AwaitingApproval
        | RestorePhase::Stopping
        | RestorePhase::Rehearsing
        | RestorePhase::Restoring
        | RestorePhase::Completed => Some(Note::normal(&ready.reason, "Restore", ready.message)),
        RestorePhase::Pending | RestorePhase::Failed => None,
    }
}
