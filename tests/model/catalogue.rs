//! Every scenario with its bounds, and every planted mistake with the scenario that shows it.

use crate::{
    budget::Budget,
    mistake::{Mistake, Rules},
    scenario::{
        Begins::{self, Formed, Founded, Restored, RestoredLater},
        CALM, RULES, Scenario,
    },
};

fn scenario(name: &'static str, begins: Begins, budget: Budget, rules: Rules) -> Scenario {
    Scenario { name, begins, budget, rules }
}

/// Marks take the voters.
const RECORDS: Rules = Rules { records: true, ..RULES };

const fn sizes(sizes: &'static [u8]) -> Rules {
    Rules { sizes, ..RULES }
}

/// Seconds each: for every test run.
#[must_use]
pub fn short() -> Vec<Scenario> {
    let crash = Budget { crashes: 1, ..CALM };
    let disk = Budget { disks: 1, ..CALM };
    let both = Budget { crashes: 1, disks: 1, ..CALM };
    vec![
        scenario("bootstrap of three", Founded(3), Budget { crashes: 2, disks: 1, ..CALM }, RULES),
        scenario("bootstrap of one", Founded(1), Budget { crashes: 2, writes: 1, ..CALM }, RULES),
        scenario("writes and votes", Formed(3), Budget { disks: 1, lags: 1, unrest: 1, writes: 1, ..CALM }, RULES),
        scenario("one grows to three", Formed(1), Budget { crashes: 1, haste: 1, ..CALM }, sizes(&[3])),
        scenario("three shrink to one", Formed(3), crash, sizes(&[1])),
        scenario("three to one to three", Formed(3), disk, sizes(&[1, 3])),
        scenario("kept volumes", Formed(3), CALM, Rules { keeps_volumes: true, ..sizes(&[1, 3]) }),
        scenario("stopped and woken", Formed(3), crash, sizes(&[0, 3])),
        scenario("stopped and woken smaller", Formed(3), CALM, sizes(&[0, 1])),
        scenario("object deleted", Founded(3), Budget { objects: 1, disks: 1, ..CALM }, RULES),
        scenario("emptied under its pod", Formed(3), Budget { emptied: 1, crashes: 1, ..CALM }, RULES),
        scenario("emptied as it leaves", Formed(3), Budget { emptied: 1, ..CALM }, sizes(&[1, 3])),
        scenario("data directory lost", Formed(3), Budget { data: 1, crashes: 1, ..CALM }, RULES),
        scenario("a launcher is not heard", Formed(3), Budget { deaf: 1, ..disk }, sizes(&[1])),
        scenario("API server away", Formed(3), Budget { outages: 1, disks: 1, crashes: 1, ..CALM }, RULES),
        scenario("twin", Formed(3), Budget { cuts: 1, crashes: 1, ..CALM }, RULES),
        scenario("older copy", Formed(3), Budget { copies: 2, crashes: 1, ..CALM }, Rules { counts: true, ..RULES }),
        scenario("forced to be alone", Formed(3), Budget { forced: 1, crashes: 1, disks: 1, ..CALM }, RECORDS),
        scenario("left alone by two", Formed(3), crash, Rules { sizes: &[1], ..RECORDS }),
        scenario("next incarnation", Formed(3), Budget { ends: 1, crashes: 1, ..CALM }, RULES),
        scenario("a rest as three shrink", Formed(3), Budget { pauses: 1, ..CALM }, sizes(&[1])),
        scenario("a rest as one grows", Formed(1), Budget { pauses: 1, ..CALM }, sizes(&[3])),
        scenario("a rest, and a disk lost", Formed(3), Budget { pauses: 1, ..disk }, RULES),
        scenario("late requests", Formed(1), Budget { late: 1, ..CALM }, sizes(&[3])),
        scenario("late lists", Formed(1), crash, Rules { late_lists: true, ..sizes(&[3]) }),
        scenario("three begin with data", Restored(3), Budget { serves: 1, ..crash }, RULES),
        scenario("three begin with data, a lost disk", Restored(3), Budget { serves: 1, ..disk }, RULES),
        scenario(
            "one begins with data",
            Restored(1),
            Budget { crashes: 2, data: 1, serves: 1, writes: 1, ..CALM },
            RULES,
        ),
        scenario("emptied before it begins with data", Restored(3), Budget { emptied: 1, ..CALM }, RULES),
        scenario("the next life begins with data", RestoredLater(1), Budget { ends: 1, serves: 1, ..both }, RULES),
        // A blank twin that reaches the API server takes the claim, with data or without: see `limits`.
        scenario(
            "a twin as one begins with data",
            Restored(1),
            Budget { cuts: 1, crashes: 1, ..CALM },
            Rules { only: Some('c'), ..RULES },
        ),
    ]
}

/// Wider bounds, twenty million states: for a night.
#[must_use]
pub fn nightly() -> Vec<Scenario> {
    let crash = Budget { crashes: 1, ..CALM };
    let back = Budget { crashes: 2, disks: 1, ..CALM };
    let both = Budget { crashes: 1, disks: 1, ..CALM };
    let late_lists = |rules| Rules { late_lists: true, ..rules };
    vec![
        scenario("bootstrap of three, lags", Founded(3), Budget { lags: 1, blind: 1, ..back }, RULES),
        scenario("one grows to three", Formed(1), Budget { lags: 1, haste: 1, ..back }, sizes(&[3])),
        scenario("three shrink to one", Formed(3), Budget { lags: 1, writes: 1, ..both }, sizes(&[1])),
        scenario("one to three to one", Formed(1), Budget { lags: 1, ..crash }, sizes(&[3, 1])),
        scenario("three to one to three", Formed(3), back, sizes(&[1, 3])),
        scenario("there and back, lags", Formed(3), Budget { disks: 1, lags: 1, ..CALM }, sizes(&[1, 3])),
        scenario("there and back, late lists", Formed(3), crash, late_lists(sizes(&[1, 3]))),
        scenario("there and back, late requests", Formed(3), Budget { late: 1, ..crash }, sizes(&[1, 3])),
        scenario("there and back, an outage", Formed(3), Budget { outages: 1, ..crash }, sizes(&[1, 3])),
        scenario("there and back, an emptied volume", Formed(3), Budget { emptied: 1, ..crash }, sizes(&[1, 3])),
        scenario("there and back, lost data", Formed(3), Budget { data: 1, ..crash }, sizes(&[1, 3])),
        scenario("there and back, kept volumes", Formed(3), both, Rules { keeps_volumes: true, ..sizes(&[1, 3]) }),
        scenario("there and back, given up", Formed(3), Budget { ends: 1, ..crash }, sizes(&[1, 3])),
        scenario("there and back, stopped between", Formed(3), both, sizes(&[1, 0, 3])),
        scenario("stopped and woken smaller", Formed(3), both, sizes(&[0, 1])),
        scenario("stopped, and an object deleted", Formed(3), Budget { objects: 1, ..both }, sizes(&[0, 3])),
        scenario("late lists of three", Formed(3), back, late_lists(RULES)),
        scenario("late requests and hanging watches", Formed(3), Budget { late: 1, blind: 1, ..CALM }, sizes(&[1])),
        scenario("twin and two crashes", Formed(3), Budget { cuts: 1, crashes: 2, ..CALM }, RULES),
        scenario("twin as three shrink", Formed(3), Budget { cuts: 1, ..crash }, sizes(&[1])),
        scenario("three begin with data, a crash and a lost disk", Restored(3), Budget { serves: 1, ..both }, RULES),
        scenario("three begin with data, lags", Restored(3), Budget { lags: 1, serves: 1, writes: 1, ..both }, RULES),
        scenario("three begin with data, two crashes", Restored(3), Budget { serves: 1, ..back }, RULES),
        scenario("three begin with data later", RestoredLater(3), Budget { ends: 1, serves: 1, ..crash }, RULES),
        scenario("two incarnations", Founded(3), Budget { ends: 1, ..both }, RULES),
    ]
}

/// What three cannot show: needs room for five (the feature `five`).
#[must_use]
pub fn five() -> Vec<Scenario> {
    let (crash, disk) = (Budget { crashes: 1, ..CALM }, Budget { disks: 1, ..CALM });
    vec![
        scenario("five lose two disks", Formed(5), Budget { disks: 2, lags: 1, ..CALM }, RULES),
        scenario("five, two crashes", Formed(5), Budget { crashes: 2, ..disk }, RULES),
        scenario("three grow to five, a crash", Formed(3), crash, sizes(&[5])),
        scenario("three grow to five, a lost disk", Formed(3), disk, sizes(&[5])),
        scenario("five shrink to three, a crash", Formed(5), crash, sizes(&[3])),
        scenario("five shrink to three, a lost disk", Formed(5), disk, sizes(&[3])),
        scenario("five to three to five", Formed(5), CALM, sizes(&[3, 5])),
    ]
}

/// What is known not to hold, and why that is so.
#[must_use]
pub fn limits() -> Vec<(char, Scenario)> {
    let twin = Budget { cuts: 1, blind: 1, ..CALM };
    let twin_of_three = Budget { cuts: 1, disks: 1, ..CALM };
    let cut = Budget { cuts: 1, ..CALM };
    let object = Budget { objects: 1, ..CALM };
    let unproven = Budget { outages: 1, crashes: 1, disks: 1, ..CALM };
    vec![
        ('d', scenario("a blank twin that reaches the API server takes the claim", Founded(1), twin, RULES)),
        ('e', scenario("and then its successor's place", Formed(3), twin_of_three, RULES)),
        ('e', scenario("a twin whose watch hung while its place was empty does, too", Formed(3), twin, RULES)),
        ('c', scenario("a twin whose order stood still takes its successor's ID", Formed(1), cut, sizes(&[3]))),
        (
            'b',
            scenario(
                "a member that is forced to be alone as the others leave is believed",
                Formed(3),
                Budget { forced: 1, ..CALM },
                Rules { sizes: &[1], ..RECORDS },
            ),
        ),
        (
            'd',
            scenario(
                "a member that did not see the others leave doubts it when they are wanted again",
                Formed(3),
                CALM,
                Rules { sizes: &[1, 3], ..RECORDS },
            ),
        ),
        ('d', scenario("a founder that joins without the API server gives its proof up", Founded(3), unproven, RULES)),
        (
            'd',
            scenario(
                "a voter loses its pod to a late write, and then its EtcdMember",
                Formed(3),
                object,
                sizes(&[1, 3]),
            ),
        ),
    ]
}

/// A planted mistake, where it shows, and the property that it breaks.
#[must_use]
pub fn planted() -> Vec<(Mistake, char, Scenario)> {
    let plant = |mistake, property, begins, budget, rules| {
        (mistake, property, scenario("planted", begins, budget, rules).with(mistake))
    };
    let crash = Budget { crashes: 1, ..CALM };
    let disk = Budget { disks: 1, ..CALM };
    vec![
        plant(Mistake::NewOnSilence, 'c', Formed(3), disk, RULES),
        plant(
            Mistake::NewOnSilence,
            'a',
            Formed(3),
            Budget { disks: 1, crashes: 1, lags: 1, writes: 1, ..CALM },
            Rules { only: Some('a'), ..RULES },
        ),
        plant(Mistake::ClaimWithoutSwap, 'c', Founded(1), Budget { cuts: 1, blind: 1, ..CALM }, RULES),
        plant(Mistake::NoInitial, 'c', Founded(3), Budget { objects: 1, disks: 1, ..CALM }, RULES),
        plant(Mistake::NoLived, 'c', Formed(3), Budget { data: 1, ..CALM }, RULES),
        plant(Mistake::AdoptByList, 'c', Founded(3), disk, RULES),
        plant(Mistake::LeftNotFinal, 'f', Formed(3), CALM, sizes(&[1, 3])),
        plant(Mistake::VoterFirst, 'd', Formed(1), crash, sizes(&[3])),
        plant(Mistake::MarkBeforeRename, 'd', Formed(3), crash, sizes(&[1, 3])),
        plant(Mistake::IdAfterStart, 'd', Formed(1), crash, sizes(&[3])),
        plant(Mistake::AwayIsRemoved, 'e', Formed(3), crash, RULES),
        plant(Mistake::LowerBeforeLeft, 'd', Formed(3), CALM, sizes(&[1])),
        plant(Mistake::WakeToTheWish, 'd', Formed(3), CALM, sizes(&[0, 1])),
        plant(Mistake::ClearWhileStopped, 'd', Formed(3), CALM, sizes(&[0, 3])),
        plant(Mistake::OlderIncarnation, 'b', Formed(3), Budget { ends: 1, ..CALM }, RULES),
        plant(Mistake::SilenceIsAbsence, 'e', Formed(3), crash, RULES),
        plant(
            Mistake::NoCounter,
            'c',
            Formed(3),
            Budget { copies: 2, crashes: 1, ..CALM },
            Rules { counts: true, ..RULES },
        ),
        plant(
            Mistake::CounterFalls,
            'c',
            Formed(3),
            Budget { copies: 2, crashes: 1, ..CALM },
            Rules { counts: true, ..RULES },
        ),
        plant(Mistake::SupersededGoesOn, 'd', Formed(3), Budget { emptied: 1, ..CALM }, sizes(&[1, 3])),
        plant(Mistake::OtherIdGoesOn, 'd', Formed(1), Budget { haste: 1, ..crash }, sizes(&[3])),
        plant(Mistake::TurnedAwayForGood, 'd', Formed(3), Budget { forced: 1, disks: 1, ..CALM }, RECORDS),
        plant(Mistake::RestartsAsFirst, 'c', Formed(3), Budget { data: 1, crashes: 1, ..CALM }, RULES),
        plant(Mistake::DatabaseIsNoData, 'c', Formed(3), Budget { data: 1, ends: 1, ..CALM }, RULES),
        plant(Mistake::AloneIsTrusted, 'b', Formed(3), Budget { forced: 1, ..CALM }, RECORDS),
        plant(Mistake::NoRest, 'g', Formed(3), Budget { pauses: 1, disks: 1, ..CALM }, RULES),
        plant(Mistake::RestoresUnclaimed, 'c', Restored(1), Budget { cuts: 1, ..CALM }, RULES),
        plant(Mistake::BeginsEmpty, 'h', Restored(1), CALM, RULES),
        plant(Mistake::UntoldIsEmpty, 'h', Restored(1), Budget { serves: 1, ..CALM }, RULES),
        plant(Mistake::AnyBytes, 'h', Restored(1), Budget { serves: 1, ..CALM }, RULES),
        plant(Mistake::PlacesUnasked, 'd', Restored(3), Budget { emptied: 1, ..CALM }, RULES),
        plant(Mistake::MarkFromMemory, 'c', Formed(3), Budget { emptied: 1, crashes: 1, ..CALM }, RULES),
    ]
}
