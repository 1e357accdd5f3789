//! Performs the steps towards a start.

use std::time::Duration;

use etcd_operator_shared::names::{MAX_MEMBERS, PORT_CLIENT, member, peer_host, peer_url};
use tracing::info;

use super::{errands::Errand, turn::Sidecar};
use crate::{
    crash,
    etcd::{
        flags::{Entry, Lines, Whose, lines},
        peers::Act,
    },
    facts::launcher::Launcher,
    launch::protocol::{Order, Process, Request},
    plan::{
        gate,
        start::{Start, Wait},
    },
    volume::mark::Address,
};

impl Sidecar {
    pub(super) async fn perform(&mut self, step: &Start, launcher: &Launcher) {
        match step {
            Start::Touch => self.disk.touch(&self.me).await,
            Start::SetLived => self.disk.set_lived().await,
            Start::Claim { number, member_id } => self.claim(*number, member_id.clone()),
            Start::Bootstrap => self.order(gate::Start::First, launcher).await,
            Start::Resume => self.order(gate::Start::Again, launcher).await,
            Start::Join => self.order(gate::Start::Added, launcher).await,
            Start::SetAside(_) | Start::Renew { .. } | Start::Retire | Start::Remove { .. } | Start::Add => {
                // A launcher that is not heard may run etcd: what moves data, changes whose it is or takes its place away
                // waits for its word, or for proof that there is none.
                if launcher.state.is_some() || self.disk.has_no_launcher().await {
                    self.belong_anew(step).await;
                }
            }
            Start::Left | Start::Stranded(_) | Start::Wait(_) | Start::Hold(_) => {
                self.orders.not_startable();
                if self.step.as_ref() != Some(step) && !matches!(step, Start::Wait(Wait::Answer)) {
                    info!(?step, "etcd is not started");
                }
            }
        }
    }

    async fn belong_anew(&mut self, step: &Start) {
        match step {
            Start::SetAside(lost) => self.disk.set_aside(*lost).await,
            Start::Renew { replacing } => self.disk.renew(&self.me, *replacing).await,
            Start::Retire => self.disk.retire(&self.me.pod_uid).await,
            Start::Remove { id } => self.act(Act::Remove { id: id.clone() }),
            // The caller passes no other step.
            _ => self.add(),
        }
    }

    /// Adds this member when the others know where it is: their etcd looks for it at once.
    fn add(&mut self) {
        let waited = self.orders.startable();
        self.waiting_for_names = self.missing_names(gate::Start::Added, waited);
        if self.waiting_for_names.is_empty() {
            let peer_url = peer_url(&self.me.member, &self.config.cluster, &self.config.namespace);
            self.act(Act::Add { peer_url });
        }
    }

    /// Changes the membership through the other members.
    pub(super) fn act(&mut self, act: Act) {
        let endpoints = self.endpoints();
        self.errands.run(Errand::Act(act), endpoints);
    }

    /// Orders etcd to start, when the names are known, an earlier order is settled and the counter has risen.
    async fn order(&mut self, how: gate::Start, launcher: &Launcher) {
        let waited = self.orders.startable();
        self.waiting_for_names = self.missing_names(how, waited);
        let Some(state) = launcher.state.as_ref().filter(|state| state.process == Process::Idle) else { return };
        if !self.waiting_for_names.is_empty() || !self.orders.is_due() || !self.disk.count_start(self.peers()).await {
            return;
        }
        let Some(volume) = self.disk.mark().map(|mark| (&mark.identity).into()) else { return };
        let first = how != gate::Start::Again;
        info!(order = state.order + 1, first, "etcd is started");
        crash::point("before-order");
        let Lines { now, again } = self.arguments(how);
        let order = Order { number: state.order + 1, first, args: now, again, volume };
        self.orders.give();
        // Closed: the connection is gone, and the next launcher gets an order of its own.
        let _ = self.wires.requests.send(Request::Start(order)).await;
        crash::point("after-order");
    }

    fn arguments(&self, how: gate::Start) -> Lines {
        let data_dir = self.disk.store().data_dir();
        let whose = Whose {
            namespace: &self.config.namespace,
            cluster: &self.config.cluster,
            member: &self.config.member,
            version: self.config.version,
            data_dir: &data_dir,
        };
        let members = self.listed();
        let entry = match (how, self.ledger.object()) {
            (gate::Start::First, Some(object)) => {
                Entry::New { members: &object.spec.initial_members, token: &object.spec.token }
            }
            (gate::Start::Added, _) => Entry::Added { members: &members },
            (gate::Start::First, None) | (gate::Start::Again, _) => Entry::OnDisk,
        };
        lines(&whose, &self.config.options, &entry)
    }

    fn missing_names(&self, how: gate::Start, waited: Duration) -> Vec<String> {
        let wanted: Vec<String> = match (how, self.ledger.object()) {
            (gate::Start::First, Some(object)) => object.spec.initial_members.clone(),
            (gate::Start::Added, _) => self.listed(),
            (gate::Start::First, None) | (gate::Start::Again, _) => self.peers().into_iter().map(|p| p.name).collect(),
        };
        let wanted: Vec<String> = wanted.into_iter().filter(|name| *name != self.me.member).collect();
        let book = self.wires.book.borrow();
        let known: Vec<String> = book.believed().into_iter().map(|(name, _)| name).collect();
        let confirmed = match how {
            gate::Start::Added => book.acquainted(),
            gate::Start::First | gate::Start::Again => book.confirmed(),
        };
        let confirmed: Vec<String> = confirmed.into_iter().collect();
        gate::missing(how, &wanted, &known, &confirmed, waited)
    }

    /// The members in the others' list.
    fn listed(&self) -> Vec<String> {
        self.cluster().list().unwrap_or_default().iter().map(|entry| entry.member.clone()).collect()
    }

    /// Where the other members' etcd may be asked: at the addresses that are known and, when the API server does not tell any
    /// new ones, at every name that a member can have.
    pub(super) fn endpoints(&self) -> Vec<String> {
        let peers = self.peers();
        let mut endpoints: Vec<String> = peers.iter().map(|peer| endpoint(&peer.address)).collect();
        if !self.wires.seen.borrow().connected {
            let (cluster, namespace) = (&self.config.cluster, &self.config.namespace);
            let others = (0..MAX_MEMBERS).filter(|ordinal| *ordinal != self.me.ordinal);
            endpoints.extend(others.map(|o| endpoint(&peer_host(&member(cluster, o), cluster, namespace))));
        }
        endpoints
    }

    /// The other members' addresses: from the EtcdMember, or as they were when the mark was last written.
    pub(super) fn peers(&self) -> Vec<Address> {
        let address = |name: &str, address: &str| Address { name: name.to_owned(), address: address.to_owned() };
        let published = self.ledger.object().map(|object| &object.spec.peers).filter(|peers| !peers.is_empty());
        let all: Vec<Address> = match (published, self.disk.mark()) {
            (Some(peers), _) => peers.iter().map(|p| address(&p.name, &p.address)).collect(),
            (None, Some(mark)) => mark.peers.clone(),
            (None, None) => vec![],
        };
        all.into_iter().filter(|peer| peer.name != self.me.member).collect()
    }
}

/// The client URL of an address or a name. An IPv6 address needs brackets.
fn endpoint(host: &str) -> String {
    if host.contains(':') { format!("http://[{host}]:{PORT_CLIENT}") } else { format!("http://{host}:{PORT_CLIENT}") }
}
