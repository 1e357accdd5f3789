//! What this process hears of its clusters while it leads: whether the first lists are complete, and whether each watch
//! was heard lately. A standby watches nothing and needs nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use etcd_operator_shared::process::probe::Check;
use tokio::time::Instant;

use crate::apiserver::{hearing::Hearing, lists::Lists};

/// A watch that was not heard for so long could not be begun anew either.
const DEAF: Duration = Duration::from_secs(120);

/// Shared by the term, which fills it, and the probes.
#[derive(Debug, Default)]
pub struct Senses {
    pub hearing: Hearing,
    lists: Mutex<Vec<Lists>>,
}

impl Senses {
    /// These lists are needed from now on.
    pub fn expect(&self, lists: Lists) {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).push(lists);
    }

    /// Nothing is watched any more.
    pub fn rest(&self) {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.hearing.end();
    }

    /// Silences by kind.
    #[must_use]
    pub fn silences(&self) -> BTreeMap<String, Duration> {
        self.hearing.silences(Instant::now())
    }

    /// What readiness asks.
    #[must_use]
    pub fn checks(&self) -> [Check; 2] {
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = lists.iter().flat_map(Lists::missing);
        [filled(missing.collect()), heard(&self.silences())]
    }
}

fn filled(mut missing: Vec<String>) -> Check {
    missing.sort_unstable();
    missing.dedup();
    let failed = (!missing.is_empty()).then(|| format!("no list yet of {}", missing.join(", ")));
    Check { name: "caches", failed }
}

fn heard(silences: &BTreeMap<String, Duration>) -> Check {
    let deaf = silences.iter().find(|(_, silence)| **silence > DEAF);
    let failed = deaf.map(|(kind, silence)| format!("nothing heard of {kind} for {} s", silence.as_secs()));
    Check { name: "watches", failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(senses: &Senses) -> Vec<String> {
        senses.checks().into_iter().filter_map(|check| check.failed).collect()
    }

    #[test]
    fn a_leader_is_ready_once_every_kind_was_listed_and_a_standby_always() {
        let (senses, lists) = (Senses::default(), Lists::default());
        assert!(failed(&senses).is_empty());
        lists.begin("Pod");
        lists.begin("Service");
        senses.expect(lists.clone());
        assert_eq!(failed(&senses), ["no list yet of Pod, Service"]);
        lists.complete("Pod");
        lists.complete("Service");
        assert!(failed(&senses).is_empty());
        lists.begin("Pod");
        senses.rest();
        assert!(failed(&senses).is_empty());
    }

    #[test]
    fn a_watch_that_hears_nothing_for_two_minutes_is_named() {
        let silence = |seconds| heard(&[("pods".to_owned(), Duration::from_secs(seconds))].into()).failed;
        assert_eq!(silence(119), None);
        assert_eq!(silence(130).as_deref(), Some("nothing heard of pods for 130 s"));
    }
}
