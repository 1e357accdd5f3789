//! etcd as this operator needs it: its IDs, its flags, and a few verbs.

pub mod flags;
pub mod ids;
pub mod member;
