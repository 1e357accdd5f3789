//! /livez, /readyz and /metrics of the coordinator.

use std::{sync::Arc, time::Duration};

use etcd_operator_shared::process::probe::{Answer, Ask, Check, answer};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{apiserver::ApiServer, metrics::Metrics, process::senses::Senses};

/// The API server is asked for its version this often: that it can be reached is known, and an upgrade of it noticed.
const PULSE: Duration = Duration::from_secs(15);
/// Not ready after so long a silence: two questions were missed.
const SILENCE: Duration = Duration::from_secs(45);

/// Asks for the API server's version again and again, until `shutdown`.
pub async fn pulse(api: Arc<ApiServer>, shutdown: CancellationToken) {
    loop {
        if let Err(error) = api.ask_version().await {
            warn!(%error, "the API server is out of reach");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PULSE) => {}
        }
    }
}

/// One answer. A standby is as ready as a leader: it can take over. A leader must have heard of its clusters, too.
pub fn respond(ask: &Ask, api: &ApiServer, metrics: &Metrics, senses: &Senses) -> Answer {
    match ask.path.as_str() {
        // That this is answered at all is the check: everything runs on one thread.
        "/livez" => answer("livez", &ask.query, &[]),
        "/readyz" => {
            let [caches, watches] = senses.checks();
            answer("readyz", &ask.query, &[reachable(api.silent_for()), caches, watches])
        }
        "/metrics" => Answer {
            status: 200,
            content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
            body: metrics.text(senses.silences()),
        },
        _ => Answer::not_found(),
    }
}

fn reachable(silent_for: Option<Duration>) -> Check {
    let failed = match silent_for {
        Some(silence) if silence < SILENCE => None,
        Some(silence) => Some(format!("no answer for {} s", silence.as_secs())),
        None => Some("no answer yet".to_owned()),
    };
    Check { name: "apiserver", failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_the_api_server_answered_lately() {
        assert_eq!(reachable(Some(Duration::from_secs(44))).failed, None);
        assert_eq!(reachable(Some(Duration::from_secs(50))).failed.as_deref(), Some("no answer for 50 s"));
        assert_eq!(reachable(None).failed.as_deref(), Some("no answer yet"));
    }
}
