//! Claims about the objects, checked on their JSON as the API server sees it.

use etcd_operator_shared::{
    api::{EtcdCluster, cluster::Encrypted, member::Peer},
    validate,
};
use serde_json::{Value, json};
use std::sync::Arc;

use super::*;
use crate::cluster::facts::Member;

pub struct Plan {
    cluster: EtcdCluster,
    wanted: Wanted,
    incarnation: Incarnation,
    desired: Desired,
}

/// Of a cluster whose traffic began plain, but where the spec says that it is encrypted.
pub fn plan(mut spec: Value) -> Plan {
    spec["version"] = json!("v3.5.21");
    let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
    cluster.metadata.namespace = Some("ns".into());
    cluster.metadata.uid = Some("u".into());
    let wanted = validate::cluster(&cluster).unwrap();
    let (peer, client) = (wanted.encryption.peer.unwrap_or(false), wanted.encryption.client.unwrap_or(false));
    let first = crate::cluster::decide::incarnation::first(&cluster, &wanted);
    let incarnation = Incarnation { encrypted: Encrypted { peer, client }, ..first };
    let size = if wanted.size == 0 { 3 } else { wanted.size };
    let desired = Desired { size, stopped: wanted.size == 0, ..Desired::default() };
    Plan { cluster, wanted, incarnation, desired }
}

impl Plan {
    /// As of a cluster that began before there were backups.
    pub fn older(mut self) -> Self {
        self.incarnation.has_store = false;
        self
    }

    pub fn blueprint(&self) -> Blueprint<'_> {
        Blueprint {
            cluster: &self.cluster,
            wanted: &self.wanted,
            incarnation: &self.incarnation,
            agent_image: "agent:1",
            pod_user: PodUser::Fixed,
            server: ServerVersion(34),
            account: None,
            desired: &self.desired,
            voters: 3,
            learner: false,
            storage: None,
            authority: Some("PEM"),
        }
    }

    pub fn set(&self) -> Value {
        serde_json::to_value(self.blueprint().stateful_set(3)).unwrap()
    }
}

pub fn pod(set: &Value) -> &Value {
    &set["spec"]["template"]["spec"]
}

#[test]
fn the_agent_comes_first_and_installs_before_etcd_starts() {
    let set = plan(json!({})).set();
    let containers = pod(&set)["containers"].as_array().unwrap();
    let names: Vec<_> = containers.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["agent", "etcd"]);
    assert_eq!(containers[0]["lifecycle"]["postStart"]["exec"]["command"], json!(["/etcd-agent", "install"]));
    assert_eq!(containers[1]["command"], json!(["/agent/etcd-agent", "launch"]));
    assert_eq!(containers[1]["image"], "quay.io/coreos/etcd:v3.5.21");
    assert!(pod(&set).get("initContainers").is_none());
}

#[test]
fn a_dead_agent_never_makes_kubelet_kill_etcd() {
    let set = plan(json!({})).set();
    let (agent, etcd) = (&pod(&set)["containers"][0], &pod(&set)["containers"][1]);
    assert_eq!(agent["livenessProbe"]["httpGet"], json!({"path": "/livez", "port": 2382}));
    assert!(etcd.get("livenessProbe").is_none());
    assert_eq!(etcd["readinessProbe"]["httpGet"], json!({"path": "/readyz", "port": 2382}));
}

#[test]
fn pods_meet_the_restricted_standard() {
    let set = plan(json!({})).set();
    let security = &pod(&set)["securityContext"];
    assert_eq!(security["runAsNonRoot"], true);
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
    for container in pod(&set)["containers"].as_array().unwrap() {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(security["readOnlyRootFilesystem"], true);
    }
}

#[test]
fn only_the_agent_holds_a_token() {
    let set = plan(json!({})).set();
    assert_eq!(pod(&set)["automountServiceAccountToken"], false);
    let mounts = |i: usize| pod(&set)["containers"][i]["volumeMounts"].to_string();
    assert!(mounts(0).contains("serviceaccount") && !mounts(1).contains("serviceaccount"));
}

#[test]
fn etcds_hosts_file_is_the_agents() {
    let set = plan(json!({})).set();
    let mounts = pod(&set)["containers"][1]["volumeMounts"].as_array().unwrap();
    assert!(mounts.contains(&json!({"name": "agent", "mountPath": "/etc/hosts", "subPath": "hosts"})));
}

#[test]
fn users_cannot_take_our_labels_away() {
    let labels = json!({"etcd.etcd.io/cluster": "evil", "team": "a"});
    let set = plan(json!({"pod": {"labels": labels}})).set();
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert_eq!((labels["etcd.etcd.io/cluster"].as_str(), labels["team"].as_str()), (Some("demo"), Some("a")));
}

#[test]
fn an_option_of_etcd_is_part_of_the_template() {
    let template = |quota: &str| plan(json!({"etcd": {"quotaBackend": quota}})).set()["spec"]["template"].to_string();
    assert_ne!(template("2Gi"), template("3Gi"));
}

#[test]
fn claims_carry_the_clusters_uid_and_outlive_every_scaling() {
    let set = plan(json!({"storage": {"size": "1Gi"}})).set();
    let claim = &set["spec"]["volumeClaimTemplates"][0];
    assert_eq!(claim["metadata"]["labels"]["etcd.etcd.io/cluster-uid"], "u");
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "1Gi");
    assert!(claim["spec"].get("storageClassName").is_none(), "no word is the default class");
    let policy = &set["spec"]["persistentVolumeClaimRetentionPolicy"];
    assert_eq!(*policy, json!({"whenDeleted": "Retain", "whenScaled": "Retain"}));
}

#[test]
fn a_set_that_exists_keeps_its_claim_template() {
    let plan = plan(json!({"storage": {"size": "2Gi"}}));
    let storage = Some(Storage { size: "1Gi".into(), class: Some("fast".into()) });
    let set = serde_json::to_value(Blueprint { storage, ..plan.blueprint() }.stateful_set(3)).unwrap();
    let claim = &set["spec"]["volumeClaimTemplates"][0]["spec"];
    assert_eq!(
        (claim["resources"]["requests"]["storage"].as_str(), claim["storageClassName"].as_str()),
        (Some("1Gi"), Some("fast"))
    );
}

#[test]
fn old_servers_are_not_sent_fields_that_they_do_not_know() {
    let plan = plan(json!({}));
    let old = Blueprint { server: ServerVersion(22), ..plan.blueprint() };
    let text = format!("{}{}", json!(old.stateful_set(3)), json!(old.objects().budget));
    assert!(!text.contains("persistentVolumeClaimRetentionPolicy") && !text.contains("unhealthyPodEvictionPolicy"));
}

#[test]
fn a_drain_never_takes_the_quorum() {
    let least = |voters, size, learner| {
        let plan = plan(json!({"size": size}));
        let budget = Blueprint { voters, learner, ..plan.blueprint() }.objects().budget;
        json!(budget)["spec"]["minAvailable"].as_i64().unwrap()
    };
    let settled = [least(1, 1, false), least(3, 3, false), least(5, 3, false), least(3, 5, false), least(3, 0, false)];
    assert_eq!(settled, [1, 2, 3, 3, 2]);
    assert_eq!(least(3, 5, true), 4, "a learner may be a voter before anybody hears of it");
}

#[test]
fn the_client_service_speaks_for_one_incarnation() {
    let objects = plan(json!({"service": {"type": "NodePort", "nodePort": 30001}})).blueprint().objects();
    let service = json!(objects.client_service);
    assert_eq!(service["spec"]["selector"]["etcd.etcd.io/incarnation"], "1");
    assert_eq!(service["spec"]["ports"][0]["nodePort"], 30001);
    assert!(json!(objects.peer_service)["spec"]["selector"].get("etcd.etcd.io/incarnation").is_none());
}

#[test]
fn the_client_service_is_shaped_by_the_user() {
    let balanced = json!({"type": "LoadBalancer", "loadBalancerClass": "internal",
        "loadBalancerSourceRanges": ["10.0.0.0/8"], "externalTrafficPolicy": "Local", "ipFamilyPolicy": "PreferDualStack",
        "labels": {"team": "a", "etcd.etcd.io/cluster": "evil"}});
    let service = json!(plan(json!({"service": balanced})).blueprint().objects().client_service);
    for field in ["loadBalancerClass", "loadBalancerSourceRanges", "externalTrafficPolicy", "ipFamilyPolicy"] {
        assert_eq!(service["spec"][field], balanced[field], "{field}");
    }
    let labels = &service["metadata"]["labels"];
    assert_eq!((labels["team"].as_str(), labels["etcd.etcd.io/cluster"].as_str()), (Some("a"), Some("demo")));
}

#[test]
fn peers_are_found_by_the_names_that_etcds_discovery_asks_for() {
    let service = json!(plan(json!({})).blueprint().objects().peer_service);
    let ports: Vec<_> = service["spec"]["ports"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
    assert_eq!(ports, ["etcd-client", "etcd-server"]);
}

#[test]
fn a_budget_that_nobody_wants_covers_no_pod() {
    let covers = |pods: Value| {
        let plan = plan(json!({ "pod": pods }));
        let (set, budget) = (plan.set(), json!(plan.blueprint().objects().budget));
        let labels = &set["spec"]["template"]["metadata"]["labels"];
        let wanted = budget["spec"]["selector"]["matchLabels"].as_object().unwrap().clone();
        wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    assert!(covers(json!({})) && covers(json!({"disruptionBudget": "Quorum"})));
    assert!(!covers(json!({"disruptionBudget": "None"})));
}

#[test]
fn the_agents_account_carries_the_users_annotations() {
    let role = json!({"eks.amazonaws.com/role-arn": "arn"});
    let account = plan(json!({"pod": {"serviceAccountAnnotations": role}})).blueprint().objects().account;
    assert_eq!(json!(account)["metadata"]["annotations"], role);
}

#[test]
fn agents_may_touch_named_members_only() {
    let role = json!(plan(json!({})).blueprint().objects().role);
    for rule in role["rules"].as_array().unwrap() {
        assert_eq!(rule["resourceNames"].as_array().unwrap().len(), 7);
    }
    assert_eq!(role["rules"][1]["verbs"], json!(["patch"]));
}

#[test]
fn every_object_goes_with_its_cluster() {
    let plan = plan(json!({"security": {"client": {"mode": "Auto"}}}));
    let Objects { peer_service, client_service, config_map, authority, budget, account, role, binding } =
        plan.blueprint().objects();
    for object in [
        json!(peer_service),
        json!(client_service),
        json!(config_map),
        json!(authority.unwrap()),
        json!(budget),
        json!(account),
        json!(role),
        json!(binding),
        plan.set(),
    ] {
        let owner = &object["metadata"]["ownerReferences"][0];
        assert_eq!((owner["uid"].as_str(), owner["controller"].as_bool()), (Some("u"), Some(true)), "{object}");
        assert_eq!(object["metadata"]["labels"]["etcd.etcd.io/cluster"], "demo");
    }
}

#[test]
fn the_authority_of_clients_is_shown_where_their_traffic_is_encrypted() {
    let shown = |security: Value| plan(json!({ "security": security })).blueprint().objects().authority;
    let map = shown(json!({"client": {"mode": "Auto"}})).unwrap();
    assert_eq!((map.metadata.name.as_deref(), &map.data.unwrap()["ca.crt"][..]), (Some("demo-ca"), "PEM"));
    assert_eq!(shown(json!({"peer": {"mode": "Auto"}})), None);
    assert_eq!(shown(json!({})), None);
}

#[test]
fn a_member_made_again_after_the_latch_may_never_bootstrap() {
    let mut plan = plan(json!({}));
    assert!(member::member(&plan.blueprint(), 0).spec.initial);
    plan.incarnation.members_created = true;
    assert!(!member::member(&plan.blueprint(), 0).spec.initial);
}

#[test]
fn a_member_that_is_no_founder_may_never_bootstrap() {
    assert!(!member::member(&plan(json!({})).blueprint(), 3).spec.initial);
}

#[test]
fn only_the_difference_is_written_to_a_member() {
    let mut plan = plan(json!({}));
    let made = Member::of(&member::member(&plan.blueprint(), 0));
    assert_eq!(member::update(&plan.blueprint(), &made), None);
    plan.desired.peers = vec![Peer { name: "demo-0".into(), address: "10.0.0.1".into() }];
    let patch = member::update(&plan.blueprint(), &made).unwrap();
    assert_eq!(patch, json!({"spec": {"peers": [{"name": "demo-0", "address": "10.0.0.1"}]}}));
}

#[test]
fn a_wish_is_written_over_what_was_read_and_nothing_newer() {
    let mut plan = plan(json!({}));
    let mut made = Member::of(&member::member(&plan.blueprint(), 0));
    made.version.resource = Some("7".into());
    plan.desired.size = 5;
    let patch = member::update(&plan.blueprint(), &made).unwrap();
    assert_eq!(patch, json!({"metadata": {"resourceVersion": "7"}, "spec": {"size": 5, "stopped": false}}));
}

#[test]
fn a_stop_keeps_the_size_of_the_membership() {
    let plan = plan(json!({"size": 0}));
    let made = member::member(&plan.blueprint(), 0).spec;
    assert_eq!((made.size, made.stopped), (3, true));
}

#[test]
fn pods_know_the_cluster_id_of_their_incarnation() {
    let id = |number: i64| {
        let mut plan = plan(json!({}));
        plan.incarnation.token = format!("ns/demo/u/{number}");
        let set = plan.set();
        let env = pod(&set)["containers"][0]["env"].as_array().unwrap().clone();
        env.iter().find(|e| e["name"] == "CLUSTER_ID").unwrap()["value"].as_str().unwrap().to_owned()
    };
    let urls: Vec<String> = (0..3).map(|i| format!("http://demo-{i}.demo-peer.ns.svc:2380")).collect();
    let expected = etcd_operator_shared::ids::cluster(urls.iter().map(String::as_str), "ns/demo/u/1");
    assert_eq!(id(1), expected);
    assert_ne!(id(1), id(2));
}

#[test]
fn what_others_add_to_the_spec_of_the_stateful_set_is_dropped_and_what_they_put_on_its_metadata_stays() {
    let plan = plan(json!({}));
    let ours = plan.blueprint().stateful_set(3);
    let mut there = serde_json::to_value(&ours).unwrap();
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"});
    there["metadata"]["ownerReferences"] = json!([theirs]);
    there["metadata"]["labels"] = json!({"team": "a"});
    there["metadata"]["resourceVersion"] = json!("7");
    there["spec"]["replicas"] = json!(0);
    there["spec"]["updateStrategy"] = json!({"type": "RollingUpdate"});
    let pod = &mut there["spec"]["template"]["spec"];
    pod["containers"][1]["env"] = json!([{"name": "ETCD_FORCE_NEW_CLUSTER", "value": "true"}]);
    pod["containers"][1]["livenessProbe"] = json!({"exec": {"command": ["false"]}});
    pod["containers"].as_array_mut().unwrap().push(json!({"name": "sidecar", "image": "x"}));
    pod["hostNetwork"] = json!(true);
    let there = serde_json::from_value(there).unwrap();
    let over = stateful_set::over(there, ours.clone());
    assert_eq!(over.spec, ours.spec);
    let over = serde_json::to_value(over).unwrap();
    assert_eq!(over["metadata"]["resourceVersion"], "7", "a compare-and-swap");
    assert_eq!(
        (&over["metadata"]["labels"]["team"], &over["metadata"]["labels"][names::LABEL_CLUSTER]),
        (&json!("a"), &json!("demo"))
    );
    let owners: Vec<_> =
        over["metadata"]["ownerReferences"].as_array().unwrap().iter().map(|o| o["uid"].clone()).collect();
    assert_eq!(owners, [json!("u"), json!("x")]);
}

#[test]
fn a_rollout_restart_is_a_wish_that_is_kept() {
    let plan = plan(json!({}));
    let ours = plan.blueprint().stateful_set(3);
    let mut there = ours.clone();
    let notes = there.spec.as_mut().unwrap().template.metadata.as_mut().unwrap().annotations.as_mut().unwrap();
    notes.insert("kubectl.kubernetes.io/restartedAt".into(), "now".into());
    notes.insert("other".into(), "x".into());
    let plain = notes.get(names::ANNOTATION_SHAPE).cloned();
    let over = stateful_set::over(there, ours).spec.unwrap().template.metadata.unwrap().annotations.unwrap();
    assert_eq!(over.get("kubectl.kubernetes.io/restartedAt").map(String::as_str), Some("now"));
    assert_ne!(over.get(names::ANNOTATION_SHAPE), plain.as_ref(), "every pod is old by it");
    assert!(!over.contains_key("other"));
}

#[test]
fn every_object_says_whose_it_is_twice() {
    let plan = plan(json!({"security": {"client": {"mode": "Auto"}}}));
    let Objects { peer_service, client_service, config_map, authority, budget, account, role, binding } =
        plan.blueprint().objects();
    let set = plan.blueprint().stateful_set(3);
    let metas = [
        peer_service.metadata,
        client_service.metadata,
        config_map.metadata,
        authority.unwrap().metadata,
        budget.metadata,
        account.metadata,
        role.metadata,
        binding.metadata,
        set.metadata,
        member::member(&plan.blueprint(), 0).metadata,
    ];
    for meta in metas {
        let name = meta.name.unwrap_or_default();
        let label = meta.labels.and_then(|labels| labels.get(names::LABEL_CLUSTER_UID).cloned());
        let owner = meta.owner_references.and_then(|owners| Some(owners.first()?.uid.clone()));
        assert_eq!((label.as_deref(), owner.as_deref()), (Some("u"), Some("u")), "{name}");
    }
}

#[test]
fn labels_and_owner_of_an_etcd_member_that_somebody_took_come_back() {
    let plan = plan(json!({}));
    let made = Member::of(&member::member(&plan.blueprint(), 1));
    assert_eq!(member::update(&plan.blueprint(), &made), None);
    let bare = Member { marks: Arc::default(), ..made.clone() };
    let patch = member::update(&plan.blueprint(), &bare).unwrap();
    assert_eq!(patch["metadata"]["labels"], json!(made.marks.labels));
    assert_eq!(patch["metadata"]["ownerReferences"], json!(made.marks.owners));
    assert_eq!(patch.get("spec"), None);
}

#[test]
fn volumes_that_grow_replace_no_pod() {
    let small = plan(json!({"storage": {"size": "1Gi"}}));
    let grown = Plan { incarnation: small.incarnation.clone(), ..plan(json!({"storage": {"size": "4Gi"}})) };
    assert_eq!(small.set()["spec"]["template"], grown.set()["spec"]["template"]);
    let before = Plan { incarnation: Incarnation { quota_backend: None, ..small.incarnation.clone() }, ..small };
    assert!(before.set()["spec"]["template"].to_string().contains(r#"\"quotaBackend\":\"256Mi\""#));
}
