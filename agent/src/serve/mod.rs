//! What the agent tells kubelet, Prometheus, its siblings and people, on one port.
//!
//! Everything is answered from what the sidecar last published in memory: no answer waits for etcd, the disk or the API
//! server. Only the readiness probe of a member that is just starting is held open, below the probe's timeout, so that
//! Ready shows the moment it is true.

pub mod metrics;
pub mod page;

use std::time::Duration;

use etcd_operator_shared::process::probe::{Answer, Ask, Check, answer};
use tokio::{sync::watch, time::timeout};

pub use page::Page;

/// How long a readiness probe is held open: below the probe's timeout of 5 s.
const HELD_OPEN: Duration = Duration::from_millis(4_500);
/// A main loop that has not turned for this long is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// Answers one request.
pub async fn respond(pages: watch::Receiver<Page>, ask: Ask) -> Answer {
    match ask.path.as_str() {
        "/livez" | "/healthz" => answer("livez", &ask.query, &[alive(&pages.borrow())]),
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

/// Alive never depends on etcd, quorum or the API server: restarting the agent would cure none of them.
fn alive(page: &Page) -> Check {
    let stuck = page.turned.elapsed();
    let hung = page.health.checks.iter().any(|check| check.name == "volume" && check.failed.is_some());
    let failed = (stuck > STUCK && !hung).then(|| format!("the agent's loop has not turned for {} s", stuck.as_secs()));
    Check { name: "loop", failed }
}

async fn ready(mut pages: watch::Receiver<Page>, query: &str) -> Answer {
    if pages.borrow().health.soon {
        // Cancel-safe: a page that is published meanwhile stays in the watch. An elapsed bound or a closed channel is no
        // error: what is known then is answered.
        let _ = timeout(HELD_OPEN, pages.wait_for(|page| !page.health.soon)).await;
    }
    answer("readyz", query, &pages.borrow().health.checks)
}
