//! `backup`: makes an EtcdBackup, and follows it until another etcd has opened it.

use etcd_operator_shared::api::{EtcdBackup, EtcdBackupSpec, backup::BackupPhase};
use kube::{ResourceExt, api::PostParams};

use super::{
    change::{MANAGER, told},
    wait::{Far, until},
};
use crate::{
    apiserver::{
        cluster,
        connection::{Connection, read, write},
    },
    args::{Dry, Wait},
    failure::{Failure, line},
    terminal,
    verdict::Verdict,
};

pub async fn run(to: &Connection, name: &str, wait: Wait, dry: Dry) -> Result<Verdict, Failure> {
    let cluster = cluster::get(to, name).await?;
    if cluster.spec.backup.is_none() {
        return Err(Failure::Refused(format!(
            "{name} has no store for backups: say in spec.backup.store where they go, or save one here: kubectl etcd \
                 snapshot save {name} FILE"
        )));
    }
    let made = make(to, name, dry).await?;
    if dry.dry_run {
        terminal::say(&told("an EtcdBackup would be made", dry));
        return Ok(Verdict::Good);
    }
    let backup = made.name_any();
    terminal::say(&format!("EtcdBackup {backup} was made"));
    if !wait.wait {
        return Ok(Verdict::Good);
    }
    let what = format!("EtcdBackup {backup} in namespace {}", to.namespace);
    let api = to.api::<EtcdBackup>();
    let done = until(format!("{backup} is not verified"), wait.timeout, async || {
        Ok(far(&read(&what, api.get(&backup)).await?))
    });
    terminal::say(&done.await??);
    Ok(Verdict::Good)
}

async fn make(to: &Connection, cluster: &str, dry: Dry) -> Result<EtcdBackup, Failure> {
    let mut backup = EtcdBackup::new("", EtcdBackupSpec { cluster: cluster.to_owned(), schedule: None, slot: None });
    backup.metadata.name = None;
    backup.metadata.generate_name = Some(format!("{cluster}-by-hand-"));
    let params = PostParams { dry_run: dry.dry_run, field_manager: Some(MANAGER.to_owned()) };
    write("make an EtcdBackup", to.api::<EtcdBackup>().create(&params, &backup)).await
}

/// How far it is. One that will never be good is done, too.
fn far(backup: &EtcdBackup) -> Far<Result<String, Failure>> {
    let (name, status) = (backup.name_any(), backup.status.clone().unwrap_or_default());
    let said = status.conditions.iter().find(|one| one.type_ == "Verified");
    let words = said.map_or_else(
        || "no coordinator has looked at it yet".to_owned(),
        |one| format!("{}: {}", one.reason, line(&one.message)),
    );
    match status.phase {
        Some(BackupPhase::Verified) => {
            let part = |text: Option<String>, of: &str| text.map(|text| format!(", {of}{text}")).unwrap_or_default();
            let revision = part(status.revision.map(|number| number.to_string()), "revision ");
            Far::Done(Ok(format!(
                "{name} is verified: {}{revision}{}",
                status.size.unwrap_or_default(),
                part(status.location, "")
            )))
        }
        Some(BackupPhase::Failed) => Far::Done(Err(Failure::Failed(format!("{name} has failed: {words}")))),
        Some(phase @ (BackupPhase::Pending | BackupPhase::Taking | BackupPhase::Verifying)) => {
            Far::UnderWay(format!("{phase:?}: {words}"))
        }
        None => Far::UnderWay(words),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn backup(phase: &str, reason: &str) -> EtcdBackup {
        let condition = json!({"type": "Verified", "status": "Unknown", "reason": reason, "message": "words",
            "lastTransitionTime": "2026-11-27T11:00:00Z"});
        let status: Value =
            json!({"phase": phase, "conditions": [condition], "size": "20Mi", "revision": 7, "location": "a/b"});
        serde_json::from_value(
            json!({"apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdBackup", "metadata": {"name": "b"},
            "spec": {"cluster": "demo"}, "status": status}),
        )
        .unwrap()
    }

    #[test]
    fn a_backup_counts_once_it_is_verified() {
        assert_eq!(far(&backup("Taking", "Taking")), Far::UnderWay("Taking: Taking: words".into()));
        assert_eq!(far(&backup("Verified", "Verified")), Far::Done(Ok("b is verified: 20Mi, revision 7, a/b".into())));
        assert_eq!(
            far(&backup("Failed", "WrongTrailer")),
            Far::Done(Err(Failure::Failed("b has failed: WrongTrailer: words".into())))
        );
    }
}
