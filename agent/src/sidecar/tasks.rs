//! Every task beside the loop, and the channels between them.

use std::{sync::Arc, time::Instant};

use tokio::sync::{Notify, mpsc, watch};

use etcd_operator_shared::{
    names::{HOSTS_FILE, ordinal},
    version::Minor,
};

use super::hands::{
    Hands,
    backups::Backups,
    certificates::{Certificates, Name},
    membership::Changes,
    object::MemberObject,
    restore::Restores,
    upkeep::Upkeep,
    users::Users,
    volume::Disk,
};
use crate::{
    args,
    etcd::{
        member::{Member, Whose},
        peers::Peers,
    },
    hosts::{AddressBook, task},
    kube::{self, watch::Seen},
    launch::{self, protocol::Process},
    observe::{
        self,
        etcd::Observed,
        handshakes::Refusals,
        launcher::Launcher,
        peers::{Ask, Heard},
        served::Served,
        volume::Writable,
    },
    tls::check,
    volume::Store,
};

/// What the other tasks tell the loop.
pub(super) struct Inputs {
    pub seen: watch::Receiver<Seen>,
    pub launcher: watch::Receiver<Launcher>,
    pub observed: watch::Receiver<Observed>,
    pub heard: watch::Receiver<Heard>,
    pub writable: watch::Receiver<Writable>,
    pub log: watch::Receiver<Option<Minor>>,
    pub book: watch::Receiver<AddressBook>,
    pub refusals: watch::Receiver<Refusals>,
}

/// What the loop tells the other tasks.
pub(super) struct Outputs {
    /// Whom to ask for the membership, while an answer is needed.
    pub ask: watch::Sender<Ask>,
    /// Whether etcd is to be asked often.
    pub hurry: watch::Sender<bool>,
    /// Addresses for the hosts file.
    pub offers: watch::Sender<Vec<(String, String)>>,
}

/// What they had told when a turn began.
pub(super) struct Told {
    pub seen: Seen,
    pub launcher: Launcher,
    pub observed: Observed,
    pub heard: Heard,
    pub writable: Writable,
    /// Highest version of etcd that can read the log, where that is known.
    pub log: Option<Minor>,
    pub book: AddressBook,
    /// Why other members do not let this one in.
    pub refusals: Refusals,
}

impl Inputs {
    /// All that was told, and nothing of it counts as news any more.
    pub(super) fn take(&mut self) -> Told {
        let launcher = self.launcher.borrow_and_update().clone();
        Told {
            seen: self.seen.borrow_and_update().clone(),
            observed: of_this_run(self.observed.borrow_and_update().clone(), &launcher),
            launcher,
            heard: self.heard.borrow_and_update().clone(),
            writable: self.writable.borrow_and_update().clone(),
            log: *self.log.borrow_and_update(),
            book: self.book.borrow_and_update().clone(),
            refusals: self.refusals.borrow_and_update().clone(),
        }
    }

    /// Returns at the next news. Cancel-safe: changes stay pending in their watch.
    ///
    /// # Errors
    /// When a task has ended.
    pub(super) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        tokio::select! {
            changed = self.seen.changed() => changed,
            changed = self.launcher.changed() => changed,
            changed = self.observed.changed() => changed,
            changed = self.heard.changed() => changed,
            changed = self.book.changed() => changed,
            changed = self.writable.changed() => changed,
            changed = self.log.changed() => changed,
            changed = self.refusals.changed() => changed,
        }
    }
}

impl Outputs {
    pub(super) fn ask(&self, ask: Ask) {
        replace(&self.ask, ask);
    }

    pub(super) fn hurry(&self, hurry: bool) {
        replace(&self.hurry, hurry);
    }

    pub(super) fn offer(&self, addresses: Vec<(String, String)>) {
        replace(&self.offers, addresses);
    }
}

/// What the etcd that runs now has said. Launcher and etcd are heard by two tasks: what an earlier run said, of itself
/// and of its membership, must vouch for nothing in this one.
fn of_this_run(observed: Observed, launcher: &Launcher) -> Observed {
    let pid = launcher.state.as_ref().and_then(|state| match state.process {
        Process::Running { pid } | Process::Stopping { pid } => Some(pid),
        Process::Idle | Process::Pausing { .. } => None,
    });
    if observed.pid == pid { observed } else { Observed { pid, ..Observed::default() } }
}

/// How those that issue certificates know this member.
fn name(config: &args::Sidecar) -> Name {
    let whose = check::Whose {
        namespace: config.namespace.clone(),
        cluster: config.cluster.clone(),
        member: config.member.clone(),
        encrypted: config.encrypted(),
    };
    let ordinal = ordinal(&config.cluster, &config.member).unwrap_or_default();
    Name { whose, cluster_uid: config.cluster_uid.clone(), ordinal }
}

/// Only a change is news.
fn replace<T: PartialEq>(to: &watch::Sender<T>, new: T) {
    to.send_if_modified(|old| {
        let changed = *old != new;
        *old = new;
        changed
    });
}

/// Starts every task.
///
/// # Errors
/// When the pod's token cannot be used.
pub(super) fn wire(config: &args::Sidecar, store: &Store) -> anyhow::Result<(Inputs, Outputs, Hands)> {
    let api = kube::members(&config.namespace)?;
    let certificates = Certificates::new(name(config), store.clone(), config.tls.clone());
    let (cluster, namespace) = (config.cluster.clone(), config.namespace.clone());
    let whose = Whose { cluster, namespace, access: certificates.access() };
    let member = Member::local(whose.clone());
    let peers = Peers::new(whose, config.cluster_id.clone());
    let (seen_to, seen) = watch::channel(Seen::nothing(Instant::now()));
    let (launcher_to, launcher) = watch::channel(Launcher::default());
    let (observed_to, observed) = watch::channel(Observed::default());
    let (writable_to, writable) = watch::channel(Writable::default());
    let (log_to, log) = watch::channel(None);
    let (heard_to, heard) = watch::channel(Heard::default());
    let (book_to, book) = watch::channel(AddressBook::default());
    let (ask, asked) = watch::channel(Ask::default());
    let (hurry, hurried) = watch::channel(false);
    let (offers, offered) = watch::channel(Vec::new());
    let (requests, requested) = mpsc::channel(8);
    let names = task::Names {
        cluster: config.cluster.clone(),
        namespace: config.namespace.clone(),
        cluster_uid: config.cluster_uid.clone(),
        own: (config.member.clone(), config.pod_ip.clone()),
        file: config.shared.join(HOSTS_FILE),
    };
    let doubt = Arc::new(Notify::new());
    tokio::spawn(kube::watch::follow(api.clone(), config.member.clone(), doubt.clone(), seen_to));
    tokio::spawn(observe::launcher::follow(config.shared.join(launch::SOCKET), requested, launcher_to));
    let served = Served::in_folder(&config.shared);
    tokio::spawn(observe::etcd::observe(member.clone(), launcher.clone(), hurried, served, observed_to));
    tokio::spawn(observe::log::follow(store.clone(), member.clone(), observed.clone(), log_to));
    tokio::spawn(observe::peers::listen(peers.clone(), asked, heard_to));
    tokio::spawn(observe::volume::try_now_and_then(store.clone(), writable_to));
    let (refusals_to, refusals) = watch::channel(Refusals::new());
    tokio::spawn(observe::handshakes::follow(certificates.identity(), offered.clone(), refusals_to));
    tokio::spawn(task::keep(names, offered, book_to));
    let hands = Hands {
        volume: Disk::new(store.clone()),
        object: MemberObject::new(api, doubt),
        restores: Restores::new(store.clone(), certificates.identity(), config.peer_tls),
        certificates,
        membership: Changes::new(member.clone(), peers.clone()),
        backups: Backups::new(store.clone()),
        upkeep: Upkeep::new(),
        users: Users::new(),
        member,
        peers,
        requests,
    };
    let inputs = Inputs { seen, launcher, observed, heard, writable, log, book, refusals };
    Ok((inputs, Outputs { ask, hurry, offers }, hands))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::protocol::State;

    #[test]
    fn what_an_earlier_run_of_etcd_has_said_is_not_taken_for_this_ones_word() {
        let runs = |pid| {
            let state = State {
                process: Process::Running { pid },
                order: 1,
                restarts: 0,
                last_exit: None,
                options: None,
                pools: None,
            };
            Launcher { state: Some(state), ..Launcher::default() }
        };
        let said =
            || Observed { pid: Some(7), confirmed: true, members_asked: Some(Instant::now()), ..Observed::default() };
        assert!(of_this_run(said(), &runs(7)).confirmed);
        let other = of_this_run(said(), &runs(8));
        assert!(!other.confirmed && other.members_asked.is_none() && other.pid == Some(8));
        assert!(!of_this_run(said(), &Launcher::default()).confirmed, "nor when none runs");
    }
}
