//! Claim: each alert fires when its fault has lasted, not before, and clears when the fault is over; and it is quiet where
//! something looks like the fault and is none. `cases.yaml` is the table.
//!
//! ```text
//!   step   0 ──── 60 ─── + after ─────── + for ────── 60 + LASTS ──── + clears
//!          well   fault   it is seen     it fires     fault over      nothing fires
//! ```

use crate::promtool::{Fires, Look, Series, judge};
use crate::rules::{Alert, alerts};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// When the fault begins: half an hour is known before, since some look back for as long.
const FAULT: usize = 60;
/// How long it lasts: longer than any alert waits.
const LASTS: usize = 140;
/// How long it is looked on after that.
const AFTER: usize = 60;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    alert: String,
    /// The fault, or what looks like it.
    fault: String,
    /// Labels that the alert has of its series; none: it does not fire.
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    /// Text in place of `$value` in its annotations.
    #[serde(default)]
    value: Option<String>,
    /// Steps until it can be seen, and until it cannot be seen any more.
    #[serde(default)]
    after: usize,
    #[serde(default)]
    clears: usize,
    /// By series: the value before, during and after the fault.
    series: BTreeMap<String, [Told; 3]>,
}

/// A value, `+n`: it rises by as much a step, or `absent`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Told {
    Is(f64),
    Says(String),
}

fn cases() -> Result<Vec<Case>> {
    Ok(serde_yaml::from_str(include_str!("cases.yaml"))?)
}

#[test]
fn each_alert_is_tried() -> Result<()> {
    let tried: BTreeSet<String> = cases()?.into_iter().filter(|case| case.labels.is_some()).map(|c| c.alert).collect();
    let all: BTreeSet<String> = alerts()?.into_iter().map(|alert| alert.alert).collect();
    ensure!(tried == all, "tried {tried:#?} of {all:#?}");
    Ok(())
}

#[test]
fn each_alert_fires_when_its_fault_has_lasted_and_clears_when_it_is_over() -> Result<()> {
    for case in cases()? {
        let test = test(&case)?;
        judge(&[test]).with_context(|| format!("{}: {}", case.alert, case.fault))?;
    }
    Ok(())
}

fn test(case: &Case) -> Result<(Vec<Series>, Vec<Look>)> {
    let alerts = alerts()?;
    let alert = alerts.iter().find(|alert| alert.alert == case.alert).context("there is no such alert")?;
    let series = case.series.iter().map(|(name, told)| series(name, told)).collect::<Result<_>>()?;
    let look = |step, fires: Option<&Fires>| Look { alert: case.alert.clone(), step, fires: fires.cloned() };
    let end = FAULT + LASTS;
    let Some(labels) = &case.labels else {
        return Ok((series, (0..end + AFTER).map(|step| look(step, None)).collect()));
    };
    let fires = Some(fires(alert, labels, case.value.as_deref())?);
    let first = FAULT + case.after + alert.lasts()? as usize;
    ensure!(first < end - 1, "{} fires after the fault is over", case.alert);
    let looks = (0..end + AFTER).map(|step| match step {
        _ if step < first || step >= end + case.clears => look(step, None),
        _ => look(step, fires.as_ref()),
    });
    // While it is seen, its value may be another one at each step.
    let looks = looks.filter(|look| look.fires.is_none() || case.value.is_none() || look.step < end);
    Ok((series, looks.collect()))
}

fn series(name: &str, told: &[Told; 3]) -> Result<Series> {
    let mut values: Vec<Option<f64>> = Vec::new();
    let mut last = 0.0;
    for (told, steps) in told.iter().zip([FAULT, LASTS, AFTER]) {
        for _ in 0..steps {
            let value = match told {
                Told::Is(value) => Some(*value),
                Told::Says(word) if word == "absent" => None,
                Told::Says(word) => {
                    Some(last + word.strip_prefix('+').with_context(|| format!("{word} is none"))?.parse::<f64>()?)
                }
            };
            last = value.unwrap_or(last);
            values.push(value);
        }
    }
    Ok(Series { series: name.to_owned(), values })
}

/// What is expected of it: its annotations with their labels in place.
fn fires(alert: &Alert, labels: &BTreeMap<String, String>, value: Option<&str>) -> Result<Fires> {
    let mut annotations = alert.annotations.clone();
    for text in annotations.values_mut() {
        while let Some((before, rest)) = text.split_once("{{") {
            let (inside, after) = rest.split_once("}}").context("a template ends")?;
            let filled = match inside.trim().strip_prefix("$labels.") {
                Some(label) => labels.get(label).with_context(|| format!("{} has no {label}", alert.alert))?,
                None => value.with_context(|| format!("{} tells of a value", alert.alert))?,
            };
            *text = format!("{before}{filled}{after}");
        }
    }
    let labels = labels.iter().chain(&alert.labels).map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok(Fires { labels, annotations })
}
