//! EtcdRestores. The same words as those of a cluster, as small as it is:
//!
//! ```text
//!   its cluster names it, its source is there ─▶ a pod opens the data ─▶ found: from here on these very bytes
//!     ─▶ the pod serves them; the cluster begins, and its founders fetch them ─▶ all serve: Completed, the pod goes
//! ```
//! It begins nothing by itself: the EtcdCluster does, once it is known that the data is right.

mod act;
pub(crate) mod controller;
mod decide;
mod facts;
mod reconcile;
mod report;
