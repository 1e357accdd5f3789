//! Which members this one's etcd is connected to, from etcd's own metrics.
//!
//! `etcd_network_active_peers` alone lies: when a write to a pod's former address times out after the streams to its new one
//! stand, etcd calls the peer inactive and never takes it back. What keeps arriving from a peer is the better witness:
//! followers answer the leader's heartbeats ten times a second.
//! Source: etcd `server/etcdserver/api/rafthttp/{metrics,peer_status,stream}.go`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// One remote member.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Link {
    received: f64,
    /// When more had arrived from it.
    heard: Option<Instant>,
    connected: bool,
    since: Instant,
}

/// One that talks does so ten times a second.
const TALKS: Duration = Duration::from_secs(1);

/// The links of one run of etcd, by the remote member's ID.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Links {
    links: BTreeMap<String, Link>,
    /// When each member was first seen in the membership.
    listed: BTreeMap<String, Instant>,
}

impl Links {
    /// Takes the IDs of the members that there are now.
    pub fn list<'a>(&mut self, ids: impl Iterator<Item = &'a str>, now: Instant) {
        let known = |id: &str| self.listed.get(id).copied().unwrap_or(now);
        self.listed = ids.map(|id| (id.to_owned(), known(id))).collect();
    }

    /// Takes the text of `/metrics`. Members that are not in it any more are forgotten.
    pub fn take(&mut self, metrics: &str, now: Instant) {
        let received = samples(metrics, "etcd_network_peer_received_bytes_total{", "From");
        let mut links = BTreeMap::new();
        for (id, active) in samples(metrics, "etcd_network_active_peers{", "Remote") {
            let bytes = received.get(&id).copied().unwrap_or_default();
            let old = self.links.get(&id).copied();
            let heard = old.and_then(|old| if bytes > old.received { Some(now) } else { old.heard });
            let connected = active > 0.0 || heard.is_some_and(|at| now.duration_since(at) < TALKS);
            let since = old.filter(|old| old.connected == connected).map_or(now, |old| old.since);
            links.insert(id, Link { received: bytes, heard, connected, since });
        }
        self.links = links;
    }

    /// How long there has been no connection to this member; `None` while there is one, or when the member was never listed.
    /// One that etcd never connected to is away since it was listed.
    #[must_use]
    pub fn away(&self, id: &str, now: Instant) -> Option<Duration> {
        let listed = *self.listed.get(id)?;
        match self.links.get(id) {
            Some(link) if link.connected => None,
            // etcd keeps the counters of members that are gone.
            Some(link) => Some(now.duration_since(link.since.max(listed))),
            None => Some(now.duration_since(listed)),
        }
    }

    /// Members with a connection.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.links.values().filter(|link| link.connected).count()
    }
}

/// The samples of one metric by one of its labels.
fn samples(metrics: &str, metric: &str, label: &str) -> BTreeMap<String, f64> {
    let sample = |line: &str| {
        let (labels, value) = line.strip_prefix(metric)?.split_once("} ")?;
        let id = labels.split(&format!("{label}=\"")).nth(1)?.split('"').next()?;
        Some((id.to_owned(), value.trim().parse().ok()?))
    };
    metrics.lines().filter_map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(active: u8, received: u32) -> String {
        format!(
            "# HELP etcd_network_active_peers x\netcd_network_active_peers{{Local=\"a\",Remote=\"b\"}} {active}\n\
             etcd_network_peer_received_bytes_total{{From=\"b\"}} {received}\n"
        )
    }

    #[test]
    fn a_member_that_keeps_talking_is_connected_whatever_etcd_calls_it() {
        let (mut links, start) = (Links::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        links.list(["b"].into_iter(), at(0));
        links.take(&text(1, 10), at(0));
        assert_eq!((links.connected(), links.away("b", at(0))), (1, None));
        links.take(&text(0, 20), at(5));
        assert_eq!(links.away("b", at(5)), None);
        links.take(&text(0, 20), at(10));
        assert_eq!(links.away("b", at(12)), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_member_that_was_just_added_is_not_away_for_long() {
        let (mut links, start) = (Links::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        links.take(&text(0, 0), at(0));
        links.list(["b", "new"].into_iter(), at(99));
        assert_eq!(links.away("new", at(100)), Some(Duration::from_secs(1)));
        assert_eq!(links.away("b", at(100)), Some(Duration::from_secs(1)), "a counter of its former life says nothing");
    }

    #[test]
    fn large_numbers_are_read_as_etcd_writes_them() {
        let samples = samples(
            "etcd_network_peer_received_bytes_total{From=\"b\"} 1.234567e+06\n",
            "etcd_network_peer_received_bytes_total{",
            "From",
        );
        assert_eq!(samples["b"], 1_234_567.0);
    }
}
