//! Which backups go: by what is in the store alone. No clock is asked, since a wrong one would delete.
//!
//! - Of each schedule that is wanted the newest stay, as many as it keeps; newest by incarnation and revision, then
//!   slot.
//! - Over all, the newest verified ones stay, as many as are kept at least, whatever their schedule says.
//! - One that was ordered stays, and so does one of a schedule that nobody wants any more: nobody says how many of them
//!   are enough.

use std::collections::BTreeSet;

/// A backup that is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    pub incarnation: i64,
    pub revision: i64,
    /// The minute that it was wanted for, and the schedule that wanted it; `None` for an ordered one.
    pub slot: Option<(String, String)>,
    pub name: String,
    pub verified: bool,
}

/// How many stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Of each schedule, by its name.
    pub schedules: Vec<(String, usize)>,
    pub verified: usize,
}

/// The backups that go, the oldest first.
#[must_use]
pub fn surplus(there: &[Kept], policy: &Policy) -> Vec<Kept> {
    let mut newest: Vec<&Kept> = there.iter().collect();
    newest.sort_by(|a, b| b.cmp(a));
    let safe: BTreeSet<&Kept> = newest.iter().filter(|kept| kept.verified).take(policy.verified).copied().collect();
    let mut go: Vec<Kept> = Vec::new();
    for (schedule, keep) in &policy.schedules {
        let of = newest.iter().filter(|kept| kept.slot.as_ref().is_some_and(|(_, name)| name == schedule));
        go.extend(of.skip(*keep).filter(|kept| !safe.contains(*kept)).map(|kept| (*kept).clone()));
    }
    go.sort();
    go
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_kept() -> impl Strategy<Value = Kept> {
        (
            1_i64..3,
            0_i64..40,
            0_u8..30,
            prop::sample::select(vec![None, Some("hourly"), Some("daily"), Some("gone")]),
            any::<bool>(),
        )
            .prop_map(|(incarnation, revision, minute, schedule, verified)| {
                let slot = schedule
                    .map(|schedule| (format!("2026112{}T{:02}00Z", minute / 10, minute % 10), schedule.to_owned()));
                let name = slot.as_ref().map_or_else(
                    || format!("once-{incarnation}-{revision}"),
                    |(slot, schedule)| format!("{schedule}-{slot}-{incarnation}-{revision}"),
                );
                Kept { incarnation, revision, slot, name, verified }
            })
    }

    fn policy() -> impl Strategy<Value = Policy> {
        (1_usize..5, 1_usize..5, 0_usize..6).prop_map(|(hourly, daily, verified)| Policy {
            schedules: vec![("hourly".into(), hourly), ("daily".into(), daily)],
            verified,
        })
    }

    fn of<'a>(all: &'a [Kept], schedule: &'a str) -> impl Iterator<Item = &'a Kept> {
        all.iter().filter(move |kept| kept.slot.as_ref().is_some_and(|(_, name)| name == schedule))
    }

    proptest! {
        #[test]
        fn enough_stays_of_each_schedule_and_of_what_is_verified(
            there in prop::collection::btree_set(any_kept(), 0..40),
            policy in policy(),
        ) {
            let there: Vec<Kept> = there.into_iter().collect();
            let go = surplus(&there, &policy);
            let stays: Vec<Kept> = there.iter().filter(|kept| !go.contains(kept)).cloned().collect();
            let verified = |all: &[Kept]| all.iter().filter(|kept| kept.verified).count();
            prop_assert!(verified(&stays) >= policy.verified.min(verified(&there)));
            for (schedule, keep) in &policy.schedules {
                prop_assert!(of(&stays, schedule).count() >= (*keep).min(of(&there, schedule).count()));
                // Whatever goes is older than what its schedule keeps.
                let newest: Vec<&Kept> = of(&there, schedule).collect::<Vec<_>>().into_iter().rev().take(*keep).collect();
                prop_assert!(of(&go, schedule).all(|kept| newest.iter().all(|new| kept < *new)));
            }
            prop_assert!(go.iter().all(|kept| kept.slot.as_ref().is_some_and(|(_, name)| name != "gone")), "nobody says how many");
        }

        #[test]
        fn nothing_more_goes_a_second_time_and_the_order_of_looking_does_not_matter(
            there in prop::collection::btree_set(any_kept(), 0..40),
            policy in policy(),
        ) {
            let there: Vec<Kept> = there.into_iter().collect();
            let mut other = there.clone();
            other.reverse();
            let go = surplus(&there, &policy);
            prop_assert_eq!(&surplus(&other, &policy), &go);
            let stays: Vec<Kept> = there.iter().filter(|kept| !go.contains(kept)).cloned().collect();
            prop_assert_eq!(surplus(&stays, &policy), vec![]);
        }
    }

    #[test]
    fn an_old_verified_one_outlives_newer_ones_that_nobody_opened() {
        let kept = |revision: i64, verified| Kept {
            incarnation: 1,
            revision,
            slot: Some((format!("20261126T0{revision}00Z"), "hourly".into())),
            name: format!("hourly-{revision}"),
            verified,
        };
        let there = [kept(1, true), kept(2, false), kept(3, false), kept(4, false)];
        let policy = Policy { schedules: vec![("hourly".into(), 1)], verified: 1 };
        let go: Vec<_> = surplus(&there, &policy).into_iter().map(|kept| kept.revision).collect();
        assert_eq!(go, [2, 3]);
    }
}
