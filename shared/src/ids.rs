//! etcd's own arithmetic of IDs for the members that form a cluster.
//!
//! Source: etcd `server/etcdserver/api/membership/member.go` (`computeMemberID`) and `cluster.go` (`genID`). The same URLs
//! and the same token give the same IDs, which is why a new life of the data gets a new token.

use sha1::{Digest, Sha1};

/// ID of an initial member with one peer URL, in hexadecimal as etcdctl prints it.
#[must_use]
pub fn initial_member(peer_url: &str, token: &str) -> String {
    hex(member(peer_url, token))
}

/// ID of the cluster that these members form, in hexadecimal as etcdctl prints it. It never changes, whoever joins or leaves.
#[must_use]
pub fn cluster<'a>(peer_urls: impl IntoIterator<Item = &'a str>, token: &str) -> String {
    let mut ids: Vec<u64> = peer_urls.into_iter().map(|url| member(url, token)).collect();
    ids.sort_unstable();
    hex(first_eight(ids.into_iter().fold(Sha1::new(), |hash, id| hash.chain_update(id.to_be_bytes()))))
}

fn member(peer_url: &str, token: &str) -> u64 {
    first_eight(Sha1::new().chain_update(peer_url).chain_update(token))
}

/// An ID as etcdctl prints it.
#[must_use]
pub fn hex(id: u64) -> String {
    format!("{id:x}")
}

fn first_eight(hash: Sha1) -> u64 {
    let mut head = [0; 8];
    head.copy_from_slice(&hash.finalize()[..8]);
    u64::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_url_and_token() {
        let id = |url, token| initial_member(url, token);
        assert_eq!(id("http://a:2380", "t"), id("http://a:2380", "t"));
        assert_ne!(id("http://a:2380", "t"), id("http://a:2380", "u"));
        assert_ne!(id("http://a:2380", "t"), id("http://b:2380", "t"));
    }

    #[test]
    fn a_single_member_with_default_flags_has_the_well_known_id() {
        // `etcd` without flags: known to every user of etcd.
        assert_eq!(initial_member("http://localhost:2380", "etcd-cluster"), "8e9e05c52164694d");
        assert_eq!(cluster(["http://localhost:2380"], "etcd-cluster"), "cdf818194e3a8c32");
    }
}
