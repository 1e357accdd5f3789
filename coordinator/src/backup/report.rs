//! Tells how a backup went: the status where it changed, and events.

use etcd_operator_shared::{
    api::{EtcdBackup, EtcdBackupStatus, backup::BackupPhase},
    quantity,
};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;

use super::{
    context::Context,
    decide::{Noted, Verdict},
};
use crate::{
    apiserver::{Cause, Failed, recorder::Note},
    cluster::report::status::condition::{ConditionUpdate, Status, upsert},
};

/// Writes the status, if it says anything new.
pub async fn tell(ctx: &Context, one: &EtcdBackup, verdict: &Verdict) -> Result<(), Failed> {
    let before = one.status.clone().unwrap_or_default();
    let after = status(one, verdict, Timestamp::now());
    if before == after {
        return Ok(());
    }
    let patch = json!({ "metadata": { "uid": one.uid() }, "status": after });
    let (namespace, name) = (one.namespace().unwrap_or_default(), one.name_any());
    match ctx.clusters.api.merge_status::<EtcdBackup>(&namespace, &name, &patch).await {
        Ok(_) => {
            news(&before, &after, verdict).into_iter().for_each(|note| ctx.clusters.events.note(one, note));
            Ok(())
        }
        // Deleted meanwhile.
        Err(Failed { cause: Cause::Missing, .. }) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// Whether it is verified, why, and whether a person must act.
struct Says {
    phase: BackupPhase,
    verified: Status,
    reason: String,
    message: String,
    stalls: bool,
}

impl Says {
    fn waiting(phase: BackupPhase, reason: &str, message: impl Into<String>) -> Self {
        Self { phase, verified: Status::Unknown, reason: reason.into(), message: message.into(), stalls: false }
    }
}

fn says(verdict: &Verdict, phase: BackupPhase) -> Option<Says> {
    let proving = |message: String| Says::waiting(BackupPhase::Verifying, "Verifying", message);
    Some(match verdict {
        Verdict::Refused(objection) => {
            Says { stalls: true, ..Says::waiting(phase, objection.reason(), objection.to_string()) }
        }
        Verdict::Waits(reason, message) => Says::waiting(BackupPhase::Pending, reason, message.clone()),
        Verdict::Order(_) | Verdict::Prove(_) | Verdict::Rests => return None,
        Verdict::Taking { member, trouble: None } => {
            Says::waiting(BackupPhase::Taking, "Taking", format!("{member} streams it to the store"))
        }
        Verdict::Taking { member, trouble: Some(words) } => Says {
            stalls: true,
            ..Says::waiting(
                BackupPhase::Taking,
                "NotStored",
                format!("{member} could not store it, and tries again: {words}"),
            )
        },
        Verdict::Note(_) => proving("it is in the store; another etcd is about to open it".into()),
        Verdict::Proving(None) => proving("another etcd opens it".into()),
        Verdict::Proving(Some(words)) => proving(format!("another etcd is to open it: {words}")),
        Verdict::Later(words, _) | Verdict::Again(words) => {
            proving(format!("whether it is right is not known, and it is tried again: {words}"))
        }
        Verdict::Good { revision, .. } => {
            let message = format!("another etcd has opened it, and it is equal to the original at revision {revision}");
            Says { verified: Status::True, ..Says::waiting(BackupPhase::Verified, "Verified", message) }
        }
        Verdict::Bad(reason, message) => Says {
            verified: Status::False,
            stalls: true,
            ..Says::waiting(BackupPhase::Failed, reason, message.clone())
        },
    })
}

/// The status now.
fn status(one: &EtcdBackup, verdict: &Verdict, now: Timestamp) -> EtcdBackupStatus {
    let mut status = one.status.clone().unwrap_or_default();
    let Some(says) = says(verdict, status.phase.unwrap_or(BackupPhase::Pending)) else { return status };
    let generation = one.metadata.generation;
    status.observed_generation = generation;
    status.phase = Some(says.phase);
    match verdict {
        Verdict::Note(noted) => note(&mut status, noted),
        Verdict::Good { bytes, revision } => {
            (status.revision, status.bytes, status.size) = (Some(*revision), Some(*bytes), Some(rounded(*bytes)));
        }
        Verdict::Again(_) => status.failures += 1,
        Verdict::Refused(_)
        | Verdict::Waits(..)
        | Verdict::Order(_)
        | Verdict::Taking { .. }
        | Verdict::Prove(_)
        | Verdict::Proving(_)
        | Verdict::Bad(..)
        | Verdict::Later(..)
        | Verdict::Rests => {}
    }
    let Says { phase: _, verified, reason, message, stalls } = says;
    let ready = if verified == Status::True { Status::True } else { Status::False };
    let stalled = match stalls {
        true => (Status::True, reason.clone(), message.clone()),
        false => (Status::False, "NotStalled".to_owned(), "nothing waits for a person".to_owned()),
    };
    let all = [
        ("Ready", (ready, reason.clone(), message.clone())),
        ("Verified", (verified, reason, message)),
        ("Stalled", stalled),
    ];
    for (kind, (status_now, reason, message)) in all {
        upsert(&mut status.conditions, ConditionUpdate { kind, status: status_now, reason, message }, generation, now);
    }
    status
}

/// What is known of it once it is in the store.
fn note(status: &mut EtcdBackupStatus, Noted { member, taken, store, secret, told: _ }: &Noted) {
    status.store = Some(store.clone());
    status.secret_name = Some(secret.clone());
    status.location.clone_from(&taken.location);
    status.member = Some(member.clone());
    status.version.clone_from(&taken.version);
    status.digest.clone_from(&taken.digest);
    status.bytes = taken.bytes;
    status.size = taken.bytes.map(rounded);
    status.revision = taken.at_least;
    status.started = Some(taken.started.clone());
    status.taken = Some(taken.ended.clone());
    status.failures = 0;
}

/// Bytes as people read them.
fn rounded(bytes: i64) -> String {
    const KI: u64 = 1 << 10;
    let bytes = u64::try_from(bytes).unwrap_or(0);
    let unit = [KI.pow(3), KI.pow(2), KI].into_iter().find(|unit| bytes >= 10 * unit).unwrap_or(1);
    quantity::text(bytes.div_ceil(unit) * unit)
}

/// What changed: that it is stored, verified, or not, and each reason to act once.
fn news(before: &EtcdBackupStatus, after: &EtcdBackupStatus, verdict: &Verdict) -> Option<Note> {
    let condition =
        |status: &EtcdBackupStatus, kind: &str| status.conditions.iter().find(|one| one.type_ == kind).cloned();
    let size = after.size.clone().unwrap_or_default();
    let normal = |reason, action, text| Some(Note::normal(reason, action, text));
    match verdict {
        Verdict::Note(noted) => normal("Stored", "Take", format!("{} has stored {size}", noted.member)),
        Verdict::Good { revision, .. } => {
            normal("Verified", "Verify", format!("another etcd has opened it: {size}, revision {revision}"))
        }
        Verdict::Refused(_) | Verdict::Taking { trouble: Some(_), .. } | Verdict::Bad(..) => {
            let stalled = condition(after, "Stalled").filter(|one| one.status == "True")?;
            let told = condition(before, "Stalled").is_some_and(|one| one.reason == stalled.reason);
            let note = Note::normal(&stalled.reason, "Take", stalled.message);
            (!told).then_some(Note { warns: true, ..note })
        }
        Verdict::Waits(..)
        | Verdict::Order(_)
        | Verdict::Taking { .. }
        | Verdict::Prove(_)
        | Verdict::Proving(_)
        | Verdict::Later(..)
        | Verdict::Again(_)
        | Verdict::Rests => None,
    }
}
