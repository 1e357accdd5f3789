//! Claims about templates: whatever the user says, what is ours is ours, and nothing is dropped in silence.

use proptest::{
    prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, proptest},
    sample::select,
};
use serde_json::{Map, Value, json};

use super::*;
use crate::cluster::build::{Blueprint, tests::plan};

/// The pod of a cluster with this in `spec.pod`, and what of the template it does not use.
fn pod(pod: &Value) -> (Value, Vec<Loss>) {
    pod_of(json!({ "pod": pod }))
}

fn pod_of(spec: Value) -> (Value, Vec<Loss>) {
    let plan = plan(spec);
    let Blueprint { cluster, wanted, incarnation, .. } = plan.blueprint();
    let losses = admit(wanted.template.as_deref(), &cluster.spec.pod, Ours::of(cluster, incarnation)).losses;
    (plan.set()["spec"]["template"].clone(), losses)
}

/// An encrypted cluster's pod.
fn encrypted(pod: &Value) -> (Value, Vec<Loss>) {
    pod_of(json!({"pod": pod, "security": {"peer": {"mode": "Auto"}, "client": {"mode": "Auto"}}}))
}

fn lost(template: &Value) -> Vec<(String, Why)> {
    let losses = pod(&json!({ "template": template })).1;
    losses.into_iter().map(|loss| (loss.path, loss.why)).collect()
}

/// One of a list of objects with names.
fn one<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()
}

#[test]
fn a_sidecar_with_its_volume_comes_after_ours() {
    let spec = json!({
        "containers": [{"name": "exporter", "image": "exporter:1", "env": [{"name": "A", "value": "b"}],
            "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "initContainers": [{"name": "before", "image": "before:1"}],
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
        "schedulerName": "other", "runtimeClassName": "kata", "priorityClassName": "high",
        "terminationGracePeriodSeconds": 90,
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
    });
    let (made, losses) = pod(&json!({"template": {"metadata": {"labels": {"team": "a"}}, "spec": spec}}));
    assert_eq!(losses, []);
    let names: Vec<&str> =
        made["spec"]["containers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["agent", "etcd", "exporter"]);
    assert_eq!(made["spec"]["containers"][2], spec["containers"][0]);
    assert_eq!(made["metadata"]["labels"]["team"], "a");
    for field in ["initContainers", "dnsConfig", "schedulerName", "priorityClassName", "hostAliases"] {
        assert_eq!(made["spec"][field], spec[field], "{field}");
    }
    assert_eq!(made["spec"]["terminationGracePeriodSeconds"], 90);
    assert_eq!(one(&made["spec"]["volumes"], "scratch")["emptyDir"], json!({}));
}

#[test]
fn a_volume_of_the_users_can_be_mounted_in_our_containers() {
    let mount = json!({"name": "keys", "mountPath": "/keys", "readOnly": true});
    let ours = |name: &str| json!({"name": name, "volumeMounts": [mount]});
    let (made, losses) = pod(&json!({"template": {"spec": {
        "containers": [ours("etcd"), ours("agent")], "volumes": [{"name": "keys", "secret": {"secretName": "k"}}]}}}));
    assert_eq!(losses, []);
    for name in ["etcd", "agent"] {
        let mounts = one(&made["spec"]["containers"], name)["volumeMounts"].as_array().unwrap();
        assert_eq!(mounts.last(), Some(&mount), "{name}");
    }
}

#[test]
fn etcds_environment_is_ours_alone() {
    let env = json!([{"name": "ETCD_FORCE_NEW_CLUSTER", "value": "true"}]);
    let template = json!({"spec": {"containers": [{"name": "etcd", "image": "other", "env": env, "command": ["sh"]}]}});
    let found = lost(&template);
    let path = |field: &str| format!("spec.pod.template.spec.containers[etcd].{field}");
    assert_eq!(found, [path("command"), path("env"), path("image")].map(|path| (path, Why::Ours)));
    assert_eq!(pod(&json!({ "template": template })).0, pod(&json!({})).0);
}

#[test]
fn resources_of_our_containers_have_a_place_of_their_own() {
    let limits = json!({"limits": {"cpu": "1"}});
    let container = |name: &str| json!({"name": name, "resources": limits});
    let found = lost(&json!({"spec": {"containers": [container("agent"), container("etcd")]}}));
    let whys: Vec<Why> = found.into_iter().map(|(_, why)| why).collect();
    assert_eq!(whys, [Why::Elsewhere("agentResources"), Why::Elsewhere("resources")]);
}

#[test]
fn others_read_the_data_and_never_write_it() {
    let mounts = json!([{"name": "data", "mountPath": "/data"}, {"name": "agent", "mountPath": "/socket"},
        {"name": "token", "mountPath": "/token"}]);
    let (made, losses) =
        pod(&json!({"template": {"spec": {"containers": [{"name": "reader", "volumeMounts": mounts}]}}}));
    let reader = one(&made["spec"]["containers"], "reader");
    assert_eq!(reader["volumeMounts"], json!([{"name": "data", "mountPath": "/data", "readOnly": true}]));
    let whys: Vec<Why> = losses.into_iter().map(|loss| loss.why).collect();
    assert_eq!(whys, [Why::Private, Why::Private, Why::ReadOnly]);
}

#[test]
fn nothing_is_mounted_over_ours() {
    let paths =
        ["/var/lib/etcd", "/var/lib/etcd/", "/var/lib/etcd/data", "/var/lib", "/", "//agent", "/etc/hosts", "/etc"];
    for path in paths {
        let mount = json!([{"name": "x", "mountPath": path}]);
        let found = lost(&json!({"spec": {"containers": [{"name": "etcd", "volumeMounts": mount}]}}));
        assert_eq!(found.len(), 1, "{path}");
        assert_eq!(found[0].1, Why::Covers, "{path}");
    }
    let beside = json!([{"name": "x", "mountPath": "/etc/ssl"}, {"name": "x", "mountPath": "/var/lib/etcd-keys"}]);
    assert_eq!(lost(&json!({"spec": {"containers": [{"name": "etcd", "volumeMounts": beside}]}})), []);
}

#[test]
fn names_of_ours_are_taken() {
    let found = lost(&json!({"spec": {
        "initContainers": [{"name": "etcd"}], "volumes": [{"name": "data", "emptyDir": {}}, {"name": "mine", "emptyDir": {}}]}}));
    let expected = ["spec.volumes[data]", "spec.initContainers[etcd]"];
    assert_eq!(found, expected.map(|path| (format!("spec.pod.template.{path}"), Why::Taken)));
}

#[test]
fn what_spec_pod_says_wins_over_the_template() {
    let template = json!({"metadata": {"labels": {"team": "b", "tier": "db"}},
        "spec": {"nodeSelector": {"disk": "slow"}, "securityContext": {"runAsUser": 5}}});
    let said = json!({"nodeSelector": {"disk": "fast"}, "labels": {"team": "a"}, "template": template});
    let (made, losses) = pod(&said);
    assert_eq!(made["spec"]["nodeSelector"], json!({"disk": "fast"}));
    assert_eq!((&made["metadata"]["labels"]["team"], &made["metadata"]["labels"]["tier"]), (&json!("a"), &json!("db")));
    assert_eq!(made["spec"]["securityContext"]["runAsUser"], 5);
    let whys: Vec<Why> = losses.into_iter().map(|loss| loss.why).collect();
    assert_eq!(whys, [Why::Elsewhere("labels"), Why::Elsewhere("nodeSelector")]);
}

#[test]
fn a_loss_is_told_with_its_path_and_the_reason() {
    let (_, losses) = pod(&json!({"template": {"spec": {"hostNetwork": true}}}));
    assert_eq!(
        losses[0].to_string(),
        "spec.pod.template.spec.hostNetwork is not used: members must not share a node's network, names or processes"
    );
}

/// Every field of a pod that the API knows was thought of: it is ours, or it passes.
#[test]
fn every_field_of_a_pod_is_known() {
    let schema = schemars::schema_for!(PodSpec);
    let fields = schema.pointer("/properties").and_then(Value::as_object).unwrap();
    for field in fields.keys() {
        let known = OURS.contains(&field.as_str()) || PASSES.contains(&field.as_str());
        assert!(known, "{field} is new: decide whether it passes");
    }
}

const OURS: [&str; 14] = [
    "serviceAccountName",
    "serviceAccount",
    "automountServiceAccountToken",
    "enableServiceLinks",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "shareProcessNamespace",
    "nodeName",
    "hostname",
    "subdomain",
    "activeDeadlineSeconds",
    "ephemeralContainers",
    "restartPolicy",
];

const PASSES: [&str; 26] = [
    "affinity",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "hostAliases",
    "hostUsers",
    "imagePullSecrets",
    "initContainers",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resourceClaims",
    "resources",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "securityContext",
    "setHostnameAsFQDN",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];

/// Some object with some of these fields.
fn some_of(fields: Vec<(&'static str, Value)>) -> impl Strategy<Value = Value> {
    prop::collection::vec(any::<bool>(), fields.len()).prop_map(move |picks| {
        let picked = fields.iter().zip(picks).filter(|(_, picked)| *picked);
        Value::Object(picked.map(|((name, value), _)| ((*name).to_owned(), value.clone())).collect::<Map<_, _>>())
    })
}

fn any_container() -> impl Strategy<Value = Value> {
    let mounts =
        [("data", "/var/lib/etcd"), ("agent", "/agent"), ("token", "/t"), ("scratch", "/scratch"), ("scratch", "/etc")];
    let mounts: Vec<Value> = mounts.iter().map(|(name, path)| json!({"name": name, "mountPath": path})).collect();
    let fields = vec![
        ("image", json!("evil:1")),
        ("command", json!(["evil"])),
        ("args", json!(["evil"])),
        ("env", json!([{"name": "CLUSTER_ID", "value": "evil"}])),
        ("envFrom", json!([{"configMapRef": {"name": "evil"}}])),
        ("ports", json!([{"name": "client", "containerPort": 1}])),
        ("livenessProbe", json!({"exec": {"command": ["false"]}})),
        ("readinessProbe", json!({"exec": {"command": ["true"]}})),
        ("lifecycle", json!({"postStart": {"exec": {"command": ["evil"]}}})),
        ("securityContext", json!({"privileged": true})),
        ("resources", json!({"limits": {"cpu": "1m"}})),
        ("tty", json!(true)),
    ];
    let mounts = prop::collection::vec(select(mounts), 0..3);
    (select(vec!["agent", "etcd", "mine", "other"]), some_of(fields), mounts).prop_map(
        |(name, mut container, mounts)| {
            container["name"] = json!(name);
            container["volumeMounts"] = json!(mounts);
            container
        },
    )
}

/// The API server takes each name once.
fn distinct(containers: Vec<Value>) -> Vec<Value> {
    let named: BTreeMap<String, Value> = containers.into_iter().map(|one| (one["name"].to_string(), one)).collect();
    named.into_values().collect()
}

fn any_template() -> impl Strategy<Value = Value> {
    let fields = vec![
        ("serviceAccountName", json!("evil")),
        ("automountServiceAccountToken", json!(true)),
        ("enableServiceLinks", json!(true)),
        ("hostNetwork", json!(true)),
        ("hostPID", json!(true)),
        ("shareProcessNamespace", json!(true)),
        ("nodeName", json!("evil")),
        ("hostname", json!("evil")),
        ("restartPolicy", json!("Never")),
        ("activeDeadlineSeconds", json!(5)),
        ("terminationGracePeriodSeconds", json!(0)),
        ("dnsPolicy", json!("Default")),
        ("volumes", json!([{"name": "data", "emptyDir": {}}, {"name": "scratch", "emptyDir": {}}])),
        ("affinity", json!({"nodeAffinity": {}})),
    ];
    let labels = json!({"etcd.etcd.io/cluster": "evil", "app.kubernetes.io/name": "evil", "team": "a"});
    let metadata = prop::option::of(Just(json!({"labels": labels, "annotations": {"a": "b"}})));
    let containers = prop::collection::vec(any_container(), 0..4);
    let before = prop::collection::vec(any_container(), 0..3);
    (metadata, some_of(fields), containers, before).prop_map(|(metadata, mut spec, containers, before)| {
        spec["containers"] = json!(distinct(containers));
        spec["initContainers"] = json!(distinct(before));
        json!({"metadata": metadata, "spec": spec})
    })
}

/// A container of ours without the user's mounts.
fn bare(pod: &Value, name: &str) -> Value {
    let mut container = one(&pod["spec"]["containers"], name).clone();
    container["volumeMounts"].as_array_mut().unwrap().retain(|mount| mount["name"] != "scratch");
    container
}

/// What of `said` is not in `made`, by its path; lists of named things by their names.
fn missing(said: &Value, made: &Value, path: &str, found: &mut Vec<String>) {
    match said {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_key = path.ends_with(".labels") || path.ends_with(".annotations");
                let path = if is_key { format!("{path}[{name}]") } else { format!("{path}.{name}") };
                missing(value, &made[name], &path, found);
            }
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            for item in items {
                let key = ["mountPath", "name"].into_iter().find(|key| item[*key].is_string()).unwrap_or("name");
                let twin = made.as_array().into_iter().flatten().find(|twin| twin[key] == item[key]);
                let path = format!("{path}[{}]", item[key].as_str().unwrap_or_default());
                missing(item, twin.unwrap_or(&Value::Null), &path, found);
            }
        }
        Value::Null if path.ends_with("metadata") => {}
        said if said != made => found.push(path.to_owned()),
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_template_says_ours_is_as_without_it(template in any_template()) {
        let (made, _) = pod(&json!({ "template": template }));
        let (plain, _) = pod(&json!({}));
        for name in ["agent", "etcd"] {
            prop_assert_eq!(bare(&made, name), bare(&plain, name));
        }
        let names: Vec<&Value> = made["spec"]["containers"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        prop_assert_eq!((names[0], names[1]), (&json!("agent"), &json!("etcd")));
        for field in OURS {
            prop_assert_eq!(made["spec"].get(field), plain["spec"].get(field), "{}", field);
        }
        for volume in plain["spec"]["volumes"].as_array().unwrap() {
            let name = volume["name"].as_str().unwrap();
            prop_assert_eq!(one(&made["spec"]["volumes"], name), volume);
        }
        for (key, value) in plain["metadata"]["labels"].as_object().unwrap() {
            prop_assert_eq!(&made["metadata"]["labels"][key], value);
        }
    }

    #[test]
    fn what_of_a_template_is_not_in_the_pod_is_told(template in any_template()) {
        let (made, losses) = pod(&json!({ "template": template }));
        let mut found = vec![];
        missing(&template, &made, PATH, &mut found);
        for path in found {
            let told = losses.iter().any(|loss| path.starts_with(&loss.path));
            prop_assert!(told, "{path} is missing and not told: {losses:?}");
        }
    }
}

#[test]
fn a_pod_without_a_template_is_what_it_was() {
    let older = |spec| plan(spec).older().set()["spec"]["template"].clone();
    let security = json!({"security": {"peer": {"mode": "Auto"}, "client": {"mode": "Auto"}}});
    let plain = (older(json!({})), "golden.yaml", include_str!("golden.yaml"));
    let encrypted = (older(security), "golden-encrypted.yaml", include_str!("golden-encrypted.yaml"));
    for (made, file, golden) in [plain, encrypted] {
        let golden: Value = serde_yaml::from_str(golden).unwrap();
        assert_eq!(
            made,
            golden,
            "with this, an upgrade of the operator replaces every pod of every cluster, one at a time, each with an election \
             and some seconds in which its member is away, and takes each cluster of one member down: is it worth that? Then \
             write down why, and take this as {file}:\n{}",
            serde_yaml::to_string(&made).unwrap()
        );
    }
}

#[test]
fn where_certificates_are_nothing_of_the_users_is_mounted_and_a_plain_pod_has_that_place_free() {
    let template = json!({"template": {"spec": {
        "volumes": [{"name": "tls", "emptyDir": {}}, {"name": "mine", "emptyDir": {}}],
        "containers": [
            {"name": "etcd", "volumeMounts": [{"name": "mine", "mountPath": "/tls/sub"}]},
            {"name": "sidecar", "image": "x", "volumeMounts": [{"name": "tls", "mountPath": "/secrets"}]},
        ],
    }}});
    assert_eq!(pod(&template).1, vec![]);
    let (made, losses) = encrypted(&template);
    let lost: Vec<_> = losses.iter().map(|loss| (loss.path.as_str(), loss.why)).collect();
    assert_eq!(
        lost,
        [
            ("spec.pod.template.spec.volumes[tls]", Why::Taken),
            ("spec.pod.template.spec.containers[etcd].volumeMounts[/tls/sub]", Why::Covers),
            ("spec.pod.template.spec.containers[sidecar].volumeMounts[/secrets]", Why::Private),
        ]
    );
    let volumes = &made["spec"]["volumes"];
    assert_eq!(volumes.as_array().unwrap().iter().filter(|volume| volume["name"] == "tls").count(), 1);
    assert_eq!(one(volumes, "tls")["emptyDir"], json!({"medium": "Memory", "sizeLimit": "1Mi"}));
}

#[test]
fn only_the_agent_writes_certificates_and_etcdctl_finds_those_of_clients() {
    let both = |security: Value| pod_of(json!({ "security": security })).0["spec"]["containers"].clone();
    let mount = |container: &Value| {
        let mounts = container["volumeMounts"].as_array().unwrap().clone();
        mounts.into_iter().find(|mount| mount["name"] == "tls").map(|mount| mount["readOnly"] == true)
    };
    let all = both(json!({"peer": {"mode": "Auto"}, "client": {"mode": "Auto"}}));
    assert_eq!((mount(&all[0]), mount(&all[1])), (Some(false), Some(true)));
    let variables = |container: &Value| -> Vec<String> {
        let all = container["env"].as_array().cloned().unwrap_or_default();
        all.iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .filter(|name| name.contains("TLS") || name.contains("CTL"))
            .collect()
    };
    assert_eq!(variables(&all[0]), ["PEER_TLS", "CLIENT_TLS"]);
    assert_eq!(variables(&all[1]), ["ETCDCTL_CACERT", "ETCDCTL_CERT", "ETCDCTL_KEY"]);
    let peer = both(json!({"peer": {"mode": "Auto"}}));
    assert_eq!((variables(&peer[0]), variables(&peer[1])), (vec!["PEER_TLS".to_owned()], vec![]));
}

#[test]
fn a_place_for_the_credentials_of_a_store_is_there_from_the_beginning_whatever_is_said_of_backups_later() {
    let backup = json!({"backup": {"store": {"s3": {"bucket": "bucket"}}}});
    let (before, after) = (pod_of(json!({})).0, pod_of(backup.clone()).0);
    assert_eq!(before, after, "no pod is replaced when a store is named");
    let place = one(&before["spec"]["volumes"], "store-credentials");
    assert_eq!(place["secret"], json!({"secretName": "demo-store", "optional": true}));
    let mounts = |name: &str| one(&before["spec"]["containers"], name)["volumeMounts"].to_string();
    assert!(mounts("agent").contains("store-credentials") && !mounts("etcd").contains("store-credentials"));
    let older = plan(json!({})).older().set();
    assert!(!older.to_string().contains("store-credentials"), "pods of a cluster of before stay what they are");
    assert!(plan(backup).older().set().to_string().contains("store-credentials"), "until there is a store");
}
