//! Do the members' claims have volumes?

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use super::{Check, Finding, Scene, finding::or_fine};
use crate::failure::line;

const CHECK: Check = Check::Volumes;

pub fn check(scene: &Scene) -> Vec<Finding> {
    if let Some(why) = scene.claims.caveat() {
        return vec![Finding::unknown(CHECK, why)];
    }
    let found: Vec<Finding> =
        scene.wanted().filter_map(|row| scene.claim(&row.name)).filter_map(|claim| of_claim(scene, claim)).collect();
    let bound = scene.wanted().filter(|row| scene.claim(&row.name).is_some()).count();
    or_fine(found, CHECK, format!("{bound} claims have their volumes"))
}

fn of_claim(scene: &Scene, claim: &PersistentVolumeClaim) -> Option<Finding> {
    let name = claim.metadata.name.clone().unwrap_or_default();
    let status = claim.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
    let finding = match phase {
        "Lost" => Finding::fault(CHECK, "the volume that it was bound to is gone").advise(
            "bring the volume back; or, if the other members serve, delete the claim and the pod: the member \
                 joins anew",
        ),
        "Pending" => pending(scene, claim, &name),
        _ if claim.metadata.deletion_timestamp.is_some() => Finding::note(CHECK, "it goes once no pod uses it"),
        _ => resizing(claim)?,
    };
    Some(finding.of(name))
}

fn pending(scene: &Scene, claim: &PersistentVolumeClaim, name: &str) -> Finding {
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    let classes = scene.classes.read();
    let exists =
        |class: &str| classes.is_none_or(|all| all.iter().any(|one| one.metadata.name.as_deref() == Some(class)));
    let advice = "look at the provisioner of the StorageClass, and at what storage the nodes have left";
    match class {
        Some(class) if !class.is_empty() && !exists(class) => {
            Finding::fault(CHECK, format!("it gets no volume: StorageClass {class} does not exist"))
                .advise(format!("create StorageClass {class}; the class of a cluster that exists cannot be changed"))
        }
        None => Finding::fault(CHECK, "it gets no volume: it names no StorageClass, and none is the default")
            .advise("mark a StorageClass as the default"),
        Some(class) => {
            let words = scene.warning("PersistentVolumeClaim", name).and_then(|event| event.message.as_deref());
            let class = if class.is_empty() { "made by hand".to_owned() } else { format!("of StorageClass {class}") };
            let words = words.map_or_else(
                || format!("it waits for a volume {class}"),
                |words| format!("it waits for a volume {class}: {}", line(words)),
            );
            Finding::fault(CHECK, words).advise(advice)
        }
    }
}

fn resizing(claim: &PersistentVolumeClaim) -> Option<Finding> {
    let mut conditions = claim.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let growing = conditions
        .find(|one| one.status == "True" && ["Resizing", "FileSystemResizePending"].contains(&one.type_.as_str()))?;
    let words = growing.message.as_deref().filter(|words| !words.is_empty()).unwrap_or(&growing.type_);
    Some(Finding::note(CHECK, format!("it grows: {}", line(words))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        apiserver::lists::Known,
        diagnose::{
            Outcome,
            scene::tests::{read, warning, well},
        },
    };

    fn with(spec: &Value, phase: &str) -> Scene {
        let mut scene = well(1);
        scene.claims = Known::Read(vec![read(json!({
            "metadata": {"name": "data-demo-0"}, "spec": spec, "status": {"phase": phase}}))]);
        scene
    }

    #[test]
    fn a_claim_without_a_volume_is_told_with_what_it_lacks() {
        let missing = with(&json!({"storageClassName": "slow"}), "Pending");
        assert!(check(&missing)[0].message.contains("StorageClass slow does not exist"));
        let none = with(&json!({}), "Pending");
        assert!(check(&none)[0].message.contains("none is the default"));
        let mut waits = with(&json!({"storageClassName": "fast"}), "Pending");
        waits.events = Known::Read(vec![warning(
            "PersistentVolumeClaim",
            "data-demo-0",
            "ProvisioningFailed",
            "no space left",
            5,
        )]);
        assert!(check(&waits)[0].message.ends_with("of StorageClass fast: no space left"));
        let lost = with(&json!({"storageClassName": "fast"}), "Lost");
        assert_eq!(check(&lost)[0].outcome, Outcome::Fault);
    }

    #[test]
    fn classes_that_may_not_be_read_are_not_missing() {
        let mut scene = with(&json!({"storageClassName": "slow"}), "Pending");
        scene.classes = Known::Unread("not allowed".into());
        assert_eq!(check(&scene)[0].message, "it waits for a volume of StorageClass slow");
    }

    #[test]
    fn bound_claims_are_fine() {
        assert_eq!(check(&well(3))[0], Finding::fine(CHECK, "3 claims have their volumes"));
    }
}
