//! Membership for life: scaled, killed, robbed of its disks, stopped and woken, a cluster stays one cluster and loses nothing.
//!
//! Short forms in `make test`; `make chaos` has the full numbers (`E2E_FULL`).

mod crash_sweep;
mod edits;
mod forced;
mod growth;
mod kills;
mod lost_disk;
mod moves;
mod scale;
mod stalled_learner;
mod stop_wake;
mod story;
mod too_many_lost;
mod twin;
mod wrong_disk;
