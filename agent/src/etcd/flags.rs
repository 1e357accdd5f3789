//! etcd's command line, by minor version.
//!
//! Source: etcd `server/etcdmain/help.go` of each minor. An unknown flag is fatal, so each is given only where it
//! exists.

use std::{
    net::{Ipv6Addr, TcpListener},
    path::Path,
};

use etcd_operator_shared::{
    certificates,
    names::{
        PORT_CLIENT, PORT_METRICS, PORT_PEER, Scheme, TLS_DIR, TLS_PEER, TLS_SERVER, client_url, ordinal, peer_url,
    },
    validate::{Compaction, Flags},
    version::{Minor, Version},
};

/// Whose flags they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose<'a> {
    pub namespace: &'a str,
    pub cluster: &'a str,
    pub member: &'a str,
    pub version: Version,
    pub data_dir: &'a Path,
    /// Host of the URLs that it listens on: see [`everywhere`].
    pub listen: &'a str,
    pub tls: Tls<'a>,
}

/// What it encrypts its traffic with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tls<'a> {
    /// Where the pairs are.
    pub folder: Option<&'a Path>,
    /// The authorities that its peers' certificates are of; none where that traffic is plain.
    pub peer: Option<&'a Path>,
    /// The authorities that its clients' certificates are of; none where that traffic is plain.
    pub client: Option<&'a Path>,
    /// Certificates of clients that are not let in any more. One that is missing or empty lets nobody in.
    pub revoked: Option<&'a Path>,
}

/// Every address of this machine, as the host of a URL. Go takes `0.0.0.0` for IPv4 only, and `[::]` for both, but has
/// no use for that on a kernel without IPv6.
#[must_use]
pub fn everywhere() -> &'static str {
    if TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() { "[::]" } else { "0.0.0.0" }
}

/// How the member comes to its cluster. With a WAL on the disk etcd ignores all three flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// It forms the cluster with these members.
    New { members: &'a [String], token: &'a str },
    /// It joins as a learner: the membership with its own entry, by name.
    Added { members: &'a [String] },
    /// It has its membership on its disk.
    OnDisk,
}

/// etcd's command lines for one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// For the start that is ordered.
    pub now: Vec<String>,
    /// For every start that the launcher does by itself later: the member has its membership on its disk then.
    pub again: Vec<String>,
}

/// What an order needs.
#[must_use]
pub fn lines(whose: &Whose<'_>, options: &Flags, entry: &Entry<'_>) -> Lines {
    Lines { now: arguments(whose, options, entry), again: arguments(whose, options, &Entry::OnDisk) }
}

/// All of etcd's arguments.
#[must_use]
pub fn arguments(whose: &Whose<'_>, options: &Flags, entry: &Entry<'_>) -> Vec<String> {
    let mut flags = identity(whose);
    flags.extend(encryption(whose));
    flags.extend(entry_flags(whose, entry));
    flags.extend(tuning(options));
    flags.extend(by_version(whose.version));
    flags.extend(options.extra.iter().map(|(name, value)| flag(name, value)));
    flags
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

fn identity(whose: &Whose<'_>) -> Vec<String> {
    let Whose { namespace, cluster, member, version: _, data_dir, listen, tls } = *whose;
    let (peer, client) = (tls.peer(), tls.client());
    vec![
        flag("name", member),
        flag("data-dir", data_dir.display()),
        flag("listen-peer-urls", format_args!("{peer}://{listen}:{PORT_PEER}")),
        flag("listen-client-urls", format_args!("{client}://{listen}:{PORT_CLIENT}")),
        // Names and numbers only: kubelet and Prometheus have no certificate.
        flag("listen-metrics-urls", format_args!("http://{listen}:{PORT_METRICS}")),
        flag("initial-advertise-peer-urls", advertised(whose, member)),
        flag("advertise-client-urls", client_url(client, member, cluster, namespace)),
        flag("logger", "zap"),
        flag("log-outputs", "stderr"),
    ]
}

impl Tls<'_> {
    fn peer(&self) -> Scheme {
        Scheme::of(self.peer.is_some())
    }

    fn client(&self) -> Scheme {
        Scheme::of(self.client.is_some())
    }
}

/// Both sides show certificates. A member is who has one of the cluster's own authority with the name that all of them
/// have: etcd would look up the caller's address as well, and turn away a member whose address no name shows yet.
/// Source: etcd `client/pkg/transport/listener_tls.go`, `checkSAN`, and `tlsListener.acceptLoop`.
fn encryption(whose: &Whose<'_>) -> Vec<String> {
    let Whose { namespace, cluster, version, tls, .. } = *whose;
    let folder = tls.folder.unwrap_or(Path::new(TLS_DIR));
    let pair = |prefix: &str, file: &str, pool: &Path| {
        let file = folder.join(file);
        vec![
            flag(&format!("{prefix}cert-file"), file.display()),
            flag(&format!("{prefix}key-file"), file.display()),
            flag(&format!("{prefix}trusted-ca-file"), pool.display()),
            flag(&format!("{prefix}client-cert-auth"), true),
        ]
    };
    let mut flags = Vec::new();
    if let Some(pool) = tls.peer {
        flags.extend(pair("peer-", TLS_PEER, pool));
        flags.push(flag("peer-cert-allowed-hostname", certificates::common(cluster, namespace)));
        flags.push(match version.minor {
            Minor::V3_5 => flag("experimental-peer-skip-client-san-verification", true),
            Minor::V3_6 | Minor::V3_7 => flag("peer-skip-client-san-verification", true),
        });
    }
    if let Some(pool) = tls.client {
        flags.extend(pair("", TLS_SERVER, pool));
        flags.extend(tls.revoked.map(|list| flag("client-crl-file", list.display())));
    }
    flags
}

fn entry_flags(whose: &Whose<'_>, entry: &Entry<'_>) -> Vec<String> {
    match entry {
        Entry::New { members, token } => {
            [vec![flag("initial-cluster-state", "new")], founding(whose, members, token)].concat()
        }
        // etcd compares URLs and numbers with what its peers say, so the list must be the one that holds the new entry.
        Entry::Added { members } => {
            vec![flag("initial-cluster-state", "existing"), flag("initial-cluster", list(whose, members))]
        }
        // Without a WAL this refuses to start: a second guard, should the data vanish between the look and the start.
        Entry::OnDisk => {
            vec![flag("initial-cluster-state", "existing"), flag("initial-cluster", url(whose, whose.member))]
        }
    }
}

/// What etcd makes the IDs of the cluster and of its members of.
fn founding(whose: &Whose<'_>, members: &[String], token: &str) -> Vec<String> {
    vec![flag("initial-cluster", list(whose, members)), flag("initial-cluster-token", token)]
}

fn list(whose: &Whose<'_>, members: &[String]) -> String {
    members.iter().map(|member| url(whose, member)).collect::<Vec<_>>().join(",")
}

/// An entry that is nobody's here is named by its URL.
fn url(whose: &Whose<'_>, member: &str) -> String {
    match ordinal(whose.cluster, member) {
        Some(_) => format!("{member}={}", advertised(whose, member)),
        None => format!("stranger={member}"),
    }
}

fn advertised(whose: &Whose<'_>, member: &str) -> String {
    peer_url(whose.tls.peer(), member, whose.cluster, whose.namespace)
}

fn tuning(options: &Flags) -> Vec<String> {
    let Flags { quota_backend, heartbeat_interval, election_timeout, compaction, extra: _ } = options;
    let (mode, retention) = match compaction {
        Compaction::Off => ("periodic", "0".to_owned()),
        Compaction::Periodic(time) => ("periodic", format!("{}s", time.as_secs().max(1))),
        Compaction::Revisions(revisions) => ("revision", revisions.to_string()),
    };
    vec![
        flag("quota-backend-bytes", quota_backend),
        flag("auto-compaction-mode", mode),
        flag("auto-compaction-retention", retention),
        flag("heartbeat-interval", heartbeat_interval.as_millis()),
        flag("election-timeout", election_timeout.as_millis()),
    ]
}

/// Compacted revisions are compared between members where etcd can (3.5.5 on). 3.5 writes its snapshots ten times as
/// often as by itself, so that its memory and its restarts are like those of 3.6. 3.6 writes them ten times as often
/// again, at no cost that could be measured: 3.7 can start only where one covers what 3.5 has written.
fn by_version(version: Version) -> Vec<String> {
    match version.minor {
        Minor::V3_5 if version.patch >= 5 => {
            vec![flag("snapshot-count", 10_000), flag("experimental-compact-hash-check-enabled", true)]
        }
        Minor::V3_5 => vec![flag("snapshot-count", 10_000)],
        Minor::V3_6 => vec![flag("snapshot-count", 1_000), flag("feature-gates", "CompactHashCheck=true")],
        Minor::V3_7 => vec![flag("feature-gates", "CompactHashCheck=true")],
    }
}

mod restore;

pub use restore::restore;

#[cfg(test)]
mod tests;
