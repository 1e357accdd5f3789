//! Every name, label, port and address that a cluster's objects carry is formed here and nowhere else.

/// API group of all kinds.
pub const GROUP: &str = "etcd.etcd.io";
/// Label on every object of a cluster: the cluster's name.
pub const LABEL_CLUSTER: &str = "etcd.etcd.io/cluster";
/// Note on an EtcdMember whose status the coordinator cannot read, with the words why: in its memory only, never written.
pub const NOTE_UNREADABLE: &str = "etcd.etcd.io/unreadable";
/// Label on every object of a cluster: the UID of the EtcdCluster that it was made for.
pub const LABEL_CLUSTER_UID: &str = "etcd.etcd.io/cluster-uid";
/// Label on what stands in another namespace than its cluster: the cluster's namespace.
pub const LABEL_NAMESPACE: &str = "etcd.etcd.io/cluster-namespace";
/// Label on pods, and part of the client Service's selector: the incarnation's number.
pub const LABEL_INCARNATION: &str = "etcd.etcd.io/incarnation";
/// Annotation on everything that the coordinator applies: a fingerprint of what it applied.
pub const ANNOTATION_APPLIED: &str = "etcd.etcd.io/applied";
/// Annotation on pod templates and pods: a fingerprint of all that stays as it is for as long as a pod runs. Only a pod with
/// another one is replaced.
pub const ANNOTATION_SHAPE: &str = "etcd.etcd.io/shape";
/// Annotation on pod templates and pods: a fingerprint of the same without the image, the version and the options of
/// etcd. Where it is the newest, the rest is changed in the pod.
pub const ANNOTATION_FRAME: &str = "etcd.etcd.io/frame";
/// Annotation on pod templates and pods: the image of etcd as it was asked for.
pub const ANNOTATION_ETCD_IMAGE: &str = "etcd.etcd.io/etcd-image";
/// Annotation on pods whose etcd got another image while they ran: what they are by it.
pub const ANNOTATION_SWAP: &str = "etcd.etcd.io/etcd-update";
/// Annotation on pod templates and pods: the image of the agent as it was asked for. What a pod has may be another name of it, where
/// an admission webhook writes those of a mirror.
pub const ANNOTATION_AGENT_IMAGE: &str = "etcd.etcd.io/agent-image";
/// Annotation on pods whose agent's image was changed while they ran: the image before, and what came of it.
pub const ANNOTATION_AGENT: &str = "etcd.etcd.io/agent-update";
/// Annotation on volume claims: the incarnation that their data is of, so that a later EtcdCluster can go on with it.
pub const ANNOTATION_INCARNATION: &str = "etcd.etcd.io/incarnation";
/// Annotation on the Secret with a cluster's authorities: since when nothing of that cluster was found.
pub const ANNOTATION_UNNEEDED: &str = "etcd.etcd.io/unneeded-since";
/// Finalizer of an EtcdUser that was issued a certificate: it does not go before that is revoked.
pub const FINALIZER_REVOKE: &str = "etcd.etcd.io/revoke";
/// Field manager of everything that the coordinator applies.
pub const MANAGER_COORDINATOR: &str = "etcd-coordinator";
/// Lease of the coordinators of one installation: whoever holds it leads.
pub const LEASE: &str = "etcd-coordinator";
/// Field manager of everything that an agent writes.
pub const MANAGER_AGENT: &str = "etcd-agent";
/// The longest cluster name. The controller-revision-hash label of its pods (name, `-`, ten characters) must fit 63.
pub const MAX_CLUSTER_NAME: usize = 52;
/// The largest cluster: ordinals are below it.
pub const MAX_MEMBERS: u32 = 7;

/// etcd's client port.
pub const PORT_CLIENT: u16 = 2379;
/// etcd's peer port.
pub const PORT_PEER: u16 = 2380;
/// etcd's own metrics and health port (`--listen-metrics-urls`), plain HTTP.
pub const PORT_METRICS: u16 = 2381;
/// The agent's port: probes, status, metrics.
pub const PORT_AGENT: u16 = 2382;

/// Container of the agent.
pub const CONTAINER_AGENT: &str = "agent";
/// Container of etcd (its command is the launcher).
pub const CONTAINER_ETCD: &str = "etcd";

/// Where the volume is mounted in both containers; etcd's data directory is a sub-directory of it.
pub const VOLUME_DIR: &str = "/var/lib/etcd";
/// Where the emptyDir is mounted that both containers share: binary, socket, hosts file.
pub const AGENT_DIR: &str = "/agent";
/// The launcher's binary as the etcd container sees it.
pub const AGENT_BINARY: &str = "/agent/etcd-agent";
/// File in the emptyDir that is mounted over the etcd container's `/etc/hosts`, relative to [`AGENT_DIR`].
pub const HOSTS_FILE: &str = "hosts";

/// Where the agent, as every client library, finds its ServiceAccount.
pub const TOKEN_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The ServiceAccount's token there, for as long as kubelet gives one.
pub const TOKEN_LONG: &str = "token";
/// Another one, for the shortest time that Kubernetes gives: renewed often, and refused once the API server was away for long.
pub const TOKEN_SHORT: &str = "token-short";

/// Where the memory-backed emptyDir is mounted in both containers, where traffic is encrypted: what etcd serves with.
pub const TLS_DIR: &str = "/tls";
/// In it, a private key and its chain in one file: a member's for other members, and for clients, and the one that the agent and
/// etcdctl are clients with. One file, so that a rename changes both at once.
pub const TLS_PEER: &str = "peer.pem";
pub const TLS_SERVER: &str = "server.pem";
pub const TLS_ROOT: &str = "root.pem";
/// The authorities that clients of this cluster believe, for etcdctl.
pub const TLS_CLIENT_CA: &str = "client-ca.pem";
/// The certificates of clients that are not let in any more, in the only form that every etcd reads: DER.
pub const TLS_REVOKED: &str = "client-revoked.crl";

/// Environment of the agent's container, set by the coordinator.
pub mod env {
    pub const POD_NAME: &str = "POD_NAME";
    pub const POD_NAMESPACE: &str = "POD_NAMESPACE";
    pub const POD_UID: &str = "POD_UID";
    pub const POD_IP: &str = "POD_IP";
    pub const CLUSTER_NAME: &str = "CLUSTER_NAME";
    pub const CLUSTER_UID: &str = "CLUSTER_UID";
    /// Number of the incarnation that the pod belongs to.
    pub const INCARNATION: &str = "INCARNATION";
    /// etcd's cluster ID of that incarnation, in hexadecimal: only who answers with it is a member of this cluster.
    pub const CLUSTER_ID: &str = "CLUSTER_ID";
    /// Version of etcd in the pod, such as `v3.5.21`.
    pub const ETCD_VERSION: &str = "ETCD_VERSION";
    /// `EtcdOptions` as JSON.
    pub const ETCD_OPTIONS: &str = "ETCD_OPTIONS";
    /// `true` where traffic between members is encrypted; else not there.
    pub const PEER_TLS: &str = "PEER_TLS";
    /// The authority of members, PEM: who has no certificate of it is not served what they begin with.
    pub const PEER_AUTHORITY: &str = "PEER_AUTHORITY";
    /// `true` where traffic with clients is; else not there.
    pub const CLIENT_TLS: &str = "CLIENT_TLS";
}

/// An installation of the operator, by the namespace of its Lease.
#[must_use]
pub fn installation(lease_namespace: &str) -> String {
    format!("{lease_namespace}/{LEASE}")
}

/// Namespace and name of an installation's Lease, or `None` where its name is none of this form.
#[must_use]
pub fn lease_of(installation: &str) -> Option<(&str, &str)> {
    installation.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
}

/// The StatefulSet, and the PodDisruptionBudget.
#[must_use]
pub fn stateful_set(cluster: &str) -> String {
    cluster.to_owned()
}

/// The headless Service that gives members their names.
#[must_use]
pub fn peer_service(cluster: &str) -> String {
    format!("{cluster}-peer")
}

/// The Service that applications use.
#[must_use]
pub fn client_service(cluster: &str) -> String {
    format!("{cluster}-client")
}

/// ConfigMap that shows the options of etcd.
#[must_use]
pub fn config_map(cluster: &str) -> String {
    format!("{cluster}-etcd")
}

/// ConfigMap with the authority that clients are to believe, where traffic with them is encrypted.
#[must_use]
pub fn ca_config_map(cluster: &str) -> String {
    format!("{cluster}-ca")
}

/// Secret in the coordinator's own namespace with the keys of the authorities of one cluster, by the UID that its data began with.
#[must_use]
pub fn authorities(cluster_uid: &str) -> String {
    format!("etcd-ca-{cluster_uid}")
}

/// Type of the Secrets with the certificates of users: no Secret ever changes its type, so nobody else's is written over.
pub const SECRET_CLIENT: &str = "etcd.etcd.io/client";

/// ServiceAccount, Role and RoleBinding of the agents.
#[must_use]
pub fn agent_account(cluster: &str) -> String {
    format!("{cluster}-agent")
}

/// Pod, EtcdMember and etcd member of one ordinal: the same word for all three.
#[must_use]
pub fn member(cluster: &str, ordinal: u32) -> String {
    format!("{cluster}-{ordinal}")
}

/// Ordinal of a member's name, or `None` if the name is not one of this cluster's.
#[must_use]
pub fn ordinal(cluster: &str, member: &str) -> Option<u32> {
    let digits = member.strip_prefix(cluster)?.strip_prefix('-')?;
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// Name of the volume in the pod, and prefix of its claim.
pub const VOLUME_DATA: &str = "data";

/// PersistentVolumeClaim of a member.
#[must_use]
pub fn volume_claim(member: &str) -> String {
    format!("{VOLUME_DATA}-{member}")
}

/// Throw-away pod that tries the template of this shape, somewhere or beside the member of an ordinal.
#[must_use]
pub fn trial(cluster: &str, shape: &str, beside: Option<u32>) -> String {
    let name = format!("{cluster}-rehearsal-{}", short(shape));
    beside.map_or(name.clone(), |ordinal| format!("{name}-{ordinal}"))
}

/// Throw-away pod in which another etcd opens a snapshot for the EtcdBackup or EtcdRestore of this UID.
#[must_use]
pub fn proof(cluster: &str, uid: &str) -> String {
    format!("{cluster}-proof-{}", short(uid))
}

/// The ordinal in the name of a trial of this shape.
#[must_use]
pub fn trial_beside(trial: &str, shape: &str) -> Option<u32> {
    let (before, digits) = trial.rsplit_once('-')?;
    let ordinal = digits.parse().ok()?;
    before.ends_with(short(shape)).then_some(ordinal)
}

fn short(shape: &str) -> &str {
    shape.get(..8).unwrap_or(shape)
}

/// DNS name of a member, without the cluster domain.
#[must_use]
pub fn peer_host(member: &str, cluster: &str, namespace: &str) -> String {
    format!("{member}.{}.{namespace}.svc", peer_service(cluster))
}

/// How one of etcd's ports is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    #[default]
    Http,
    Https,
}

impl Scheme {
    #[must_use]
    pub fn of(encrypted: bool) -> Self {
        if encrypted { Self::Https } else { Self::Http }
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// Peer URL of a member: membership data, so it never changes during the member's life.
#[must_use]
pub fn peer_url(scheme: Scheme, member: &str, cluster: &str, namespace: &str) -> String {
    format!("{scheme}://{}:{PORT_PEER}", peer_host(member, cluster, namespace))
}

/// The member that a peer URL is of, whatever its scheme, or `None` if it is none of this cluster's.
#[must_use]
pub fn member_of_peer_url(url: &str, cluster: &str, namespace: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = [Scheme::Http, Scheme::Https].into_iter().find(|known| known.to_string() == scheme)?;
    let member = rest.split('.').next()?;
    ordinal(cluster, member)?;
    (peer_url(scheme, member, cluster, namespace) == url).then(|| member.to_owned())
}

/// Client URL that a member advertises.
#[must_use]
pub fn client_url(scheme: Scheme, member: &str, cluster: &str, namespace: &str) -> String {
    format!("{scheme}://{}:{PORT_CLIENT}", peer_host(member, cluster, namespace))
}

/// etcd's `--initial-cluster-token`: never the same for two lives of any cluster's data.
#[must_use]
pub fn token(namespace: &str, cluster: &str, uid: &str, incarnation: i64) -> String {
    format!("{namespace}/{cluster}/{uid}/{incarnation}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinal_is_read_back_from_its_member() {
        assert_eq!(ordinal("demo", &member("demo", 12)), Some(12));
        for other in ["demo", "demo-", "demo-x", "demo-01", "demo-1-2", "other-1", "demo-+1"] {
            assert_eq!(ordinal("demo", other), None, "{other}");
        }
    }

    #[test]
    fn a_member_is_read_back_from_its_peer_url() {
        let of = |url: &str| member_of_peer_url(url, "demo", "ns");
        for scheme in [Scheme::Http, Scheme::Https] {
            assert_eq!(of(&peer_url(scheme, "demo-1", "demo", "ns")), Some("demo-1".into()));
        }
        for other in [
            "http://demo-1.demo-peer.other.svc:2380",
            "http://10.0.0.1:2380",
            "http://demo-x.demo-peer.ns.svc:2380",
            "unix://demo-1.demo-peer.ns.svc:2380",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_lease_is_read_back_from_its_installation() {
        assert_eq!(lease_of(&installation("ns")), Some(("ns", LEASE)));
        for other in ["", "ns", "/name", "ns/"] {
            assert_eq!(lease_of(other), None, "{other}");
        }
    }

    #[test]
    fn where_a_trial_is_held_is_read_back_from_its_name() {
        for shape in ["0123456789abcdef", "1234567812345678"] {
            for beside in [None, Some(0), Some(6)] {
                assert_eq!(trial_beside(&trial("demo", shape, beside), shape), beside, "{shape}");
            }
        }
    }

    #[test]
    fn tokens_differ_by_incarnation() {
        assert_ne!(token("ns", "demo", "u", 1), token("ns", "demo", "u", 2));
    }
}
