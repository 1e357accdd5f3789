//! What is to become of a cluster: the spec, read against the present incarnation.

use etcd_operator_shared::{
    api::{
        EtcdCluster,
        cluster::{End, Incarnation, Keep},
    },
    validate::Wanted,
};

use crate::cluster::facts::archive::{Replacement, Restore};

/// What is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// This many members serve.
    Run(u32),
    /// No pod runs; membership and data are kept.
    Stop,
    /// No pod runs, and then the incarnation is over for this reason.
    End(End),
    /// The incarnation is over, and no other is wanted.
    Rest,
}

impl Target {
    #[must_use]
    pub fn of(cluster: &EtcdCluster, wanted: &Wanted, incarnation: &Incarnation, restore: Option<&Restore>) -> Self {
        let abandoned = cluster.spec.recovery.as_ref().map(|r| r.abandon_incarnation);
        let replaced = restore.and_then(|restore| restore.replaces(incarnation.number));
        match (&incarnation.ended, wanted.size) {
            (Some(_), _) => Self::Rest,
            (None, _) if abandoned == Some(incarnation.number) => Self::End(End::Abandoned),
            (None, _) if replaced == Some(Replacement::Found) => Self::End(End::Replaced),
            (None, _) if replaced == Some(Replacement::Reads) => Self::Stop,
            (None, 0) => match cluster.spec.storage.retention.when_stopped {
                Keep::Delete => Self::End(End::Stopped),
                Keep::Retain => Self::Stop,
            },
            (None, size) => Self::Run(size),
        }
    }

    /// Whether pods are wanted.
    #[must_use]
    pub fn runs(self) -> bool {
        match self {
            Self::Run(_) => true,
            Self::Stop | Self::End(_) | Self::Rest => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_operator_shared::{
        api::{Word, cluster::Restored},
        validate,
    };
    use serde_json::json;

    fn target(spec: &serde_json::Value, ended: Option<End>, restore: Option<&Restore>) -> Target {
        let mut whole = json!({"version": "v3.5.21"});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let cluster = EtcdCluster::new("demo", serde_json::from_value(whole).unwrap());
        let wanted = validate::cluster(&cluster).unwrap();
        let incarnation = Incarnation {
            ended: ended.map(Word::Known),
            ..crate::cluster::decide::incarnation::first(&cluster, &wanted)
        };
        Target::of(&cluster, &wanted, &incarnation, restore)
    }

    #[test]
    fn size_zero_stops_and_ends_the_incarnation_only_where_the_user_says_so() {
        assert_eq!(target(&json!({"size": 0}), None, None), Target::Stop);
        let delete = json!({"size": 0, "storage": {"retention": {"whenStopped": "Delete"}}});
        assert_eq!(target(&delete, None, None), Target::End(End::Stopped));
    }

    #[test]
    fn only_the_present_incarnation_is_abandoned() {
        for (number, expected) in [(1, Target::End(End::Abandoned)), (2, Target::Run(3)), (0, Target::Run(3))] {
            assert_eq!(target(&json!({"recovery": {"abandonIncarnation": number}}), None, None), expected);
        }
    }

    #[test]
    fn only_the_present_incarnation_is_replaced_and_only_once_its_successors_data_was_opened() {
        let found =
            Restored { by: "again".into(), digest: "d".into(), size: 1, revision: 7, bump: Some(9), seed: None };
        let restore = |replaces, reads, found| Restore {
            name: "again".into(),
            found,
            from: None,
            trouble: None,
            replaces: Some(replaces),
            reads,
        };
        for (restore, expected) in [
            (restore(1, false, Some(found.clone())), Target::End(End::Replaced)),
            (restore(1, false, None), Target::Run(3)),
            (restore(1, true, None), Target::Stop),
            (restore(2, false, Some(found.clone())), Target::Run(3)),
            (restore(2, true, None), Target::Run(3)),
            (Restore { replaces: None, ..restore(1, false, Some(found)) }, Target::Run(3)),
        ] {
            assert_eq!(target(&json!({"size": 3}), None, Some(&restore)), expected, "{restore:?}");
            assert_eq!(target(&json!({"size": 3}), Some(End::Replaced), Some(&restore)), Target::Rest);
        }
    }

    #[test]
    fn an_incarnation_that_is_over_is_not_taken_up_again() {
        assert_eq!(target(&json!({"size": 3}), Some(End::Stopped), None), Target::Rest);
    }
}
