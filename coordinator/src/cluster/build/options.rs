//! The options of etcd as the agents are told them: with what the user leaves to the operator.

use std::collections::BTreeMap;

use etcd_operator_shared::api::{EtcdOptions, cluster::AutoCompaction};
use serde::Serialize;

/// Their names and their order stand in every template: another text would replace the pods of every cluster.
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
    /// `quota`: what is chosen where the user names none.
    pub fn of(options: &'a EtcdOptions, quota: String) -> Self {
        let EtcdOptions { quota_backend, auto_compaction, heartbeat_interval, election_timeout, extra_args } = options;
        Self {
            quota_backend: quota_backend.as_ref().map_or(quota, |named| named.0.clone()),
            auto_compaction,
            heartbeat_interval,
            election_timeout,
            extra_args,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(options: serde_json::Value) -> String {
        let options: EtcdOptions = serde_json::from_value(options).unwrap();
        serde_json::to_string(&Options::of(&options, "256Mi".into())).unwrap()
    }

    #[test]
    fn the_options_of_a_cluster_of_before_are_told_word_for_word_as_before() {
        let before = concat!(
            r#"{"quotaBackend":"2Gi","autoCompaction":{"mode":"Periodic","retention":"1h"},"#,
            r#""heartbeatInterval":"100ms","electionTimeout":"1s","extraArgs":{}}"#
        );
        assert_eq!(text(serde_json::from_str(before).unwrap()), before);
    }

    #[test]
    fn a_quota_that_is_left_out_is_the_one_that_was_chosen() {
        assert!(text(json!({})).contains(r#""quotaBackend":"256Mi""#));
        assert!(text(json!({"quotaBackend": 268_435_456})).contains(r#""quotaBackend":"268435456""#));
    }
}
