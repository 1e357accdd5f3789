//! From what other programs say and what is remembered to what the plans take: pure translations.

mod upkeep;

use std::time::{Duration, Instant};

use etcd_operator_shared::{
    api::{EtcdMember, member::Exit as PublishedExit},
    backup::begins_with,
    ids,
    names::{MAX_MEMBERS, PORT_CLIENT, Scheme, member, peer_host},
    version::Version,
};
use jiff::Timestamp;

use super::{
    hands::Hands,
    memory::{Membership, Memory},
    tasks::Told,
};
use crate::{
    args,
    launch::protocol::{self, Exit},
    observe::{etcd::Observed, launcher::Launcher, links::Links},
    plan::{
        addresses::Addresses,
        backup, certificates,
        exit::{Class, Verdict, classify},
        health::{self, Process},
        list::{self, Cluster},
        options,
        running::Said,
        start::{Claim, Identity, Known},
        steward::Seat,
        upkeep::Stuck,
    },
    volume::{
        loss::loss,
        mark::{Address, Options, Wish},
    },
};

/// What a volume without a mark keeps of options.
static NOTHING: Options = Options { good: None, told: None, refused: None };

/// The parts of an EtcdMember that a start depends on.
/// `current` says whether the watch on it works.
pub(super) fn known(object: &EtcdMember, config: &args::Sidecar, current: bool) -> Known {
    let status = object.status.as_ref();
    Known {
        cluster_uid: object.spec.cluster_uid.clone(),
        incarnation: object.spec.incarnation,
        initial: object.spec.initial,
        initial_members: object.spec.initial_members.clone(),
        initial_id: ids::initial_member(&config.peer_url(), &object.spec.token),
        restore: object.spec.restore.clone(),
        begins_with: begins_with(&object.spec.token).map(ToOwned::to_owned),
        claim: status
            .and_then(|s| s.claim.as_ref())
            .map(|c| Claim { number: c.number, volume_id: c.volume_id.clone() }),
        counter: status.map_or(0, |s| s.counter),
        stopped: object.spec.stopped,
        wish: Wish { paused: object.spec.paused, held: object.spec.held },
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
        // Its process is just being made.
        Some(protocol::Process::Running { .. } | protocol::Process::Pausing { millis: 0 }) => Process::Running,
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

/// Everything that a turn rests on: what was told, what is remembered, and who this is. The plans' facts are made from
/// it.
pub(super) struct View<'a> {
    pub config: &'a args::Sidecar,
    pub me: &'a Identity,
    pub told: &'a Told,
    pub hands: &'a Hands,
    pub now: Instant,
}

impl View<'_> {
    /// What the others say, if they know all that this member did.
    pub(super) fn cluster(&self, memory: &Membership) -> Cluster {
        let heard = &self.told.heard;
        if self.hands.membership.knows(heard.asked) && memory.asks_since(heard.asked) {
            heard.cluster.clone()
        } else {
            Cluster::Awaited
        }
    }

    /// Which etcd is in the container, as far as its launcher says; one that does not know what the pod was made with.
    /// Nothing is known before the launcher is heard: the image may have been changed in the pod.
    pub(super) fn binary(&self) -> Option<Version> {
        let launcher = &self.told.launcher;
        launcher.connected.then(|| launcher.etcd.unwrap_or(self.config.version))
    }

    /// What etcd's options are chosen from. What is told in words that this agent does not understand is not told.
    pub(super) fn options(&self) -> options::Facts<'_> {
        let told =
            |object: &'_ EtcdMember| object.spec.options.as_ref().is_some_and(|told| args::options(&told.said).is_ok());
        let object = self.hands.object.object();
        options::Facts {
            pod_uid: &self.config.pod_uid,
            born: &self.config.options,
            told: object.map(|object| object.spec.options.as_ref().filter(|_| told(object))),
            kept: self.hands.volume.mark().map_or(&NOTHING, |mark| &mark.options),
            binary: self.binary().unwrap_or(self.config.version),
        }
    }

    /// Digest of the options that etcd was last started with, where its launcher says it.
    pub(super) fn started_with(&self) -> Option<&str> {
        self.told.launcher.state.as_ref()?.options.as_deref()
    }

    /// Digest of the authorities that etcd was last started with, the same.
    pub(super) fn loaded(&self) -> Option<&str> {
        self.told.launcher.state.as_ref()?.pools.as_deref()
    }

    /// Whether etcd is to be started once more, since it believes others than it is told to.
    pub(super) fn reloads(&self) -> bool {
        let told = self.hands.object.object().and_then(|object| object.spec.reload.as_ref());
        let believes = self.hands.certificates.believes();
        certificates::reloads(certificates::Believed {
            pod_uid: &self.config.pod_uid,
            told,
            used: believes.as_deref(),
            loaded: self.loaded(),
        })
    }

    /// Whether etcd runs with other options than those that it is to be started with.
    pub(super) fn is_other(&self) -> bool {
        options::is_due(self.options(), self.started_with())
    }

    /// Why etcd's options are not those that are wanted.
    fn refused_options(&self) -> Option<String> {
        let words = &options::refusal(self.options())?.words;
        Some(format!("etcd refuses the options that are wanted, and goes on with the last good ones: {words}"))
    }

    /// The other members' addresses: from the EtcdMember, or as they were when the mark was last written.
    pub(super) fn peers(&self) -> Vec<Address> {
        let address = |name: &str, address: &str| Address { name: name.to_owned(), address: address.to_owned() };
        let published = self.hands.object.object().map(|object| &object.spec.peers).filter(|peers| !peers.is_empty());
        let all: Vec<Address> = match (published, self.hands.volume.mark()) {
            (Some(peers), _) => peers.iter().map(|p| address(&p.name, &p.address)).collect(),
            (None, Some(mark)) => mark.peers.clone(),
            (None, None) => vec![],
        };
        all.into_iter().filter(|peer| peer.name != self.me.member).collect()
    }

    /// Where the other members' etcd may be asked: at the addresses that are known and, when the API server does not
    /// tell any new ones, at every name that a member can have.
    pub(super) fn endpoints(&self) -> Vec<String> {
        let scheme = Scheme::of(self.config.client_tls);
        let endpoint = |host: &str| endpoint(scheme, host);
        let mut endpoints: Vec<String> = self.peers().iter().map(|peer| endpoint(&peer.address)).collect();
        if !self.told.seen.connected {
            let (cluster, namespace) = (&self.config.cluster, &self.config.namespace);
            let others = (0..MAX_MEMBERS).filter(|ordinal| *ordinal != self.me.ordinal);
            endpoints.extend(others.map(|o| endpoint(&peer_host(&member(cluster, o), cluster, namespace))));
        }
        endpoints
    }

    /// What is known of the others' addresses; `waited` is for how long nothing else has stood between etcd and its
    /// start.
    pub(super) fn addresses(&self, waited: Duration) -> Addresses {
        let book = &self.told.book;
        Addresses {
            told: self.peers().into_iter().map(|peer| peer.name).collect(),
            believed: book.believed().into_iter().map(|(name, _)| name).collect(),
            confirmed: book.confirmed(),
            acquainted: book.acquainted(),
            waited,
        }
    }

    /// The members as this one's etcd sees them.
    pub(super) fn seats(&self, memory: &Membership) -> Vec<Seat> {
        let observed = &self.told.observed;
        let Some(links) = observed.links.as_ref() else { return vec![] };
        let seat = |entry: &list::Entry| Seat {
            away: links.away(&entry.id, self.now),
            mute: memory.mute_for(&entry.member, self.now),
            entry: entry.clone(),
        };
        observed.members.iter().map(seat).collect()
    }

    /// What etcd has said of itself in this run.
    pub(super) fn said(&self) -> Option<Said<'_>> {
        let observed = &self.told.observed;
        let status = observed.status.as_ref()?;
        Some(Said {
            member_id: &status.member_id,
            cluster_id: &status.cluster_id,
            leads: leads(observed),
            list: observed.members_asked.map(|_| observed.members.as_slice()),
        })
    }

    /// What is not on the volume any more under the etcd that runs on it. Only a look that began in this run says so.
    fn volume_loss(&self, memory: &Memory) -> Option<String> {
        let (mark, (began, found)) = (self.hands.volume.mark()?, self.told.writable.found.as_ref()?);
        let (_, since) = memory.running.filter(|(_, since)| since < began)?;
        let lost = loss(mark, found).map(|loss| loss.sentence());
        lost.filter(|_| self.now > since)
    }

    /// Whether the others have just given a list that a quorum of them confirmed.
    fn others_serve(&self, memory: &Memory) -> bool {
        self.cluster(&memory.membership).list().is_some()
    }

    /// The member's turn to take a backup: while its etcd serves, a quorum has confirmed what it says, and it votes.
    pub(super) fn backup_turn(&self, memory: &Memory) -> Option<u32> {
        let observed = &self.told.observed;
        let verdict = verdict(&self.told.launcher);
        let health = health::judge(&self.health(memory, verdict.as_ref()));
        let serves = health.ready && observed.confirmed && observed.no_quorum.is_none();
        let leader = observed.status.as_ref().filter(|_| serves)?.leader_id.clone()?;
        let seats = self.seats(&memory.membership).into_iter().filter(|seat| !seat.entry.learner);
        let voter = |seat: Seat| backup::Voter {
            ordinal: seat.entry.ordinal.unwrap_or(u32::MAX),
            leads: seat.entry.id == leader,
            there: seat.away.is_none(),
        };
        backup::turn(self.me.ordinal, health.settled, &seats.map(voter).collect::<Vec<_>>())
    }

    /// The facts that the member's health is judged by.
    pub(super) fn health<'a>(&'a self, memory: &'a Memory, verdict: Option<&'a Verdict>) -> health::Facts<'a> {
        let Told { launcher, observed, writable, .. } = self.told;
        let writes = writable.writes(self.now);
        let learns = memory.membership.reopened.is_some() && self.hands.volume.mark().is_some_and(|mark| !mark.voted);
        health::Facts {
            process: process(launcher),
            start: memory.step.as_ref(),
            restoring: self.hands.restores.said(),
            not_restored: self.hands.restores.trouble(),
            waiting: launcher.waiting.as_deref(),
            refused: launcher.refused.as_ref().map(|(_, why)| why.as_str()),
            trouble: self.hands.membership.trouble(),
            leaving: memory.membership.leaving.as_deref(),
            reopening: learns && !launcher.terminating,
            last_exit: verdict,
            status: observed.status.as_ref(),
            silent_for: observed.answered.map(|at| self.now.duration_since(at)),
            running_for: memory.running_for(self.now),
            confirmed: observed.confirmed,
            no_quorum: observed.no_quorum.as_deref(),
            volume_trouble: writes.trouble(),
            volume_notice: writes.notice(),
            volume_loss: self.volume_loss(memory),
            certificates: self.hands.certificates.ending(),
            shut_out: certificates::shut_out(&self.told.refusals),
            cut_off_for: memory.membership.leaderless_for(self.now).filter(|_| self.others_serve(memory)),
            alarms: observed.own_alarms(),
            differs: memory.comparing.finding.as_ref().map(|found| (found.sentence(), found.needs_a_person())),
            stuck: memory.upkeep.stuck.map(Stuck::sentence),
            defragments: self.hands.upkeep.defragments(),
            refuses: observed.refuses.as_deref(),
            refused_options: self.refused_options(),
            voters: observed.members.iter().filter(|m| !m.learner).count(),
            connected: observed.links.as_ref().map(Links::connected),
        }
    }
}

/// Whether etcd says that it leads.
pub(super) fn leads(observed: &Observed) -> bool {
    observed.status.as_ref().is_some_and(|status| status.leader_id.as_ref() == Some(&status.member_id))
}

/// The client URL of an address or a name. An IPv6 address needs brackets.
fn endpoint(scheme: Scheme, host: &str) -> String {
    if host.contains(':') {
        format!("{scheme}://[{host}]:{PORT_CLIENT}")
    } else {
        format!("{scheme}://{host}:{PORT_CLIENT}")
    }
}
