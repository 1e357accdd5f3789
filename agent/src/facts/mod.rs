//! What can be observed from this pod, as plain data: the launcher, etcd, the other members, the volume.

pub mod cluster;
pub mod etcd;
pub mod launcher;
pub mod links;
pub mod served;
pub mod volume;
