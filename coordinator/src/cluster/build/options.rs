//! The options of etcd as the agents are told them: with what the user leaves to the operator.

use std::collections::BTreeMap;

use etcd_operator_shared::api::{EtcdOptions, cluster::AutoCompaction};
use serde::Serialize;
use serde_json::{Value, json};

/// All of them, as people read them; [`Options::said`] is what agents are told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Options<'a> {
    quota_backend: String,
    auto_compaction: &'a AutoCompaction,
    heartbeat_interval: &'a str,
    election_timeout: &'a str,
    extra_args: &'a BTreeMap<String, String>,
}

impl<'a> Options<'a> {
    /// `quota`: what is in force, whatever is named.
    pub fn of(options: &'a EtcdOptions, quota: String) -> Self {
        let EtcdOptions { quota_backend: _, auto_compaction, heartbeat_interval, election_timeout, extra_args } =
            options;
        Self { quota_backend: quota, auto_compaction, heartbeat_interval, election_timeout, extra_args }
    }

    /// Those that are not what an agent takes by itself, as JSON with sorted names. It stands in every template, and
    /// another text starts every etcd once more: so an option that is new here says nothing until a user sets it.
    #[must_use]
    pub fn said(&self) -> String {
        let default = EtcdOptions::default();
        let default = json!(Options::of(&default, String::new()));
        json!(differing(&json!(self), &default).unwrap_or_default()).to_string()
    }
}

/// What of an object is not in another one; `None`: they are the same.
fn differing(one: &Value, other: &Value) -> Option<BTreeMap<String, Value>> {
    let (Value::Object(one), Value::Object(other)) = (one, other) else { return None };
    let part = |name: &String, value: &Value| match other.get(name) {
        Some(same) if same == value => None,
        Some(other @ Value::Object(_)) => differing(value, other).map(|rest| json!(rest)),
        Some(_) | None => Some(value.clone()),
    };
    let parts: BTreeMap<_, _> =
        one.iter().filter_map(|(name, value)| Some((name.clone(), part(name, value)?))).collect();
    (!parts.is_empty()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(options: Value) -> String {
        let options: EtcdOptions = serde_json::from_value(options).unwrap();
        let quota = options.quota_backend.as_ref().map_or("256Mi", |named| &named.0).to_owned();
        Options::of(&options, quota).said()
    }

    #[test]
    fn only_what_differs_from_the_defaults_is_said() {
        assert_eq!(said(json!({})), r#"{"quotaBackend":"256Mi"}"#);
        assert_eq!(said(json!({"quotaBackend": 268_435_456})), r#"{"quotaBackend":"268435456"}"#);
        let some = json!({"quotaBackend": "2Gi", "electionTimeout": "2s", "autoCompaction": {"retention": "2h"}});
        assert_eq!(said(some), r#"{"autoCompaction":{"retention":"2h"},"electionTimeout":"2s","quotaBackend":"2Gi"}"#);
    }

    #[test]
    fn an_agent_reads_the_options_that_were_meant() {
        for wanted in [
            json!({"quotaBackend": "2Gi"}),
            json!({"quotaBackend": "2Gi", "autoCompaction": {"mode": "Revision", "retention": "10000"}}),
            json!({"quotaBackend": "2Gi", "heartbeatInterval": "50ms", "extraArgs": {"max-txn-ops": "256"}}),
        ] {
            let wanted: EtcdOptions = serde_json::from_value(wanted).unwrap();
            let read: EtcdOptions = serde_json::from_str(&Options::of(&wanted, "2Gi".into()).said()).unwrap();
            assert_eq!(read, wanted);
        }
    }

    /// An agent of any release fills these in where nothing is said. Another default would change the flags of etcd in
    /// every cluster that says nothing, with each agent that is updated and no roll: give a new name to the new one.
    #[test]
    fn what_is_left_out_means_the_same_for_ever() {
        let defaults = json!({"autoCompaction": {"mode": "Periodic", "retention": "1h"},
            "heartbeatInterval": "100ms", "electionTimeout": "1s"});
        assert_eq!(json!(EtcdOptions::default()), defaults);
    }
}
