//! Questions that only live reads answer, asked seldom: first when something has been missing for longer than it takes to
//! make it, and less often the longer that lasts. An answer holds until the question is none any more. Where many clusters
//! have questions, each has its turn later: no more are asked in a second than may be.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::cluster::facts::findings::{Finding, Question};

/// A pod is made within less.
const PODS_AFTER: Duration = Duration::from_secs(5);
/// So is a volume, as a rule.
const VOLUME_AFTER: Duration = Duration::from_secs(15);
/// Asked again after this; it doubles up to [`LONGEST`].
const AGAIN: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(120);

/// What is open of all clusters, by UID.
#[derive(Debug, Default)]
pub struct Inquiries(Mutex<HashMap<String, BTreeMap<Question, Inquiry>>>);

#[derive(Debug, Clone)]
struct Inquiry {
    next: Instant,
    pause: Duration,
    answer: Option<Finding>,
}

/// What is to be asked now, and after what time there is more to ask.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    pub now: Vec<Question>,
    pub again: Option<Duration>,
}

impl Inquiries {
    /// Notes which questions are open, and gives those that are due and `may` be asked.
    pub fn due(&self, uid: &str, open: Vec<Question>, now: Instant, may: impl Fn() -> bool) -> Due {
        let mut all = self.lock();
        if open.is_empty() {
            all.remove(uid);
            return Due { now: vec![], again: None };
        }
        let inquiries = all.entry(uid.to_owned()).or_default();
        inquiries.retain(|question, _| open.contains(question));
        for question in open {
            let after = match &question {
                Question::Pods { .. } => PODS_AFTER,
                Question::Volume { .. } => VOLUME_AFTER,
            };
            inquiries.entry(question).or_insert(Inquiry { next: now + after, pause: AGAIN, answer: None });
        }
        let mut due = vec![];
        for (question, inquiry) in inquiries.iter_mut().filter(|(_, inquiry)| inquiry.next <= now) {
            if may() {
                due.push(question.clone());
            }
            inquiry.next = now + inquiry.pause;
            inquiry.pause = (inquiry.pause * 2).min(LONGEST);
        }
        let again = inquiries.values().map(|inquiry| inquiry.next.duration_since(now)).min();
        Due { now: due, again }
    }

    /// Notes what was answered; where there is no answer now, the last one is out of date.
    pub fn answered(&self, uid: &str, question: &Question, answer: Option<Finding>) {
        if let Some(inquiry) = self.lock().get_mut(uid).and_then(|inquiries| inquiries.get_mut(question)) {
            inquiry.answer = answer;
        }
    }

    /// What is known of a cluster.
    #[must_use]
    pub fn findings(&self, uid: &str) -> Vec<Finding> {
        let all = self.lock();
        all.get(uid).into_iter().flat_map(BTreeMap::values).filter_map(|inquiry| inquiry.answer.clone()).collect()
    }

    /// Forgets the clusters that are not there any more.
    pub fn forget_all_but(&self, is_there: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| is_there(uid));
    }

    /// Forgets one cluster.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<Question, Inquiry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question::Pods { set: "demo".into(), uid: "set".into() }
    }

    #[test]
    fn what_is_missing_for_long_is_asked_about_less_and_less_often() {
        let (inquiries, begun) = (Inquiries::default(), Instant::now());
        let asked = |seconds: u64| {
            inquiries.due("u", vec![question()], begun + Duration::from_secs(seconds), || true).now.len()
        };
        assert_eq!([0, 4, 5, 6, 10, 11, 20].map(asked), [0, 0, 1, 0, 1, 0, 1]);
        assert_eq!(asked(30), 0);
    }

    #[test]
    fn a_question_that_may_not_be_asked_has_its_turn_later_and_is_no_hurry() {
        let (inquiries, begun) = (Inquiries::default(), Instant::now());
        let asked = |seconds: u64, may: bool| {
            let due = inquiries.due("u", vec![question()], begun + Duration::from_secs(seconds), || may);
            (due.now.len(), due.again.unwrap())
        };
        assert_eq!(asked(0, true), (0, PODS_AFTER));
        assert_eq!(asked(5, false), (0, AGAIN));
        assert_eq!(asked(10, false), (0, 2 * AGAIN));
        assert_eq!(asked(20, true), (1, 4 * AGAIN));
    }

    #[test]
    fn a_cluster_that_is_gone_leaves_nothing() {
        let (inquiries, now) = (Inquiries::default(), Instant::now());
        for uid in ["a", "b", "c"] {
            inquiries.due(uid, vec![question()], now, || true);
        }
        inquiries.forget("a");
        inquiries.forget_all_but(|uid| uid == "b");
        assert_eq!(inquiries.lock().keys().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn an_answer_holds_until_the_question_is_none_any_more() {
        let (inquiries, begun) = (Inquiries::default(), Instant::now());
        let due = inquiries.due("u", vec![question()], begun, || true);
        assert_eq!(due, Due { now: vec![], again: Some(PODS_AFTER) });
        let finding = Finding { question: question(), words: "no".into() };
        inquiries.answered("u", &question(), Some(finding.clone()));
        inquiries.due("u", vec![question()], begun + LONGEST, || true);
        assert_eq!(inquiries.findings("u"), [finding]);
        inquiries.due("u", vec![], begun + LONGEST, || true);
        assert!(inquiries.findings("u").is_empty());
    }
}
