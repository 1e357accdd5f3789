//! What may still go wrong.

/// How many more faults of each kind may happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Agents, etcd's processes and pods that die.
    pub crashes: u8,
    /// Volumes that are lost with their pod.
    pub disks: u8,
    /// Volumes that are emptied under a running pod.
    pub emptied: u8,
    /// Data directories that vanish beside their mark.
    pub data: u8,
    /// EtcdMembers that are deleted.
    pub objects: u8,
    /// Times the API server goes away.
    pub outages: u8,
    /// Nodes that are cut off.
    pub cuts: u8,
    /// Copies of volumes that are put back.
    pub copies: u8,
    /// Elections while a leader leads.
    pub unrest: u8,
    /// Commits by a smallest quorum that leave the others behind.
    pub lags: u8,
    /// Agents that begin anew and do not hear their launcher.
    pub deaf: u8,
    /// Watches that hang, and agents whose writes are not taken.
    pub blind: u8,
    /// Waits that end sooner than they should: a learner's absence, a doomed member's time, a stall.
    pub haste: u8,
    /// Requests that arrive after their sender gave them up.
    pub late: u8,
    /// Writes of clients.
    pub writes: u8,
    /// Edits of the size.
    pub edits: u8,
    /// Times the user lets all rest.
    pub pauses: u8,
    /// Incarnations that a person gives up.
    pub ends: u8,
    /// Times that nobody serves what a life begins with, or somebody else has the address.
    pub serves: u8,
    /// Members whose etcd is made a cluster of its own.
    pub forced: u8,
}
