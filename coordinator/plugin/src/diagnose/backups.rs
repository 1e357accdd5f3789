//! Is there a backup that another etcd has found right, and the next one on its way?

use super::{Check, Finding, Scene};
use crate::{print::units::age, view::answer::Answer};

const CHECK: Check = Check::Backups;

pub fn check(scene: &Scene) -> Vec<Finding> {
    let (backups, page) = (&scene.page.backups, &scene.page);
    if !backups.has_store {
        return vec![
            Finding::note(CHECK, "none is ever taken: spec.backup names no store")
                .advise("manifests/examples/backup.yaml shows how"),
        ];
    }
    let said = page.condition("BackupHealthy");
    let mut found = vec![match said.map(|said| (said.status, format!("{}: {}", said.reason, said.message))) {
        Some((Answer::False, words)) => Finding::fault(CHECK, words).advise(
            "look at the store, at the Secret with its credentials, and at the members' backups: kubectl get \
                 etcdbackups",
        ),
        Some((Answer::Unknown, words)) => Finding::note(CHECK, words),
        Some((Answer::True, words)) => Finding::fine(CHECK, with_age(scene, &words)),
        None => Finding::unknown(CHECK, "the coordinator says nothing of them yet"),
    }];
    if backups.schedules == 0 {
        found.push(
            Finding::note(CHECK, "no schedule takes any: one is taken only where somebody orders it")
                .advise(format!("kubectl etcd backup {}", page.name)),
        );
    }
    found
}

fn with_age(scene: &Scene, words: &str) -> String {
    let age = scene.page.backups.last_verified_time.map(|time| age(time, scene.now));
    let age = age.map(|age| format!("; the newest that is verified is {age} old"));
    format!("{words}{}", age.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        diagnose::{
            Outcome,
            scene::tests::{of, read, well},
        },
        view::page::tests::{say, sources},
    };

    #[test]
    fn a_backup_that_is_overdue_is_a_fault_and_none_at_all_a_note() {
        assert_eq!(check(&well(3))[0].outcome, Outcome::Note);
        let mut late = sources(3);
        late.cluster.spec.backup = read(json!({"store": {"s3": {"bucket": "bucket"}}}));
        say(&mut late.cluster, "BackupHealthy", "False", "Overdue", "nothing was stored by schedule h");
        let found = check(&of(late));
        assert_eq!((found[0].outcome, found[1].outcome), (Outcome::Fault, Outcome::Note));
        assert!(found[0].message.starts_with("Overdue"), "{found:?}");
    }
}
