//! The vocabulary that the agent and the coordinator share.
//!
//! Everything outside `process` is pure: types, names and arithmetic, no clock, no environment, no I/O.

pub mod api;
pub mod auth;
pub mod backup;
pub mod certificates;
pub mod duration;
pub mod ids;
pub mod image;
pub mod names;
pub mod options;
pub mod process;
pub mod quantity;
pub mod quorum;
pub mod quota;
pub mod schedule;
pub mod validate;
pub mod version;
