//! etcd as this operator needs it: its flags, and a few verbs.

pub mod flags;
pub mod member;
pub mod peers;
