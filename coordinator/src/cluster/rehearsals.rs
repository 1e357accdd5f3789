//! Which templates the API server was asked about, and when it is asked again. In memory only: after a restart a roll that is under
//! way asks once more.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::cluster::facts::rehearsal::{Answer, Rehearsal};

/// First wait after a refusal; it doubles up to [`LONGEST`]: what was missing may have been made.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);
/// After so many questions in a row that were not answered nothing is held back any more.
const PATIENCE: u32 = 8;

/// What each cluster was told last, by its UID.
#[derive(Debug, Default)]
pub struct Rehearsals(Mutex<HashMap<String, Memory>>);

#[derive(Debug, Default)]
struct Memory {
    last: Option<Last>,
    /// Questions that were not answered, in a row.
    failures: u32,
}

#[derive(Debug)]
struct Last {
    rehearsal: Rehearsal,
    /// When it is asked again; `None`: never.
    again: Option<Instant>,
    pause: Duration,
}

impl Rehearsals {
    /// What is known of a cluster's template, and need not be asked now.
    #[must_use]
    pub fn known(&self, uid: &str, now: Instant) -> Option<Rehearsal> {
        let all = self.lock();
        let last = all.get(uid)?.last.as_ref().filter(|last| last.again.is_none_or(|again| now < again));
        last.map(|last| last.rehearsal.clone())
    }

    /// Notes an answer.
    pub fn answered(&self, uid: &str, rehearsal: &Rehearsal, now: Instant) {
        let mut all = self.lock();
        let memory = all.entry(uid.to_owned()).or_default();
        let before = memory.last.take().filter(|before| before.rehearsal.shape == rehearsal.shape);
        let pause = before.map_or(FIRST, |before| (before.pause * 2).min(LONGEST));
        let again = match rehearsal.answer {
            Answer::Taken | Answer::Unclear => None,
            Answer::Refused(_) => Some(now + pause),
        };
        *memory = Memory { last: Some(Last { rehearsal: rehearsal.clone(), again, pause }), failures: 0 };
    }

    /// Notes that there was no answer. Gives whether there have been none for so long that nothing is held back any more.
    pub fn unanswered(&self, uid: &str) -> bool {
        let mut all = self.lock();
        let memory = all.entry(uid.to_owned()).or_default();
        memory.failures += 1;
        memory.failures >= PATIENCE
    }

    /// Forgets the clusters that are not there any more.
    pub fn forget_all_but(&self, is_there: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| is_there(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rehearsal(shape: &str, answer: Answer) -> Rehearsal {
        Rehearsal { shape: shape.into(), answer }
    }

    #[test]
    fn a_template_that_is_taken_is_asked_about_once() {
        let (rehearsals, begun) = (Rehearsals::default(), Instant::now());
        assert_eq!(rehearsals.known("u", begun), None);
        let taken = rehearsal("a", Answer::Taken);
        rehearsals.answered("u", &taken, begun);
        assert_eq!(rehearsals.known("u", begun + 100 * LONGEST), Some(taken));
        rehearsals.forget_all_but(|_| false);
        assert_eq!(rehearsals.known("u", begun), None);
    }

    #[test]
    fn one_that_is_refused_is_asked_about_less_and_less_often_and_another_at_once() {
        let (rehearsals, mut now) = (Rehearsals::default(), Instant::now());
        let refused = |shape: &str| rehearsal(shape, Answer::Refused("no".into()));
        let mut pause = |shape: &str| {
            rehearsals.answered("u", &refused(shape), now);
            let pause = (0..100).find(|seconds| rehearsals.known("u", now + Duration::from_secs(*seconds)).is_none());
            now += Duration::from_secs(pause.unwrap());
            pause.unwrap()
        };
        assert_eq!(["a", "a", "a", "a", "a", "a"].map(&mut pause), [5, 10, 20, 40, 60, 60]);
        assert_eq!(pause("b"), 5);
    }

    #[test]
    fn no_answer_holds_a_roll_for_a_while_and_not_for_ever() {
        let rehearsals = Rehearsals::default();
        let gives_up: Vec<bool> = (0..PATIENCE).map(|_| rehearsals.unanswered("u")).collect();
        assert_eq!(gives_up.iter().position(|gives_up| *gives_up), Some(7));
        rehearsals.answered("u", &rehearsal("a", Answer::Unclear), Instant::now());
        assert!(!rehearsals.unanswered("u"));
    }
}
