//! Ready, Reconciling and Stalled as kstatus reads them, and Available: a quorum serves.
//!
//! Source: <https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>.

use etcd_operator_shared::{
    api::{
        Word,
        cluster::{End, Keep, Phase},
        member::Notice,
    },
    names,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    Derived, Input, backups, certificates,
    condition::{self, ConditionUpdate, Status},
    tally::{Serving, Tally},
    template,
};
use crate::cluster::decide::step::{Step, Swap, Waiting};

/// Type of the condition that only a cluster has that rests.
const PAUSED: &str = "Paused";

/// Reason and sentence.
type Reason = (String, String);

/// Reason of what the API server refuses.
pub const REFUSED: &str = "Refused";

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
    match &derived.input.decision.paused {
        Some(paused) => {
            let says = update(PAUSED, true, because(PAUSED, paused.sentence()));
            condition::upsert(&mut conditions, says, generation, now);
        }
        None => conditions.retain(|condition| condition.type_ != PAUSED),
    }
    // Where the spec is not acted on, nothing new is known of its template.
    if let Some(care) = &derived.input.decision.care {
        match template::applied(derived.input, care) {
            Some(says) => condition::upsert(&mut conditions, says, generation, now),
            None => conditions.retain(|condition| condition.type_ != template::KIND),
        }
        match backups::healthy(derived.input, now) {
            Some(says) => condition::upsert(&mut conditions, says, generation, now),
            None => conditions.retain(|condition| condition.type_ != backups::KIND),
        }
        match certificates::certified(derived.input, care, now) {
            Some(says) => condition::upsert(&mut conditions, says, generation, now),
            None => conditions.retain(|condition| condition.type_ != certificates::KIND),
        }
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
        // With all pods gone the cluster is as its spec says, like a Deployment of none: tools that wait for what they
        // have applied would else wait for ever. Whether anybody serves is the condition Available.
        let wanted = derived.input.cluster.spec.size == 0;
        return update("Ready", phase == Phase::Stopped && wanted, stopped(derived));
    }
    if derived.founded && tally.serving() == Serving::All {
        let leader = tally.leader.as_deref().unwrap_or_default();
        return match (grave(tally), tally.alarms.as_slice()) {
            (None, []) => {
                let all = format!("{}, {leader} leads", count(derived));
                let notices = tally.notices.iter().map(|(_, sentence)| sentence.clone());
                let denials = derived.input.denials.iter().map(ToString::to_string);
                let known = notices.chain(denials).map(|sentence| format!("; {sentence}"));
                update("Ready", true, because("AllMembersServe", known.fold(all, |all, one| all + &one)))
            }
            // It says what to do.
            (Some((reason, sentence)), _) => update("Ready", false, because(reason, sentence)),
            (None, alarms) => update("Ready", false, because("AlarmRaised", format!("alarm {}", alarms.join(", ")))),
        };
    }
    let status = if tally.serving() == Serving::Unclear { Status::Unknown } else { Status::False };
    let why = culprit(derived).or_else(|| unbegun(derived)).unwrap_or_else(|| waiting(derived, phase));
    update("Ready", status, why)
}

/// What a cluster waits for before it begins: it has no members yet that could say why they do not serve.
fn unbegun(derived: &Derived<'_>) -> Option<Reason> {
    match &derived.input.decision.step {
        Step::Wait(Waiting { reason, message }) if !derived.founded => Some(because(reason, message.clone())),
        Step::Wait(_)
        | Step::Look(_)
        | Step::Begin(_)
        | Step::MakeMembers
        | Step::SetReplicas(_)
        | Step::Replace(_)
        | Step::Swap(_)
        | Step::Turn(_)
        | Step::Move(_)
        | Step::Refresh(_)
        | Step::Try(_)
        | Step::End(_)
        | Step::Nothing => None,
    }
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
    let step = match &derived.input.decision.step {
        Step::SetReplicas(n) => Some(because("SettingReplicas", pods(derived, *n))),
        Step::Replace(pods) => {
            let names: Vec<&str> = pods.iter().map(|p| p.name.as_str()).collect();
            Some(because("ReplacingPods", format!("replacing {}", names.join(", "))))
        }
        Step::Refresh(pods) => {
            let names: Vec<&str> = pods.iter().map(|p| p.name.as_str()).collect();
            Some(because("AgentsUpdating", format!("new agents for {}", names.join(", "))))
        }
        Step::Swap(Swap { name, etcd, .. }) => {
            Some(because("EtcdUpdating", format!("etcd of {name} gets {} in its pod", etcd.version)))
        }
        Step::Turn(turn) => {
            Some(because("EtcdUpdating", format!("etcd of {} gets its new options in its pod", turn.name)))
        }
        Step::Move(renewal) => Some(because("Moving", format!("{} gives way to another volume", renewal.volume.name))),
        Step::Try(_) => Some(because("Rehearsing", "the new template is to be tried in throw-away pods")),
        Step::End(_) => Some(because("Ending", "no pod is left: the incarnation is over")),
        Step::Wait(Waiting { reason, message }) => Some(because(reason, message.clone())),
        Step::Begin(incarnation) => Some(because("Founding", format!("incarnation {} begins", incarnation.number))),
        Step::MakeMembers => Some(because("Founding", "the first members are being made")),
        Step::Look(_) | Step::Nothing => None,
    };
    if stalling(derived).is_some() {
        // Tools read Reconciling first: it must not hide that a person is needed.
        let besides = step.map(|(_, sentence)| format!("; besides, {sentence}")).unwrap_or_default();
        let message = format!("a person must act first: see the condition Stalled{besides}");
        return update("Reconciling", false, because("Stalled", message));
    }
    match (phase, step) {
        (_, Some(step)) => update("Reconciling", true, step),
        (Phase::Creating, None) => update("Reconciling", true, because("MembersStarting", count(derived))),
        (Phase::Scaling, None) => update("Reconciling", true, because("MembersChanging", count(derived))),
        (Phase::Upgrading, None) => update("Reconciling", true, because("RollingUpdate", count(derived))),
        (
            Phase::Running
            | Phase::Degraded
            | Phase::Unavailable
            | Phase::Stopped
            | Phase::Stalled
            | Phase::Paused
            | Phase::Deleting,
            None,
        ) => update("Reconciling", false, because("UpToDate", "the spec is applied")),
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
    let ended = cluster.status.as_ref().and_then(|s| s.incarnation.as_ref()?.ended.as_ref());
    match ended {
        Some(Word::Known(End::Stopped)) => {
            because("Stopped", "size is 0: the cluster is stopped and its volumes are deleted")
        }
        Some(Word::Known(End::Abandoned)) => {
            because("Abandoned", "the data was given up, and the cluster has not begun again")
        }
        Some(Word::Unknown(why)) => because("Ended", format!("the incarnation is over: {why}")),
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
    let held = || derived.held().map(|p| (p.reason.clone(), p.message.clone()));
    refused.or_else(|| denied(derived)).or_else(held).or_else(|| beyond_agents(&derived.tally))
}

/// What agents say that they cannot mend.
fn beyond_agents(tally: &Tally) -> Option<Reason> {
    const BEYOND: [&str; 2] = [Notice::KEYS_DIFFER, Notice::SPACE_EXHAUSTED];
    let notice = tally.notices.iter().find(|(reason, _)| BEYOND.contains(&reason.as_str()));
    notice.map(|(reason, sentence)| because(reason, sentence.clone()))
}

/// What the API server refuses.
fn denied(derived: &Derived<'_>) -> Option<Reason> {
    let denials: Vec<String> = derived.input.denials.iter().map(ToString::to_string).collect();
    (!denials.is_empty()).then(|| because(REFUSED, denials.join("; ")))
}

/// Whose fault it is, in one sentence. What keeps the StatefulSet from being made comes first.
fn culprit(derived: &Derived<'_>) -> Option<Reason> {
    let unmade = derived.input.facts.set.is_none();
    let refused = derived.input.decision.refusal.as_ref().filter(|_| unmade);
    if let Some(refusal) = refused {
        return Some(because(refusal.reason(), refusal.to_string()));
    }
    let of_members = || {
        let first = derived.problems.first()?;
        let message = match derived.problems.len() - 1 {
            0 => first.message.clone(),
            others => format!("{} (and {others} more)", first.message),
        };
        Some((first.reason.clone(), message))
    };
    denied(derived).filter(|_| unmade).or_else(of_members).or_else(|| denied(derived))
}

fn waiting(derived: &Derived<'_>, phase: Phase) -> Reason {
    let reason = match phase {
        Phase::Creating => "MembersStarting",
        Phase::Upgrading => "RollingUpdate",
        Phase::Running
        | Phase::Scaling
        | Phase::Degraded
        | Phase::Unavailable
        | Phase::Stopped
        | Phase::Stalled
        | Phase::Paused
        | Phase::Deleting => "MembersMissing",
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
