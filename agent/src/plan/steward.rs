//! What the agent beside the raft leader does for members that cannot help themselves: at most one step at a time.
//!
//! Every step removes an entry by its ID, so two agents that both think they are beside the leader do no harm. Only the
//! desired size and a learner's long absence or silence cause anything: a voter that is away is never removed for being away.

use std::time::Duration;

use super::list::Entry;

/// What the leader's agent sees.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// ID of the leader, this agent's own member.
    pub own_id: &'a str,
    /// Desired number of members; `None` while the wish is not known for sure, or the cluster is stopped.
    pub size: Option<u32>,
    /// How long this wish has been known.
    pub wished_for: Duration,
    /// The linearizable list, as the leader sees its members.
    pub seats: &'a [Seat],
}

/// An entry of the membership as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    pub entry: Entry,
    /// For how long the leader has had no connection to it; `None` while it has one.
    pub away: Option<Duration>,
    /// For how long its agent has not answered at its address; `None` while it answers, or its address is not known.
    pub mute: Option<Duration>,
}

/// One removal, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Removal {
    pub id: String,
    pub member: String,
    pub why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It is not wanted any more, and nobody is there who could take it out.
    SurplusAndAway,
    /// It is not wanted any more, and has not left in time.
    SurplusAndSlow,
    /// It was added and does not come.
    LearnerAway,
    /// Its etcd is connected, and the agent that would have it promoted is not heard.
    LearnerMute,
}

/// A connection that is missing for this long is no hiccup: etcd connects again within 100 ms.
const AWAY: Duration = Duration::from_secs(2);
/// A member that can leave by itself takes a second or two; one that waits for others longer.
const SLOW: Duration = Duration::from_secs(60);
/// A learner's pod starts etcd within a second of adding itself. While it stays away nobody else can join.
const LEARNER_AWAY: Duration = Duration::from_secs(45);
/// An agent that ends is back within a second, one whose image is being changed within ten. While it is mute its learner is
/// promoted by nobody, and nobody else can join.
const LEARNER_MUTE: Duration = Duration::from_secs(90);

/// The next removal, if one is due: the dead before the living, then the highest.
#[must_use]
pub fn next(facts: Facts<'_>) -> Option<Removal> {
    let others = || facts.seats.iter().filter(|seat| seat.entry.id != facts.own_id && seat.entry.ordinal.is_some());
    let surplus = || others().filter(|seat| facts.size.is_some_and(|size| seat.entry.is_surplus(size)));
    let for_long = |time: Option<Duration>, bound: Duration| time.is_some_and(|time| time >= bound);
    let removal = |seat: &Seat, why| Removal { id: seat.entry.id.clone(), member: seat.entry.member.clone(), why };
    let dead = surplus().filter(|seat| for_long(seat.away, AWAY)).max_by_key(|seat| seat.entry.ordinal);
    let slow = || surplus().filter(|_| facts.wished_for >= SLOW).max_by_key(|seat| seat.entry.ordinal);
    let learner = |time: fn(&Seat) -> Option<Duration>, bound| {
        others().find(|seat| seat.entry.learner && for_long(time(seat), bound))
    };
    dead.map(|seat| removal(seat, Why::SurplusAndAway))
        .or_else(|| slow().map(|seat| removal(seat, Why::SurplusAndSlow)))
        .or_else(|| learner(|seat| seat.away, LEARNER_AWAY).map(|seat| removal(seat, Why::LearnerAway)))
        .or_else(|| learner(|seat| seat.mute, LEARNER_MUTE).map(|seat| removal(seat, Why::LearnerMute)))
}

impl Why {
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::SurplusAndAway => "it is not wanted any more and cannot be reached",
            Self::SurplusAndSlow => "it is not wanted any more and has not left by itself",
            Self::LearnerAway => "it was added and has not come since",
            Self::LearnerMute => "it is a learner whose agent does not answer, and bars others from joining",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seat(ordinal: u32, learner: bool, away: Option<u64>) -> Seat {
        let (id, member) = (format!("id{ordinal}"), format!("demo-{ordinal}"));
        let entry = Entry { id, member, ordinal: Some(ordinal), learner, started: !learner };
        Seat { entry, away: away.map(Duration::from_secs), mute: None }
    }

    fn step(size: Option<u32>, wished_for: u64, seats: &[Seat]) -> Option<(String, Why)> {
        let facts = Facts { own_id: "id0", size, wished_for: Duration::from_secs(wished_for), seats };
        next(facts).map(|removal| (removal.member, removal.why))
    }

    #[test]
    fn a_dead_surplus_member_goes_before_a_living_higher_one() {
        let seats = [seat(0, false, None), seat(3, false, Some(5)), seat(4, false, None)];
        assert_eq!(step(Some(3), 5, &seats), Some(("demo-3".into(), Why::SurplusAndAway)));
    }

    #[test]
    fn a_surplus_member_gets_its_time_and_no_more() {
        let seats = [seat(0, false, None), seat(1, false, None)];
        assert_eq!(step(Some(1), 5, &seats), None);
        assert_eq!(step(Some(1), 61, &seats), Some(("demo-1".into(), Why::SurplusAndSlow)));
    }

    #[test]
    fn a_learner_that_stays_away_gives_its_place_up() {
        assert_eq!(step(Some(3), 99, &[seat(0, false, None), seat(1, true, Some(5))]), None);
        let gone = [seat(0, false, None), seat(1, true, Some(50))];
        assert_eq!(step(None, 99, &gone), Some(("demo-1".into(), Why::LearnerAway)));
    }

    #[test]
    fn a_learner_whose_agent_is_mute_gives_its_place_up_and_a_voter_does_not() {
        let mute = |learner, seconds| Seat { mute: Some(Duration::from_secs(seconds)), ..seat(1, learner, None) };
        assert_eq!(step(Some(3), 99, &[seat(0, false, None), mute(true, 60)]), None, "its agent may come back");
        let step_of = |learner| step(Some(3), 99, &[seat(0, false, None), mute(learner, 90)]);
        assert_eq!(step_of(true), Some(("demo-1".into(), Why::LearnerMute)));
        assert_eq!(step_of(false), None);
    }

    proptest! {
        #[test]
        fn a_wanted_voter_and_a_strangers_entry_are_never_removed(
            size in prop::option::of(1u32..8),
            wished_for in 0u64..200,
            row in prop::collection::vec(
                (0u32..7, any::<bool>(), prop::option::of(0u64..200), prop::option::of(0u64..200), any::<bool>()),
                0..8,
            ),
        ) {
            let seats: Vec<Seat> = row.into_iter().map(|(ordinal, learner, away, mute, ours)| {
                let mut seat = seat(ordinal, learner, away);
                seat.mute = mute.map(Duration::from_secs);
                seat.entry.ordinal = ours.then_some(ordinal);
                seat
            }).collect();
            if let Some((member, _)) = step(size, wished_for, &seats) {
                let hit = seats.iter().find(|s| s.entry.member == member && s.entry.ordinal.is_some()).unwrap();
                prop_assert!(hit.entry.id != "id0");
                let surplus = size.is_some_and(|size| hit.entry.is_surplus(size));
                prop_assert!(surplus || seats.iter().any(|s| s.entry.member == member && s.entry.learner));
            }
        }
    }
}
