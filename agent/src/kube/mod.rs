//! The member's EtcdMember: one watch on it, one writer of its status.

pub mod notebook;
pub mod watch;

use std::time::Duration;

use ::kube::{Api, Client, Config};
use etcd_operator_shared::api::EtcdMember;

/// How long the API server may take for one answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The EtcdMembers of the pod's namespace, with the pod's own token.
///
/// # Errors
/// When the pod has no token mounted.
pub fn members(namespace: &str) -> anyhow::Result<Api<EtcdMember>> {
    let mut config = Config::incluster()?;
    // Our own loops retry, with the reason visible; the client's default would hide an outage for minutes.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(2));
    Ok(Api::namespaced(Client::try_from(config)?, namespace))
}
