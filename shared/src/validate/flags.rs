//! Flags of etcd that a user may not set. `*` stands for anything; `experimental-` before a name makes no difference.

/// The agent sets these itself, or they endanger data.
pub const DENIED: [&str; 24] = [
    "name",
    "*-dir",
    "config-file",
    "initial-cluster*",
    "initial-advertise-*",
    "listen-*",
    "advertise-*",
    "discovery*",
    "proxy*",
    "force-*",
    "unsafe-*",
    "strict-reconfig-check",
    "pre-vote",
    "max-learners",
    "snapshot-count",
    "*hash-check*",
    "*v2*",
    "quota-backend-bytes",
    "auto-compaction-*",
    "heartbeat-interval",
    "election-timeout",
    "logger",
    "log-outputs",
    "socket-*",
];

/// Those of them that were not always denied: a cluster that has one goes on with it, and its agents start etcd with it.
pub const DENIED_SINCE: [&str; 5] = ["proxy*", "snapshot-count", "*hash-check*", "*v2*", "socket-*"];

/// These do nothing here: TLS and tokens are not etcd's own yet, and the log is what the agent reads.
pub const IDLE: [&str; 12] = [
    "peer-*",
    "*tls*",
    "*cert*",
    "key-file",
    "*-key-file",
    "*ca-file",
    "*crl*",
    "cipher-suites",
    "auth-token*",
    "log-format",
    "log-rotation*",
    "debug",
];

/// Whether one of the patterns is this flag's.
#[must_use]
pub fn is_among(patterns: &[&str], flag: &str) -> bool {
    let flag = flag.strip_prefix("experimental-").unwrap_or(flag);
    patterns.iter().any(|pattern| matches(pattern, flag))
}

fn matches(pattern: &str, flag: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == flag,
        Some((before, after)) => flag.strip_prefix(before).is_some_and(|rest| match after {
            "" => true,
            _ => (0..=rest.len()).any(|at| matches(after, &rest[at..])),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::EtcdCluster;
    use kube::CustomResourceExt;

    #[test]
    fn a_star_stands_for_anything() {
        for flag in
            ["data-dir", "wal-dir", "initial-cluster", "initial-cluster-token", "experimental-enable-v2v3", "name"]
        {
            assert!(is_among(&DENIED, flag), "{flag}");
        }
        for flag in ["auto-tls", "cert-file", "client-cert-auth", "trusted-ca-file", "peer-auto-tls", "key-file"] {
            assert!(is_among(&IDLE, flag), "{flag}");
        }
        for flag in [
            "max-txn-ops",
            "log-level",
            "experimental-initial-corrupt-check",
            "names",
            "max-wals",
            "grpc-keepalive-min-time",
        ] {
            assert!(!is_among(&DENIED, flag) && !is_among(&IDLE, flag), "{flag}");
        }
    }

    #[test]
    fn what_was_not_always_denied_is_denied_now() {
        assert!(DENIED_SINCE.iter().all(|pattern| DENIED.contains(pattern)));
    }

    #[test]
    fn the_schema_refuses_the_same_flags() {
        let crd = serde_json::to_string(&EtcdCluster::crd()).expect("a kind");
        for patterns in [&DENIED[..], &IDLE[..]] {
            let rule = format!("^(experimental-)?({})$", patterns.join("|").replace('*', ".*"));
            assert!(crd.contains(&rule), "{rule}");
        }
    }
}
