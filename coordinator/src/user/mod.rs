//! EtcdUsers. The same words as those of a cluster, as small as it is:
//!
//! ```text
//!   facts ─▶ decide ─▶ build ─▶ apply ─▶ report        reconcile: observe, decide, act, tell
//!   pure     pure      pure     writes   writes
//! ```
//! The coordinator may create and update Secrets in a tenant's namespace, and read none. So nothing is decided by what stands in
//! one: the status says what was written last, and when that ends.

mod apply;
mod build;
pub(crate) mod context;
pub(crate) mod controller;
mod decide;
mod facts;
mod reconcile;
mod report;
mod words;
