//! What the agent tells kubelet, Prometheus, its siblings and people, on one port.
//!
//! Everything is answered from what the sidecar last published in memory: no answer waits for etcd, the disk or the API
//! server. Only the readiness probe of a member that is just starting is held open, below the probe's timeout, so that
//! Ready shows the moment it is true.

pub mod bytes;
pub mod metrics;
pub mod page;
pub mod seed;
pub mod snapshot;

use std::time::{Duration, Instant};

use etcd_operator_shared::process::probe::{Answer, Ask, Check, answer};
use tokio::{sync::watch, time::timeout};

pub use page::Page;

use crate::observe::volume::Writable;

/// How long a readiness probe is held open: below the probe's timeout of 5 s.
const HELD_OPEN: Duration = Duration::from_millis(4_500);
/// The loop turns every second. What is older says nothing of now, and nobody should be sent here because of it.
const STALE: Duration = Duration::from_secs(10);
/// A main loop that has not turned for this long is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// What answers are made of.
#[derive(Clone)]
pub struct Shown {
    pub pages: watch::Receiver<Page>,
    /// Looked at directly: a loop that hangs on the volume publishes no page that says so.
    pub volume: watch::Receiver<Writable>,
}

/// Answers one request.
pub async fn respond(shown: Shown, ask: Ask) -> Answer {
    let Shown { pages, volume } = shown;
    match ask.path.as_str() {
        "/livez" | "/healthz" => {
            let now = Instant::now();
            let ails = volume.borrow().writes(now).trouble().is_some();
            answer("livez", &ask.query, &[alive(pages.borrow().turned, ails, now)])
        }
        "/readyz" => ready(pages, &ask.query).await,
        "/status" => Answer::json(page::json(&pages.borrow())),
        "/metrics" => Answer {
            status: 200,
            content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
            body: metrics::text(&pages.borrow()),
        },
        "/whoami" => Answer::json(page::who_am_i(&pages.borrow())),
        _ => Answer::text(404, "not found; try /livez /readyz /status /metrics\n"),
    }
}

/// Alive never depends on etcd, quorum, the volume or the API server: restarting the agent would cure none of them. A
/// loop that has not begun waits for the volume.
fn alive(turned: Option<Instant>, volume_ails: bool, now: Instant) -> Check {
    Check { name: "loop", failed: old(turned, STUCK, now).filter(|_| !volume_ails) }
}

/// Why what was seen at a time is too old, if it is.
fn old(turned: Option<Instant>, bound: Duration, now: Instant) -> Option<String> {
    let age = now.duration_since(turned?);
    (age > bound).then(|| format!("the agent's loop has not turned for {} s", age.as_secs()))
}

async fn ready(mut pages: watch::Receiver<Page>, query: &str) -> Answer {
    let is_worth_it = |page: &Page| page.health.soon && old(page.turned, STALE, Instant::now()).is_none();
    if is_worth_it(&pages.borrow()) {
        // Cancel-safe: a page that is published meanwhile stays in the watch. An elapsed bound or a closed channel is
        // no error: what is known then is answered.
        let _ = timeout(HELD_OPEN, pages.wait_for(|page| !page.health.soon)).await;
    }
    let page = pages.borrow();
    let turning = Check { name: "loop", failed: old(page.turned, STALE, Instant::now()) };
    let checks: Vec<Check> = page.health.checks.iter().cloned().chain([turning]).collect();
    answer("readyz", query, &checks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        observe::volume::PATIENCE,
        plan::health::{Facts, Health, judge},
    };

    fn shown(turned: Instant, volume: Writable) -> (Shown, watch::Sender<Page>, watch::Sender<Writable>) {
        let checks = vec![Check { name: "started", failed: None }];
        let health = Health { ready: true, soon: false, checks, ..judge(&Facts::default()) };
        let (pages_to, pages) = watch::channel(Page { health, turned: Some(turned), ..page::blank() });
        let (volume_to, volume) = watch::channel(volume);
        (Shown { pages, volume }, pages_to, volume_to)
    }

    async fn asked(shown: &Shown, path: &str) -> (u16, String) {
        let said = respond(shown.clone(), Ask { path: path.into(), query: String::new() }).await;
        (said.status, said.body)
    }

    fn before(age: Duration) -> Instant {
        Instant::now().checked_sub(age).expect("the machine runs for longer")
    }

    #[tokio::test]
    async fn a_page_that_is_old_says_nothing_of_now() {
        let (fresh, ..) = shown(before(STALE / 2), Writable::default());
        assert_eq!(asked(&fresh, "/readyz").await.0, 200);
        let (stale, ..) = shown(before(STALE + Duration::from_secs(1)), Writable::default());
        let (status, body) = asked(&stale, "/readyz").await;
        assert!(status == 503 && body.contains("has not turned for 11 s"), "{status} {body}");
        assert_eq!(asked(&stale, "/livez").await.0, 200, "it may just be slow");
    }

    #[tokio::test]
    async fn a_loop_that_hangs_is_restarted_unless_the_volume_hangs() {
        let (stuck, ..) = shown(before(STUCK + Duration::from_secs(1)), Writable::default());
        assert_eq!(asked(&stuck, "/livez").await.0, 503);
        let hung = Writable { trying_since: Some(before(2 * PATIENCE)), ..Writable::default() };
        let (stuck, ..) = shown(before(STUCK + Duration::from_secs(1)), hung);
        assert_eq!(asked(&stuck, "/livez").await.0, 200, "the page says that the volume is well");
    }

    #[test]
    fn a_loop_that_waits_to_begin_is_not_stuck() {
        assert_eq!(alive(None, false, Instant::now()).failed, None);
    }
}
