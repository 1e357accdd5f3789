//! When a trial is made, what it holds back, and when it goes ([`crate::cluster::facts::trial`]).

use crate::cluster::{
    decide::step::{Step, Waiting},
    facts::{
        Facts,
        rehearsal::Answer,
        trial::{Outcome, Place, Trial},
    },
};

/// A step that touches a member which serves, once trials of the newest template have passed at these places, or none
/// can be held. `taken`: what the API server says of a pod of the template: where it is not sure of one that comes, it
/// may refuse one more.
#[must_use]
pub fn before(step: Step, places: &[Place], taken: &Answer, facts: &Facts) -> Step {
    match taken {
        Answer::Unclear | Answer::Refused(_) => return step,
        Answer::Taken => {}
    }
    if facts.tried().any(|trial| matches!(trial.outcome, Outcome::Failed(_))) {
        let message = "no member is touched while one of the new template could not work";
        return Step::Wait(Waiting::new("RehearsalFailed", message));
    }
    let missing: Vec<Place> = places.iter().copied().filter(|place| facts.trial(*place).is_none()).collect();
    if !missing.is_empty() {
        return Step::Try(missing);
    }
    let trials = places.iter().filter_map(|place| facts.trial(*place));
    trials.into_iter().find_map(waiting).map_or(step, Step::Wait)
}

fn waiting(trial: &Trial) -> Option<Waiting> {
    let message = match &trial.outcome {
        Outcome::Passed | Outcome::Unclear(_) | Outcome::Failed(_) => return None,
        Outcome::UnderWay => format!("pod {} tries the new template before any member is touched", trial.name),
        Outcome::Lost | Outcome::Going(_) => {
            format!("pod {}, which tried the new template, was cut short and is made again", trial.name)
        }
    };
    Some(Waiting::new("Rehearsing", message))
}

/// Why the newest template could not work, and the pod that has tried it.
#[must_use]
pub fn failure(facts: &Facts) -> Option<(&Trial, &str)> {
    facts.tried().filter(|_| facts.is_rolling()).find_map(|trial| match &trial.outcome {
        Outcome::Failed(words) => Some((trial, words.as_str())),
        Outcome::UnderWay | Outcome::Passed | Outcome::Unclear(_) | Outcome::Lost | Outcome::Going(_) => None,
    })
}

/// Those that nobody needs any more. The trial of a roll that goes on is kept: a coordinator that begins anew makes no second one.
#[must_use]
pub fn over(facts: &Facts) -> Vec<Trial> {
    let needed = |trial: &&Trial| {
        trial.outcome != Outcome::Lost && facts.is_rolling() && facts.tried().any(|one| one.uid == trial.uid)
    };
    facts.trials.iter().filter(|trial| !trial.deleting && !needed(trial)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts::tests::{healthy, set};

    fn facts(trials: &[(&str, Outcome)]) -> Facts {
        let mut facts = healthy(3);
        facts.set = Some(set(3, "b"));
        let trial = |(at, (shape, outcome)): (usize, &(&str, Outcome))| Trial {
            name: format!("demo-rehearsal-{at}"),
            uid: at.to_string(),
            shape: (*shape).into(),
            place: Place::Anywhere,
            image: String::new(),
            outcome: outcome.clone(),
            deleting: false,
        };
        facts.trials = trials.iter().enumerate().map(trial).collect();
        facts
    }

    fn decided(trials: &[(&str, Outcome)]) -> Step {
        before(Step::SetReplicas(9), &[Place::Anywhere], &Answer::Taken, &facts(trials))
    }

    #[test]
    fn nothing_that_serves_is_given_up_before_the_newest_template_was_tried() {
        assert_eq!(decided(&[]), Step::Try(vec![Place::Anywhere]));
        assert_eq!(decided(&[("a", Outcome::Passed)]), Step::Try(vec![Place::Anywhere]), "that was another template");
        assert!(matches!(decided(&[("b", Outcome::UnderWay)]), Step::Wait(_)));
        assert!(matches!(decided(&[("b", Outcome::Failed("no".into()))]), Step::Wait(_)));
        assert!(matches!(decided(&[("b", Outcome::Lost)]), Step::Wait(_)));
        assert_eq!(decided(&[("a", Outcome::Failed("no".into())), ("b", Outcome::Passed)]), Step::SetReplicas(9));
    }

    #[test]
    fn where_no_trial_can_be_held_none_is_waited_for() {
        assert_eq!(decided(&[("b", Outcome::Unclear("no room".into()))]), Step::SetReplicas(9));
        let unclear = before(Step::SetReplicas(9), &[Place::Anywhere], &Answer::Unclear, &facts(&[]));
        assert_eq!(unclear, Step::SetReplicas(9));
    }

    #[test]
    fn it_is_tried_at_each_place_that_is_named() {
        let (one, two) = (Place::Beside(1), Place::Beside(2));
        let mut facts = facts(&[("b", Outcome::Passed), ("b", Outcome::Passed)]);
        let step = |facts: &Facts| before(Step::SetReplicas(9), &[one, two], &Answer::Taken, facts);
        assert_eq!(step(&facts), Step::Try(vec![one, two]), "elsewhere says nothing of these");
        facts.trials[0].place = two;
        assert_eq!(step(&facts), Step::Try(vec![one]));
        facts.trials[1].place = one;
        assert_eq!(step(&facts), Step::SetReplicas(9));
        facts.trials[0].outcome = Outcome::UnderWay;
        assert!(matches!(step(&facts), Step::Wait(_)));
        facts.trials[0].outcome = Outcome::Failed("no".into());
        assert!(matches!(step(&facts), Step::Wait(waiting) if waiting.reason == "RehearsalFailed"));
    }

    #[test]
    fn a_trial_goes_with_the_roll_that_it_was_made_for() {
        let over = |facts: &Facts| over(facts).into_iter().map(|trial| trial.uid).collect::<Vec<_>>();
        let mut facts = facts(&[("a", Outcome::Passed), ("b", Outcome::Failed("no".into()))]);
        assert_eq!(over(&facts), ["0"]);
        assert_eq!(failure(&facts).map(|(_, words)| words), Some("no"));
        facts.set = Some(set(3, "a"));
        assert_eq!(over(&facts), ["0", "1"], "nothing rolls");
        assert_eq!(failure(&facts), None);
        assert_eq!(over(&self::facts(&[("b", Outcome::Lost)])), ["0"]);
    }
}
