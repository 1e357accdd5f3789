//! What only a person can decide. Each is one sentence on the Stalled condition: what is wrong, and what to do.

use etcd_operator_shared::{
    api::{
        EtcdCluster,
        cluster::{Encrypted, Incarnation},
        member::Notice,
    },
    names::LABEL_CLUSTER_UID,
    validate::{Encryption, Invalid, Wanted},
};
use kube::ResourceExt;
use thiserror::Error;

use crate::{
    cluster::{
        decide::{
            certificates::{self, Unvouched},
            installation::Rivals,
            places,
            space::Exhausted,
            trial,
            versions::Barred,
        },
        facts::{Facts, rehearsal::Answer},
    },
    ownership::Stranger,
};

/// Why the coordinator does not do what the spec says.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("{0}")]
    InvalidSpec(#[from] Invalid),
    #[error("StorageClass {0:?} does not exist: create it, or name another in spec.storage.storageClassName")]
    StorageClassNotFound(String),
    #[error("no StorageClass is the default: mark one as default, or name one in spec.storage.storageClassName")]
    NoDefaultStorageClass,
    #[error(
        "PersistentVolumeClaim {claim} was not made for this cluster and may hold somebody's only copy, so it is neither used \
         nor touched: give the cluster another name or keep it smaller; or, if a former EtcdCluster of this name has left it \
         and this one is to go on with its data, set spec.storage.adopt to true when it is created, or before it has begun; or, \
         if an empty volume was made for it, label the claim {LABEL_CLUSTER_UID}={uid}"
    )]
    StaleVolume { claim: String, uid: String },
    #[error("spec.storage.adopt: the data of a former EtcdCluster of this name cannot be gone on with: {0}")]
    NotAdoptable(String),
    #[error("PersistentVolumeClaim {0} of a former cluster is still being deleted")]
    VolumeLeaving(String),
    #[error("{}", foreign(.0))]
    ForeignObject(Stranger),
    #[error(
        "spec.recovery.abandonIncarnation is {asked} and the present incarnation is {present}: name the present one to give its \
         data up, or remove the field"
    )]
    NoSuchIncarnation { asked: i64, present: i64 },
    #[error(
        "incarnation {number} is over for a reason that only a newer coordinator knows ({why}): run that coordinator again"
    )]
    UnknownEnd { number: i64, why: String },
    #[error(
        "the status is lost, or older than what there is of the cluster ({0}), and nothing is done: put status.incarnation \
         back as the EtcdMembers' spec tells it (number, token, initialMembers, with membersCreated: true)"
    )]
    StatusLost(String),
    #[error(
        "the kinds are older than the coordinator, and the API server drops what it writes: apply manifests/crds of the \
         coordinator's release"
    )]
    OldKinds,
    #[error("the API server would refuse pods of the new template, so none is replaced: {0}")]
    TemplateRefused(String),
    #[error(
        "a member with the new template could not work, so no pod is replaced: {words} (pod {pod}; delete it to try again)"
    )]
    RehearsalFailed { pod: String, words: String },
    #[error(
        "etcd of {member} refuses spec.etcd and goes on with the last good options, no other member gets them: {words}; mend spec.etcd, or \
         set it back"
    )]
    OptionsRefused { member: String, words: String },
    #[error("{0}")]
    OtherOperator(Rivals),
    #[error("spec.hold: {0}")]
    HoldRefused(String),
    #[error("{0}")]
    MoveRefused(String),
    #[error("{0}")]
    SpaceExhausted(Exhausted),
    #[error("{0}")]
    VersionRefused(Barred),
    #[error(
        "spec.security.{traffic}.mode cannot be changed once the cluster exists: its traffic {} and stays so; set the mode back, or \
         leave it out", if *.encrypted { "is encrypted" } else { "is plain" }
    )]
    SecurityFixed { traffic: &'static str, encrypted: bool },
    #[error("{0}")]
    Unvouched(Unvouched),
    #[error("the data of EtcdRestore {restore}, which the cluster is to begin with, cannot be had: {words}")]
    RestoreFailed { restore: String, words: String },
}

/// All reasons.
pub const REASONS: [&str; 22] = [
    "InvalidSpec",
    "StorageClassNotFound",
    "StaleVolume",
    "NotAdoptable",
    "ForeignObject",
    "NoSuchIncarnation",
    "NewerCoordinator",
    "StatusLost",
    "OldKinds",
    "TemplateRefused",
    "RehearsalFailed",
    "OptionsRefused",
    "OtherOperator",
    "HoldRefused",
    "MoveRefused",
    "SpaceExhausted",
    "VersionRefused",
    "SecurityFixed",
    "AuthorityLost",
    "AuthorityExchanged",
    "AuthorityExpired",
    "RestoreFailed",
];

impl Refusal {
    /// Whether what is in the way may be of a former EtcdCluster of the same name.
    #[must_use]
    pub fn is_of_former(&self) -> bool {
        match self {
            Self::StaleVolume { .. } | Self::VolumeLeaving(_) | Self::ForeignObject(_) => true,
            Self::InvalidSpec(_)
            | Self::StorageClassNotFound(_)
            | Self::NoDefaultStorageClass
            | Self::NotAdoptable(_)
            | Self::NoSuchIncarnation { .. }
            | Self::UnknownEnd { .. }
            | Self::StatusLost(_)
            | Self::OldKinds
            | Self::TemplateRefused(_)
            | Self::RehearsalFailed { .. }
            | Self::OptionsRefused { .. }
            | Self::OtherOperator(_)
            | Self::HoldRefused(_)
            | Self::MoveRefused(_)
            | Self::SpaceExhausted(_)
            | Self::VersionRefused(_)
            | Self::SecurityFixed { .. }
            | Self::Unvouched(_)
            | Self::RestoreFailed { .. } => false,
        }
    }

    /// The condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidSpec(_) => "InvalidSpec",
            Self::StorageClassNotFound(_) | Self::NoDefaultStorageClass => "StorageClassNotFound",
            Self::StaleVolume { .. } | Self::VolumeLeaving(_) => "StaleVolume",
            Self::NotAdoptable(_) => "NotAdoptable",
            Self::ForeignObject(_) => "ForeignObject",
            Self::NoSuchIncarnation { .. } => "NoSuchIncarnation",
            Self::UnknownEnd { .. } => "NewerCoordinator",
            Self::StatusLost(_) => "StatusLost",
            Self::OldKinds => "OldKinds",
            Self::TemplateRefused(_) => "TemplateRefused",
            Self::RehearsalFailed { .. } => "RehearsalFailed",
            Self::OptionsRefused { .. } => "OptionsRefused",
            Self::OtherOperator(_) => "OtherOperator",
            Self::HoldRefused(_) => "HoldRefused",
            Self::MoveRefused(_) => "MoveRefused",
            Self::SpaceExhausted(_) => Notice::SPACE_EXHAUSTED,
            Self::VersionRefused(_) => "VersionRefused",
            Self::SecurityFixed { .. } => "SecurityFixed",
            Self::Unvouched(why) => why.reason(),
            Self::RestoreFailed { .. } => "RestoreFailed",
        }
    }
}

fn foreign(stranger: &Stranger) -> String {
    let Stranger { kind, name, leaves: _ } = stranger;
    let (way, adopt) = match kind.as_str() {
        "StatefulSet" => (
            "its pods may be at work on the volumes that have this cluster's names: ",
            "; or, if a former EtcdCluster of this name has left it with pods and volumes (--cascade=orphan) and this one is \
             to go on with them, set spec.storage.adopt to true",
        ),
        _ => ("", ""),
    };
    format!(
        "{kind} {name} exists, was not made for this cluster and is left alone: {way}give the cluster another name, or \
         rename or remove the {kind} if nobody needs it{adopt}"
    )
}

/// What of the spec is not done although the rest is.
#[must_use]
pub fn objection(cluster: &EtcdCluster, wanted: &Wanted, incarnation: &Incarnation, facts: &Facts) -> Option<Refusal> {
    let asked = cluster.spec.recovery.as_ref().map_or(0, |r| r.abandon_incarnation);
    if asked > incarnation.number {
        return Some(Refusal::NoSuchIncarnation { asked, present: incarnation.number });
    }
    if let Some(why) = certificates::unvouched(cluster, incarnation, facts) {
        return Some(Refusal::Unvouched(why));
    }
    if let Some(fixed) = fixed(&wanted.encryption, incarnation, asked) {
        return Some(fixed);
    }
    if let Some(claim) = places::foreign(facts) {
        return Some(Refusal::StaleVolume { claim: claim.to_owned(), uid: cluster.uid().unwrap_or_default() });
    }
    if let (true, Some(Answer::Refused(words))) = (facts.is_rolling(), facts.rehearsed()) {
        return Some(Refusal::TemplateRefused(words.clone()));
    }
    if let Some((trial, words)) = trial::failure(facts) {
        return Some(Refusal::RehearsalFailed { pod: trial.name.clone(), words: words.to_owned() });
    }
    let slot = facts.refusing()?;
    let member = slot.pod.as_ref().map_or_else(String::new, |pod| pod.name.clone());
    let notices = slot.report().map(|said| said.notices.as_slice()).unwrap_or_default();
    let words = notices.iter().find(|notice| notice.reason == "OptionsRefused").map(|notice| notice.message.clone());
    Some(Refusal::OptionsRefused { member, words: words.unwrap_or_default() })
}

/// What of the spec would encrypt, or lay open, what is not so. `given_up`: the incarnation whose data is.
fn fixed(wanted: &Encryption, incarnation: &Incarnation, given_up: i64) -> Option<Refusal> {
    let Encrypted { peer, client } = incarnation.encrypted;
    let both = [("peer", wanted.peer, peer), ("client", wanted.client, client)];
    let stays = incarnation.ended.is_none() && given_up != incarnation.number;
    let (traffic, _, encrypted) =
        both.into_iter().find(|(_, said, is)| stays && said.is_some_and(|said| said != *is))?;
    Some(Refusal::SecurityFixed { traffic, encrypted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{decide::incarnation, facts::tests::healthy};
    use etcd_operator_shared::api::{Word, cluster::End};

    #[test]
    fn an_incarnation_that_is_not_there_cannot_be_abandoned() {
        let spec = serde_json::json!({"version": "v3.5.21", "recovery": {"abandonIncarnation": 2}});
        let cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
        let wanted = etcd_operator_shared::validate::cluster(&cluster).unwrap();
        let refusal = objection(&cluster, &wanted, &incarnation::first(&cluster, &wanted), &healthy(3));
        assert_eq!(refusal, Some(Refusal::NoSuchIncarnation { asked: 2, present: 1 }));
    }

    #[test]
    fn what_is_encrypted_stays_as_it_began_until_the_data_is_over_or_given_up() {
        let refusal = |mode: &str, abandoned: i64, ended: bool| {
            let spec = serde_json::json!({"version": "v3.5.21", "security": {"peer": {"mode": mode}},
                "recovery": {"abandonIncarnation": abandoned}});
            let cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
            let wanted = etcd_operator_shared::validate::cluster(&cluster).unwrap();
            let began = Incarnation {
                encrypted: Encrypted { peer: true, client: false },
                ended: ended.then_some(Word::Known(End::Stopped)),
                ..incarnation::first(&cluster, &wanted)
            };
            objection(&cluster, &wanted, &began, &healthy(3))
        };
        assert_eq!(refusal("Plain", 0, false), Some(Refusal::SecurityFixed { traffic: "peer", encrypted: true }));
        for (mode, abandoned, ended) in [("Auto", 0, false), ("Plain", 1, false), ("Plain", 0, true)] {
            assert_eq!(refusal(mode, abandoned, ended), None, "{mode} {abandoned} {ended}");
        }
    }
}
