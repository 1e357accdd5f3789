//! From what other programs say to what the plans take: pure translations.

use std::time::Instant;

use etcd_operator_shared::{
    api::{EtcdMember, member::Exit as PublishedExit},
    ids,
    names::peer_url,
};
use jiff::Timestamp;

use crate::{
    args,
    facts::{etcd::Observed, launcher::Launcher, links::Links},
    launch::protocol::{self, Exit},
    plan::{
        exit::{Class, Verdict, classify},
        health::{Facts, Process},
        start::{Claim, Known, Start},
    },
};

/// The parts of an EtcdMember that a start depends on.
/// `current` says whether the watch on it works.
pub(super) fn known(object: &EtcdMember, config: &args::Sidecar, current: bool) -> Known {
    let status = object.status.as_ref();
    let url = peer_url(&config.member, &config.cluster, &config.namespace);
    Known {
        cluster_uid: object.spec.cluster_uid.clone(),
        incarnation: object.spec.incarnation,
        initial: object.spec.initial,
        initial_members: object.spec.initial_members.clone(),
        initial_id: ids::initial_member(&url, &object.spec.token),
        claim: status
            .and_then(|s| s.claim.as_ref())
            .map(|c| Claim { number: c.number, volume_id: c.volume_id.clone() }),
        counter: status.map_or(0, |s| s.counter),
        stopped: object.spec.stopped,
        size: object.spec.size.max(0).unsigned_abs(),
        left: status.and_then(|s| s.left_pod_uid.clone()),
        current,
    }
}

/// What the launcher's word means for the member's health.
pub(super) fn process(launcher: &Launcher) -> Process {
    match launcher.state.as_ref().map(|state| &state.process) {
        // It is handing leadership over: as good as gone for clients.
        Some(protocol::Process::Running { .. }) if launcher.terminating => Process::Stopping,
        None => Process::Unknown,
        Some(protocol::Process::Idle) => Process::Idle,
        Some(protocol::Process::Running { .. }) => Process::Running,
        Some(protocol::Process::Stopping { .. }) => Process::Stopping,
        Some(protocol::Process::Pausing { .. }) => Process::Pausing,
    }
}

/// A verdict on the last exit, unless etcd was just asked to stop.
pub(super) fn verdict(launcher: &Launcher) -> Option<Verdict> {
    let exit = launcher.state.as_ref()?.last_exit.as_ref()?;
    Some(classify(&exit.ended()))
}

/// Whether etcd's last run ended because it found itself removed.
pub(super) fn is_expelled(launcher: &Launcher) -> bool {
    verdict(launcher).is_some_and(|verdict| verdict.class == Class::Removed)
}

/// The last exit as the EtcdMember shows it.
pub(super) fn published(exit: &Exit) -> PublishedExit {
    let verdict = classify(&exit.ended());
    PublishedExit {
        code: exit.code,
        signal: exit.signal,
        class: verdict.class.as_str().into(),
        message: verdict.line,
        time: Timestamp::from_second(exit.at).map(|t| t.to_string()).unwrap_or_default(),
    }
}

/// What only the loop knows about the start.
#[derive(Default)]
pub(super) struct Starting<'a> {
    pub step: Option<&'a Start>,
    /// Why the last act on the membership failed.
    pub trouble: Option<&'a str>,
    /// Why the member is on its way out, while it is.
    pub leaving: Option<&'a str>,
    /// Whether etcd is just being started once more.
    pub reopening: bool,
    pub waiting_for_names: &'a [String],
    pub running_since: Option<Instant>,
    pub volume_trouble: Option<String>,
    pub volume_notice: Option<String>,
}

/// The facts that a member's health is judged by.
pub(super) fn facts<'a>(
    launcher: &Launcher,
    observed: &'a Observed,
    verdict: Option<&'a Verdict>,
    starting: Starting<'a>,
) -> Facts<'a> {
    Facts {
        process: process(launcher),
        start: starting.step,
        trouble: starting.trouble,
        leaving: starting.leaving,
        reopening: starting.reopening,
        waiting_for_names: starting.waiting_for_names,
        last_exit: verdict,
        status: observed.status.as_ref(),
        silent_for: observed.answered.map(|at| at.elapsed()),
        running_for: starting.running_since.map(|at| at.elapsed()).unwrap_or_default(),
        confirmed: observed.confirmed,
        no_quorum: observed.no_quorum.as_deref(),
        volume_trouble: starting.volume_trouble,
        volume_notice: starting.volume_notice,
        voters: observed.members.iter().filter(|m| !m.learner).count(),
        connected: observed.links.as_ref().map(Links::connected),
    }
}
