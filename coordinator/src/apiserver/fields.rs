//! Whether what was applied still stands, as the API server itself keeps account of it.
//!
//! `metadata.managedFields` lists for each field manager the fields whose values are that manager's. A field that
//! somebody else changes or removes is struck from our list. So an object that carries the mark of what we would send,
//! and whose list still holds all of it, needs no write: nothing has to be remembered, and no contents compared. Format:
//! structured-merge-diff `fieldpath/serialize.go`.

use std::{collections::HashMap, sync::Arc};

use etcd_operator_shared::names::MANAGER_COORDINATOR;
use kube::ResourceExt;
use serde_json::Value;

use crate::print;

/// Who owns the fields of one object: a list for each way in which somebody has written it.
#[derive(Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fields {
    ours: Vec<Value>,
    theirs: Vec<Value>,
}

/// Each list once, however many objects have the same: ten thousand clusters differ in little but their UIDs.
#[derive(Debug, Default)]
pub struct Shapes(HashMap<u64, Arc<Fields>>);

/// Stands for the UID of an object's owner.
const OWNER: &str = "owner";
/// Where `kubectl rollout restart` writes when: a wish, and no part of what we say.
const RESTARTED: &str = "f:kubectl.kubernetes.io/restartedAt";
/// What names an object, and is nobody's.
const NOBODYS: [&str; 6] = ["apiVersion", "kind", "name", "namespace", "uid", "resourceVersion"];

impl Shapes {
    /// Who owns the fields of an object.
    pub fn of(&mut self, object: &impl ResourceExt) -> Arc<Fields> {
        let text = text(object);
        let digest = print::of(&text);
        if let Some(known) = self.0.get(&digest) {
            return Arc::clone(known);
        }
        // A new one is rare: a good moment to forget those that no object has any more.
        self.0.retain(|_, fields| Arc::strong_count(fields) > 1);
        let fields = Arc::new(serde_json::from_str::<Fields>(&text).unwrap_or_default());
        self.0.insert(digest, Arc::clone(&fields));
        fields
    }
}

/// Who owns the fields of an object, as JSON, with a word in place of the owner's UID.
fn text(object: &impl ResourceExt) -> String {
    let mut all = Fields::default();
    let whole = |subresource: &Option<String>| subresource.as_deref().unwrap_or_default().is_empty();
    for entry in object.managed_fields().iter().filter(|entry| whole(&entry.subresource)) {
        let Some(fields) = &entry.fields_v1 else { continue };
        let ours = entry.manager.as_deref() == Some(MANAGER_COORDINATOR);
        if ours { &mut all.ours } else { &mut all.theirs }.push(fields.0.clone());
    }
    let text = serde_json::to_string(&all).unwrap_or_default();
    match object.owner_references().iter().find(|owner| owner.controller == Some(true)) {
        // As it stands in a key: a string within a string.
        Some(owner) => text.replace(&format!(r#"\"{}\""#, owner.uid), &format!(r#"\"{OWNER}\""#)),
        None => text,
    }
}

impl Fields {
    /// Whether everything in `sent` is ours.
    #[must_use]
    pub fn cover(&self, sent: &Value) -> bool {
        covers(&self.ours.iter().collect::<Vec<_>>(), &self.theirs.iter().collect::<Vec<_>>(), sent, true)
    }

    /// Whether somebody else owns something in its spec.
    #[must_use]
    pub fn shares_spec(&self) -> bool {
        self.theirs.iter().filter_map(|list| list.get("f:spec")).any(counts)
    }
}

/// Whether a list of fields holds any that counts.
fn counts(fields: &Value) -> bool {
    fields.as_object().is_none_or(|fields| {
        fields.is_empty() || fields.iter().any(|(name, inner)| name != "." && name != RESTARTED && counts(inner))
    })
}

/// Whether our lists together hold all of `sent`. `named`: whether `sent` is an object or its metadata, where some fields
/// are nobody's.
fn covers(ours: &[&Value], theirs: &[&Value], sent: &Value, named: bool) -> bool {
    let lists: Vec<_> = ours.iter().filter_map(|list| list.as_object()).collect();
    // An empty list is a field that is ours as a whole, or a map that we made and whose entries others have taken.
    let taken = || theirs.iter().any(|list| list.as_object().is_some_and(|list| list.keys().any(|key| key != ".")));
    if lists.iter().any(|list| list.is_empty()) && !taken() {
        return true;
    }
    match sent {
        Value::Object(sent) => {
            sent.iter().filter(|(name, _)| !named || !NOBODYS.contains(&name.as_str())).all(|(name, sent)| {
                let [inner, others] =
                    [ours, theirs].map(|lists| below(lists, |key| key.strip_prefix("f:") == Some(name)));
                !inner.is_empty() && covers(&inner, &others, sent, named && name == "metadata")
            })
        }
        Value::Array(items) => items.iter().all(|item| {
            let [inner, others] = [ours, theirs].map(|lists| below(lists, |key| is_at(key, item)));
            !inner.is_empty() && covers(&inner, &others, item, false)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => !lists.is_empty(),
    }
}

/// What the lists hold below the keys that fit.
fn below<'a>(lists: &[&'a Value], fits: impl Fn(&str) -> bool) -> Vec<&'a Value> {
    let entries = lists.iter().filter_map(|list| list.as_object()).flatten();
    entries.filter(|(key, _)| fits(key)).map(|(_, inner)| inner).collect()
}

/// Whether a list's entry is the one that a key speaks of. What the item leaves out has been filled in by the API
/// server.
fn is_at(key: &str, item: &Value) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    match key.split_once(':') {
        Some(("k", names)) => parse(names).as_object().is_some_and(|names| {
            names.iter().all(|(name, value)| value == OWNER || item.get(name).is_none_or(|have| have == value))
        }),
        Some(("v", value)) => parse(value) == *item,
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Service;
    use serde_json::json;

    fn sent() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "demo-peer", "namespace": "ns", "labels": {"a": "b"},
                "ownerReferences": [{"uid": "u", "kind": "EtcdCluster", "name": "demo", "controller": true}],
            },
            "spec": {"selector": {"x": "y"}, "ports": [{"name": "client", "port": 2379}, {"name": "peer", "port": 2380}]},
        })
    }

    /// As an API server of 1.34 writes it.
    fn list(owner: &str) -> Value {
        let port = |n: u16| format!(r#"k:{{"port":{n},"protocol":"TCP"}}"#);
        json!({
            "f:metadata": {
                "f:labels": {"f:a": {}},
                "f:ownerReferences": {format!(r#"k:{{"uid":"{owner}"}}"#): {}},
            },
            "f:spec": {
                "f:selector": {},
                "f:ports": {
                    port(2379): {".": {}, "f:name": {}, "f:port": {}},
                    port(2380): {".": {}, "f:name": {}, "f:port": {}},
                },
            },
        })
    }

    fn service(manager: &str, list: &Value) -> Service {
        let mut object: Value = sent();
        object["metadata"]["managedFields"] = json!([
            {"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": list},
        ]);
        serde_json::from_value(object).unwrap()
    }

    fn stands(list: &Value) -> bool {
        Shapes::default().of(&service(MANAGER_COORDINATOR, list)).cover(&sent())
    }

    #[test]
    fn what_nobody_has_touched_stands() {
        assert!(stands(&list("u")));
    }

    #[test]
    fn every_field_that_somebody_took_is_missed() {
        let strike: [fn(&mut Value); 6] = [
            |list| drop(list["f:metadata"]["f:labels"].as_object_mut().unwrap().remove("f:a")),
            |list| drop(list["f:metadata"].as_object_mut().unwrap().remove("f:ownerReferences")),
            |list| drop(list["f:spec"].as_object_mut().unwrap().remove("f:selector")),
            |list| {
                drop(list["f:spec"]["f:ports"].as_object_mut().unwrap().remove(r#"k:{"port":2380,"protocol":"TCP"}"#));
            },
            |list| {
                let port = &mut list["f:spec"]["f:ports"][r#"k:{"port":2379,"protocol":"TCP"}"#];
                drop(port.as_object_mut().unwrap().remove("f:name"));
            },
            |list| drop(list.as_object_mut().unwrap().remove("f:spec")),
        ];
        for (n, strike) in strike.into_iter().enumerate() {
            let mut list = list("u");
            // One of two labels is taken, so that the other still says that labels are listed one by one.
            list["f:metadata"]["f:labels"]["f:other"] = json!({});
            strike(&mut list);
            assert!(!stands(&list), "{n}");
        }
    }

    #[test]
    fn another_owner_is_not_ours() {
        assert!(!stands(&list("somebody-else")));
    }

    #[test]
    fn what_another_manager_has_written_is_not_ours() {
        let fields = Shapes::default().of(&service("kubectl", &list("u")));
        assert!(fields.ours.is_empty() && fields.shares_spec() && !fields.cover(&sent()));
    }

    #[test]
    fn what_we_have_created_and_what_we_have_changed_since_is_ours_together() {
        let [mut created, mut changed] = [list("u"), list("u")];
        created.as_object_mut().unwrap().remove("f:metadata");
        changed.as_object_mut().unwrap().remove("f:spec");
        let covers =
            |ours: &[&Value]| Fields { ours: ours.iter().copied().cloned().collect(), theirs: vec![] }.cover(&sent());
        assert!(!covers(&[&created]) && !covers(&[&changed]));
        assert!(covers(&[&created, &changed]));
    }

    #[test]
    fn a_map_that_we_made_and_whose_entries_another_has_taken_is_not_ours() {
        let sent = json!({"data": {"etcd.yaml": "ours"}});
        let covers = |theirs: Value| Fields { ours: vec![json!({"f:data": {}})], theirs: vec![theirs] }.cover(&sent);
        assert!(covers(json!({"f:metadata": {"f:labels": {"f:team": {}}}})));
        assert!(!covers(json!({"f:data": {"f:etcd.yaml": {}}})));
    }

    #[test]
    fn clusters_that_differ_in_their_uid_only_share_one_list() {
        let mut shapes = Shapes::default();
        let of = |uid: &str| {
            let mut object = service(MANAGER_COORDINATOR, &list(uid));
            object.metadata.owner_references.as_mut().unwrap()[0].uid = uid.into();
            object
        };
        let (a, b) = (shapes.of(&of("u-1")), shapes.of(&of("u-2")));
        assert!(Arc::ptr_eq(&a, &b));
    }

    #[test]
    fn a_list_that_no_object_has_any_more_is_forgotten() {
        let mut shapes = Shapes::default();
        drop(shapes.of(&service(MANAGER_COORDINATOR, &list("u"))));
        let _kept = shapes.of(&service(MANAGER_COORDINATOR, &json!({"f:data": {}})));
        assert_eq!(shapes.0.len(), 1);
    }
}
