//! Ready, Reconciling and Stalled as kstatus reads them, and Available: a quorum serves.
//!
//! Source: <https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>.

use etcd_operator_shared::{
    api::cluster::{End, Keep, Phase},
    names,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    Derived, Input,
    condition::{self, ConditionUpdate, Status},
    tally::{Serving, Tally},
};
use crate::cluster::decide::step::{Step, Waiting};

/// Reason and sentence.
type Reason = (String, String);

pub fn of(
    mut conditions: Vec<Condition>,
    derived: &Derived<'_>,
    phase: Phase,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    for says in [ready(derived, phase), available(derived), reconciling(derived, phase), stalled(derived)] {
        condition::upsert(&mut conditions, says, generation, now);
    }
    conditions
}

fn update(kind: &'static str, status: impl Into<Status>, (reason, message): Reason) -> ConditionUpdate {
    ConditionUpdate { kind, status: status.into(), reason, message }
}

fn because(reason: &str, message: impl Into<String>) -> Reason {
    (reason.to_owned(), message.into())
}

/// True when every wanted member serves and none has raised an alarm.
fn ready(derived: &Derived<'_>, phase: Phase) -> ConditionUpdate {
    let tally = &derived.tally;
    if derived.stopped {
        return update("Ready", false, stopped(derived));
    }
    if derived.founded && tally.serving() == Serving::All {
        let leader = tally.leader.as_deref().unwrap_or_default();
        return match (tally.alarms.as_slice(), grave(tally)) {
            ([], None) => {
                let all = format!("{}, {leader} leads", count(derived));
                let known = tally.notices.iter().map(|(_, sentence)| format!("; {sentence}"));
                update("Ready", true, because("AllMembersServe", known.fold(all, |all, one| all + &one)))
            }
            ([], Some((reason, sentence))) => update("Ready", false, because(reason, sentence)),
            (alarms, _) => update("Ready", false, because("AlarmRaised", format!("alarm {}", alarms.join(", ")))),
        };
    }
    let status = if tally.serving() == Serving::Unclear { Status::Unknown } else { Status::False };
    update("Ready", status, culprit(derived).unwrap_or_else(|| waiting(derived, phase)))
}

/// The first notice that says that not everything goes: etcd serves, and something must be done.
fn grave(tally: &Tally) -> Option<(&str, &str)> {
    const HARMLESS: &str = "AuthenticationOn";
    let grave = tally.notices.iter().find(|(reason, _)| reason != HARMLESS);
    grave.map(|(reason, sentence)| (reason.as_str(), sentence.as_str()))
}

/// True when a quorum serves.
fn available(derived: &Derived<'_>) -> ConditionUpdate {
    let (status, reason) = match derived.tally.serving() {
        _ if derived.stopped => (Status::False, "Stopped"),
        _ if !derived.founded => (Status::False, "NotFounded"),
        Serving::All | Serving::Quorum => (Status::True, "QuorumServes"),
        Serving::Unclear => (Status::Unknown, "MembersSilent"),
        Serving::TooFew if derived.tally.ready > 0 && derived.tally.leader.is_none() => (Status::False, "NoLeader"),
        Serving::TooFew => (Status::False, "NoQuorum"),
    };
    update("Available", status, because(reason, count(derived)))
}

/// True while something is being changed that needs no person.
fn reconciling(derived: &Derived<'_>, phase: Phase) -> ConditionUpdate {
    if stalling(derived).is_some() {
        return update("Reconciling", false, because("Stalled", "a person must act first: see the condition Stalled"));
    }
    let step = match &derived.input.decision.step {
        Step::SetReplicas(n) => Some(because("SettingReplicas", pods(derived, *n))),
        Step::Replace(pods) => {
            let names: Vec<&str> = pods.iter().map(|p| p.name.as_str()).collect();
            Some(because("ReplacingPods", format!("replacing {}", names.join(", "))))
        }
        Step::End(_) => Some(because("Ending", "no pod is left: the incarnation is over")),
        Step::Wait(Waiting { reason, message }) => Some(because(reason, message.clone())),
        Step::Begin(incarnation) => Some(because("Founding", format!("incarnation {} begins", incarnation.number))),
        Step::MakeMembers => Some(because("Founding", "the first members are being made")),
        Step::Look(_) | Step::Nothing => None,
    };
    match (phase, step) {
        (_, Some(step)) => update("Reconciling", true, step),
        (Phase::Creating, None) => update("Reconciling", true, because("MembersStarting", count(derived))),
        (Phase::Scaling, None) => update("Reconciling", true, because("MembersChanging", count(derived))),
        (Phase::Upgrading, None) => update("Reconciling", true, because("RollingUpdate", count(derived))),
        (Phase::Running | Phase::Degraded | Phase::Unavailable | Phase::Stopped | Phase::Stalled, None) => {
            update("Reconciling", false, because("UpToDate", "the spec is applied"))
        }
    }
}

/// What a new number of replicas means.
fn pods(derived: &Derived<'_>, replicas: u32) -> String {
    let names = |from: u32, to: u32| {
        let names: Vec<String> = (from..to).map(|k| names::member(&derived.input.facts.cluster, k)).collect();
        names.join(", ")
    };
    match derived.input.facts.replicas() {
        _ if replicas == 0 => "all pods are stopped".to_owned(),
        now if now < replicas => format!("starting {}", names(now, replicas)),
        now => format!("{} left, the pods go", names(replicas, now)),
    }
}

/// Why nobody is meant to serve.
fn stopped(derived: &Derived<'_>) -> Reason {
    let Input { cluster, .. } = derived.input;
    let volumes = cluster.spec.storage.retention.when_stopped;
    let ended = cluster.status.as_ref().and_then(|s| s.incarnation.as_ref()?.ended);
    match ended {
        Some(End::Stopped) => because("Stopped", "size is 0: the cluster is stopped and its volumes are deleted"),
        Some(End::Abandoned) => because("Abandoned", "the data was given up, and the cluster has not begun again"),
        None if cluster.spec.size != 0 => because("Abandoned", "the data is given up: the cluster begins again, empty"),
        None if volumes == Keep::Delete => {
            because("Stopped", "size is 0: once all pods are gone the volumes are deleted")
        }
        None => because("Stopped", "size is 0: membership and data are kept"),
    }
}

/// True while only a person can go on.
fn stalled(derived: &Derived<'_>) -> ConditionUpdate {
    match stalling(derived) {
        Some(because) => update("Stalled", true, because),
        None => update("Stalled", false, because("NotStalled", "nothing waits for a person")),
    }
}

fn stalling(derived: &Derived<'_>) -> Option<Reason> {
    let refused = derived.input.decision.refusal.as_ref().map(|r| because(r.reason(), r.to_string()));
    refused.or_else(|| derived.held().map(|p| (p.reason.clone(), p.message.clone())))
}

/// ClusterKey fault it is, in one sentence.
fn culprit(derived: &Derived<'_>) -> Option<Reason> {
    let refused = derived.input.decision.refusal.as_ref().filter(|_| derived.input.facts.set.is_none());
    if let Some(refusal) = refused {
        return Some(because(refusal.reason(), refusal.to_string()));
    }
    let first = derived.problems.first()?;
    let message = match derived.problems.len() - 1 {
        0 => first.message.clone(),
        others => format!("{} (and {others} more)", first.message),
    };
    Some((first.reason.clone(), message))
}

fn waiting(derived: &Derived<'_>, phase: Phase) -> Reason {
    let reason = match phase {
        Phase::Creating => "MembersStarting",
        Phase::Upgrading => "RollingUpdate",
        Phase::Running | Phase::Scaling | Phase::Degraded | Phase::Unavailable | Phase::Stopped | Phase::Stalled => {
            "MembersMissing"
        }
    };
    because(reason, count(derived))
}

fn count(derived: &Derived<'_>) -> String {
    let wanted = derived.input.decision.size;
    let silent = match derived.tally.unknown {
        0 => String::new(),
        n => format!(", {n} silent"),
    };
    format!("{} of {wanted} members serve{silent}", derived.tally.ready)
}
