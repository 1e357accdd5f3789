//! When a trial is made, what it holds back, and when it goes ([`crate::cluster::facts::trial`]).

use crate::cluster::{
    decide::step::{Step, Waiting},
    facts::{
        Facts,
        rehearsal::Answer,
        trial::{Outcome, Trial},
    },
};

/// A step that gives up a pod which serves, once a trial of the newest template has passed, or none can be held. `taken`: what the
/// API server says of a pod of the template: where it is not sure of one that comes, it may refuse one more.
#[must_use]
pub fn before(step: Step, taken: &Answer, facts: &Facts) -> Step {
    match (taken, facts.trial().map(|trial| (trial, &trial.outcome))) {
        (Answer::Unclear | Answer::Refused(_), _) | (_, Some((_, Outcome::Passed | Outcome::Unclear(_)))) => step,
        (Answer::Taken, None) => Step::Try,
        (Answer::Taken, Some((trial, Outcome::UnderWay))) => {
            let message = format!("pod {} tries the new template before any pod is replaced", trial.name);
            Step::Wait(Waiting::new("Rehearsing", message))
        }
        (Answer::Taken, Some((trial, Outcome::Lost | Outcome::Going(_)))) => {
            let message = format!("pod {}, which tried the new template, was cut short and is made again", trial.name);
            Step::Wait(Waiting::new("Rehearsing", message))
        }
        (Answer::Taken, Some((_, Outcome::Failed(_)))) => {
            let message = "no pod is replaced while a member of the new template could not work";
            Step::Wait(Waiting::new("RehearsalFailed", message))
        }
    }
}

/// Why the newest template could not work, and the pod that has tried it.
#[must_use]
pub fn failure(facts: &Facts) -> Option<(&Trial, &str)> {
    let trial = facts.trial().filter(|_| facts.is_rolling())?;
    match &trial.outcome {
        Outcome::Failed(words) => Some((trial, words)),
        Outcome::UnderWay | Outcome::Passed | Outcome::Unclear(_) | Outcome::Lost | Outcome::Going(_) => None,
    }
}

/// Those that nobody needs any more. The trial of a roll that goes on is kept: a coordinator that begins anew makes no second one.
#[must_use]
pub fn over(facts: &Facts) -> Vec<Trial> {
    let needed = |trial: &&Trial| {
        trial.outcome != Outcome::Lost && facts.is_rolling() && facts.trial().is_some_and(|one| one.uid == trial.uid)
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
            outcome: outcome.clone(),
            deleting: false,
        };
        facts.trials = trials.iter().enumerate().map(trial).collect();
        facts
    }

    fn decided(trials: &[(&str, Outcome)]) -> Step {
        before(Step::SetReplicas(9), &Answer::Taken, &facts(trials))
    }

    #[test]
    fn nothing_that_serves_is_given_up_before_the_newest_template_was_tried() {
        assert_eq!(decided(&[]), Step::Try);
        assert_eq!(decided(&[("a", Outcome::Passed)]), Step::Try, "that was another template");
        assert!(matches!(decided(&[("b", Outcome::UnderWay)]), Step::Wait(_)));
        assert!(matches!(decided(&[("b", Outcome::Failed("no".into()))]), Step::Wait(_)));
        assert!(matches!(decided(&[("b", Outcome::Lost)]), Step::Wait(_)));
        assert_eq!(decided(&[("a", Outcome::Failed("no".into())), ("b", Outcome::Passed)]), Step::SetReplicas(9));
    }

    #[test]
    fn where_no_trial_can_be_held_none_is_waited_for() {
        assert_eq!(decided(&[("b", Outcome::Unclear("no room".into()))]), Step::SetReplicas(9));
        assert_eq!(before(Step::SetReplicas(9), &Answer::Unclear, &facts(&[])), Step::SetReplicas(9));
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
