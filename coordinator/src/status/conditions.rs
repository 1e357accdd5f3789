//! Ready, Reconciling and Stalled as kstatus reads them, and Available: a quorum serves.
//!
//! Source: <https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>.

use etcd_operator_shared::{
    api::cluster::{End, Keep, Phase},
    condition::{self, Says, Status},
    names,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    Scene, View,
    tally::{Serving, Tally},
};
use crate::{decide::Step, moves::Pause};

/// Reason and sentence.
type Because = (String, String);

pub fn of(
    mut conditions: Vec<Condition>,
    scene: &Scene<'_>,
    phase: Phase,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    for says in [ready(scene, phase), available(scene), reconciling(scene, phase), stalled(scene)] {
        condition::upsert(&mut conditions, says, generation, now);
    }
    conditions
}

fn says(kind: &'static str, status: impl Into<Status>, (reason, message): Because) -> Says {
    Says { kind, status: status.into(), reason, message }
}

fn because(reason: &str, message: impl Into<String>) -> Because {
    (reason.to_owned(), message.into())
}

/// True when every wanted member serves and none has raised an alarm.
fn ready(scene: &Scene<'_>, phase: Phase) -> Says {
    let tally = &scene.tally;
    if scene.stopped {
        return says("Ready", false, stopped(scene));
    }
    if scene.founded && tally.serving() == Serving::All {
        let leader = tally.leader.as_deref().unwrap_or_default();
        return match (tally.alarms.as_slice(), grave(tally)) {
            ([], None) => {
                let all = format!("{}, {leader} leads", count(scene));
                let known = tally.notices.iter().map(|(_, sentence)| format!("; {sentence}"));
                says("Ready", true, because("AllMembersServe", known.fold(all, |all, one| all + &one)))
            }
            ([], Some((reason, sentence))) => says("Ready", false, because(reason, sentence)),
            (alarms, _) => says("Ready", false, because("AlarmRaised", format!("alarm {}", alarms.join(", ")))),
        };
    }
    let status = if tally.serving() == Serving::Unclear { Status::Unknown } else { Status::False };
    says("Ready", status, culprit(scene).unwrap_or_else(|| waiting(scene, phase)))
}

/// The first notice that says that not everything goes: etcd serves, and something must be done.
fn grave(tally: &Tally) -> Option<(&str, &str)> {
    const HARMLESS: &str = "AuthenticationOn";
    let grave = tally.notices.iter().find(|(reason, _)| reason != HARMLESS);
    grave.map(|(reason, sentence)| (reason.as_str(), sentence.as_str()))
}

/// True when a quorum serves.
fn available(scene: &Scene<'_>) -> Says {
    let (status, reason) = match scene.tally.serving() {
        _ if scene.stopped => (Status::False, "Stopped"),
        _ if !scene.founded => (Status::False, "NotFounded"),
        Serving::All | Serving::Quorum => (Status::True, "QuorumServes"),
        Serving::Unclear => (Status::Unknown, "MembersSilent"),
        Serving::TooFew if scene.tally.ready > 0 && scene.tally.leader.is_none() => (Status::False, "NoLeader"),
        Serving::TooFew => (Status::False, "NoQuorum"),
    };
    says("Available", status, because(reason, count(scene)))
}

/// True while something is being changed that needs no person.
fn reconciling(scene: &Scene<'_>, phase: Phase) -> Says {
    if stalling(scene).is_some() {
        return says("Reconciling", false, because("Stalled", "a person must act first: see the condition Stalled"));
    }
    let step = match scene.view.step {
        Step::SetReplicas(n) => Some(because("SettingReplicas", pods(scene, *n))),
        Step::Replace(pods) => {
            let names: Vec<&str> = pods.iter().map(|p| p.name.as_str()).collect();
            Some(because("ReplacingPods", format!("replacing {}", names.join(", "))))
        }
        Step::End(_) => Some(because("Ending", "no pod is left: the incarnation is over")),
        Step::Wait(Pause { reason, message }) => Some(because(reason, message.clone())),
        Step::Nothing => None,
    };
    match (phase, step) {
        (_, Some(step)) => says("Reconciling", true, step),
        (Phase::Creating, None) => says("Reconciling", true, because("MembersStarting", count(scene))),
        (Phase::Scaling, None) => says("Reconciling", true, because("MembersChanging", count(scene))),
        (Phase::Upgrading, None) => says("Reconciling", true, because("RollingUpdate", count(scene))),
        (Phase::Running | Phase::Degraded | Phase::Unavailable | Phase::Stopped | Phase::Stalled, None) => {
            says("Reconciling", false, because("UpToDate", "the spec is applied"))
        }
    }
}

/// What a new number of replicas means.
fn pods(scene: &Scene<'_>, replicas: u32) -> String {
    let names = |from: u32, to: u32| {
        let names: Vec<String> = (from..to).map(|k| names::member(&scene.view.facts.cluster, k)).collect();
        names.join(", ")
    };
    match scene.view.facts.replicas() {
        _ if replicas == 0 => "all pods are stopped".to_owned(),
        now if now < replicas => format!("starting {}", names(now, replicas)),
        now => format!("{} left, the pods go", names(replicas, now)),
    }
}

/// Why nobody is meant to serve.
fn stopped(scene: &Scene<'_>) -> Because {
    let View { cluster, .. } = scene.view;
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
fn stalled(scene: &Scene<'_>) -> Says {
    match stalling(scene) {
        Some(because) => says("Stalled", true, because),
        None => says("Stalled", false, because("NotStalled", "nothing waits for a person")),
    }
}

fn stalling(scene: &Scene<'_>) -> Option<Because> {
    let refused = scene.view.refusal.map(|r| because(r.reason(), r.to_string()));
    refused.or_else(|| scene.held().map(|p| (p.reason.clone(), p.message.clone())))
}

/// Whose fault it is, in one sentence.
fn culprit(scene: &Scene<'_>) -> Option<Because> {
    let refused = scene.view.refusal.filter(|_| scene.view.facts.set.is_none());
    if let Some(refusal) = refused {
        return Some(because(refusal.reason(), refusal.to_string()));
    }
    let first = scene.problems.first()?;
    let message = match scene.problems.len() - 1 {
        0 => first.message.clone(),
        others => format!("{} (and {others} more)", first.message),
    };
    Some((first.reason.clone(), message))
}

fn waiting(scene: &Scene<'_>, phase: Phase) -> Because {
    let reason = match phase {
        Phase::Creating => "MembersStarting",
        Phase::Upgrading => "RollingUpdate",
        Phase::Running | Phase::Scaling | Phase::Degraded | Phase::Unavailable | Phase::Stopped | Phase::Stalled => {
            "MembersMissing"
        }
    };
    because(reason, count(scene))
}

fn count(scene: &Scene<'_>) -> String {
    let wanted = scene.view.size;
    let silent = match scene.tally.unknown {
        0 => String::new(),
        n => format!(", {n} silent"),
    };
    format!("{} of {wanted} members serve{silent}", scene.tally.ready)
}
