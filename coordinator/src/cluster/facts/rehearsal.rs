//! Whether the API server would take a pod of a template: asked by a dry run, before a pod that works is given up for one.

use super::pod_trouble::shorten;

/// What is known of one template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// The template's shape.
    pub shape: String,
    pub answer: Answer,
}

/// What the API server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Taken,
    /// In its own words.
    Refused(String),
    /// It says nothing of the pod that is to come: nothing is held back by it.
    Unclear,
}

/// Words of refusals that are not the template's fault. In this order: a quota has no room beside the pod that goes; we may make no
/// pods, and whoever makes them for the StatefulSet may; a webhook cannot be asked for nothing.
/// Source: Kubernetes 1.34, `plugin/pkg/admission/resourcequota/controller.go`, `apiserver/pkg/endpoints/handlers/responsewriters`,
/// `apiserver/pkg/admission/plugin/webhook/errors/statuserror.go`.
const OF_THE_ASKING: [&str; 3] = ["exceeded quota", "cannot create resource", "does not support dry run"];

impl Answer {
    /// Reads a refusal.
    #[must_use]
    pub fn refusal(words: &str) -> Self {
        match OF_THE_ASKING.iter().any(|part| words.contains(part)) {
            true => Self::Unclear,
            false => Self::Refused(shorten(words)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_without_room_for_one_more_is_no_fault_of_the_template() {
        for words in [
            r#"pods "demo-x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"#,
            r#"pods is forbidden: User "u" cannot create resource "pods" in API group "" in the namespace "n""#,
            r#"admission webhook "w" does not support dry run"#,
        ] {
            assert_eq!(Answer::refusal(words), Answer::Unclear, "{words}");
        }
    }

    #[test]
    fn what_no_pod_of_the_template_can_pass_is_a_refusal() {
        for words in [
            r#"pods "demo-x" is forbidden: no PriorityClass with name nope was found"#,
            r#"pods "demo-x" is forbidden: failed quota: q: must specify limits.memory for: etcd"#,
            r#"pods "demo-x" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi"#,
        ] {
            assert_eq!(Answer::refusal(words), Answer::Refused(words.into()));
        }
    }
}
