//! Do the members' claims have volumes?

use etcd_operator_shared::names;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use super::{Check, Finding, Scene, finding::or_fine};
use crate::{failure::line, view::pod_trouble::Kind};

const CHECK: Check = Check::Volumes;
/// A volume is made within seconds.
const NEW: SignedDuration = SignedDuration::from_mins(1);

pub fn check(scene: &Scene) -> Vec<Finding> {
    if let Some(why) = scene.claims.caveat() {
        return vec![Finding::unknown(CHECK, why)];
    }
    let claims = || scene.wanted().filter_map(|row| Some((row.name.as_str(), scene.claim(&row.name)?)));
    let found: Vec<Finding> = claims().filter_map(|(member, claim)| of_claim(scene, member, claim)).collect();
    let waiting = claims().filter(|(_, claim)| phase(claim) == PENDING).count();
    let fine = match (claims().count(), waiting) {
        (0, _) => "no claim is there yet".to_owned(),
        (all, 0) => format!("{all} claims have their volumes"),
        (_, waiting) => format!("{waiting} claims wait until their pods find nodes"),
    };
    or_fine(found, CHECK, fine)
}

/// Whether this check names what a pod waits for that waits for its volume.
pub fn explains(scene: &Scene, member: &str) -> bool {
    scene.claim(member).is_some_and(|claim| of_claim(scene, member, claim).is_some())
}

const PENDING: &str = "Pending";

fn phase(claim: &PersistentVolumeClaim) -> &str {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or(PENDING)
}

fn of_claim(scene: &Scene, member: &str, claim: &PersistentVolumeClaim) -> Option<Finding> {
    let finding = match phase(claim) {
        "Lost" => Finding::fault(CHECK, "the volume that it was bound to is gone").advise(
            "bring the volume back; or, if the other members serve, delete the claim and the pod: the member \
                 joins anew",
        ),
        PENDING => pending(scene, member, claim)?,
        _ if claim.metadata.deletion_timestamp.is_some() => Finding::note(CHECK, "it goes once no pod uses it"),
        _ => resizing(claim)?,
    };
    Some(finding.of(names::volume_claim(member)))
}

fn pending(scene: &Scene, member: &str, claim: &PersistentVolumeClaim) -> Option<Finding> {
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    let classes = scene.classes.read();
    let exists =
        |class: &str| classes.is_none_or(|all| all.iter().any(|one| one.metadata.name.as_deref() == Some(class)));
    let advice = "look at the provisioner of the StorageClass, and at what storage the nodes have left";
    let class = match class {
        Some(class) if !class.is_empty() && !exists(class) => {
            let advice = format!("create StorageClass {class}; the class of a cluster that exists cannot be changed");
            let words = format!("it gets no volume: StorageClass {class} does not exist");
            return Some(Finding::fault(CHECK, words).advise(advice));
        }
        None => {
            let words = "it gets no volume: it names no StorageClass, and none is the default";
            return Some(Finding::fault(CHECK, words).advise("mark a StorageClass as the default"));
        }
        Some("") => "made by hand".to_owned(),
        Some(class) => format!("of StorageClass {class}"),
    };
    let words = format!("it waits for a volume {class}");
    let said = scene.warning("PersistentVolumeClaim", &names::volume_claim(member));
    if let Some(said) = said.and_then(|event| event.message.as_deref()) {
        return Some(Finding::fault(CHECK, format!("{words}: {}", line(said))).advise(advice));
    }
    // Most classes make a volume where the pod is to run: without a node there is none.
    if scene.trouble(member).is_some_and(|trouble| trouble.kind == Kind::Unschedulable) {
        return None;
    }
    let made = claim.metadata.creation_timestamp.as_ref();
    let is_new = made.is_some_and(|made| scene.now.duration_since(made.0) < NEW);
    Some(if is_new { Finding::note(CHECK, words) } else { Finding::fault(CHECK, words).advise(advice) })
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
    fn a_claim_whose_pod_finds_no_node_is_a_matter_of_the_pod() {
        let mut scene = with(&json!({"storageClassName": "fast"}), "Pending");
        if let Known::Read(pods) = &mut scene.sources.pods {
            pods[0].status =
                read(json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "no cpu"}]}));
        }
        assert_eq!(check(&scene), [Finding::fine(CHECK, "1 claims wait until their pods find nodes")]);
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
