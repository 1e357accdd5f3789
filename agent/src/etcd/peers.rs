//! The other members as one: a question goes to all of them, an act to one after the other until one takes it.
//!
//! Guarantees: an answer counts only with this incarnation's cluster ID, and an act is only asked of a member that has just
//! answered with it (an address may be another cluster's by now). Caveat: an act that fails may have happened all the same.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, stream::FuturesUnordered};

use super::member::{EtcdError, Member, Whose};
use crate::plan::list::Entry;

/// A change of the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Remove an entry.
    Remove { id: String },
    /// Add a learner with this peer URL.
    Add { peer_url: String },
    /// Make a learner a voter.
    Promote { id: String },
}

impl Act {
    async fn perform(&self, member: &Member) -> Result<Option<String>, EtcdError> {
        match self {
            Self::Remove { id } => member.remove(id).await.map(|()| None),
            Self::Add { peer_url } => member.add_learner(peer_url).await.map(Some),
            Self::Promote { id } => member.promote(id).await.map(|()| None),
        }
    }
}

/// Clients by endpoint, made when first needed.
#[derive(Clone)]
pub struct Peers {
    whose: Whose,
    cluster_id: String,
    clients: Arc<Mutex<BTreeMap<String, Member>>>,
}

impl Peers {
    #[must_use]
    pub fn new(whose: Whose, cluster_id: String) -> Self {
        Self { whose, cluster_id, clients: Arc::default() }
    }

    /// The first linearizable list that anybody gives, and the raft index up to which that member had applied everything:
    /// whatever the list shows was decided at or before it.
    pub async fn list(&self, endpoints: &[String]) -> Result<(Vec<Entry>, u64), EtcdError> {
        self.forget_all_but(endpoints);
        let mut asked: FuturesUnordered<_> = endpoints.iter().map(|endpoint| self.listed_by(endpoint)).collect();
        let mut why = EtcdError::Nobody;
        while let Some(answer) = asked.next().await {
            match answer {
                Ok((member, list)) => match member.status().await {
                    Ok(status) => return Ok((list, status.raft_applied_index)),
                    Err(error) => why = error,
                },
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// Asks one after the other to do something; returns the ID that was added. A member's refusal says only what that member
    /// sees of the others, so the next one is asked too.
    pub async fn act(&self, endpoints: &[String], act: &Act) -> Result<Option<String>, EtcdError> {
        let mut why = EtcdError::Nobody;
        for endpoint in endpoints {
            let outcome = match self.listed_by(endpoint).await {
                Ok((member, _)) => act.perform(&member).await,
                // An address without an answer says less than a refusal.
                Err(error) if matches!(why, EtcdError::Nobody) => Err(error),
                Err(_) => continue,
            };
            match outcome {
                Ok(added) => return Ok(added),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    async fn listed_by(&self, endpoint: &str) -> Result<(Member, Vec<Entry>), EtcdError> {
        let member = self.member(endpoint).await?;
        match member.members().await? {
            (cluster_id, list) if cluster_id == self.cluster_id => Ok((member, list)),
            (cluster_id, _) => Err(EtcdError::OtherCluster(cluster_id)),
        }
    }

    async fn member(&self, endpoint: &str) -> Result<Member, EtcdError> {
        if let Some(member) = self.clients().get(endpoint) {
            return Ok(member.clone());
        }
        let member = Member::at(endpoint, self.whose.clone()).await?;
        self.clients().insert(endpoint.to_owned(), member.clone());
        Ok(member)
    }

    fn forget_all_but(&self, endpoints: &[String]) {
        self.clients().retain(|endpoint, _| endpoints.contains(endpoint));
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Member>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
