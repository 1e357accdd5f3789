//! Do the members' pods come up?

use k8s_openapi::api::core::v1::Pod;

use super::{Check, Finding, Scene, advice, finding::or_fine, volumes};
use crate::{
    failure::line,
    print::units::age,
    view::pod_trouble::{self, Kind},
};

const CHECK: Check = Check::Pods;

pub fn check(scene: &Scene) -> Vec<Finding> {
    if let Some(why) = scene.sources.pods.caveat() {
        return vec![Finding::unknown(CHECK, why)];
    }
    let mut found: Vec<Finding> = scene.wanted().flat_map(|row| of_member(scene, &row.name)).collect();
    found.extend(scene.pods().iter().filter_map(|pod| stuck(scene, pod)));
    let (count, wanted) = (scene.pods().len(), scene.wanted().count());
    let waits = scene.wanted().any(|row| scene.trouble(&row.name).is_some());
    let trouble = if waits { "why they wait the check of volumes says" } else { "none in trouble" };
    or_fine(found, CHECK, format!("{count} there, {wanted} wanted, {trouble}"))
}

fn of_member(scene: &Scene, member: &str) -> Vec<Finding> {
    // Before a cluster has begun nothing is made, and the check of the spec says what it waits for.
    let has_begun = scene.page.incarnation.is_some();
    let Some(pod) = scene.pod(member) else { return has_begun.then(|| missing(scene, member)).into_iter().collect() };
    match pod_trouble::of(pod) {
        // The check of volumes knows more of it.
        Some(trouble) if trouble.kind == Kind::VolumePending && volumes::explains(scene, member) => vec![],
        Some(trouble) => {
            let advice = advice::of_pod(trouble.kind).replace("NAME", &scene.page.name);
            vec![Finding::fault(CHECK, trouble.words).of(member).advise(advice)]
        }
        None => ended_for_memory(scene, pod, member),
    }
}

fn missing(scene: &Scene, member: &str) -> Finding {
    let refused =
        scene.warning("StatefulSet", &scene.page.name).filter(|event| event.reason.as_deref() == Some("FailedCreate"));
    match refused.and_then(|event| event.message.as_deref()) {
        Some(words) => Finding::fault(CHECK, format!("it has no pod: {}", line(words)))
            .advise("mend what the API server names: a quota, a policy, or spec.pod.template"),
        // Between two pods of one name a second or two pass.
        None if scene.is_fresh() => Finding::note(CHECK, "it has no pod at the moment"),
        None => Finding::fault(CHECK, "it has no pod")
            .advise("wait a moment; if it stays so, look at the operator and at the StatefulSet's events"),
    }
    .of(member)
}

/// It runs again, and has reached its limit before.
fn ended_for_memory(scene: &Scene, pod: &Pod, member: &str) -> Vec<Finding> {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let ended = containers.filter_map(|container| {
        let when = pod_trouble::was_killed_for_memory(container)?;
        let ago = when.map(|when| format!(" {} ago", age(when, scene.now))).unwrap_or_default();
        let words = format!("container {} was ended{ago} because it reached its memory limit", container.name);
        Some(Finding::note(CHECK, words).of(member).advise(advice::of_pod(Kind::OutOfMemory)))
    });
    ended.collect()
}

fn stuck(scene: &Scene, pod: &Pod) -> Option<Finding> {
    let since = pod_trouble::is_stuck(pod, scene.now)?;
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("its node");
    let words = format!("it should be gone since {}, and kubelet of {node} has not ended it", age(since, scene.now));
    let advice = format!(
        "bring {node} back; if it is off for good, delete the Node: its pods and volumes are let go then. Deleting \
         the pod by force while the node runs leaves two of them on one volume"
    );
    Some(Finding::fault(CHECK, words).of(pod.metadata.name.as_deref().unwrap_or_default()).advise(advice))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        apiserver::lists::Known,
        diagnose::{
            Outcome,
            scene::tests::{of, read, warning, well},
        },
        view::page::{
            Sources,
            tests::{pod, say, sources},
        },
    };

    fn with(pods: Vec<Pod>) -> Scene {
        of(Sources { pods: Known::Read(pods), ..sources(2) })
    }

    #[test]
    fn a_pod_that_finds_no_node_is_told_in_the_schedulers_words() {
        let mut pending = pod("demo-1", "False");
        pending.status = read(json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient cpu."}]}));
        let found = check(&with(vec![pod("demo-0", "True"), pending]));
        assert_eq!((found[0].outcome, found[0].subject.as_deref()), (Outcome::Fault, Some("demo-1")));
        assert!(found[0].message.contains("3 Insufficient cpu") && found[0].advice.is_some(), "{found:?}");
    }

    #[test]
    fn a_pod_that_is_not_made_is_told_in_the_words_of_who_refuses_it() {
        let mut ill = sources(2);
        say(&mut ill.cluster, "Ready", "False", "MembersMissing", "1 of 2 members serve");
        let mut scene = of(Sources { pods: Known::Read(vec![pod("demo-0", "True")]), ..ill });
        assert_eq!((check(&scene)[0].outcome, check(&scene)[0].message.as_str()), (Outcome::Fault, "it has no pod"));
        scene.events = Known::Read(vec![warning("StatefulSet", "demo", "FailedCreate", "exceeded quota: small", 5)]);
        assert_eq!(check(&scene)[0].message, "it has no pod: exceeded quota: small");
    }

    #[test]
    fn a_pod_that_a_dead_node_does_not_let_go_is_named_with_its_node() {
        let mut leaving = pod("demo-1", "Unknown");
        leaving.metadata.deletion_timestamp = read(json!("2026-11-27T11:50:00Z"));
        let found = check(&with(vec![pod("demo-0", "True"), leaving]));
        assert!(found[0].message.contains("since 10m") && found[0].message.contains("node-of-demo-1"), "{found:?}");
    }

    #[test]
    fn pods_that_run_are_fine_and_pods_that_may_not_be_read_unknown() {
        assert_eq!(check(&well(3))[0].outcome, Outcome::Fine);
        let denied = Known::Unread("not allowed to read pods".into());
        assert_eq!(check(&of(Sources { pods: denied, ..sources(2) }))[0].outcome, Outcome::Unknown);
    }
}
