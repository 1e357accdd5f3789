//! What agents have done for the databases: each tells of its own, and of none that another did.

use etcd_operator_shared::api::cluster::Chore;
use jiff::Timestamp;

use crate::cluster::facts::Facts;

/// How many are told.
const TOLD: usize = 8;

/// The newest of what was told before and of what the members tell now. A member that is silent, or gone, takes nothing back.
pub fn of(facts: &Facts, before: Vec<Chore>) -> Vec<Chore> {
    let told = facts.slots.values().filter_map(|slot| slot.report()).flat_map(|report| report.chores.iter().cloned());
    let mut all: Vec<(Option<Timestamp>, Chore)> =
        told.chain(before).map(|chore| (chore.time.parse().ok(), chore)).collect();
    // What two tell alike comes side by side.
    all.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.message.cmp(&other.message)));
    all.dedup();
    all.into_iter().map(|(_, chore)| chore).take(TOLD).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cluster::facts::tests::healthy;
    use etcd_operator_shared::api::{Word, cluster::Action};

    fn chore(time: &str) -> Chore {
        Chore { action: Word::Known(Action::Defragmented), time: format!("2026-11-27T{time}Z"), message: time.into() }
    }

    #[test]
    fn the_newest_come_first_and_each_once() {
        let mut facts = healthy(3);
        for (ordinal, times) in [(0, vec!["12:00:01.5", "12:00:00"]), (1, vec!["12:00:01"])] {
            let member = Arc::make_mut(facts.slots.get_mut(&ordinal).unwrap().member.as_mut().unwrap());
            member.status.as_mut().unwrap().chores = times.into_iter().map(chore).collect();
        }
        let told = of(&facts, vec![chore("12:00:01"), chore("11:00:00")]);
        let times: Vec<&str> = told.iter().map(|chore| chore.message.as_str()).collect();
        assert_eq!(times, ["12:00:01.5", "12:00:01", "12:00:00", "11:00:00"]);
        assert_eq!(of(&facts, told.clone()), told, "nothing new is nothing to write");
        assert_eq!(of(&healthy(3), told.clone()), told);
        let many = (10..40).map(|second| chore(&format!("13:00:{second}"))).collect();
        assert_eq!(of(&facts, many).len(), TOLD);
    }
}
