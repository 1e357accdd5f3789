//! The member's volume: what is on it, who may touch it, and what it says of itself.
//!
//! ```text
//! /var/lib/etcd/            the volume's root (may hold lost+found)
//!   mark.json               identity of the volume; written by the agent only
//!   lived                   present from the moment a WAL was seen; set by agent or launcher, never taken back
//!   agent.lock launcher.lock
//!   data/                   etcd's --data-dir
//! ```
//!
//! Invariants: a file is written beside, fsynced and renamed, and its directory fsynced; `lived` only appears; nothing is
//! ever deleted here.

pub mod lock;
pub mod mark;
pub mod store;

pub use mark::Mark;
pub use store::{Store, Volume};
