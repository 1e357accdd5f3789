//! Claims about pods: what the user's own fields make of them.

use etcd_operator_shared::api::cluster::PodUser;
use serde_json::{Value, json};

use crate::cluster::build::{
    Blueprint,
    tests::{plan, pod},
};

#[test]
fn a_wish_about_nodes_does_not_bring_members_together() {
    let affinity = |wanted: Value| pod(&plan(json!({"pod": {"affinity": wanted}})).set())["affinity"].clone();
    let ours = pod(&plan(json!({})).set())["affinity"]["podAntiAffinity"].clone();
    assert!(ours["preferredDuringSchedulingIgnoredDuringExecution"].as_array().is_some_and(|terms| terms.len() == 2));
    let nodes = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["fast"]}]}]}});
    assert_eq!(affinity(json!({"nodeAffinity": nodes})), json!({"nodeAffinity": nodes, "podAntiAffinity": ours}));
    assert_eq!(affinity(json!({"podAffinity": {}}))["podAntiAffinity"], ours);
    assert_eq!(affinity(json!({"podAntiAffinity": {}})), json!({"podAntiAffinity": {}}), "none is a word too");
}

#[test]
fn a_spread_without_a_selector_counts_the_members() {
    let spread = |wanted: Value| {
        let set = plan(json!({"pod": {"topologySpreadConstraints": [wanted]}})).set();
        pod(&set)["topologySpreadConstraints"][0]["labelSelector"].clone()
    };
    let zone = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"});
    assert_eq!(spread(zone.clone())["matchLabels"]["etcd.etcd.io/cluster-uid"], "u");
    let mut own = zone;
    own["labelSelector"] = json!({"matchLabels": {"team": "a"}});
    assert_eq!(spread(own), json!({"matchLabels": {"team": "a"}}));
}

#[test]
fn user_and_groups_are_the_users_word_then_the_fleets() {
    let context = |fleet: PodUser, pods: Value| {
        let plan = plan(json!({ "pod": pods }));
        let set = json!(Blueprint { pod_user: fleet, ..plan.blueprint() }.stateful_set(3));
        let context = pod(&set)["securityContext"].clone();
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        ["runAsUser", "runAsGroup", "fsGroup"].map(|field| context[field].as_i64())
    };
    assert_eq!(context(PodUser::Fixed, json!({})), [Some(65532); 3]);
    assert_eq!(context(PodUser::Platform, json!({})), [None; 3]);
    assert_eq!(context(PodUser::Fixed, json!({"user": "Platform"})), [None; 3]);
    assert_eq!(context(PodUser::Platform, json!({"user": "Fixed"})), [Some(65532); 3]);
    let bitnami = json!({"securityContext": {"runAsUser": 1001, "fsGroup": 1001}});
    assert_eq!(context(PodUser::Fixed, bitnami), [Some(1001), Some(65532), Some(1001)]);
    let mixed = json!({"user": "Platform", "securityContext": {"fsGroup": 7}});
    assert_eq!(context(PodUser::Fixed, mixed), [None, None, Some(7)]);
}

#[test]
fn a_resource_that_the_user_names_for_the_agent_is_the_users_alone() {
    let resources = |wanted: Value| pod(&plan(json!({"pod": wanted})).set())["containers"][0]["resources"].clone();
    let ours = json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}});
    assert_eq!(resources(json!({})), ours);
    assert_eq!(resources(json!({"agentResources": {}})), ours);
    assert_eq!(
        resources(json!({"agentResources": {"limits": {"cpu": "100m"}}})),
        json!({"requests": {"memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "128Mi"}})
    );
    assert_eq!(
        resources(json!({"agentResources": {"requests": {"memory": "256Mi"}}})),
        json!({"requests": {"cpu": "10m", "memory": "256Mi"}})
    );
}

#[test]
fn an_image_can_be_named_whole() {
    let image = |spec: Value| pod(&plan(spec).set())["containers"][1]["image"].clone();
    assert_eq!(image(json!({"repository": "r:5000/etcd"})), "r:5000/etcd:v3.5.21");
    let whole = format!("r:5000/etcd@sha256:{}", "0".repeat(64));
    assert_eq!(image(json!({"repository": "ignored", "image": whole})), whole.as_str());
}

#[test]
fn the_autoscaler_may_move_a_member_unless_the_user_says_otherwise() {
    let key = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";
    let notes = |pods: Value| plan(json!({"pod": pods})).set()["spec"]["template"]["metadata"]["annotations"].clone();
    assert_eq!(notes(json!({}))[key], "agent");
    assert_eq!(notes(json!({"annotations": {key: "agent,scratch"}}))[key], "agent,scratch");
}
