//! EtcdClusters. The folders are the words of one sentence, and each imports only what stands before it:
//!
//! ```text
//!   facts ─▶ decide ─▶ build ─▶ apply ─▶ incarnation ─▶ report        reconcile: observe, decide, act, tell
//!   pure     pure      pure     writes    writes         writes
//! ```

pub mod build;
pub mod decide;
pub mod facts;

pub(crate) mod apply;
pub(crate) mod caches;
pub(crate) mod context;
pub(crate) mod controller;
mod fetch;
mod incarnation;
pub(crate) mod inquiries;
mod installation;
pub(crate) mod installations;
mod outcome;
mod reconcile;
pub(crate) mod rehearsals;
pub(crate) mod report;
mod salvage;
pub(crate) mod sweep;
pub(crate) mod timers;
pub(crate) mod turns;
mod unreadable;
mod vouchers;
