//! Everything that the agent can observe, as plain data.

pub mod etcd;
pub mod launcher;
pub mod volume;
