//! Every call to the API server, whatever the kind: our verbs, the watches, what was applied last, events.

pub mod applied;
pub mod cache;
pub mod events;
mod failed;
pub mod fence;
mod fields;
pub mod guard;
pub mod hearing;
pub mod lists;
mod pace;
pub mod recorder;
mod removals;
mod verbs;
pub mod watch;
pub mod whole;

pub use failed::{Cause, Failed, gone};
pub use verbs::{ApiServer, Kind};
