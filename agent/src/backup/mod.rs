//! Backups: taken, proven, listed and pruned, each in a process of its own that ends. The sidecar holds nothing of a
//! store.
//!
//! ```text
//!   take:   read ─▶ Snapshot begins ─▶ HashKV here and at another member ─▶ trailer ─▶ zstd ─▶ data/<random>.db.zst
//!                                       put once: snapshots/<incarnation>/<name>.json ◀─┘   ─▶ prune
//!   prove:  manifest ─▶ data ─▶ digests, trailer ─▶ etcdutl restore ─▶ throw-away etcd ─▶ compact ─▶ HashKV
//!                                            put once: verified/<incarnation>/<name>.json ◀─ equal ┘
//!   salvage: a stopped member's volume ─▶ a copy ─▶ throw-away etcd, alone, with all of the log ─▶ snapshot on that volume
//! ```
//!
//! Guarantees: a backup is there when its manifest is, and of one name there is one manifest, whoever takes it and how
//! often; what is in it was there at one revision, after a quorum had confirmed the taker's. Memory does not grow with
//! the database. It counts once it is proven, and is pruned by what is in the store alone, never by this machine's
//! clock. Assumptions: the store honours "only if it is not there", which is tried before each backup, and its objects
//! do not change. Caveats: a taker that dies leaves data without a manifest, which goes a day later; and where it died
//! within an upload of several parts, those parts, which are the store's to expire.

pub mod content;
pub mod failure;
mod hashes;
pub mod list;
pub mod manifests;
pub mod prove;
pub mod prune;
pub mod salvage;
pub mod save;
pub mod store;
pub mod take;
mod trial;
mod upload;

pub use failure::Failure;
