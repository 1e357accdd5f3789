//! The last line of defence when etcd's version changes: whether this binary may start on what is on the volume.
//!
//! etcd itself ends at each of these, after it was started, again and again, and once with a panic. Here the member is
//! held with the reason, and nothing is touched: the version that ran before starts again on the same disk.

use etcd_operator_shared::version::{Minor, Version};

use super::start::{Hold, Start};
use crate::volume::{Mark, log::Log};

/// What is known of an etcd that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    pub version: Version,
    /// Version of the cluster as it knows it; `None` before it does.
    pub cluster: Option<Minor>,
}

/// Why a binary may not start on a volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The cluster's version is above it.
    BelowCluster { binary: Version, cluster: Minor },
    /// It is two minor versions above the one that ran here.
    Skips { binary: Version, ran: Version },
    /// The log holds an entry that it cannot read.
    OldLog { binary: Version, index: u64 },
    /// The log must be read first, and cannot be.
    UnknownLog { binary: Version, why: String },
}

/// Whether the log must be read before this step: 3.7 is to replay what an older one has written.
#[must_use]
pub fn needs_log(step: &Start, binary: Version, mark: &Mark) -> bool {
    let ran = ran(mark).map(|ran| ran.minor);
    *step == Start::Resume && binary.minor >= Minor::V3_7 && ran.is_none_or(|ran| ran < Minor::V3_7)
}

/// The step, or why this binary may not take it. `log`: what is in the log, where [`needs_log`].
#[must_use]
pub fn guard(step: Start, binary: Version, mark: &Mark, log: Result<Log, String>) -> Start {
    let refused = match &step {
        Start::Resume => refused(binary, mark).or_else(|| match log {
            _ if !needs_log(&step, binary, mark) => None,
            Ok(Log::Plain) => None,
            Ok(Log::Old { index }) => Some(Refused::OldLog { binary, index }),
            Err(why) => Some(Refused::UnknownLog { binary, why }),
        }),
        // There is no data yet.
        Start::Bootstrap
        | Start::Restore(_)
        | Start::Join
        | Start::Touch
        | Start::Claim { .. }
        | Start::SetLived
        | Start::Trust
        | Start::SetAside(_)
        | Start::Renew { .. }
        | Start::Remove { .. }
        | Start::Add
        | Start::Retire
        | Start::Left
        | Start::Stranded(_)
        | Start::Wait(_)
        | Start::Hold(_) => None,
    };
    refused.map_or(step, |refused| Start::Hold(Hold::Version(refused)))
}

/// What the mark alone has against it.
fn refused(binary: Version, mark: &Mark) -> Option<Refused> {
    let cluster: Option<Minor> = mark.cluster_version.as_ref().and_then(|text| text.parse().ok());
    if let Some(cluster) = cluster.filter(|cluster| binary.minor < *cluster) {
        return Some(Refused::BelowCluster { binary, cluster });
    }
    let skipped = |ran: &Version| ran.minor.above().is_some_and(|next| binary.minor > next);
    ran(mark).filter(skipped).map(|ran| Refused::Skips { binary, ran })
}

fn ran(mark: &Mark) -> Option<Version> {
    mark.version.as_ref()?.parse().ok()
}

/// What the mark is to say of an etcd that runs, where it says something else. What etcd does not say yet stays.
#[must_use]
pub fn note(ran: Ran, mark: &Mark) -> Option<(String, Option<String>)> {
    let version = ran.version.to_string();
    let cluster = ran.cluster.map(|cluster| cluster.to_string()).or_else(|| mark.cluster_version.clone());
    let news = mark.version.as_ref() != Some(&version) || mark.cluster_version != cluster;
    news.then_some((version, cluster))
}

impl Refused {
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::BelowCluster { binary, cluster } => format!(
                "etcd {binary} cannot start in a cluster of version {cluster}; nothing is touched: set spec.version to a release of \
                 {cluster} again"
            ),
            Self::Skips { binary, ran } => format!(
                "etcd {binary} cannot start on the data of {ran}, two minor versions below; nothing is touched: set spec.version to a \
                 release of the one in between first"
            ),
            Self::OldLog { binary, index } => format!(
                "etcd {binary} cannot read entry {index} of the log, which etcd 3.5 has written; nothing is touched: set spec.version to a \
                 release of 3.6 again, until the member has written a raft snapshot"
            ),
            Self::UnknownLog { binary, why } => {
                format!(
                    "nothing shows that etcd {binary} can read the log, which cannot be read here: {why}; nothing is touched: make it \
                     readable, or set spec.version to the release before again"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::start::Snapshot, volume::mark::Identity};

    fn mark(version: Option<&str>, cluster: Option<&str>) -> Mark {
        let identity = Identity {
            cluster_uid: "u".into(),
            incarnation: 1,
            member: "demo-0".into(),
            volume_id: "v".into(),
            claim: 1,
            member_id: Some("a".into()),
        };
        let (version, cluster_version) = (version.map(Into::into), cluster.map(Into::into));
        Mark { version, cluster_version, ..Mark::new(identity) }
    }

    fn v(text: &str) -> Version {
        text.parse().unwrap()
    }

    /// What comes of it, in a word.
    fn guarded(binary: &str, ran: Option<&str>, cluster: Option<&str>, log: Result<Log, String>) -> &'static str {
        match guard(Start::Resume, v(binary), &mark(ran, cluster), log) {
            Start::Resume => "starts",
            Start::Hold(Hold::Version(Refused::BelowCluster { .. })) => "below the cluster",
            Start::Hold(Hold::Version(Refused::Skips { .. })) => "skips",
            Start::Hold(Hold::Version(Refused::OldLog { .. })) => "old log",
            Start::Hold(Hold::Version(Refused::UnknownLog { .. })) => "unknown log",
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn each_binary_on_each_volume() {
        let old = || Ok(Log::Old { index: 5 });
        let plain = || Ok(Log::Plain);
        let unknown = || Err("Input/output error".to_owned());
        for (binary, ran, cluster, log, expected) in [
            ("v3.5.35", Some("v3.5.21"), Some("3.5"), old(), "starts"),
            ("v3.6.16", Some("v3.5.35"), Some("3.5"), old(), "starts"),
            ("v3.5.35", Some("v3.6.16"), Some("3.5"), old(), "starts"),
            ("v3.5.35", Some("v3.6.16"), Some("3.6"), plain(), "below the cluster"),
            ("v3.6.16", Some("v3.7.3"), Some("3.7"), plain(), "below the cluster"),
            ("v3.6.16", Some("v3.7.3"), Some("3.6"), plain(), "starts"),
            ("v3.7.3", Some("v3.5.35"), Some("3.5"), plain(), "skips"),
            ("v3.7.3", Some("v3.6.16"), Some("3.6"), old(), "old log"),
            ("v3.7.3", Some("v3.6.16"), Some("3.6"), unknown(), "unknown log"),
            ("v3.7.3", Some("v3.6.16"), Some("3.6"), plain(), "starts"),
            ("v3.7.3", Some("v3.6.16"), Some("3.5"), plain(), "starts"),
            ("v3.7.3", Some("v3.7.1"), Some("3.7"), unknown(), "starts"),
            // An agent of before has noted nothing.
            ("v3.7.3", None, None, old(), "old log"),
            ("v3.7.3", None, None, plain(), "starts"),
            ("v3.6.16", None, None, old(), "starts"),
            // An agent of after has noted what is not known here.
            ("v3.7.3", Some("v3.8.0"), Some("3.8"), plain(), "starts"),
        ] {
            assert_eq!(guarded(binary, ran, cluster, log), expected, "{binary} on {ran:?} {cluster:?}");
        }
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        let (binary, ran) = (v("v3.7.3"), v("v3.5.35"));
        for refused in [
            Refused::BelowCluster { binary: ran, cluster: Minor::V3_7 },
            Refused::Skips { binary, ran },
            Refused::OldLog { binary, index: 5 },
            Refused::UnknownLog { binary, why: "Input/output error".into() },
        ] {
            let sentence = refused.sentence();
            assert!(
                sentence.contains("nothing is touched: ") && sentence.contains("set spec.version to"),
                "{sentence}"
            );
        }
    }

    #[test]
    fn only_a_start_on_data_is_guarded() {
        let refused = mark(Some("v3.7.3"), Some("3.7"));
        let restore = Start::Restore(Snapshot { digest: "d".into(), size: 1, from: "a:1".into(), bump: 0 });
        for step in [Start::Bootstrap, restore, Start::Join, Start::Add, Start::Left] {
            assert_eq!(guard(step.clone(), v("v3.5.35"), &refused, Err("x".into())), step);
        }
        assert!(!needs_log(&Start::Join, v("v3.7.3"), &refused));
    }

    #[test]
    fn the_mark_is_written_only_when_it_says_something_else() {
        let seen = |cluster| Ran { version: v("v3.6.16"), cluster };
        let told = mark(Some("v3.6.16"), Some("3.6"));
        assert_eq!(note(seen(Some(Minor::V3_6)), &told), None);
        assert_eq!(note(seen(None), &told), None, "a member that was just started does not know yet");
        assert_eq!(note(seen(Some(Minor::V3_5)), &told), Some(("v3.6.16".into(), Some("3.5".into()))), "it may fall");
        assert_eq!(note(seen(None), &mark(None, None)), Some(("v3.6.16".into(), None)));
    }
}
