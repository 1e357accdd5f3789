//! What the processes of a pod may do, and as whom: by default what the restricted standard asks for.

use etcd_operator_shared::api::cluster::PodUser;
use k8s_openapi::{
    DeepMerge,
    api::core::v1::{Capabilities, PodSecurityContext, SeccompProfile, SecurityContext},
};

use super::Blueprint;

/// Nobody in particular: neither image has a user of its own that matters.
const USER: i64 = 65532;

/// What holds for every container. What the user says wins; `template`: what the user's template says, where
/// `spec.pod.securityContext` says nothing.
pub fn pod(plan: &Blueprint<'_>, template: Option<PodSecurityContext>) -> PodSecurityContext {
    let wanted = &plan.cluster.spec.pod;
    let id = match wanted.user.unwrap_or(plan.pod_user) {
        PodUser::Fixed => Some(USER),
        PodUser::Platform => None,
    };
    let mut all = PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: id,
        run_as_group: id,
        fs_group: id,
        fs_group_change_policy: Some("OnRootMismatch".into()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
        ..PodSecurityContext::default()
    };
    all.merge_from(wanted.security_context.clone().or(template).unwrap_or_default());
    all
}

/// What our containers are denied.
pub fn container() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
        ..SecurityContext::default()
    }
}
