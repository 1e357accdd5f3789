//! Claim: no alert fires while a healthy cluster is created, scaled, rolled, backed up, stopped and woken, however slowly.
//! `stories.yaml` says what happens; the series are what the programs tell at each step of it.
//!
//! Members, one letter each half minute:
//! ```text
//!   .  no pod                       l  learner, which has yet to catch up
//!   w  agent alone: etcd waits      s  serves
//!   b  etcd runs, knows no leader   a  serves, and its agent is just being replaced
//! ```

use crate::promtool::{Look, Series, judge};
use crate::rules::{STEP, alerts};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    name: String,
    /// What the cluster is doing, see [`PHASES`].
    phase: String,
    /// How many members are wanted.
    wanted: String,
    /// Ordinal of the leader.
    leader: String,
    /// Number of the coordinator that leads.
    coordinator: String,
    /// By ordinal.
    members: Vec<String>,
}

const PHASES: [(char, &str); 6] =
    [('C', "Creating"), ('R', "Running"), ('S', "Scaling"), ('U', "Upgrading"), ('D', "Degraded"), ('0', "Stopped")];
const HOUR: f64 = 3600.0;

/// Series by name.
type All = BTreeMap<String, Vec<Option<f64>>>;

#[test]
fn no_alert_fires_while_all_goes_as_it_should() -> Result<()> {
    let stories: Vec<Story> = serde_yaml::from_str(include_str!("stories.yaml"))?;
    let phases: String = stories.iter().map(|story| story.phase.as_str()).collect();
    ensure!(PHASES.iter().all(|(letter, _)| phases.contains(*letter)), "not everything happens in {phases}");
    for story in stories {
        let test = test(&story).with_context(|| format!("the story of {}", story.name))?;
        judge(&[test]).with_context(|| format!("the story of {}", story.name))?;
    }
    Ok(())
}

fn test(story: &Story) -> Result<(Vec<Series>, Vec<Look>)> {
    let steps = story.phase.chars().count();
    let rows = [&story.wanted, &story.leader, &story.coordinator].into_iter().chain(&story.members);
    for row in rows {
        ensure!(row.chars().count() == steps, "{row} has {} steps of {steps}", row.chars().count());
    }
    let mut all = All::new();
    for (ordinal, row) in story.members.iter().enumerate() {
        member(&mut all, story, ordinal, row, steps);
    }
    coordinators(&mut all, story, steps);
    let series = all.into_iter().map(|(series, values)| Series { series, values }).collect();
    let alerts = alerts()?;
    let looks = (0..steps)
        .flat_map(|step| alerts.iter().map(move |alert| Look { alert: alert.alert.clone(), step, fires: None }));
    Ok((series, looks.collect()))
}

fn at(row: &str, step: usize) -> char {
    row.chars().nth(step).unwrap_or('.')
}

/// Puts a value where it belongs; what is not put is not there.
fn put(all: &mut All, steps: usize, step: usize, name: String, value: f64) {
    all.entry(name).or_insert_with(|| vec![None; steps])[step] = Some(value);
}

/// What an agent and its etcd tell.
fn member(all: &mut All, story: &Story, ordinal: usize, row: &str, steps: usize) {
    let (mut restarts, mut leaders, mut before) = (None, 0.0, ('.', '.'));
    for step in 0..steps {
        let (state, leader) = (at(row, step), at(&story.leader, step));
        let runs = "blsa".contains(state);
        let ran = "blsa".contains(before.0);
        restarts = match (state, restarts) {
            // A new pod begins to count anew, at its first start.
            ('.', _) => None,
            (_, None) => runs.then_some(0.0),
            (_, Some(restarts)) => Some(restarts + f64::from(u8::from(runs && !ran))),
        };
        // So does a new process.
        leaders = match (ran, leader == before.1) {
            (false, _) => f64::from(u8::from(leader != '.')),
            (true, same) => leaders + f64::from(u8::from(!same && leader != '.')),
        };
        before = (state, leader);
        if state == '.' {
            continue;
        }
        let mut tell = |job: &str, name: &str, more: &str, value: f64| {
            let target = format!(r#"namespace="ns",cluster="demo",pod="demo-{ordinal}",job="{job}"{more}"#);
            put(all, steps, step, format!("{name}{{{target}}}"), value);
        };
        let flag = |holds: bool| f64::from(u8::from(holds));
        tell("etcd-agent", "up", "", flag(state != 'a'));
        tell("etcd-member", "up", "", flag(runs));
        if runs {
            tell("etcd-member", "etcd_server_leader_changes_seen_total", "", leaders);
            // One write takes the disk a second: the first of each log.
            for (le, slow) in [("0.016", 1.0), ("1.024", 0.0), ("+Inf", 0.0)] {
                let writes = 300.0 * f64::from(u32::try_from(step + 1).unwrap_or_default()) - slow;
                let bucket = "etcd_disk_wal_fsync_duration_seconds_bucket";
                tell("etcd-member", bucket, &format!(r#",le="{le}""#), writes);
            }
        }
        if state == 'a' {
            continue;
        }
        let mut agent =
            |name: &str, more: &str, value: f64| tell("etcd-agent", &format!("etcd_agent_{name}"), more, value);
        agent("process_running", "", flag(runs));
        agent("etcd_restarts_total", "", restarts.unwrap_or_default());
        agent("volume_size_bytes", "", 1e9);
        agent("volume_free_bytes", "", 6e8);
        agent("db_quota_bytes", "", 2.5e8);
        for check in ["room", "integrity", "majority", "certificates"] {
            agent("check_ok", &format!(r#",check="{check}""#), 1.0);
        }
        for by in ["agent", "spec"] {
            agent("held", &format!(r#",by="{by}""#), 0.0);
        }
        if !runs {
            continue;
        }
        let leads = leader == char::from_digit(u32::try_from(ordinal).unwrap_or(9), 10).unwrap_or('9');
        agent("has_leader", "", flag(state != 'b'));
        agent("leads", "", flag(leads));
        agent("raft_lag_entries", "", if state == 'l' { 9_000.0 } else { 2.0 });
        agent("db_size_in_use_bytes", "", 2e7);
        for alarm in ["NOSPACE", "CORRUPT"] {
            agent("alarm_raised", &format!(r#",alarm="{alarm}""#), 0.0);
        }
        let listed = story.members.iter().filter(|other| is_member(other, step)).count();
        let joined =
            story.members.iter().enumerate().filter(|(of, other)| *of != ordinal && "lsa".contains(at(other, step)));
        // Every ten steps the leader's agent compares all.
        if leads && step >= 40 {
            let compared = u32::try_from(step / 10 * 10).unwrap_or_default() * STEP;
            agent("integrity_last_equal_timestamp_seconds", "", f64::from(compared));
        }
        agent("members", "", f64::from(u32::try_from(listed).unwrap_or_default()));
        agent(
            "peers_connected",
            "",
            if leads { f64::from(u32::try_from(joined.count()).unwrap_or_default()) } else { 1.0 },
        );
    }
}

/// Whether etcd lists it: from its first start until its pod is gone for good.
fn is_member(row: &str, step: usize) -> bool {
    let begun = row.chars().take(step + 1).any(|state| "blsa".contains(state));
    let stays = row.chars().skip(step).any(|state| state != '.');
    begun && stays
}

/// What the coordinators tell. Backups are taken every hour, and verified two minutes later.
fn coordinators(all: &mut All, story: &Story, steps: usize) {
    for step in 0..steps {
        let leads = at(&story.coordinator, step);
        for number in ['0', '1'] {
            let mut tell = |name: &str, labels: &str, value: f64| {
                let target = format!(r#"pod="c-{number}",job="etcd-coordinator",{labels}"#);
                put(all, steps, step, format!("etcd_coordinator_{name}{{{target}}}"), value);
            };
            tell("is_leader", r#"namespace="op""#, f64::from(u8::from(leads == number)));
            tell("rolls_halted", r#"namespace="op""#, 0.0);
            if leads != number {
                continue;
            }
            tell("rolls", r#"namespace="op",state="failed""#, 0.0);
            let letter = at(&story.phase, step);
            let phase = PHASES.iter().find(|(of, _)| *of == letter).map_or("Unknown", |(_, phase)| *phase);
            let of = r#"namespace="ns",cluster="demo""#;
            let serving = story.members.iter().filter(|row| "sa".contains(at(row, step))).count();
            let wanted = at(&story.wanted, step).to_digit(10).unwrap_or_default();
            let quorum = wanted as usize / 2 < serving && wanted > 0;
            let formed = story.members[0].chars().take(step + 1).any(|state| state == 's');
            tell("cluster_phase", &format!(r#"{of},phase="{phase}""#), 1.0);
            if formed {
                tell("cluster_available", of, f64::from(u8::from(quorum && at(&story.leader, step) != '.')));
            }
            tell("cluster_ready_members", of, f64::from(u32::try_from(serving).unwrap_or_default()));
            tell("cluster_wanted_members", of, f64::from(wanted));
            tell("cluster_stalled", of, 0.0);
            tell("cluster_backup_healthy", of, 1.0);
            let now = f64::from(STEP) * f64::from(u32::try_from(step).unwrap_or_default());
            let verified = ((now - 120.0) / HOUR).floor() * HOUR + 20.0;
            tell("cluster_backup_verified_timestamp_seconds", of, verified);
            if letter != '0' {
                tell("cluster_backup_due_timestamp_seconds", of, (now / HOUR).floor() * HOUR - HOUR);
            }
        }
    }
}
