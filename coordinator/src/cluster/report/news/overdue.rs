//! What is warned of because it has lasted: members that do not serve although they should.
//!
//! Members come and go while a cluster is made, scaled and rolled, and when a pod moves. That is told as a story, and by
//! the phase. Only what is still so after a time that no ordinary step takes is a warning, once for each reason until
//! the cluster is Ready again.

use std::time::Duration;

use etcd_operator_shared::api::{EtcdClusterStatus, cluster::Phase};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    apiserver::recorder::Note,
    cluster::{report::status::problems, timers::Unready},
};

/// What seldom cures itself, such as an image that cannot be pulled: kubelet and scheduler try again meanwhile.
const LASTS: Duration = Duration::from_secs(10);
/// No quorum serves. A single member is replaced in less.
const UNAVAILABLE: Duration = Duration::from_secs(30);
/// A member is missing. A pod is made again on another node in less.
const MISSING: Duration = Duration::from_secs(60);
/// Images are pulled and volumes made for the first time.
const CREATING: Duration = Duration::from_secs(120);

/// When to warn.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    Never,
    In(Duration),
    Now(Note),
}

/// Why the cluster is not Ready, if it is not.
#[must_use]
pub fn reason(status: &EtcdClusterStatus) -> Option<&str> {
    condition(status, "Ready").filter(|ready| ready.status != "True").map(|ready| ready.reason.as_str())
}

/// What to warn of, after the cluster has not been Ready for so long.
#[must_use]
pub fn due(status: &EtcdClusterStatus, unready: Option<Unready>) -> Due {
    let (Some(unready), Some(ready)) = (unready, condition(status, "Ready")) else { return Due::Never };
    // Told when it began.
    if condition(status, "Stalled").is_some_and(|stalled| stalled.status == "True" && stalled.reason == ready.reason) {
        return Due::Never;
    }
    let Some((so_far, patience)) = patience(status.phase, &ready.reason, unready) else { return Due::Never };
    match patience.checked_sub(so_far).filter(|rest| !rest.is_zero()) {
        Some(rest) => Due::In(rest),
        None => {
            let text = format!("{}; it has been so for more than {} s", ready.message, patience.as_secs());
            Due::Now(Note { warns: true, ..Note::normal(&ready.reason, "Reconcile", text) })
        }
    }
}

/// How long it has been so, and how long it may be.
fn patience(phase: Option<Phase>, reason: &str, unready: Unready) -> Option<(Duration, Duration)> {
    if problems::lasts(reason) {
        return Some((unready.reason, LASTS));
    }
    match phase {
        // All members serve, and something else is wrong.
        Some(Phase::Running) => Some((unready.reason, LASTS)),
        Some(Phase::Unavailable) => Some((unready.whole, UNAVAILABLE)),
        Some(Phase::Degraded) => Some((unready.whole, MISSING)),
        Some(Phase::Creating) => Some((unready.whole, CREATING)),
        // These end by themselves, or become one of the above.
        Some(Phase::Scaling | Phase::Upgrading | Phase::Stopped | Phase::Stalled | Phase::Paused | Phase::Deleting)
        | None => None,
    }
}

fn condition<'a>(status: &'a EtcdClusterStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::report::news::tests::status;

    fn after(seconds: u64) -> Option<Unready> {
        let time = Duration::from_secs(seconds);
        Some(Unready { whole: time, reason: time })
    }

    #[test]
    fn a_member_that_starts_or_joins_is_no_warning() {
        for reason in ["LauncherMissing", "Starting", "Joining", "Learner", "NoQuorum"] {
            for phase in [Phase::Scaling, Phase::Upgrading] {
                assert_eq!(due(&status(phase, false, reason), after(600)), Due::Never, "{phase:?} {reason}");
            }
            let degraded = due(&status(Phase::Degraded, false, reason), after(20));
            assert_eq!(degraded, Due::In(Duration::from_secs(40)), "{reason}");
        }
    }

    #[test]
    fn a_member_that_is_missing_for_long_is_a_warning_that_says_for_how_long() {
        let Due::Now(note) = due(&status(Phase::Degraded, false, "MembersMissing"), after(60)) else { panic!() };
        assert_eq!((note.warns, note.text.as_str()), (true, "m; it has been so for more than 60 s"));
    }

    #[test]
    fn what_hardly_cures_itself_is_a_warning_soon_and_counted_from_its_own_beginning() {
        let pulling = status(Phase::Upgrading, false, "ImagePullFailed");
        assert!(matches!(due(&pulling, after(10)), Due::Now(_)));
        let new = Unready { whole: Duration::from_secs(100), reason: Duration::from_secs(4) };
        assert_eq!(due(&pulling, Some(new)), Due::In(Duration::from_secs(6)));
    }

    #[test]
    fn one_that_is_ready_or_was_told_to_be_stalled_is_no_warning() {
        assert_eq!(reason(&status(Phase::Running, true, "AllMembersServe")), None);
        let mut stalled = status(Phase::Stalled, false, "Refused");
        let mut same = stalled.conditions[0].clone();
        (same.type_, same.status) = ("Stalled".into(), "True".into());
        stalled.conditions.push(same);
        assert_eq!(due(&stalled, after(600)), Due::Never);
    }
}
