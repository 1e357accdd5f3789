//! `/metrics`, in OpenMetrics text. The registry is built from the page at each scrape: no counter lives anywhere else.

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::ConstCounter, family::Family, gauge::ConstGauge, gauge::Gauge},
    registry::Registry,
};

use super::Page;
use crate::volume::room::Room;

/// The whole text.
#[must_use]
pub fn text(page: &Page) -> String {
    let mut registry = Registry::with_prefix("etcd_agent");
    let r = &mut registry;
    gauge(r, "ready", "Whether the member serves", i64::from(page.health.ready));
    gauge(r, "settled", "Whether the member is caught up and connected to every voter", i64::from(page.health.settled));
    gauge(r, "process_running", "Whether etcd's process runs", i64::from(page.pid.is_some()));
    gauge(r, "api_server_connected", "Whether the API server answers", i64::from(page.api_server));
    gauge(r, "incarnation", "Number of the incarnation of the cluster's data", page.incarnation);
    r.register(
        "etcd_restarts",
        "Starts of etcd after the first in this pod",
        ConstCounter::new(u64::from(page.restarts)),
    );
    if let Some(end) = page.certificates_end {
        let help = "When the first of the member's certificates ends, in seconds since 1970";
        gauge(r, "certificate_not_after_seconds", help, end.as_second());
    }
    if let Some(Room { free, total }) = page.room {
        gauge(r, "volume_free_bytes", "Bytes that are free on the member's volume", signed(free));
        gauge(r, "volume_size_bytes", "Size of the member's volume", signed(total));
    }
    if let Some(quota) = page.quota {
        gauge(r, "db_quota_bytes", "Size of the database file at which etcd refuses writes", signed(quota));
    }
    checks(r, page);
    if let Some(status) = &page.etcd {
        let lag = status.raft_index.saturating_sub(status.raft_applied_index);
        gauge(r, "has_leader", "Whether the member knows a leader", i64::from(status.leader_id.is_some()));
        gauge(r, "raft_lag_entries", "Entries known to be committed and not applied yet", signed(lag));
        gauge(r, "db_size_bytes", "Size of the database file", status.db_size);
        gauge(r, "db_size_in_use_bytes", "Bytes of the database file in use", status.db_size_in_use);
    }
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    registry.register(name, help, ConstGauge::new(value));
}

fn checks(registry: &mut Registry, page: &Page) {
    let family = Family::<Vec<(String, String)>, Gauge>::default();
    for check in page.health.checks.iter().chain(&page.health.notices) {
        let labels = vec![("check".to_owned(), check.name.to_owned())];
        family.get_or_create(&labels).set(i64::from(check.failed.is_none()));
    }
    registry.register("check_ok", "Whether a check of the member succeeds", family);
}
