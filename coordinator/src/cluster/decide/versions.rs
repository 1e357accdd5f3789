//! Which version of etcd pods are made with, when the spec names another: the way there is checked before anything is touched.
//!
//! ```text
//!   the spec's minor version, against the cluster's (that on which etcd's members have agreed)
//!     same                          ──▶ in force, unless members have not all fallen to it yet
//!     one above                     ──▶ all serve, run a release from which it can be reached, and can be read (3.7) ─▶ in force
//!     one below                     ──▶ the leader allows it, the cluster's version falls ─▶ "same"
//!     farther                       ──▶ refused: the sentence names the next step
//!     nobody says what it is        ──▶ waited for
//! ```
//! What is in force is what the StatefulSet's template says, or the status where it says something else. A change of the minor
//! version is latched in the status (`roll`) before anything is done about it: where a way down is barred half-way, since a member
//! lost its disk, pods go back to what they were. Everything is decided anew from what members say, so it may end anywhere.
//!
//! Source: etcd's upgrade and downgrade guides of 3.6 and 3.7; `server/etcdserver/version/{monitor,downgrade}.go`.

mod barred;

use std::time::Duration;

use crate::cluster::{
    decide::{refusal::Refusal, step::Waiting},
    facts::{Etcd, Facts, Readiness, Slot},
};
pub use barred::Barred;
use barred::{LEAST, least};
use etcd_operator_shared::{
    api::{EtcdCluster, cluster},
    validate::Wanted,
    version::{Downgrade, Minor, Version},
};

/// What is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// What pods are made with.
    pub etcd: Etcd,
    pub roll: Option<Roll>,
    /// What agents are told of etcd's downgrades; `None`: nothing.
    pub downgrade: Option<Downgrade>,
    /// Why the spec's version is not in force.
    pub pending: Option<Pending>,
}

/// A change to another minor version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    pub from: Etcd,
    pub to: Etcd,
}

/// Why the spec's version is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pending {
    Waits(Waiting),
    /// It is written down first; the next look goes on.
    Latch,
    Refused(Barred),
}

/// What a member says of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub version: Version,
    pub cluster: Option<Minor>,
    pub storage: Option<Minor>,
    pub downgrade: Option<Minor>,
    pub log: Option<Minor>,
}

/// All that it is decided by.
#[derive(Debug, Clone)]
pub struct View {
    pub wanted: Etcd,
    /// What pods are made with until now; `None` before there are any.
    pub force: Option<Etcd>,
    pub roll: Option<Roll>,
    /// Whether the cluster has formed.
    pub formed: bool,
    /// The cluster's version as it was last told.
    pub known: Option<Minor>,
    /// The members that have a pod, or are to have one; `None` for one that says nothing.
    pub members: Vec<Option<Told>>,
    /// Whether the membership is what is wanted, and all members serve and are settled.
    pub whole: bool,
    /// Whether agents were ever told of downgrades.
    pub asked: bool,
}

/// The way to the wanted version.
enum Way {
    Open,
    Pending(Pending),
    /// The leader must allow it, once this is over.
    Down(Option<Waiting>),
}

impl Course {
    /// Nothing stands in the way, or nothing is there yet.
    fn plain(etcd: Etcd) -> Self {
        Self { etcd, roll: None, downgrade: None, pending: None }
    }

    /// What the spec's version waits for.
    #[must_use]
    pub fn waiting(&self) -> Option<Waiting> {
        match self.pending.as_ref()? {
            Pending::Waits(waiting) => Some(waiting.clone()),
            Pending::Latch => Some(Waiting::new("VersionWaits", "the change to another minor version is written down")),
            Pending::Refused(_) => None,
        }
    }

    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self.pending.as_ref()? {
            Pending::Refused(barred) => Some(Refusal::VersionRefused(barred.clone())),
            Pending::Waits(_) | Pending::Latch => None,
        }
    }

    /// What was written down is gone on with at once: it triggers nothing.
    #[must_use]
    pub fn again(&self) -> Option<Duration> {
        (self.pending == Some(Pending::Latch)).then_some(AGAIN)
    }
}

/// After a status was written.
const AGAIN: Duration = Duration::from_millis(200);

/// Decides it.
#[must_use]
pub fn course(view: &View) -> Course {
    let Some(force) = view.force.clone().filter(|_| view.formed) else {
        return Course::plain(view.wanted.clone());
    };
    let span = view.span();
    let (way, held) = (view.way(&force, span), view.held(&force, span));
    let latch = Roll { from: held.clone(), to: view.wanted.clone() };
    let policy = || view.policy();
    match way {
        Way::Open => {
            let roll = view.still(span);
            let goes_down = roll.as_ref().is_some_and(Roll::is_down);
            let downgrade = if goes_down { Some(Downgrade::To(view.wanted.version.minor)) } else { policy() };
            Course { etcd: view.wanted.clone(), roll, downgrade, pending: None }
        }
        Way::Down(gate) if view.roll.as_ref() == Some(&latch) => {
            // The leader's agent sees by itself whether all are there.
            let minor = view.wanted.version.minor;
            let allows = || Waiting::new("VersionWaits", format!("the leader lets the cluster go down to {minor}"));
            let pending = Some(Pending::Waits(gate.unwrap_or_else(allows)));
            Course { etcd: held, roll: Some(latch), downgrade: Some(Downgrade::To(minor)), pending }
        }
        Way::Down(None) => Course { etcd: held, roll: Some(latch), downgrade: policy(), pending: Some(Pending::Latch) },
        Way::Down(Some(gate)) => view.goes_on(held, Pending::Waits(gate)),
        Way::Pending(pending @ Pending::Refused(_)) => view.goes_on(held, pending),
        Way::Pending(pending @ (Pending::Waits(_) | Pending::Latch)) => {
            // The cluster has fallen, and its members follow.
            let falls = latch.is_down() && view.roll.as_ref() == Some(&latch);
            let down = falls.then_some(Downgrade::To(latch.to.version.minor));
            Course { etcd: held, roll: Some(latch), downgrade: down.or_else(policy), pending: Some(pending) }
        }
    }
}

fn waits(message: impl Into<String>) -> Way {
    Way::Pending(Pending::Waits(Waiting::new("VersionWaits", message)))
}

impl Roll {
    fn is_down(&self) -> bool {
        self.from.version.minor > self.to.version.minor
    }
}

impl View {
    /// From a cluster's objects. `replicas`: how many members are meant to have pods.
    #[must_use]
    pub fn of(cluster: &EtcdCluster, wanted: &Wanted, facts: &Facts, replicas: u32, whole: bool) -> Self {
        let status = cluster.status.as_ref();
        let wanted = Etcd { version: wanted.version, image: wanted.image.clone() };
        let roll = status.and_then(|status| Roll::read(status.roll.as_ref()?));
        let told = status.and_then(|status| Etcd::read(status.etcd.as_ref()?));
        let made = facts.set.as_ref().and_then(|set| set.etcd.clone());
        // What somebody else has written into the template is not in force.
        let ours = |etcd: &Etcd| {
            let known = [Some(&wanted), told.as_ref(), roll.as_ref().map(|r| &r.from), roll.as_ref().map(|r| &r.to)];
            known.contains(&Some(etcd))
        };
        let force = made.clone().filter(ours).or_else(|| told.clone()).or(made);
        Self {
            force,
            roll,
            formed: status.is_some_and(|status| status.cluster_id.is_some()),
            known: status.and_then(|status| status.cluster_version.as_ref()?.parse().ok()),
            members: (0..replicas).map(|ordinal| told_by(&facts.slot(ordinal))).collect(),
            whole,
            asked: facts.slots.values().any(|slot| slot.member.as_ref().is_some_and(|m| m.spec.downgrade.is_some())),
            wanted,
        }
    }

    fn told(&self) -> impl Iterator<Item = &Told> {
        self.members.iter().flatten()
    }

    fn all_tell(&self) -> bool {
        !self.members.is_empty() && self.members.iter().all(Option::is_some)
    }

    fn all_run(&self, minor: Minor) -> bool {
        self.all_tell() && self.told().all(|told| told.version.minor == minor)
    }

    /// What agents are told while nothing is to go down: they were told once, so they are told that it is over.
    fn policy(&self) -> Option<Downgrade> {
        self.asked.then_some(Downgrade::None)
    }

    /// What is under way goes on to its end while something farther is not to be had.
    fn goes_on(&self, held: Etcd, pending: Pending) -> Course {
        let roll = self.roll.clone().filter(|roll| roll.to.version.minor == held.version.minor);
        let down = roll.as_ref().filter(|roll| roll.is_down()).map(|roll| Downgrade::To(roll.to.version.minor));
        Course { etcd: held, roll, downgrade: down.or_else(|| self.policy()), pending: Some(pending) }
    }

    /// The lowest and the highest that members call the cluster's version. Agents of before do not say: then it is what the lowest
    /// of all members runs. Where nobody speaks, it is what was last told.
    fn span(&self) -> Option<(Minor, Minor)> {
        let said = || self.told().filter_map(|told| told.cluster);
        let lowest = || self.told().map(|told| told.version.minor).min().filter(|_| self.all_tell());
        let one = || lowest().or_else(|| self.known.filter(|_| self.told().next().is_none()));
        said().min().zip(said().max()).or_else(|| one().map(|minor| (minor, minor)))
    }

    /// What pods are made with while the wanted version is not in force: nothing that is below the cluster.
    fn held(&self, force: &Etcd, span: Option<(Minor, Minor)>) -> Etcd {
        let fits = |etcd: &&Etcd| span.is_none_or(|(_, highest)| etcd.version.minor >= highest);
        let former = self.roll.as_ref().map(|roll| &roll.from).filter(fits);
        Some(force).filter(fits).or(former).unwrap_or(force).clone()
    }

    /// The change that is under way, as long as some member or the cluster has not come to its end.
    fn still(&self, span: Option<(Minor, Minor)>) -> Option<Roll> {
        let minor = self.wanted.version.minor;
        let done = span == Some((minor, minor)) && self.all_run(minor);
        let roll = self.roll.clone().filter(|roll| roll.to.version.minor == minor && !done)?;
        Some(Roll { to: self.wanted.clone(), ..roll })
    }

    fn way(&self, force: &Etcd, span: Option<(Minor, Minor)>) -> Way {
        let (wanted, force) = (self.wanted.version, force.version);
        if wanted < LEAST && wanted != force {
            return Way::Pending(Pending::Refused(Barred::TooOld { wanted, least: least(Minor::V3_5) }));
        }
        let Some((lowest, highest)) = span else {
            return if wanted.minor == force.minor {
                Way::Open
            } else {
                waits(format!("{wanted} waits until members say which version the cluster has"))
            };
        };
        if wanted.minor < highest {
            return self.down(highest);
        }
        if wanted.minor > highest && highest.above() != Some(wanted.minor) {
            return Way::Pending(Pending::Refused(Barred::Skips { wanted, cluster: highest, force }));
        }
        if wanted.minor == force.minor {
            return Way::Open;
        }
        if lowest != highest {
            return waits(format!("{wanted} waits until all members agree on the cluster's version"));
        }
        if wanted.minor == highest { self.same(highest) } else { self.up(force, highest) }
    }

    /// To where the cluster is: back before its version has risen, or down after it has fallen.
    fn same(&self, cluster: Minor) -> Way {
        if self.told().any(|told| told.storage.is_some_and(|storage| storage > cluster)) {
            return waits(format!("the members' databases are being written as those of {cluster}"));
        }
        // One that has not heard of it would not start.
        if self.roll.as_ref().is_some_and(Roll::is_down) && !self.all_tell() {
            return waits(format!("all members must have heard that the cluster is {cluster}"));
        }
        Way::Open
    }

    fn up(&self, force: Version, cluster: Minor) -> Way {
        let (wanted, least) = (self.wanted.version, least(cluster));
        if force < least {
            return Way::Pending(Pending::Refused(Barred::TooOldBefore { wanted, force, least }));
        }
        if self.told().any(|told| told.version < least) {
            return waits(format!("{wanted} waits until all members run {force}"));
        }
        if self.told().any(|told| told.downgrade.is_some()) {
            return waits(format!("{wanted} waits until etcd has taken back that it may go down"));
        }
        if !self.whole || !self.all_tell() {
            return waits(format!("{wanted} waits until all members serve"));
        }
        let readable = |told: &Told| told.version.minor == wanted.minor || told.log >= Some(wanted.minor);
        if wanted.minor == Minor::V3_7 && !self.told().all(readable) {
            return waits(format!(
                "{wanted} waits until each member has written a raft snapshot: it cannot read what 3.5 has left in the log"
            ));
        }
        let latched = self.roll.as_ref().is_some_and(|roll| roll.to == self.wanted);
        if latched { Way::Open } else { Way::Pending(Pending::Latch) }
    }

    fn down(&self, cluster: Minor) -> Way {
        let wanted = self.wanted.version;
        let least = least(wanted.minor);
        if cluster.below() != Some(wanted.minor) {
            return Way::Pending(Pending::Refused(Barred::SkipsDown { wanted, cluster }));
        }
        if wanted < least {
            return Way::Pending(Pending::Refused(Barred::TooOldBelow { wanted, cluster, least }));
        }
        let pending = |message: String| Way::Down(Some(Waiting::new("VersionWaits", message)));
        match (self.all_run(cluster), self.whole) {
            (false, _) => pending(format!("{wanted} waits until all members run {cluster}")),
            (true, false) => pending(format!("{wanted} waits until all members serve")),
            (true, true) => Way::Down(None),
        }
    }
}

impl Roll {
    fn read(told: &cluster::Roll) -> Option<Self> {
        Some(Self { from: Etcd::read(&told.from)?, to: Etcd::read(&told.to)? })
    }

    #[must_use]
    pub fn told(&self) -> cluster::Roll {
        cluster::Roll { from: self.from.told(), to: self.to.told() }
    }
}

/// What the agent of a pod says of versions.
fn told_by(slot: &Slot) -> Option<Told> {
    let said = match slot.readiness() {
        Readiness::Ready(said) | Readiness::NotReady(said) => said,
        Readiness::Absent | Readiness::Down | Readiness::Unknown => return None,
    };
    let minor = |text: &Option<String>| text.as_ref()?.parse().ok();
    Some(Told {
        version: said.version.as_ref()?.parse().ok()?,
        cluster: minor(&said.cluster_version),
        storage: minor(&said.storage_version),
        downgrade: minor(&said.downgrade),
        log: minor(&said.log_readable_by),
    })
}

#[cfg(test)]
mod tests;
