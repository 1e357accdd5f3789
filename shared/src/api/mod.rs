//! The kinds of the API group `etcd.etcd.io/v1alpha1`.

pub mod cluster;
pub mod member;

pub use cluster::{EtcdCluster, EtcdClusterSpec, EtcdClusterStatus, EtcdOptions};
pub use member::{EtcdMember, EtcdMemberSpec, EtcdMemberStatus};
