//! What the loop does things with: the volume, the EtcdMember, certificates, what the cluster begins with, the
//! membership, leadership, backups, databases, users, the launcher.
//!
//! A hand performs and remembers how it went. It decides nothing, and none knows another.

pub(super) mod backups;
pub(super) mod certificates;
mod lane;
pub(super) mod leadership;
pub(super) mod membership;
pub(super) mod object;
pub(super) mod restore;
pub(super) mod upkeep;
pub(super) mod users;
pub(super) mod volume;

use tokio::sync::mpsc;

use self::{
    backups::Backups, certificates::Certificates, membership::Changes, object::MemberObject, restore::Restores,
    upkeep::Upkeep, users::Users, volume::Disk,
};
use crate::{
    etcd::{member::Member, peers::Peers},
    launch::protocol::Request,
};

/// All of them.
pub(super) struct Hands {
    pub volume: Disk,
    pub object: MemberObject,
    pub certificates: Certificates,
    pub restores: Restores,
    pub membership: Changes,
    pub backups: Backups,
    pub upkeep: Upkeep,
    pub users: Users,
    pub member: Member,
    pub peers: Peers,
    pub requests: mpsc::Sender<Request>,
}

impl Hands {
    /// Asks the launcher for something that the next turn would ask for again.
    pub(super) fn request(&self, request: Request) {
        // Full: the launcher has enough to do.
        let _ = self.requests.try_send(request);
    }
}
