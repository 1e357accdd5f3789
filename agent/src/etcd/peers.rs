//! The other members as one: a question goes to all of them, an act to one after the other until one takes it.
//!
//! Guarantees: an answer counts only with this incarnation's cluster ID, and an act is only asked of a member that has just
//! answered with it (an address may be another cluster's by now). A list of a single voter counts only if the agent beside it
//! vouches for it: one that was forced to be alone gives such a list. Caveat: an act that fails may have happened all the same.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use tokio::time::timeout;

use super::member::{EtcdError, Listing, Member, Status, Whose};
use crate::{
    hosts::task::whoami,
    plan::{list::Entry, trust},
};

/// How long an agent may take to vouch: it is one hop away and answers from memory.
const VOUCHER: Duration = Duration::from_millis(700);

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
        let member = self.member(endpoint);
        let listing = member.members().await;
        if matches!(listing, Err(EtcdError::TimedOut)) {
            // The connection may have died with a network that is whole again: the kernel would find out after minutes.
            self.clients().remove(endpoint);
        }
        let list = of_cluster(listing?, &self.cluster_id)?;
        if !trust::needs_no_voucher(&list) {
            vouched(endpoint, &list).await?;
        }
        Ok((member, list))
    }

    /// What those say of themselves that answer in time.
    pub async fn statuses(&self, endpoints: &[String], within: Duration) -> Vec<Status> {
        let ask = async |endpoint: &String| self.member(endpoint).status().await;
        let said = join_all(endpoints.iter().map(|endpoint| timeout(within, ask(endpoint)))).await;
        said.into_iter().filter_map(|said| said.ok()?.ok()).collect()
    }

    /// The member behind a URL.
    pub fn member(&self, endpoint: &str) -> Member {
        let made = || Member::at(endpoint, self.whose.clone());
        self.clients().entry(endpoint.to_owned()).or_insert_with(made).clone()
    }

    fn forget_all_but(&self, endpoints: &[String]) {
        self.clients().retain(|endpoint, _| endpoints.contains(endpoint));
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Member>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list, if it is this cluster's: an address may be another's by now, and that one's membership is no word on ours.
fn of_cluster(listing: Listing, cluster_id: &str) -> Result<Vec<Entry>, EtcdError> {
    if listing.cluster_id == cluster_id {
        Ok(listing.members)
    } else {
        Err(EtcdError::OtherCluster(listing.cluster_id))
    }
}

/// Whether the agent beside the only voter of a list says that the list is the cluster's.
async fn vouched(endpoint: &str, list: &[Entry]) -> Result<(), EtcdError> {
    let voter = list.iter().find(|entry| !entry.learner).map(|entry| entry.id.as_str()).unwrap_or_default();
    match timeout(VOUCHER, whoami(host(endpoint))).await {
        Ok(Ok(said)) if said.vouches_for(voter) => Ok(()),
        Ok(Ok(_)) | Ok(Err(_)) | Err(_) => Err(EtcdError::NotVouched),
    }
}

/// The host of a client URL, without the brackets of an IPv6 address.
fn host(endpoint: &str) -> &str {
    let authority = endpoint.rsplit("//").next().unwrap_or(endpoint);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::access::Access;

    #[tokio::test(start_paused = true)]
    async fn a_member_that_did_not_answer_is_connected_to_anew() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoints = [format!("http://{}", listener.local_addr().unwrap())];
        let peers =
            Peers::new(Whose { cluster: "demo".into(), namespace: "ns".into(), access: Access::Plain }, "c".into());
        let mut held = Vec::new();
        for _ in 0..2 {
            assert!(matches!(peers.list(&endpoints).await, Err(EtcdError::TimedOut)));
            held.push(listener.accept().await.unwrap());
        }
    }

    #[test]
    fn another_clusters_list_is_no_word_on_ours() {
        let listing = |id: &str| Listing { cluster_id: id.into(), members: vec![], barred: false };
        assert!(of_cluster(listing("ours"), "ours").is_ok());
        let error = of_cluster(listing("theirs"), "ours").unwrap_err();
        assert!(matches!(error, EtcdError::OtherCluster(id) if id == "theirs"));
        assert!(of_cluster(listing(""), "ours").is_err(), "an answer without a header is nobody's");
    }

    #[test]
    fn the_agent_is_asked_at_the_host_of_its_etcd() {
        for (endpoint, wanted) in [
            ("http://10.1.2.3:2379", "10.1.2.3"),
            ("http://[fd00::1]:2379", "fd00::1"),
            ("http://demo-0.demo-peer.ns.svc:2379", "demo-0.demo-peer.ns.svc"),
        ] {
            assert_eq!(host(endpoint), wanted);
        }
    }
}
