//! Leader election on a Lease, as client-go does it.
//!
//! ```text
//!   standby ──free, released, or unchanged for 15 s by OUR clock──▶ acquire (resourceVersion) ──▶ leader
//!   leader ──renews every 2 s; 10 s without success──▶ lost: all that acts is ended, and then it stands by again
//!   leader ──SIGTERM──▶ work done, then released: a standby need not wait for the expiry
//! ```
//! Other machines' clocks are never compared with ours: what counts is how long *we* have seen the Lease unchanged.
//! It cannot fence by itself (a paused process may wake up after the expiry): what takes something away looks at
//! [`crate::apiserver::fence`] first, and every write that matters carries its own precondition. Source: client-go `tools/leaderelection/leaderelection.go`.

use std::time::Duration;

use etcd_operator_shared::names::LEASE;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::ResourceExt;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::apiserver::{ApiServer, Cause, Failed, fence::since_boot};

/// A Lease that did not change for so long is free.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long is none. Shorter than the above: it stops before another begins.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Time between attempts of a leader.
const RENEW_INTERVAL: Duration = Duration::from_secs(2);
/// Time until the next attempt after one that failed.
const RENEW_AGAIN: Duration = Duration::from_millis(500);
/// Longest time of one attempt: a connection that is dead is given up while there is time for another.
const ATTEMPT: Duration = Duration::from_secs(4);
/// Longest time of a release: a process that is to end waits no longer.
const RELEASE: Duration = Duration::from_secs(2);
/// Time between looks of a standby: it takes over within this after a release.
const STANDBY_POLL: Duration = Duration::from_secs(1);

/// This process's part in the election.
pub struct Election<'a> {
    api: &'a ApiServer,
    namespace: String,
    identity: String,
    seen: Option<Seen>,
}

/// What was last seen of the Lease, and since when by our clock.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    version: Option<String>,
    since: Instant,
}

/// What to do about a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Create,
    Renew,
    TakeOver,
    StandBy,
}

/// The leader's term is over, and not by choice: another holds the Lease, or it could not be renewed in time.
#[derive(Debug)]
pub struct Lost;

impl<'a> Election<'a> {
    /// `identity` must be this process's alone.
    #[must_use]
    pub fn new(api: &'a ApiServer, namespace: String, identity: String) -> Self {
        Self { api, namespace, identity, seen: None }
    }

    /// Waits until this process leads; `false` if it was asked to end first.
    pub async fn win(&mut self, shutdown: &CancellationToken) -> bool {
        info!(namespace = self.namespace, lease = LEASE, identity = self.identity, "standing by");
        loop {
            match self.attempt().await {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => warn!(%error, "cannot look at the Lease"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return false,
                () = sleep(STANDBY_POLL) => {}
            }
        }
    }

    /// Renews for ever. Ends when the term is over.
    pub async fn hold(&mut self) -> Lost {
        let (mut renewed, mut rest) = (Instant::now(), RENEW_INTERVAL);
        loop {
            sleep(rest).await;
            // What is written now counts from now, however late the answer comes.
            let begun = Instant::now();
            let left = RENEW_DEADLINE.saturating_sub(begun.duration_since(renewed));
            rest = RENEW_AGAIN;
            match timeout(left.min(ATTEMPT), self.attempt()).await {
                Ok(Ok(true)) => (renewed, rest) = (begun, RENEW_INTERVAL),
                Ok(Ok(false)) => return Lost,
                Ok(Err(error)) => warn!(%error, "cannot renew the Lease"),
                Err(_) => warn!("cannot renew the Lease: no answer"),
            }
            if renewed.elapsed() + rest >= RENEW_DEADLINE {
                return Lost;
            }
        }
    }

    /// Gives the Lease back, so that another need not wait for its expiry.
    pub async fn release(&mut self) {
        let release = async {
            let Some(mut lease) = self.api.get::<Lease>(&self.namespace, LEASE).await? else { return Ok(()) };
            if holder(&lease) != self.identity {
                return Ok(());
            }
            let spec = lease.spec.get_or_insert_default();
            (spec.holder_identity, spec.lease_duration_seconds) = (None, Some(1));
            self.api.replace(&lease).await.map(|_| ())
        };
        match timeout(RELEASE, release).await {
            Ok(Ok(())) => info!("Lease released"),
            Ok(Err::<_, Failed>(error)) => warn!(%error, "cannot release the Lease"),
            Err(_) => warn!("cannot release the Lease: no answer"),
        }
    }

    /// One look, and one write where it is ours to write. Whether we hold it now.
    async fn attempt(&mut self) -> Result<bool, Failed> {
        let begun = since_boot();
        let lease: Option<Lease> = self.api.get(&self.namespace, LEASE).await?;
        let now = Instant::now();
        self.seen = lease.as_ref().map(|lease| see(self.seen.take(), lease, now));
        let act = decide(lease.as_ref(), self.seen.as_ref(), &self.identity, now);
        let ours = self.written(lease, act);
        let written = match (act, ours) {
            (Act::StandBy, lease) => {
                debug!(holder = holder(&lease), "the Lease is held");
                return Ok(false);
            }
            (Act::Create, lease) => self.api.create(&lease).await,
            (Act::Renew | Act::TakeOver, lease) => self.api.replace(&lease).await,
        };
        match written {
            Ok(lease) => {
                self.seen = Some(Seen { version: lease.resource_version(), since: Instant::now() });
                self.api.fence.renewed(begun, RENEW_DEADLINE);
                Ok(true)
            }
            // Somebody was faster.
            Err(Failed { cause: Cause::Conflict | Cause::Exists, .. }) => Ok(false),
            Err(failed) => Err(failed),
        }
    }

    /// The Lease as we would write it.
    fn written(&self, lease: Option<Lease>, act: Act) -> Lease {
        let mut lease = lease.unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(LEASE.into()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        let now = MicroTime(Timestamp::now());
        let spec = lease.spec.get_or_insert_default();
        match act {
            Act::StandBy => return lease,
            Act::Renew => {}
            Act::Create | Act::TakeOver => {
                let transitions = spec.lease_transitions.map_or(0, |n| n.saturating_add(1));
                *spec = LeaseSpec {
                    holder_identity: Some(self.identity.clone()),
                    acquire_time: Some(now.clone()),
                    lease_transitions: Some(transitions),
                    ..LeaseSpec::default()
                };
            }
        }
        spec.lease_duration_seconds = i32::try_from(LEASE_DURATION.as_secs()).ok();
        spec.renew_time = Some(now);
        lease
    }
}

/// Keeps the time since which a Lease is unchanged.
fn see(before: Option<Seen>, lease: &Lease, now: Instant) -> Seen {
    let version = lease.resource_version();
    before.filter(|seen| seen.version == version).unwrap_or(Seen { version, since: now })
}

fn decide(lease: Option<&Lease>, seen: Option<&Seen>, me: &str, now: Instant) -> Act {
    let (Some(lease), Some(seen)) = (lease, seen) else { return Act::Create };
    match holder(lease) {
        holder if holder == me => Act::Renew,
        "" => Act::TakeOver,
        _ if now.duration_since(seen.since) > LEASE_DURATION => Act::TakeOver,
        _ => Act::StandBy,
    }
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|s| s.holder_identity.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: Option<&str>, version: &str) -> Lease {
        let mut lease = Lease::default();
        lease.metadata.resource_version = Some(version.into());
        lease.spec = Some(LeaseSpec { holder_identity: holder.map(Into::into), ..LeaseSpec::default() });
        lease
    }

    /// What `me` does about a Lease that it has seen unchanged for so long.
    fn after(holder: Option<&str>, seconds: u64) -> Act {
        let (lease, since) = (lease(holder, "1"), Instant::now());
        let seen = see(None, &lease, since);
        decide(Some(&lease), Some(&seen), "me", since + Duration::from_secs(seconds))
    }

    #[test]
    fn a_missing_lease_is_created() {
        assert_eq!(decide(None, None, "me", Instant::now()), Act::Create);
    }

    #[test]
    fn a_held_lease_is_respected_until_it_was_still_for_its_whole_duration() {
        assert_eq!(after(Some("other"), 0), Act::StandBy);
        assert_eq!(after(Some("other"), 15), Act::StandBy);
        assert_eq!(after(Some("other"), 16), Act::TakeOver);
    }

    #[test]
    fn a_released_lease_is_taken_at_once() {
        assert_eq!(after(None, 0), Act::TakeOver);
        assert_eq!(after(Some(""), 0), Act::TakeOver);
    }

    #[test]
    fn our_own_lease_is_renewed() {
        assert_eq!(after(Some("me"), 100), Act::Renew);
    }

    #[test]
    fn each_renewal_by_another_starts_the_wait_again() {
        let start = Instant::now();
        let later = start + Duration::from_secs(14);
        let seen = see(None, &lease(Some("other"), "1"), start);
        let seen = see(Some(seen), &lease(Some("other"), "2"), later);
        let lease = lease(Some("other"), "2");
        assert_eq!(decide(Some(&lease), Some(&seen), "me", start + Duration::from_secs(16)), Act::StandBy);
    }

    #[test]
    fn a_leader_stops_before_another_may_begin() {
        assert!(RENEW_DEADLINE < LEASE_DURATION);
    }

    #[test]
    fn two_slow_attempts_in_a_row_lose_nothing() {
        assert!(RENEW_INTERVAL + ATTEMPT + RENEW_AGAIN + ATTEMPT / 2 < RENEW_DEADLINE);
    }
}
