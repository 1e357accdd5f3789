//! Tells how it went: the status where it changed, and events.

use etcd_operator_shared::api::{EtcdUser, EtcdUserStatus, user::IssuedCertificate};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;

use super::{
    context::Context,
    decide::{Objection, Order, renewal},
    facts::Grant,
    words,
};
use crate::{
    apiserver::{Cause, Failed, recorder::Note},
    cluster::report::status::condition::{ConditionUpdate, Status, upsert},
};

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A certificate with this number was issued, until then.
    Issued {
        order: Order,
        serial: String,
        not_after: Timestamp,
        /// Number of the authorities that have signed.
        generation: i64,
    },
    /// These are on the list now.
    Revoked(Vec<IssuedCertificate>),
    /// What was issued before is good.
    Good,
    Refused(Objection),
    /// Something failed that another try may mend.
    Failed(String),
}

/// Writes the status, if it says anything new.
pub async fn tell(ctx: &Context, user: &EtcdUser, grant: &Grant, told: &Told) -> Result<(), Failed> {
    let before = user.status.clone().unwrap_or_default();
    let after = status(user, grant, told, Timestamp::now());
    if before == after {
        return Ok(());
    }
    let EtcdUserStatus {
        observed_generation,
        conditions,
        secret,
        not_after,
        renew_after,
        issued_for,
        serial,
        certificates,
        authorities,
    } = &after;
    // In a merge, what is left out stays.
    let status = json!({
        "observedGeneration": observed_generation, "conditions": conditions, "secret": secret, "notAfter": not_after,
        "renewAfter": renew_after, "issuedFor": issued_for, "serial": serial,
        "authorities": authorities,
    });
    let mut patch = json!({ "metadata": { "uid": user.uid() }, "status": status });
    if before.certificates != *certificates {
        // What was written down since it was read must not be lost.
        patch["metadata"]["resourceVersion"] = json!(user.resource_version());
        patch["status"]["certificates"] = json!(certificates);
    }
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

/// Says of a user that goes what was done about its certificates.
pub fn tell_farewell(ctx: &Context, user: &EtcdUser, revoked: usize) {
    if revoked > 0 {
        ctx.clusters.events.note(user, revocation(revoked));
    }
}

fn revocation(number: usize) -> Note {
    let (what, are) = if number == 1 { ("certificate", "is") } else { ("certificates", "are") };
    Note::normal(
        "CertificatesRevoked",
        "Revoke",
        format!("{number} {what} {are} revoked: members let nobody in by them"),
    )
}

/// The status now.
fn status(user: &EtcdUser, grant: &Grant, told: &Told, now: Timestamp) -> EtcdUserStatus {
    let mut status = user.status.clone().unwrap_or_default();
    let generation = user.metadata.generation;
    status.observed_generation = generation;
    if let Told::Revoked(all) = told {
        status.certificates.retain(|one| all.iter().all(|revoked| revoked.serial != one.serial));
    }
    if let Told::Issued { order: Order { secret, print, cluster: _ }, serial, not_after, generation } = told {
        status.authorities = Some(*generation);
        status.serial = Some(serial.clone());
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
        Told::Issued { .. } | Told::Revoked(_) | Told::Good => (Status::True, "Issued", good(&status.secret)),
        Told::Refused(objection) => (Status::False, objection.reason(), objection.to_string()),
        // What was issued before goes on until it ends.
        Told::Failed(words) if ended => (Status::False, "NotIssued", words.clone()),
        Told::Failed(_) => (Status::True, "Issued", good(&status.secret)),
    };
    let stalls = match told {
        Told::Refused(objection) => objection.stalls(),
        Told::Issued { .. } | Told::Revoked(_) | Told::Good | Told::Failed(_) => false,
    };
    let stalled = match stalls {
        true => (Status::True, reason, message.clone()),
        false => (Status::False, "NotStalled", "nothing waits for a person".to_owned()),
    };
    let all = [("Ready", (ready, reason, message)), ("Granted", granted(user, grant)), ("Stalled", stalled)];
    for (kind, (status_now, reason, message)) in all {
        let update = ConditionUpdate { kind, status: status_now, reason: reason.to_owned(), message };
        upsert(&mut status.conditions, update, generation, now);
    }
    status
}

/// What it may do, in words.
fn granted(user: &EtcdUser, grant: &Grant) -> (Status, &'static str, String) {
    let everything = "it may read and write every key";
    match grant {
        Grant::Unmanaged => (
            Status::False,
            "NotManaged",
            format!("spec.security.auth is not set: unless etcd was told otherwise, {everything}"),
        ),
        Grant::Off => (Status::False, "AuthOff", format!("spec.security.auth is false: {everything}")),
        Grant::Pending(None) => (Status::Unknown, "Pending", "etcd has not been told yet".to_owned()),
        Grant::Pending(Some(trouble)) => (Status::False, "NotApplied", trouble.clone()),
        Grant::Ungranted(why) => (Status::False, "NotGranted", why.clone()),
        Grant::Granted => (Status::True, "Granted", words::may(&user.spec)),
    }
}

/// What changed: each certificate, and each reason for none once.
fn news(before: &EtcdUserStatus, told: &Told) -> Option<Note> {
    match told {
        Told::Issued { order, serial: _, not_after: end, generation: _ } => {
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
        Told::Revoked(all) => Some(revocation(all.len())),
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
        let spec = EtcdUserSpec { cluster: "demo".into(), ..EtcdUserSpec::default() };
        EtcdUser { status, ..EtcdUser::new("app", spec) }
    }

    fn ready(status: &EtcdUserStatus) -> (&str, &str) {
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready").unwrap();
        (&ready.status, &ready.reason)
    }

    #[test]
    fn a_failure_does_not_unsay_a_certificate_that_is_valid() {
        let failed = Told::Failed("no answer".into());
        assert_eq!(ready(&status(&user(None), &Grant::Off, &failed, now())), ("False", "NotIssued"));
        let end = now() + SignedDuration::from_hours(1);
        let had = EtcdUserStatus { not_after: Some(end.to_string()), ..EtcdUserStatus::default() };
        assert_eq!(ready(&status(&user(Some(had.clone())), &Grant::Off, &failed, now())), ("True", "Issued"));
        assert_eq!(ready(&status(&user(Some(had)), &Grant::Off, &failed, end)), ("False", "NotIssued"));
    }

    #[test]
    fn what_a_person_must_change_is_stalled_and_warned_of_once() {
        let plain = Told::Refused(Objection::Plain("demo".into()));
        let refused = status(&user(None), &Grant::Off, &plain, now());
        assert!(refused.conditions.iter().any(|c| c.type_ == "Stalled" && c.status == "True"));
        assert!(news(&EtcdUserStatus::default(), &plain).unwrap().warns);
        assert_eq!(news(&refused, &plain), None);
        let waits = Told::Refused(Objection::NotBegun("demo".into()));
        assert!(status(&user(None), &Grant::Off, &waits, now()).conditions.iter().all(|c| c.status == "False"));
        assert_eq!(news(&refused, &waits), None);
    }
}
