//! Which installation of the operator acts on a cluster: the one that wrote its name into the status first.
//!
//! ```text
//!   no name ──write ours (compare-and-swap)──▶ ours: act
//!   another's ─┬─ its Lease is gone, and stays gone for 15 s ──▶ write ours
//!              ├─ its Lease is renewed, or may not be read   ──▶ step back; an event says so
//!              └─ its Lease stands still                     ──▶ step back; Stalled says so: nobody else would
//! ```
//! Coordinators of one installation share a Lease, and so a name: a fail-over and an upgrade change nothing, and neither
//! does an installation that is removed and made again in its namespace. A Lease that stands still proves nothing: its
//! coordinators may be away for a day. That one is gone for good, a person says by deleting its Lease.

use std::{fmt, time::Duration};

use etcd_operator_shared::names;

/// A coordinator that lives makes its Lease anew within seconds.
const GONE: Duration = Duration::from_secs(15);
/// A Lease is renewed every 2 s, and taken over after 15 s.
const SILENT: Duration = Duration::from_secs(60);

/// What is known of the Lease of another installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RivalLease {
    /// It may not be read.
    Hidden,
    /// It has not been there for so long.
    Missing(Duration),
    /// Nobody has written it for so long.
    Unchanged(Duration),
}

/// What this installation does about a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    Acts,
    /// It writes its name, and acts then.
    Claims,
    StepsBack {
        /// The one that acts is not heard, so nobody says how the cluster is.
        silent: bool,
    },
}

/// Two installations, of which one acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rivals {
    /// The one that acts.
    pub acts: String,
    /// This one; `None` where it runs without a Lease.
    pub mine: Option<String>,
    /// Whether the one that acts is not heard.
    pub silent: bool,
}

/// `marked`: whom the cluster's status names; `mine`: this installation, `None` where it runs without a Lease and so
/// has no name to write; `rival`: of the one that is named, where it is another.
#[must_use]
pub fn stand(marked: Option<&str>, mine: Option<&str>, rival: RivalLease) -> Stand {
    let free = if mine.is_some() { Stand::Claims } else { Stand::Acts };
    match (marked, rival) {
        (None, _) => free,
        (Some(_), _) if marked == mine => Stand::Acts,
        (Some(_), RivalLease::Missing(since)) if since >= GONE => free,
        (Some(_), RivalLease::Hidden | RivalLease::Missing(_)) => Stand::StepsBack { silent: false },
        (Some(_), RivalLease::Unchanged(since)) => Stand::StepsBack { silent: since >= SILENT },
    }
}

impl fmt::Display for Rivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acts, mine, silent } = self;
        let this =
            mine.as_ref().map_or_else(|| "one without a Lease".to_owned(), |mine| format!("that of Lease {mine}"));
        let way = match names::lease_of(acts) {
            Some((namespace, name)) => format!("kubectl -n {namespace} delete lease {name}"),
            None => "status.operator removed".to_owned(),
        };
        let for_good = format!("once it is uninstalled for good, {way} lets this one take over");
        if *silent {
            return write!(
                f,
                "the operator of Lease {acts} looks after this cluster and is not heard, and this operator, {this}, does \
                 nothing about it: start the former again; {for_good}"
            );
        }
        write!(
            f,
            "the operator of Lease {acts} acts on this cluster, so this operator, {this}, leaves it alone: let only one of \
             the two look after this namespace; if that is to be this one, uninstall the former; {for_good}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIVE: RivalLease = RivalLease::Unchanged(Duration::ZERO);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_cluster_that_nobody_has_marked_is_marked_and_one_of_ours_is_acted_on_whatever_the_leases_say() {
        for rival in [ALIVE, RivalLease::Hidden, RivalLease::Missing(seconds(100))] {
            assert_eq!(stand(None, Some("a/l"), rival), Stand::Claims);
            assert_eq!(stand(Some("a/l"), Some("a/l"), rival), Stand::Acts);
        }
    }

    #[test]
    fn a_cluster_of_another_installation_is_left_alone_while_that_may_be_there() {
        for rival in [ALIVE, RivalLease::Hidden, RivalLease::Missing(seconds(14)), RivalLease::Unchanged(seconds(59))] {
            for mine in [Some("a/l"), None] {
                assert_eq!(stand(Some("b/l"), mine, rival), Stand::StepsBack { silent: false }, "{rival:?}");
            }
        }
    }

    #[test]
    fn a_lease_that_stands_still_for_a_day_proves_nothing_and_is_told() {
        let still = RivalLease::Unchanged(seconds(24 * 3600));
        assert_eq!(stand(Some("b/l"), Some("a/l"), still), Stand::StepsBack { silent: true });
    }

    #[test]
    fn a_lease_that_is_gone_and_does_not_come_back_frees_its_clusters() {
        let gone = RivalLease::Missing(seconds(15));
        assert_eq!(stand(Some("b/l"), Some("a/l"), gone), Stand::Claims);
        assert_eq!(stand(Some("b/l"), None, gone), Stand::Acts);
    }

    #[test]
    fn one_without_a_lease_marks_nothing() {
        assert_eq!(stand(None, None, ALIVE), Stand::Acts);
    }

    #[test]
    fn the_sentence_names_both_and_the_way() {
        let rivals = |acts: &str, silent| Rivals { acts: acts.into(), mine: Some("mine/l".into()), silent }.to_string();
        for said in [rivals("ops/l", false), rivals("ops/l", true)] {
            for part in ["Lease ops/l", "Lease mine/l", "kubectl -n ops delete lease l"] {
                assert!(said.contains(part), "{said}");
            }
        }
        assert!(rivals("of-a-newer-form", false).contains("status.operator removed"));
    }
}
