//! `/metrics`, in OpenMetrics text. The registry is built from the page at each scrape: no counter lives anywhere else.
//! What is not known is not there: it is not zero. All of it is in `manifests/monitoring/metrics/agent.txt`, which alerts are
//! held to.

use etcd_operator_shared::api::member::{MemberPhase, Role};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::ConstCounter, family::Family, gauge::ConstGauge, gauge::Gauge, info::Info},
    registry::Registry,
};

use super::Page;
use crate::{
    plan::{start::Hold, upkeep::Kind},
    volume::room::Room,
};

/// The whole text.
#[must_use]
pub fn text(page: &Page) -> String {
    let mut registry = Registry::with_prefix("etcd_agent");
    let r = &mut registry;
    r.register("build", "Version of this program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
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
    if let Some(equal) = page.compared {
        let help =
            "When all members were last found to hold the same keys, in seconds since 1970, told by the leader's agent";
        gauge(r, "integrity_last_equal_timestamp_seconds", help, equal.as_second());
    }
    if let Some(Room { free, total }) = page.room {
        gauge(r, "volume_free_bytes", "Bytes that are free on the member's volume", signed(free));
        gauge(r, "volume_size_bytes", "Size of the member's volume", signed(total));
    }
    if let Some(quota) = page.quota {
        gauge(r, "db_quota_bytes", "Size of the database file at which etcd refuses writes", signed(quota));
    }
    checks(r, page);
    held(r, page);
    if page.members > 0 {
        gauge(r, "members", "Voters and learners in the membership as last confirmed", count(page.members));
    }
    if let Some(connected) = page.connected {
        let help = "Other members that etcd has a connection to; a follower may have one to its leader alone";
        gauge(r, "peers_connected", help, count(connected));
    }
    if let Some(status) = &page.etcd {
        alarms(r, page);
        gauge(r, "leads", "Whether the member leads", i64::from(page.health.role == Some(Role::Leader)));
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

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    registry.register(name, help, ConstGauge::new(value));
}

/// A gauge for each value of one label.
fn family<'a>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (&'a str, bool)>,
) {
    let family = Family::<Vec<(String, String)>, Gauge>::default();
    for (value, holds) in values {
        family.get_or_create(&vec![(label.to_owned(), value.to_owned())]).set(i64::from(holds));
    }
    registry.register(name, help, family);
}

fn checks(registry: &mut Registry, page: &Page) {
    let all = page.health.checks.iter().chain(&page.health.notices);
    let all = all.map(|check| (check.name, check.failed.is_none()));
    family(registry, "check_ok", "Whether a check of the member succeeds", "check", all);
}

/// Whether the member is not started although it could be: because its data says so, or because a person does.
fn held(registry: &mut Registry, page: &Page) {
    let held = page.health.phase == MemberPhase::Held;
    let by_spec = page.health.reason == Hold::BySpec.reason();
    let all = [("agent", held && !by_spec), ("spec", held && by_spec)];
    let help = "Whether etcd is kept from running: by the agent, as it would endanger data, or by spec.hold";
    family(registry, "held", help, "by", all);
}

fn alarms(registry: &mut Registry, page: &Page) {
    let all = Kind::ALL.map(Kind::as_str).map(|name| (name, page.alarms.iter().any(|raised| raised == name)));
    family(registry, "alarm_raised", "Whether etcd has raised an alarm for this member", "alarm", all);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{etcd::member::Status, serve::page::blank};

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/monitoring/metrics/agent.txt");

    /// Everything is known, and all is well.
    fn whole() -> Page {
        let mut page = blank();
        page.health.ready = true;
        page.health.settled = true;
        page.health.phase = MemberPhase::Running;
        page.health.role = Some(Role::Leader);
        page.health.checks.iter_mut().for_each(|check| check.failed = None);
        Page {
            etcd: Some(status()),
            pid: Some(10),
            restarts: 1,
            members: 3,
            connected: Some(2),
            room: Some(Room { free: 900, total: 1000 }),
            quota: Some(500),
            api_server: true,
            incarnation: 1,
            certificates_end: Some("2026-11-27T00:00:00Z".parse().unwrap()),
            compared: Some("2026-11-26T00:00:00Z".parse().unwrap()),
            ..page
        }
    }

    fn status() -> Status {
        Status {
            member_id: "a".into(),
            cluster_id: "c".into(),
            version: "3.5.21".into(),
            is_learner: false,
            leader_id: Some("a".into()),
            term: 2,
            downgrade: None,
            revision: 9,
            raft_index: 12,
            raft_applied_index: 12,
            db_size: 100,
            db_size_in_use: 50,
            errors: vec![],
        }
    }

    fn lines(text: &str) -> BTreeSet<&str> {
        text.lines().collect()
    }

    #[test]
    fn they_are_those_that_the_alerts_are_held_to() {
        let text = text(&whole()).replace(env!("CARGO_PKG_VERSION"), "0.1.0");
        let golden = std::fs::read_to_string(GOLDEN).unwrap();
        assert_eq!(lines(&text), lines(&golden), "manifests/monitoring/metrics/agent.txt should be\n{text}");
    }

    #[test]
    fn what_is_not_known_is_not_there() {
        let text = text(&blank());
        for name in [
            "has_leader",
            "leads",
            "members",
            "peers_connected",
            "alarm_raised",
            "volume_free",
            "db_",
            "certificate",
            "integrity",
        ] {
            assert!(!text.contains(&format!("etcd_agent_{name}")), "{name} in {text}");
        }
    }

    #[test]
    fn an_alarm_and_who_holds_a_member_are_told_by_name() {
        let mut page = whole();
        page.alarms = vec!["NOSPACE".to_owned()];
        page.health.phase = MemberPhase::Held;
        let said = text(&page);
        assert!(
            said.contains(r#"alarm_raised{alarm="NOSPACE"} 1"#) && said.contains(r#"held{by="agent"} 1"#),
            "{said}"
        );
        page.health.reason = Hold::BySpec.reason();
        let said = text(&page);
        assert!(said.contains(r#"held{by="agent"} 0"#) && said.contains(r#"held{by="spec"} 1"#), "{said}");
    }
}
