//! What the agents may do at the API server: read their EtcdMembers and write the status. Nothing else, by name.

use etcd_operator_shared::{
    api::EtcdMember,
    names::{self, GROUP},
};
use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
};
use kube::Resource;

use super::Blueprint;

#[must_use]
pub fn account(plan: &Blueprint<'_>) -> ServiceAccount {
    let mut metadata = plan.metadata(names::agent_account(&plan.name()));
    metadata.annotations.clone_from(&plan.cluster.spec.pod.service_account_annotations);
    ServiceAccount { metadata, automount_service_account_token: Some(false), ..ServiceAccount::default() }
}

/// All names that the cluster can ever have, so that no change of size has to be waited for.
/// `list` and `watch` of named objects work with the field selector `metadata.name=NAME` only; the agent uses no other.
#[must_use]
pub fn role(plan: &Blueprint<'_>) -> Role {
    let members: Vec<String> = (0..names::MAX_MEMBERS).map(|ordinal| names::member(&plan.name(), ordinal)).collect();
    let plural = EtcdMember::plural(&()).into_owned();
    let rule = |resource: String, verbs: &[&str]| PolicyRule {
        api_groups: Some(vec![GROUP.into()]),
        resources: Some(vec![resource]),
        resource_names: Some(members.clone()),
        verbs: verbs.iter().map(|v| (*v).to_owned()).collect(),
        ..PolicyRule::default()
    };
    Role {
        metadata: plan.metadata(names::agent_account(&plan.name())),
        rules: Some(vec![
            rule(plural.clone(), &["get", "list", "watch"]),
            rule(format!("{plural}/status"), &["patch"]),
        ]),
    }
}

#[must_use]
pub fn binding(plan: &Blueprint<'_>) -> RoleBinding {
    let name = names::agent_account(&plan.name());
    RoleBinding {
        metadata: plan.metadata(name.clone()),
        role_ref: RoleRef { api_group: "rbac.authorization.k8s.io".into(), kind: "Role".into(), name: name.clone() },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".into(),
            name,
            namespace: plan.metadata(String::new()).namespace,
            ..Subject::default()
        }]),
    }
}
