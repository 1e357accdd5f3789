//! How the member is: facts in, one verdict with the reason of every check out.

use std::time::Duration;

use etcd_operator_shared::{
    api::member::{MemberPhase, Notice, Role},
    process::probe::Check,
};

use super::{
    exit::{Class, Verdict},
    start::{Hold, Start, Wait},
};
use crate::etcd::member::Status;

/// What is known of the member at one moment. Durations are ages.
#[derive(Debug, Clone, Default)]
pub struct Facts<'a> {
    pub process: Process,
    /// What the member's start waits for, when etcd does not run.
    pub start: Option<&'a Start>,
    /// What is being done so that etcd begins with data, and why it failed last.
    pub restoring: Option<String>,
    pub not_restored: Option<&'a str>,
    /// Why the launcher did not obey the last order.
    pub refused: Option<&'a str>,
    /// Why the launcher can start nothing, while it cannot.
    pub waiting: Option<&'a str>,
    pub last_exit: Option<&'a Verdict>,
    pub status: Option<&'a Status>,
    /// Age of etcd's last answer in this run.
    pub silent_for: Option<Duration>,
    /// Age of this run of etcd as far as the agent saw it.
    pub running_for: Duration,
    /// Whether a linearizable read has succeeded in this run.
    pub confirmed: bool,
    pub no_quorum: Option<&'a str>,
    pub volume_trouble: Option<String>,
    /// What to know of the volume while etcd serves: a full one is no reason not to.
    pub volume_notice: Option<String>,
    /// What the volume has lost under the etcd that runs on it.
    pub volume_loss: Option<String>,
    /// Why its certificates are about to end, or have ended: what is connected stays so.
    pub certificates: Option<String>,
    /// Which members would not let this one in anew: what is connected stays so.
    pub shut_out: Option<String>,
    /// For how long the other members have served a quorum while this one knows no leader; `None` where they do not say
    /// so.
    pub cut_off_for: Option<Duration>,
    /// The alarms that are raised for this member.
    pub alarms: Vec<String>,
    /// That members hold different keys, and whether only a person can go on, where this member leads.
    pub differs: Option<(String, bool)>,
    /// Why the members' databases stay full, where this member leads.
    pub stuck: Option<String>,
    /// Whether a member is being defragmented, where this one leads: the others are needed meanwhile.
    pub defragments: bool,
    /// What etcd refuses this agent, while it does: it serves all the same.
    pub refuses: Option<&'a str>,
    /// That it refuses options, while others are in force for it.
    pub refused_options: Option<String>,
    /// Why the last act on the membership failed.
    pub trouble: Option<&'a str>,
    /// Why the member is on its way out, while it is.
    pub leaving: Option<&'a str>,
    /// Whether etcd is just being started once more, see `learn`.
    pub reopening: bool,
    /// Voters in the membership, and members with a live connection.
    pub voters: usize,
    pub connected: Option<usize>,
}

/// What etcd's process is doing, as the launcher says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Process {
    /// The launcher is not there (yet).
    #[default]
    Unknown,
    Idle,
    Running,
    Pausing,
    Stopping,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub phase: MemberPhase,
    pub ready: bool,
    /// CamelCase; empty when ready.
    pub reason: &'static str,
    /// The reason in a sentence; empty when ready.
    pub message: String,
    /// Whether readiness may come any moment, so that a probe is worth holding open.
    pub soon: bool,
    pub role: Option<Role>,
    /// Whether this member is ready and caught up and, if it leads, connected to every other voter.
    pub settled: bool,
    pub checks: Vec<Check>,
    /// Lost quorum, raised alarms and what else a person should know: shown, and no reason to empty the Service.
    pub notices: Vec<Check>,
}

impl Health {
    /// The notices that the EtcdMember shows, by reason. What its other fields say is not said again.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let failed = self.notices.iter().filter_map(|notice| Some((notice.name, notice.failed.as_deref()?)));
        failed.filter_map(|(name, message)| Some((reason(name)?, message)))
    }
}

/// The reason of a notice, where it is one of the EtcdMember's.
fn reason(notice: &str) -> Option<&'static str> {
    match notice {
        ROOM => Some("DiskFull"),
        DATA => Some("VolumeEmptied"),
        RIGHTS => Some("AuthenticationOn"),
        CERTIFICATES => Some("CertificateExpiring"),
        HANDSHAKES => Some("HandshakeFailed"),
        OPTIONS => Some("OptionsRefused"),
        SPACE => Some(Notice::SPACE_EXHAUSTED),
        INTEGRITY => Some("MemberCorrupt"),
        MAJORITY => Some(Notice::KEYS_DIFFER),
        _ => None,
    }
}

/// Names of notices.
const QUORUM: &str = "quorum";
const ALARMS: &str = "alarms";
const ROOM: &str = "room";
const DATA: &str = "data";
const RIGHTS: &str = "rights";
const CERTIFICATES: &str = "certificates";
const HANDSHAKES: &str = "handshakes";
const OPTIONS: &str = "options";
const SPACE: &str = "space";
const INTEGRITY: &str = "integrity";
const MAJORITY: &str = "majority";

/// etcd answers Status from memory: silence this long means that it hangs or is stopped. Above the 2 s bound of a
/// question plus the pause between two.
const SILENCE: Duration = Duration::from_secs(4);
/// A member that the others serve without is cut off after this: an election is over within two seconds.
pub const CUT_OFF: Duration = Duration::from_secs(5);
/// Entries that a member may be behind in applying what it knows to be committed.
const LAG: u64 = 5_000;

struct Problem {
    check: &'static str,
    phase: MemberPhase,
    reason: &'static str,
    message: String,
}

/// Judges the facts.
#[must_use]
pub fn judge(facts: &Facts<'_>) -> Health {
    let looks = [started, voting, answering, staying, caught_up, writable];
    let problems: Vec<Problem> = looks.iter().filter_map(|look| look(facts)).collect();
    let first = problems.first();
    let checks = ["started", "answering", "member", "voter", "caught-up", "volume"]
        .map(|name| Check { name, failed: problems.iter().find(|p| p.check == name).map(|p| p.message.clone()) });
    let ready = first.is_none();
    let running = facts.process == Process::Running;
    let role = facts.status.filter(|_| running).and_then(role);
    // A follower hears from its leader only; the leader hears from all.
    let connected = role != Some(Role::Leader)
        || facts.voters == 1
        || facts.connected.is_some_and(|connected| connected + 1 >= facts.voters);
    let serves = ready && facts.status.is_some() && facts.no_quorum.is_none();
    Health {
        phase: first.map_or(MemberPhase::Running, |p| p.phase),
        ready,
        reason: first.map_or("", |p| p.reason),
        message: first.map(|p| p.message.clone()).unwrap_or_default(),
        soon: first.is_some_and(|p| soon(p, facts)),
        role,
        settled: serves && connected && lag(facts) < LAG / 10 && !facts.defragments,
        checks: checks.into(),
        notices: notices(facts),
    }
}

/// A member on its way may be ready any moment; one that is held, failing, silent or learning will not.
fn soon(problem: &Problem, facts: &Facts<'_>) -> bool {
    match problem.phase {
        MemberPhase::Waiting | MemberPhase::Starting => problem.check != "voter" && facts.process != Process::Stopping,
        MemberPhase::Joining => true,
        MemberPhase::Running | MemberPhase::Held | MemberPhase::Failing | MemberPhase::Leaving | MemberPhase::Left => {
            false
        }
    }
}

fn role(status: &Status) -> Option<Role> {
    match &status.leader_id {
        _ if status.is_learner => Some(Role::Learner),
        Some(leader) if *leader == status.member_id => Some(Role::Leader),
        Some(_) => Some(Role::Follower),
        None => None,
    }
}

fn notices(facts: &Facts<'_>) -> Vec<Check> {
    let differs = |person: bool| facts.differs.clone().filter(|(_, needed)| *needed == person).map(|(why, _)| why);
    let alarms = Some(facts.alarms.join(", ")).filter(|text| !text.is_empty());
    vec![
        Check { name: QUORUM, failed: facts.no_quorum.map(Into::into) },
        Check { name: ALARMS, failed: alarms },
        Check { name: ROOM, failed: facts.volume_notice.clone() },
        Check { name: DATA, failed: facts.volume_loss.clone() },
        Check { name: RIGHTS, failed: facts.refuses.map(Into::into) },
        Check { name: CERTIFICATES, failed: facts.certificates.clone() },
        Check { name: HANDSHAKES, failed: facts.shut_out.clone() },
        Check { name: OPTIONS, failed: facts.refused_options.clone() },
        Check { name: SPACE, failed: facts.stuck.clone() },
        Check { name: INTEGRITY, failed: differs(false) },
        Check { name: MAJORITY, failed: differs(true) },
    ]
}

fn started(facts: &Facts<'_>) -> Option<Problem> {
    let problem = |phase, reason, message: String| Some(Problem { check: "started", phase, reason, message });
    match facts.process {
        Process::Running => None,
        Process::Stopping if facts.reopening => {
            problem(MemberPhase::Joining, "Joining", "etcd is started once more, so that it serves at once".into())
        }
        Process::Stopping => problem(MemberPhase::Waiting, "Stopping", "etcd is being stopped".into()),
        Process::Pausing => {
            let Verdict { class, line } = facts.last_exit?;
            problem(MemberPhase::Failing, class.as_str(), format!("etcd ended and is started again soon: {line}"))
        }
        Process::Unknown => Some(barred(facts).unwrap_or_else(|| unheard(facts))),
        Process::Idle => Some(barred(facts).unwrap_or_else(|| idle(facts))),
    }
}

/// A volume that takes no writes is why etcd does not run, whatever the next step would be: none can be made. What is
/// wrong with the data on it says more.
fn barred(facts: &Facts<'_>) -> Option<Problem> {
    let message = facts.volume_trouble.clone()?;
    let about_data = matches!(facts.start, Some(Start::Hold(hold)) if !matches!(hold, Hold::Unreadable(_)));
    let problem = Problem { check: "started", phase: MemberPhase::Held, reason: "VolumeNotWritable", message };
    (!about_data).then_some(problem)
}

/// The launcher says nothing of etcd. What keeps this agent from starting it, or the launcher from speaking, is more
/// than that.
fn unheard(facts: &Facts<'_>) -> Problem {
    let problem = |phase, reason, message: String| Problem { check: "started", phase, reason, message };
    match (facts.start, facts.waiting) {
        (Some(Start::Hold(hold)), _) => problem(MemberPhase::Held, hold.reason(), hold.sentence()),
        (Some(Start::Wait(wait @ Wait::Volume)), _) => problem(wait.phase(), wait.reason(), wait.sentence()),
        // It is silent because it is at it.
        (Some(Start::Restore(_)), Some(_)) if facts.restoring.is_some() => restoring(facts),
        (_, Some(why)) => problem(MemberPhase::Waiting, "VolumeInUse", why.to_owned()),
        (_, None) => problem(MemberPhase::Waiting, "LauncherMissing", "the etcd container has not started".into()),
    }
}

fn idle(facts: &Facts<'_>) -> Problem {
    let problem = |phase, reason, message: String| Problem { check: "started", phase, reason, message };
    // What a person must look at comes before how etcd ended: it does not run now because of the former.
    let (phase, reason, message) = match facts.start {
        Some(Start::Hold(hold)) => return problem(MemberPhase::Held, hold.reason(), hold.sentence()),
        Some(Start::Stranded(lost)) => return problem(lost.phase(), lost.reason(), lost.sentence()),
        Some(Start::Left) => {
            return problem(MemberPhase::Left, "Left", "the member has left the cluster; this pod may go".into());
        }
        Some(Start::Retire) => {
            return problem(MemberPhase::Leaving, "Leaving", "the member has left the cluster".into());
        }
        Some(Start::SetAside(lost)) => return problem(MemberPhase::Joining, lost.reason(), lost.sentence()),
        Some(Start::Restore(_)) => return restoring(facts),
        Some(Start::Add | Start::Remove { .. }) => return joining(facts.trouble),
        Some(Start::Renew { .. } | Start::Join) => return joining(None),
        Some(Start::Wait(wait @ (Wait::Acquaintance(_) | Wait::Unpaused))) => {
            return problem(wait.phase(), wait.reason(), wait.sentence());
        }
        Some(Start::Wait(wait)) => (wait.phase(), wait.reason(), wait.sentence()),
        Some(
            Start::Touch | Start::Claim { .. } | Start::SetLived | Start::Trust | Start::Bootstrap | Start::Resume,
        )
        | None => match facts.refused {
            Some(why) => (MemberPhase::Waiting, "OrderRefused", format!("the launcher does not start etcd: {why}")),
            None => (MemberPhase::Waiting, "Starting", "etcd is about to be started".into()),
        },
    };
    // A refusal to run outlives the moment in which the next start is being decided. A removal is none: it is being
    // looked into.
    let asked = matches!(facts.start, Some(Start::Wait(Wait::Answer | Wait::Confirmation)));
    let refused = |v: &&Verdict| v.class != Class::Stopped && !(asked && v.class == Class::Removed);
    match facts.last_exit.filter(refused) {
        Some(Verdict { class, line }) => {
            problem(MemberPhase::Failing, class.as_str(), format!("etcd does not run: {line}"))
        }
        None => problem(phase, reason, message),
    }
}

/// On the way to the data that the cluster begins with.
fn restoring(facts: &Facts<'_>) -> Problem {
    let problem = |phase, reason, message: String| Problem { check: "started", phase, reason, message };
    match (facts.not_restored, &facts.restoring) {
        (Some(why), _) => problem(MemberPhase::Failing, "RestoreFailed", format!("{why}; it is tried again")),
        (None, Some(what)) => problem(MemberPhase::Waiting, "Restoring", what.clone()),
        (None, None) => problem(
            MemberPhase::Waiting,
            "Restoring",
            "the data that the cluster begins with is about to be fetched".into(),
        ),
    }
}

/// On the way to a new place in the cluster, and why the last change of the membership failed.
fn joining(trouble: Option<&str>) -> Problem {
    let problem = |reason, message: String| Problem { check: "started", phase: MemberPhase::Joining, reason, message };
    match trouble {
        Some(why) => problem("WaitingForCluster", why.to_owned()),
        None => problem("Joining", "the member is being added to the cluster as a learner".into()),
    }
}

fn staying(facts: &Facts<'_>) -> Option<Problem> {
    facts.leaving.map(|message| Problem {
        check: "member",
        phase: MemberPhase::Leaving,
        reason: "Leaving",
        message: message.into(),
    })
}

fn answering(facts: &Facts<'_>) -> Option<Problem> {
    if facts.process != Process::Running {
        return None;
    }
    let problem = |phase, reason, message: String| Some(Problem { check: "answering", phase, reason, message });
    match facts.silent_for {
        None if facts.running_for <= SILENCE => {
            problem(MemberPhase::Starting, "Starting", "etcd was started and does not answer yet".into())
        }
        None => problem(
            MemberPhase::Starting,
            "NotAnswering",
            format!("etcd was started {} s ago and does not answer yet", facts.running_for.as_secs()),
        ),
        Some(silence) if silence > SILENCE => problem(
            MemberPhase::Running,
            "NotAnswering",
            format!("etcd's process is there but has not answered for {} s", silence.as_secs()),
        ),
        Some(_) if !facts.confirmed => {
            let why = facts.no_quorum.unwrap_or("no leader is known");
            problem(MemberPhase::Starting, "NoQuorum", format!("etcd waits for a quorum of members: {why}"))
        }
        Some(_) => facts.cut_off_for.filter(|time| *time >= CUT_OFF).and_then(|time| {
            let time = time.as_secs();
            let message = format!("the other members serve without this one, which has known no leader for {time} s");
            problem(MemberPhase::Running, "CutOff", message)
        }),
    }
}

fn voting(facts: &Facts<'_>) -> Option<Problem> {
    let running = facts.process == Process::Running;
    let learner = running && facts.status.is_some_and(|status| status.is_learner);
    learner.then(|| Problem {
        check: "voter",
        phase: MemberPhase::Joining,
        reason: "Learner",
        message: "the member is a learner: it catches up before it votes".into(),
    })
}

fn lag(facts: &Facts<'_>) -> u64 {
    facts.status.map_or(0, |status| status.raft_index.saturating_sub(status.raft_applied_index))
}

fn caught_up(facts: &Facts<'_>) -> Option<Problem> {
    let lag = lag(facts);
    (lag > LAG).then(|| Problem {
        check: "caught-up",
        phase: MemberPhase::Running,
        reason: "Behind",
        message: format!("the member is {lag} entries behind in applying what the cluster decided"),
    })
}

fn writable(facts: &Facts<'_>) -> Option<Problem> {
    facts.volume_trouble.clone().map(|message| Problem {
        check: "volume",
        phase: MemberPhase::Running,
        reason: "VolumeNotWritable",
        message,
    })
}

#[cfg(test)]
mod tests;
