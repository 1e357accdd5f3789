//! What a user's certificate depends on, as plain data.

use std::time::Duration;

use etcd_operator_shared::{
    api::{
        EtcdCluster, EtcdUser, Word,
        cluster::{AuthorityPhase, Incarnation},
        member::ToldAuth,
    },
    validate,
};
use kube::ResourceExt;

use crate::{ownership::Owner, print};

/// Of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// `None`: there is none of this name, or it is on its way out.
    pub cluster: Option<Cluster>,
    /// Name of an elder EtcdUser that has the same Secret.
    pub elder: Option<String>,
    pub grant: Grant,
}

/// Whether a user may do what it is permitted, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// The cluster's spec says nothing of it, or there is no cluster.
    Unmanaged,
    /// Whoever has a certificate may do everything.
    Off,
    /// The agents have not come so far, or cannot.
    Pending(Option<String>),
    Granted,
    /// Why not, until a person acts.
    Ungranted(String),
}

/// The cluster that a user is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// UID with which its data began.
    pub life: String,
    /// The life of its data; `None` before the first.
    pub incarnation: Option<i64>,
    /// Whether its traffic with clients is encrypted.
    pub encrypted: bool,
    /// Whether its authorities were made.
    pub begun: bool,
    /// For how long a certificate is valid.
    pub leaf: Duration,
    /// Number of the authorities that sign; and whether the former are believed beside them.
    pub signing: (i64, bool),
}

impl Facts {
    /// `others`: the EtcdUsers of the namespace. `wanted`: what the cluster's members are to be told, where that is
    /// known.
    #[must_use]
    pub fn of<'a>(
        user: &EtcdUser,
        cluster: Option<&EtcdCluster>,
        others: impl IntoIterator<Item = &'a EtcdUser>,
        wanted: Option<&ToldAuth>,
    ) -> Self {
        let rank = |user: &EtcdUser| (user.creation_timestamp().map(|made| made.0), user.uid());
        let same = |other: &&EtcdUser| other.uid() != user.uid() && other.secret() == user.secret();
        let elder = others.into_iter().filter(same).filter(|other| rank(other) < rank(user));
        let cluster = cluster.filter(|cluster| cluster.metadata.deletion_timestamp.is_none());
        Self {
            grant: cluster.map_or(Grant::Unmanaged, |cluster| Grant::of(user, cluster, wanted)),
            cluster: cluster.map(Cluster::of),
            elder: elder.min_by_key(|other| rank(other)).map(ResourceExt::name_any),
        }
    }
}

impl Grant {
    /// By what the agent of the leader has said last of what is wanted now.
    fn of(user: &EtcdUser, cluster: &EtcdCluster, wanted: Option<&ToldAuth>) -> Self {
        let Some(asked) = cluster.spec.security.as_ref().and_then(|security| security.auth) else {
            return Self::Unmanaged;
        };
        if !asked {
            return Self::Off;
        }
        let said = cluster.status.as_ref().and_then(|status| status.auth.as_ref());
        let said = said.filter(|said| wanted.is_some_and(|wanted| wanted.digest() == said.wanted));
        let name = user.name_any();
        match said {
            None => Self::Pending(None),
            Some(said) => match said.ungranted.iter().find(|one| one.user == name) {
                Some(one) => Self::Ungranted(one.why.clone()),
                None if said.enabled && said.trouble.is_none() => Self::Granted,
                None => Self::Pending(said.trouble.clone()),
            },
        }
    }
}

impl Cluster {
    fn of(cluster: &EtcdCluster) -> Self {
        let present: Option<&Incarnation> = cluster.status.as_ref().and_then(|status| status.incarnation.as_ref());
        let encryption = validate::encryption(cluster.spec.security.as_ref());
        let encryption = encryption.or_else(|_| validate::encryption(None));
        let said = cluster.status.as_ref().and_then(|status| status.authorities.as_ref());
        Self {
            life: Owner::of(cluster).life,
            incarnation: present.map(|present| present.number),
            encrypted: present.is_some_and(|present| present.encrypted.client),
            begun: present.is_some_and(|present| present.members_created),
            leaf: encryption.map(|encryption| encryption.leaf).unwrap_or_default(),
            signing: said
                .map_or((1, false), |said| (said.generation, said.phase == Some(Word::Known(AuthorityPhase::Issue)))),
        }
    }

    /// A fingerprint of what is issued for whom: of another one it is issued anew.
    #[must_use]
    pub fn print(&self, user: &EtcdUser) -> String {
        let Self { life, incarnation, signing, .. } = self;
        let number = incarnation.unwrap_or_default();
        let mut all = format!("{life}/{number}/{}/{}", user.spec.cluster, user.secret());
        // Without it where it was never raised: then nothing is issued anew by an operator that knows of it.
        if user.spec.reissue > 0 {
            all = format!("{all}/{}", user.spec.reissue);
        }
        // Of the first authorities nothing is in it, as before there were others.
        if *signing != (1, false) {
            all = format!("{all}/{signing:?}");
        }
        format!("{:016x}", print::of(&all))
    }
}
