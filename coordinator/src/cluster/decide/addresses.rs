//! Which addresses the members are told: the list that stands in `spec.peers` of every EtcdMember.
//!
//! An agent starts etcd when it has its peers' addresses, so nobody asks DNS for a name before it exists (CoreDNS would
//! cache the absence for 30 s). While a cluster forms, one list with everybody beats three with a part each: each
//! change is a write to every member. A late pod is waited for no longer than [`FIRST_ADDRESSES`].

use std::{collections::BTreeMap, time::Duration};

use etcd_operator_shared::{api::member::Peer, names};

/// How long the first list waits for the last pod. Pods of one StatefulSet get their addresses within some 300 ms.
pub const FIRST_ADDRESSES: Duration = Duration::from_secs(1);

/// What to do about the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publish {
    /// Every EtcdMember should hold this list.
    List(Vec<Peer>),
    /// The cluster forms and not all pods have an address: look again after this time.
    Wait(Duration),
}

/// The list to publish.
///
/// `known` is what was published before, `addresses` the pods' addresses by ordinal, `wanted` the number of pods,
/// `waited` the time since the first address was seen. An entry whose pod is gone stays until the pod's successor has
/// an address: a peer that moves is better looked for at its old place than not at all.
#[must_use]
pub fn publish(
    cluster: &str,
    known: &[Peer],
    addresses: &BTreeMap<u32, String>,
    wanted: u32,
    waited: Duration,
) -> Publish {
    let forming = known.is_empty() && !addresses.is_empty();
    let complete = (0..wanted).all(|ordinal| addresses.contains_key(&ordinal));
    if forming && !complete && waited < FIRST_ADDRESSES {
        return Publish::Wait(FIRST_ADDRESSES - waited);
    }
    let ordinal = |peer: &Peer| names::ordinal(cluster, &peer.name);
    let mut list: BTreeMap<u32, String> =
        known.iter().filter_map(|peer| Some((ordinal(peer)?, peer.address.clone()))).collect();
    list.extend(addresses.clone());
    let peers = list.into_iter().map(|(ordinal, address)| Peer { name: names::member(cluster, ordinal), address });
    Publish::List(peers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addresses(ordinals: &[u32]) -> BTreeMap<u32, String> {
        ordinals.iter().map(|i| (*i, format!("10.0.0.{i}"))).collect()
    }

    fn list(ordinals: &[u32]) -> Vec<Peer> {
        let peer = |i: &u32| Peer { name: format!("demo-{i}"), address: format!("10.0.0.{i}") };
        ordinals.iter().map(peer).collect()
    }

    #[test]
    fn a_forming_cluster_is_published_once_when_it_is_complete() {
        let at = |ms| Duration::from_millis(ms);
        assert_eq!(publish("demo", &[], &addresses(&[0, 2]), 3, at(300)), Publish::Wait(at(700)));
        assert_eq!(publish("demo", &[], &addresses(&[0, 1, 2]), 3, at(301)), Publish::List(list(&[0, 1, 2])));
    }

    #[test]
    fn a_late_pod_is_not_waited_for_longer_than_a_second() {
        assert_eq!(publish("demo", &[], &addresses(&[0, 2]), 3, FIRST_ADDRESSES), Publish::List(list(&[0, 2])));
    }

    #[test]
    fn nothing_known_is_an_empty_list_and_no_waiting() {
        assert_eq!(publish("demo", &[], &addresses(&[]), 3, Duration::ZERO), Publish::List(vec![]));
    }

    #[test]
    fn a_new_address_replaces_the_old_at_once() {
        let moved = BTreeMap::from([(1, "10.9.9.9".to_owned())]);
        let Publish::List(peers) = publish("demo", &list(&[0, 1, 2]), &moved, 3, Duration::ZERO) else { panic!() };
        assert_eq!(peers[1], Peer { name: "demo-1".into(), address: "10.9.9.9".into() });
        assert_eq!((peers.len(), &peers[0]), (3, &list(&[0])[0]));
    }

    proptest! {
        #[test]
        fn an_entry_never_vanishes_and_the_list_is_sorted(
            known in prop::collection::btree_set(0u32..7, 0..7),
            seen in prop::collection::btree_set(0u32..7, 0..7),
            wanted in 0u32..8,
            waited in 0u64..2000,
        ) {
            let known: Vec<u32> = known.into_iter().collect();
            let seen: Vec<u32> = seen.into_iter().collect();
            match publish("demo", &list(&known), &addresses(&seen), wanted, Duration::from_millis(waited)) {
                Publish::List(peers) => {
                    let names: Vec<_> = peers.iter().map(|p| names::ordinal("demo", &p.name).unwrap()).collect();
                    prop_assert!(known.iter().chain(&seen).all(|i| names.contains(i)));
                    prop_assert!(names.is_sorted());
                }
                Publish::Wait(rest) => prop_assert!(known.is_empty() && rest <= FIRST_ADDRESSES),
            }
        }
    }
}
