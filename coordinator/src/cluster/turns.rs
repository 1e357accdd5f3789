//! Who has a turn to roll, of all clusters of this coordinator. In memory only: a coordinator that begins gives the first turns to
//! those whose roll is under way ([`ration::is_under_way`]).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    cluster::decide::{
        ration::{Need, Rolls, TOO_MANY},
        step::Waiting,
    },
    metrics::Metrics,
};

/// A roll that has touched nobody for so long and is not at its end has gone wrong. A member is back within a minute; one that has to
/// fetch a large database needs some.
const BOUND: Duration = Duration::from_secs(600);

/// The turns of all clusters, as the controller of one scope asks for them.
#[derive(Debug, Clone)]
pub struct Turns {
    scope: usize,
    most: usize,
    metrics: Metrics,
    state: Arc<Mutex<State>>,
}

/// Who has caused a roll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Nothing of the spec was edited since this coordinator began: it makes other pods of it than its predecessor.
    Operators,
    /// Somebody has edited the spec. One that gets stuck says nothing of other clusters, and must not hold them up.
    Users,
}

/// A cluster: its scope's number, and its UID.
type Id = (usize, String);

#[derive(Debug, Default)]
struct State {
    rolling: HashMap<Id, Roll>,
    waiting: HashSet<Id>,
    /// Generation that each had when it was seen first, if no edit was pending by then.
    first: HashMap<Id, Option<i64>>,
    /// Rolls that went wrong with none that came to a good end since.
    failed: usize,
}

#[derive(Debug)]
struct Roll {
    whose: Whose,
    /// When it touched somebody last.
    touched: Instant,
    failed: bool,
}

impl Turns {
    /// `most`: as many at a time.
    #[must_use]
    pub fn new(most: usize, metrics: Metrics) -> Self {
        Self { scope: 0, most, metrics, state: Arc::default() }
    }

    /// The same turns, for the controller of another scope.
    #[must_use]
    pub fn of(&self, scope: usize) -> Self {
        Self { scope, ..self.clone() }
    }

    /// Who has caused a roll of this cluster now, as it is seen at least once before any edit.
    pub fn whose(&self, uid: &str, generation: Option<i64>, observed: Option<i64>) -> Whose {
        let mut state = self.lock();
        let first = state.first.entry(self.id(uid)).or_insert(generation.filter(|_| generation == observed));
        if first.is_some() && *first == generation { Whose::Operators } else { Whose::Users }
    }

    /// Gives a turn to one whose roll is under way, whatever others do.
    pub fn resume(&self, uid: &str, whose: Whose, now: Instant) {
        let mut state = self.lock();
        state.rolling.entry(self.id(uid)).or_insert(Roll { whose, touched: now, failed: false });
        self.tell(&state);
    }

    /// What a cluster waits for before it takes a step that has this need.
    pub fn ask(&self, uid: &str, need: Need, whose: Whose, now: Instant) -> Option<Waiting> {
        if need == Need::Nothing {
            return None;
        }
        let mut state = self.lock();
        state.judge(now);
        let rolls = Rolls { most: self.most, now: state.rolling.len(), failed: state.failed };
        let id = self.id(uid);
        let waits = match state.rolling.get_mut(&id) {
            Some(roll) if need == Need::Turn => {
                roll.touched = now;
                None
            }
            Some(_) => None,
            None => rolls.refusal(),
        };
        if waits.is_some() {
            state.waiting.insert(id);
        } else if need == Need::Turn {
            state.waiting.remove(&id);
            state.rolling.entry(id).or_insert(Roll { whose, touched: now, failed: false });
        }
        self.tell(&state);
        waits
    }

    /// A cluster is well: whatever rolled there has come to a good end.
    pub fn is_well(&self, uid: &str, now: Instant) {
        let mut state = self.lock();
        state.judge(now);
        let id = self.id(uid);
        state.waiting.remove(&id);
        if state.rolling.remove(&id).is_some_and(|roll| roll.whose == Whose::Operators) {
            if state.failed >= TOO_MANY {
                info!("a roll has come to a good end: others may begin again");
            }
            state.failed = 0;
        }
        self.tell(&state);
    }

    /// A cluster was told to rest amid its roll, or as it waited for a turn: that says nothing of how others would fare.
    pub fn give_back(&self, uid: &str) {
        let mut state = self.lock();
        let id = self.id(uid);
        if state.waiting.remove(&id) | state.rolling.remove(&id).is_some() {
            self.tell(&state);
        }
    }

    /// Forgets the clusters of this scope that are not there any more.
    pub fn forget_all_but(&self, is_there: impl Fn(&str) -> bool) {
        let stays = |(scope, uid): &Id| *scope != self.scope || is_there(uid);
        let mut state = self.lock();
        state.rolling.retain(|id, _| stays(id));
        state.waiting.retain(|id| stays(id));
        state.first.retain(|id, _| stays(id));
        self.tell(&state);
    }

    fn tell(&self, state: &State) {
        let failed = state.rolling.values().filter(|roll| roll.failed).count();
        self.metrics.rolls(state.rolling.len(), state.waiting.len(), failed, state.failed >= TOO_MANY);
    }

    fn id(&self, uid: &str) -> Id {
        (self.scope, uid.to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Finds the rolls that have gone wrong. A user's gives its turn back.
    fn judge(&mut self, now: Instant) {
        let late = |roll: &Roll| !roll.failed && now.duration_since(roll.touched) >= BOUND;
        self.rolling.retain(|_, roll| roll.whose == Whose::Operators || !late(roll));
        for ((_, uid), roll) in self.rolling.iter_mut().filter(|(_, roll)| late(roll)) {
            roll.failed = true;
            self.failed += 1;
            warn!(cluster = uid, failed_in_a_row = self.failed, "a roll has not come to a good end in time");
            if self.failed == TOO_MANY {
                warn!("no more clusters roll until one of those that did is well");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(most: usize) -> Turns {
        Turns::new(most, Metrics::default())
    }

    fn reason(turns: &Turns, uid: &str, now: Instant) -> Option<&'static str> {
        turns.ask(uid, Need::Turn, Whose::Operators, now).map(|waiting| waiting.reason)
    }

    #[test]
    fn a_turn_is_held_until_all_is_well() {
        let (turns, now) = (turns(2), Instant::now());
        let ask = |uid| reason(&turns, uid, now);
        assert_eq!((ask("a"), ask("b"), ask("c")), (None, None, Some("WaitsForTurn")));
        assert_eq!(ask("a"), None, "it has its turn");
        turns.is_well("b", now);
        assert_eq!((ask("c"), ask("b")), (None, Some("WaitsForTurn")));
        turns.of(1).forget_all_but(|_| false);
        assert!(ask("b").is_some(), "those of another scope are not forgotten");
        turns.forget_all_but(|uid| uid != "a");
        assert_eq!(ask("b"), None);
    }

    #[test]
    fn who_only_asks_for_room_takes_none() {
        let (turns, now) = (turns(1), Instant::now());
        assert_eq!(turns.ask("a", Need::Room, Whose::Users, now), None);
        assert_eq!(reason(&turns, "b", now), None);
        assert!(turns.ask("a", Need::Room, Whose::Users, now).is_some());
        assert_eq!(turns.ask("a", Need::Nothing, Whose::Users, now), None);
    }

    #[test]
    fn a_roll_under_way_goes_on_after_a_restart_before_any_other() {
        let (turns, now) = (turns(1), Instant::now());
        turns.resume("a", Whose::Operators, now);
        turns.resume("b", Whose::Users, now);
        assert_eq!((reason(&turns, "a", now), reason(&turns, "b", now)), (None, None));
        turns.is_well("a", now);
        assert_eq!(reason(&turns, "c", now), Some("WaitsForTurn"));
    }

    #[test]
    fn rolls_that_go_wrong_in_a_row_stop_all_others_until_one_ends_well() {
        let (turns, now) = (turns(10), Instant::now());
        assert_eq!(["a", "b", "c"].map(|uid| reason(&turns, uid, now)), [None; 3]);
        assert_eq!(reason(&turns, "d", now + BOUND - Duration::from_secs(1)), None);
        assert_eq!(reason(&turns, "e", now + BOUND), Some("RollsHalted"));
        assert_eq!(reason(&turns, "d", now + BOUND), None, "one that has begun goes on");
        turns.is_well("b", now);
        assert_eq!(reason(&turns, "e", now + BOUND), None);
    }

    #[test]
    fn users_whose_rolls_are_stuck_hold_nobody_up() {
        let (turns, now) = (turns(3), Instant::now());
        let ask = |uid, now| turns.ask(uid, Need::Turn, Whose::Users, now).map(|waiting| waiting.reason);
        assert_eq!(["a", "b", "c"].map(|uid| ask(uid, now)), [None; 3]);
        assert_eq!(ask("d", now), Some("WaitsForTurn"));
        assert_eq!((ask("d", now + BOUND), turns.lock().failed), (None, 0));
    }

    #[test]
    fn a_roll_is_the_operators_until_the_spec_is_edited() {
        let turns = turns(1);
        assert_eq!(turns.whose("a", Some(4), Some(4)), Whose::Operators);
        assert_eq!(turns.whose("a", Some(5), Some(4)), Whose::Users);
        assert_eq!(turns.whose("a", Some(5), Some(5)), Whose::Users);
        assert_eq!(turns.whose("b", Some(5), Some(4)), Whose::Users, "edited while no coordinator ran");
        assert_eq!(turns.whose("b", Some(5), Some(5)), Whose::Users);
        assert_eq!(turns.whose("c", Some(1), None), Whose::Users, "it is made");
    }

    #[test]
    fn a_roll_that_goes_on_has_not_gone_wrong_however_long_it_takes() {
        let (turns, now) = (turns(1), Instant::now());
        for minutes in [0, 9, 18, 27] {
            assert_eq!(reason(&turns, "a", now + Duration::from_secs(60 * minutes)), None);
        }
        assert_eq!(turns.lock().failed, 0);
    }
}
