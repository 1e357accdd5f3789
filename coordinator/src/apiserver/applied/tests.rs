use super::*;
use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::ConfigMap},
    apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry,
};
use serde_json::Value;

fn map(data: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some("demo-etcd".into());
    map.metadata.namespace = Some("ns".into());
    map.data = Some([("etcd.yaml".to_owned(), data.to_owned())].into());
    map
}

/// As the API server has it after we applied it, with the fields that are still ours.
fn stored(data: &str, version: &str, fields: &[&str]) -> ConfigMap {
    let fields: Value =
        fields.iter().map(|name| (format!("f:{name}"), json!({}))).collect::<serde_json::Map<_, _>>().into();
    let mut object = json!(Wanted::of(map(data)).object);
    object["metadata"]["uid"] = json!("u");
    object["metadata"]["resourceVersion"] = json!(version);
    object["metadata"]["managedFields"] = json!([
        {"manager": MANAGER_COORDINATOR, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields},
    ]);
    serde_json::from_value(object).unwrap()
}

const ALL: [&str; 2] = ["data", "metadata"];

/// One that this process has applied.
fn applied() -> Applied {
    let applied = Applied::default();
    applied.note(Wanted::of(map("a")), &stored("a", "5", &ALL));
    applied
}

fn holds(applied: &Applied, data: &str) -> bool {
    applied.holds(&Wanted::of(map(data)))
}

#[test]
fn what_was_applied_is_not_applied_again() {
    let applied = applied();
    applied.observe(None, &Event::Apply(stored("b", "4", &ALL)));
    applied.observe(None, &Event::Apply(stored("a", "5", &ALL)));
    assert!(holds(&applied, "a"));
    assert!(!holds(&applied, "b"), "another fingerprint is another object");
}

#[test]
fn what_a_former_process_applied_is_not_applied_again() {
    let applied = Applied::default();
    assert!(!holds(&applied, "a"), "nothing is known");
    applied.observe(None, &Event::InitApply(stored("a", "5", &ALL)));
    assert!(holds(&applied, "a"));
}

#[test]
fn what_somebody_changed_while_no_coordinator_ran_is_repaired() {
    let applied = Applied::default();
    applied.observe(None, &Event::InitApply(stored("a", "6", &["metadata"])));
    assert!(!holds(&applied, "a"));
}

#[test]
fn somebody_elses_write_is_repaired_if_it_took_something_of_ours() {
    let applied = applied();
    applied.observe(None, &Event::Apply(stored("a", "6", &ALL)));
    assert!(holds(&applied, "a"), "it only added something, or changed the status");
    applied.observe(None, &Event::Apply(stored("a", "7", &["metadata"])));
    assert!(!holds(&applied, "a"));
}

#[test]
fn a_write_that_is_heard_before_the_answer_to_ours_is_repaired_too() {
    let applied = Applied::default();
    applied.observe(None, &Event::Apply(stored("a", "6", &["metadata"])));
    applied.note(Wanted::of(map("a")), &stored("a", "5", &ALL));
    assert!(!holds(&applied, "a"));
    applied.note(Wanted::of(map("a")), &stored("a", "6", &ALL));
    assert!(holds(&applied, "a"));
}

#[test]
fn an_object_that_lost_its_mark_is_applied_again() {
    let applied = applied();
    let mut bare = stored("a", "6", &ALL);
    bare.metadata.annotations = None;
    applied.observe(None, &Event::Apply(bare));
    assert!(!holds(&applied, "a"));
}

/// A StatefulSet as we have created it, of which somebody else owns some fields.
fn set(version: &str, generation: i64, theirs: &Value) -> StatefulSet {
    let mut set = json!(wanted_set().object);
    set["metadata"]["resourceVersion"] = json!(version);
    set["metadata"]["generation"] = json!(generation);
    let entry = |manager: &str, fields: &Value| json!({"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields});
    let ours = json!({"f:metadata": {"f:annotations": {"f:etcd.etcd.io/applied": {}}}});
    set["metadata"]["managedFields"] = json!([entry(MANAGER_COORDINATOR, &ours), entry("kubectl-edit", theirs)]);
    serde_json::from_value(set).unwrap()
}

fn wanted_set() -> Wanted<StatefulSet> {
    let mut set = StatefulSet::default();
    (set.metadata.namespace, set.metadata.name) = (Some("ns".into()), Some("demo".into()));
    Wanted::of(set)
}

#[test]
fn a_spec_that_is_ours_as_a_whole_has_no_room_for_anothers_fields() {
    let holds = |theirs: &Value, generation: i64| {
        let applied = Applied::default();
        applied.observe(None, &Event::InitApply(set("5", 1, theirs)));
        applied.holds_at(&wanted_set(), Some(generation))
    };
    let label = json!({"f:metadata": {"f:labels": {"f:team": {}}}});
    assert!(holds(&label, 1));
    assert!(!holds(&label, 2), "a read that is ahead of the watch");
    let template = |field: &str| json!({"f:spec": {"f:template": {"f:metadata": {"f:annotations": {field: {}}}}}});
    assert!(!holds(&template("f:note"), 1));
    assert!(holds(&template("f:kubectl.kubernetes.io/restartedAt"), 1), "a wish for new pods is kept");
}

#[test]
fn a_busy_status_is_no_drift() {
    let (applied, nothing) = (Applied::default(), json!({"f:metadata": {"f:labels": {}}}));
    applied.note(wanted_set(), &set("5", 1, &nothing));
    applied.observe(None, &Event::Apply(set("6", 1, &nothing)));
    assert!(applied.holds_at(&wanted_set(), Some(1)));
    applied.observe(None, &Event::Apply(set("7", 2, &json!({"f:spec": {"f:minReadySeconds": {}}}))));
    assert!(!applied.holds_at(&wanted_set(), Some(2)));
}

#[test]
fn a_deleted_object_is_made_again() {
    let applied = applied();
    applied.observe(None, &Event::Delete(stored("a", "6", &ALL)));
    assert!(!holds(&applied, "a") && applied.there(&Key::of(&map("a"))).is_none());
}

#[test]
fn the_end_of_a_predecessor_says_nothing_of_the_object() {
    let applied = applied();
    let mut former = stored("a", "9", &ALL);
    former.metadata.uid = Some("former".into());
    applied.observe(None, &Event::Delete(former));
    assert!(holds(&applied, "a"));
}

#[test]
fn an_object_is_known_from_its_watch_alone_with_who_owns_its_fields() {
    let (applied, mut created) = (Applied::default(), stored("a", "5", &ALL));
    let entry = |operation: &str| ManagedFieldsEntry {
        manager: Some(MANAGER_COORDINATOR.into()),
        operation: Some(operation.into()),
        ..ManagedFieldsEntry::default()
    };
    created.metadata.managed_fields = Some(vec![entry("Update")]);
    applied.observe(None, &Event::InitApply(created.clone()));
    let there = There { uid: "u".into(), marks: Marks::default(), as_created: true };
    assert_eq!(applied.there(&Key::of(&created)), Some(there));
    created.metadata.managed_fields = Some(vec![entry("Update"), entry("Apply")]);
    assert!(!There::of(&created).as_created);
}

#[test]
fn what_a_new_list_lacks_is_gone_in_that_namespace_only() {
    let applied = applied();
    for event in [Event::<ConfigMap>::Init, Event::InitDone] {
        applied.observe(Some("other"), &event);
    }
    assert!(holds(&applied, "a"));
    for event in [Event::<ConfigMap>::Init, Event::InitDone] {
        applied.observe(Some("ns"), &event);
    }
    assert!(!holds(&applied, "a"));
}
