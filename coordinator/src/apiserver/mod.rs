//! Every call to the API server, whatever the kind: our verbs, the watches, what was applied last, events.

pub mod applied;
pub mod cache;
pub mod events;
pub mod fence;
pub mod guard;
mod index;
pub mod recorder;
mod verbs;
pub mod watch;

pub use verbs::{ApiServer, Cause, Failed, Kind, gone};
