//! The member's volume: what is on it, who may touch it, and what it says of itself.
//!
//! ```text
//! /var/lib/etcd/            the volume's root (may hold lost+found)
//!   mark.json               identity of the volume; written by the agent only
//!   lived                   the volume ID under which a WAL was last seen; set by agent or launcher
//!   agent.lock launcher.lock
//!   canary                  written now and then to see whether the volume takes writes
//!   certificates.json       key and certificates of the member, where traffic is encrypted
//!   backup.json             where backups go and when, as it was last told
//!   reserve                 room that is given up when there is none left
//!   data/                   etcd's --data-dir
//!   restore/                the data that a cluster begins with, until one rename makes it data/; thrown away after a
//! crash
//!   salvage/<incarnation>/  what was salvaged of a life whose quorum was lost, until all members of the next have begun
//!   aside-<incarnation>-<n>/  a data directory that is this member's no more, renamed
//! ```
//!
//! Invariants: a file is written beside, fsynced and renamed, and its directory fsynced; a volume ID that lived has
//! lived for ever, and a new one is drawn only when the data is gone or set aside.

mod backups;
pub mod content;
pub mod lock;
pub mod log;
pub mod loss;
pub mod mark;
pub mod restore;
pub mod room;
pub mod salvage;
pub mod store;
pub mod trial;

pub use mark::Mark;
pub use store::{Store, Volume};
