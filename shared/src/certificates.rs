//! What certificates say: the names in them, which the coordinator signs and agents check.
//!
//! All members' certificates have the name of the peer Service as well: etcd lets only those in whose certificate has it
//! (`--peer-cert-allowed-hostname`), and agents, who dial addresses, expect it.

use crate::{
    names::{client_service, peer_host, peer_service},
    options,
};

/// Common name of the certificate that agents are clients with: etcd takes it for its user root.
pub const ROOT: &str = "root";
/// The domain that clusters have unless somebody gave them another.
const DOMAIN: &str = "cluster.local";

/// The name that the certificates of all members of a cluster have.
#[must_use]
pub fn common(cluster: &str, namespace: &str) -> String {
    format!("{}.{namespace}.svc", peer_service(cluster))
}

/// The names of a member's certificate for other members.
#[must_use]
pub fn peer(member: &str, cluster: &str, namespace: &str) -> Vec<String> {
    let host = peer_host(member, cluster, namespace);
    vec![common(cluster, namespace), format!("{host}.{DOMAIN}"), host]
}

/// The names and addresses of a member's certificate for clients; `further` are a user's own.
#[must_use]
pub fn server(member: &str, cluster: &str, namespace: &str, further: &[String]) -> Vec<String> {
    let (service, host) = (client_service(cluster), peer_host(member, cluster, namespace));
    let mut names = vec![common(cluster, namespace), host.clone(), format!("{host}.{DOMAIN}")];
    names.extend(["localhost".into(), "127.0.0.1".into(), "::1".into()]);
    names.extend([service.clone(), format!("{service}.{namespace}"), format!("{service}.{namespace}.svc")]);
    names.push(format!("{service}.{namespace}.svc.{DOMAIN}"));
    names.extend(further.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
    names
}

/// Digest of the authorities that a member believes: of its peers, and of its clients, PEM; none where that traffic is plain. Both programs
/// know by it what an etcd was started with.
#[must_use]
pub fn pools(peer: Option<&str>, client: Option<&str>) -> String {
    options::digest(&format!("{}|{}", peer.unwrap_or_default(), client.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_members_certificates_have_the_common_name_and_the_members_own() {
        let common = common("demo", "ns");
        for names in [peer("demo-1", "demo", "ns"), server("demo-1", "demo", "ns", &[])] {
            assert!(names.contains(&common) && names.contains(&peer_host("demo-1", "demo", "ns")), "{names:?}");
        }
    }

    #[test]
    fn a_users_names_are_added_once() {
        let further = ["localhost".to_owned(), "etcd.example.com".to_owned()];
        let names = server("demo-1", "demo", "ns", &further);
        assert_eq!(names.iter().filter(|name| *name == "localhost").count(), 1);
        assert!(names.contains(&further[1]));
    }
}
