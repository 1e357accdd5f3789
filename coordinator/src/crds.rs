//! The CustomResourceDefinitions as YAML.

use etcd_operator_shared::api::{EtcdCluster, EtcdMember};
use kube::CustomResourceExt;
use serde_json::Value;

/// All of them, one document each. Without CEL for API servers that do not know it, or not its quantities.
pub fn yaml(without_cel: bool) -> anyhow::Result<String> {
    let mut documents = Vec::new();
    for crd in [EtcdCluster::crd(), EtcdMember::crd()] {
        let mut crd = serde_json::to_value(crd)?;
        if without_cel {
            strip(&mut crd);
        }
        documents.push(serde_yaml::to_string(&crd)?);
    }
    Ok(documents.join("---\n"))
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("x-kubernetes-validations");
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_in_the_schema_or_none() {
        let source = include_str!("../../shared/src/api/cluster.rs");
        let rules = yaml(false).unwrap().matches("- message:").count();
        assert_eq!(rules, source.matches("Rule::new(").count());
        assert!(!yaml(true).unwrap().contains("x-kubernetes-validations"));
    }
}
