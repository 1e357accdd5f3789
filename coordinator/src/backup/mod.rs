//! EtcdBackups. The same words as those of a cluster, as small as it is:
//!
//! ```text
//!   ordered by a user ─▶ a member is told to take it ─┐
//!   taken by a schedule ──────────────────────────────┴▶ it is in the store ─▶ another etcd opens it ─▶ Verified, or Failed
//! ```
//! The coordinator never speaks to a store: agents do, and throw-away pods.

mod act;
pub(crate) mod context;
pub(crate) mod controller;
mod decide;
mod facts;
mod reconcile;
mod report;
