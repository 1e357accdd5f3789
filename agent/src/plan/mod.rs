//! Decisions, as values. Nothing here does I/O, reads a clock or waits: facts in, one step with its reason out.

pub mod addresses;
pub mod auth;
pub mod backup;
pub mod certificates;
pub mod compare;
pub mod downgrade;
pub mod exit;
pub mod handover;
pub mod health;
pub mod learn;
pub mod leave;
pub mod list;
pub mod options;
pub mod publish;
pub mod retention;
pub mod running;
pub mod start;
pub mod steward;
pub mod trust;
pub mod turn;
pub mod upkeep;
pub mod version;
mod words;
