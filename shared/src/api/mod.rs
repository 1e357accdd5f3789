//! The kinds of the API group `etcd.etcd.io/v1alpha1`.

// Each printcolumn repeats its keys; clippy takes that for a mistake.
mod amount;
#[allow(clippy::duplicated_attributes)]
pub mod backup;
#[allow(clippy::duplicated_attributes)]
pub mod cluster;
#[allow(clippy::duplicated_attributes)]
pub mod member;
#[allow(clippy::duplicated_attributes)]
pub mod restore;
#[allow(clippy::duplicated_attributes)]
pub mod user;
mod word;

pub use amount::Amount;
pub use backup::{EtcdBackup, EtcdBackupSpec, EtcdBackupStatus};
pub use cluster::{EtcdCluster, EtcdClusterSpec, EtcdClusterStatus, EtcdOptions};
pub use member::{EtcdMember, EtcdMemberSpec, EtcdMemberStatus};
pub use restore::{EtcdRestore, EtcdRestoreSpec, EtcdRestoreStatus};
pub use user::{EtcdUser, EtcdUserSpec, EtcdUserStatus};
pub use word::Word;
