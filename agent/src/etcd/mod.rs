//! etcd as this operator needs it: its flags, and a few verbs.

pub(crate) mod access;
mod auth;
pub(crate) mod data;
pub mod flags;
pub(crate) mod member;
pub(crate) mod peers;
pub(crate) mod refusal;
