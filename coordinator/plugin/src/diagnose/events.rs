//! What did Kubernetes warn of lately, about objects of this cluster?

use etcd_operator_shared::names;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;

use super::{Check, Finding, Scene, finding::or_fine, scene::last};
use crate::{
    failure::{cut, line},
    print::units::age,
    view::answer::Answer,
};

const CHECK: Check = Check::Events;
/// What is older is history, as of a member that has started since.
const RECENT: SignedDuration = SignedDuration::from_mins(15);
/// The newest ones tell the story; `kubectl events` has the rest.
const MOST: usize = 5;
/// As many letters of each: an event is a hint here, and `kubectl events` has all of it.
const WORDS: usize = 240;
/// Kubelet's reason for a probe that fails: the agent that answers it has said why on the EtcdMember.
const PROBE: &str = "Unhealthy";

pub fn check(scene: &Scene) -> Vec<Finding> {
    let Some(all) = scene.events.read() else {
        return vec![Finding::unknown(CHECK, scene.events.caveat().unwrap_or_default())];
    };
    // What a cluster that is well now was warned of before is history, and so is what befell one of its name before it.
    let well = scene.page.condition("Ready").filter(|said| said.status == Answer::True).map(|said| said.since);
    let begun = well.max(scene.page.created);
    let matters = |seen: Timestamp| scene.now.duration_since(seen) < RECENT && begun.is_none_or(|begun| seen > begun);
    let recent = |event: &&Event| last(event).is_some_and(matters) && !is_explained(scene, event);
    let mut warnings: Vec<&Event> = all.iter().filter(|event| is_of(event, &scene.page.name)).filter(recent).collect();
    warnings.sort_by_key(|event| std::cmp::Reverse(last(event)));
    let found = warnings.iter().take(MOST).map(|event| told(scene, event)).collect();
    or_fine(found, CHECK, format!("nothing else was warned of in the last {} minutes", RECENT.as_mins()))
}

/// Objects of a cluster bear its name, or a member's. What the coordinator warns of on the EtcdCluster is on its
/// conditions for as long as it lasts.
fn is_of(event: &Event, cluster: &str) -> bool {
    let name = event.involved_object.name.as_deref().unwrap_or_default();
    let name = name.strip_prefix(&names::volume_claim("")).unwrap_or(name);
    let ours = ["Pod", "PersistentVolumeClaim", "StatefulSet", "Service", "PodDisruptionBudget"];
    let kind = event.involved_object.kind.as_deref().unwrap_or_default();
    ours.contains(&kind) && (name == cluster || names::ordinal(cluster, name).is_some())
}

/// Whether another check says the same: why a pod does not come up, or why a probe fails.
fn is_explained(scene: &Scene, event: &Event) -> bool {
    let object = &event.involved_object;
    let (reason, name) = (event.reason.as_deref().unwrap_or_default(), object.name.as_deref().unwrap_or_default());
    match object.kind.as_deref() {
        Some("Pod") => reason == PROBE || scene.trouble(name).is_some(),
        Some(_) | None => false,
    }
}

fn told(scene: &Scene, event: &Event) -> Finding {
    let object = &event.involved_object;
    let count = event.series.as_ref().and_then(|series| series.count).or(event.count).unwrap_or(1);
    let times = if count > 1 { format!(", {count} times") } else { String::new() };
    let ago = last(event).map(|seen| format!(", {} ago", age(seen, scene.now))).unwrap_or_default();
    let words = cut(&line(event.message.as_deref().unwrap_or_default()), WORDS);
    let reason = event.reason.as_deref().unwrap_or("Warning");
    let subject =
        format!("{} {}", object.kind.as_deref().unwrap_or_default(), object.name.as_deref().unwrap_or_default());
    Finding::note(CHECK, format!("{reason}{times}{ago}: {words}")).of(subject)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apiserver::lists::Known,
        diagnose::{
            Outcome,
            scene::tests::{warning, well},
        },
    };

    #[test]
    fn only_new_warnings_about_this_clusters_objects_are_told_the_newest_first() {
        let mut scene = well(3);
        scene.events = Known::Read(vec![
            warning("Pod", "demo-1", "FailedMount", "no such\nvolume", 600),
            warning("Pod", "demo-2", "BackOff", "old", 3600),
            warning("Pod", "demo-other-1", "BackOff", "somebody else's", 5),
            warning("PersistentVolumeClaim", "data-demo-0", "ProvisioningFailed", "no room", 30),
        ]);
        let found = check(&scene);
        let said: Vec<&str> = found.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(
            said,
            ["ProvisioningFailed, 3 times, 30s ago: no room", "FailedMount, 3 times, 10m ago: no such volume"]
        );
        assert_eq!(found[0].outcome, Outcome::Note);
    }

    #[test]
    fn silence_is_fine_and_a_list_that_may_not_be_read_unknown() {
        assert_eq!(check(&well(3))[0].outcome, Outcome::Fine);
        let mut scene = well(3);
        scene.events = Known::Unread("not allowed to read events".into());
        assert_eq!(check(&scene)[0].outcome, Outcome::Unknown);
    }
}
