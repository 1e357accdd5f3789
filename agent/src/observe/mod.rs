//! What looks at the launcher, etcd, the other members and the volume all the time, each in a task of its own that tells the last look.

pub mod etcd;
pub mod handshakes;
pub mod launcher;
pub mod links;
pub mod log;
pub mod peers;
pub mod served;
pub mod volume;
