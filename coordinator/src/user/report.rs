//! Tells how it went: the status where it changed, and events.

use etcd_operator_shared::api::{EtcdUser, EtcdUserStatus};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;

use super::{
    apply::Issued,
    context::Context,
    decide::{Objection, Order, renewal},
};
use crate::{
    apiserver::{Cause, Failed, recorder::Note},
    cluster::report::status::condition::{ConditionUpdate, Status, upsert},
};

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A certificate was issued.
    Issued(Order, Issued),
    /// What was issued before is good.
    Good,
    Refused(Objection),
    /// Something failed that another try may mend.
    Failed(String),
}

/// Writes the status, if it says anything new.
pub async fn tell(ctx: &Context, user: &EtcdUser, told: &Told) -> Result<(), Failed> {
    let before = user.status.clone().unwrap_or_default();
    let after = status(user, told, Timestamp::now());
    if before == after {
        return Ok(());
    }
    let EtcdUserStatus { authorities, observed_generation, conditions, secret, not_after, renew_after, issued_for } =
        &after;
    // In a merge, what is left out stays.
    let status = json!({
        "observedGeneration": observed_generation, "conditions": conditions, "secret": secret, "notAfter": not_after,
        "renewAfter": renew_after, "issuedFor": issued_for, "authorities": authorities,
    });
    let patch = json!({ "metadata": { "uid": user.uid() }, "status": status });
    let (namespace, name) = (user.namespace().unwrap_or_default(), user.name_any());
    match ctx.clusters.api.merge_status::<EtcdUser>(&namespace, &name, &patch).await {
        Ok(_) => {
            news(&before, told).into_iter().for_each(|note| ctx.clusters.events.note(user, note));
            Ok(())
        }
        // Deleted meanwhile.
        Err(Failed { cause: Cause::Missing, .. }) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// The status now.
fn status(user: &EtcdUser, told: &Told, now: Timestamp) -> EtcdUserStatus {
    let mut status = user.status.clone().unwrap_or_default();
    let generation = user.metadata.generation;
    status.observed_generation = generation;
    if let Told::Issued(Order { secret, print, cluster: _ }, Issued { not_after, generation }) = told {
        status.authorities = Some(*generation);
        status.secret = Some(secret.clone());
        status.not_after = Some(not_after.to_string());
        status.renew_after = Some(renewal(now, *not_after).to_string());
        status.issued_for = Some(print.clone());
    }
    let ends = status.not_after.as_ref().and_then(|end| end.parse::<Timestamp>().ok());
    let ended = ends.is_none_or(|end| end <= now);
    let good =
        |secret: &Option<String>| format!("Secret {} holds a certificate", secret.as_deref().unwrap_or_default());
    let (ready, reason, message) = match told {
        Told::Issued(..) | Told::Good => (Status::True, "Issued", good(&status.secret)),
        Told::Refused(objection) => (Status::False, objection.reason(), objection.to_string()),
        // What was issued before goes on until it ends.
        Told::Failed(words) if ended => (Status::False, "NotIssued", words.clone()),
        Told::Failed(_) => (Status::True, "Issued", good(&status.secret)),
    };
    let stalls = match told {
        Told::Refused(objection) => objection.stalls(),
        Told::Issued(..) | Told::Good | Told::Failed(_) => false,
    };
    let stalled = match stalls {
        true => (Status::True, reason, message.clone()),
        false => (Status::False, "NotStalled", "nothing waits for a person".to_owned()),
    };
    for (kind, (status_now, reason, message)) in [("Ready", (ready, reason, message)), ("Stalled", stalled)] {
        let update = ConditionUpdate { kind, status: status_now, reason: reason.to_owned(), message };
        upsert(&mut status.conditions, update, generation, now);
    }
    status
}

/// What changed: each certificate, and each reason for none once.
fn news(before: &EtcdUserStatus, told: &Told) -> Option<Note> {
    match told {
        Told::Issued(order, Issued { not_after: end, generation: _ }) => {
            let again = before.issued_for.as_ref() == Some(&order.print);
            let (reason, verb) =
                if again { ("CertificateRenewed", "renewed") } else { ("CertificateIssued", "issued") };
            let text = format!("{verb} a certificate into Secret {}, valid until {end}", order.secret);
            Some(Note::normal(reason, "Issue", text))
        }
        Told::Refused(objection) if objection.stalls() => {
            let told = before.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == objection.reason());
            let note = Note::normal(objection.reason(), "Issue", objection.to_string());
            (!told).then_some(Note { warns: true, ..note })
        }
        Told::Refused(_) | Told::Good | Told::Failed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use etcd_operator_shared::api::EtcdUserSpec;
    use jiff::SignedDuration;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn user(status: Option<EtcdUserStatus>) -> EtcdUser {
        let spec = EtcdUserSpec { cluster: "demo".into(), secret_name: None };
        EtcdUser { status, ..EtcdUser::new("app", spec) }
    }

    fn ready(status: &EtcdUserStatus) -> (&str, &str) {
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready").unwrap();
        (&ready.status, &ready.reason)
    }

    #[test]
    fn a_failure_does_not_unsay_a_certificate_that_is_valid() {
        let failed = Told::Failed("no answer".into());
        assert_eq!(ready(&status(&user(None), &failed, now())), ("False", "NotIssued"));
        let end = now() + SignedDuration::from_hours(1);
        let had = EtcdUserStatus { not_after: Some(end.to_string()), ..EtcdUserStatus::default() };
        assert_eq!(ready(&status(&user(Some(had.clone())), &failed, now())), ("True", "Issued"));
        assert_eq!(ready(&status(&user(Some(had)), &failed, end)), ("False", "NotIssued"));
    }

    #[test]
    fn what_a_person_must_change_is_stalled_and_warned_of_once() {
        let plain = Told::Refused(Objection::Plain("demo".into()));
        let refused = status(&user(None), &plain, now());
        assert!(refused.conditions.iter().any(|c| c.type_ == "Stalled" && c.status == "True"));
        assert!(news(&EtcdUserStatus::default(), &plain).unwrap().warns);
        assert_eq!(news(&refused, &plain), None);
        let waits = Told::Refused(Objection::NotBegun("demo".into()));
        assert!(status(&user(None), &waits, now()).conditions.iter().all(|c| c.status == "False"));
        assert_eq!(news(&refused, &waits), None);
    }
}
