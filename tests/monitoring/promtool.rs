//! Debian's promtool, and the tests of rules that it takes.

use crate::rules::{STEP, plain};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use testbed::Progress;
use testbed::debian::PROMETHEUS;

/// The oldest that is known to judge as these tests expect.
const OLDEST: (u32, u32) = (2, 42);

/// A series and its values, one a step. `None`: it is not there.
#[derive(Clone, Debug)]
pub struct Series {
    pub series: String,
    pub values: Vec<Option<f64>>,
}

/// An alert as it is expected to fire at a step, or, without labels and annotations, not to.
#[derive(Clone, Debug)]
pub struct Look {
    pub alert: String,
    pub step: usize,
    pub fires: Option<Fires>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Fires {
    #[serde(rename = "exp_labels")]
    pub labels: BTreeMap<String, String>,
    #[serde(rename = "exp_annotations")]
    pub annotations: BTreeMap<String, String>,
}

/// Lets promtool judge: each of `tests` is its series and what is to be seen.
///
/// # Errors
/// With promtool's words, when something else is seen.
pub fn judge(tests: &[(Vec<Series>, Vec<Look>)]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, plain()?)?;
    let tests: Vec<Value> = tests.iter().map(|(series, looks)| test(series, looks)).collect();
    let step = format!("{STEP}s");
    let file = json!({"rule_files": ["rules.yaml"], "evaluation_interval": step, "tests": tests});
    let path = folder.path().join("tests.yaml");
    // JSON is YAML.
    std::fs::write(&path, file.to_string())?;
    run(&["test".as_ref(), "rules".as_ref(), path.as_os_str()]).map(drop)
}

fn test(series: &[Series], looks: &[Look]) -> Value {
    let input: Vec<Value> =
        series.iter().map(|Series { series, values }| json!({"series": series, "values": written(values)})).collect();
    let looks: Vec<Value> = looks
        .iter()
        .map(|Look { alert, step, fires }| {
            let at = format!("{}s", step * STEP as usize);
            json!({"alertname": alert, "eval_time": at, "exp_alerts": fires.iter().collect::<Vec<_>>()})
        })
        .collect();
    json!({"interval": format!("{STEP}s"), "input_series": input, "alert_rule_test": looks})
}

/// A series that ends is marked as stale, as Prometheus does when it is not in a scrape any more.
fn written(values: &[Option<f64>]) -> String {
    let mut before = None;
    let words = values.iter().map(|value| {
        let word = match (before, value) {
            (_, Some(value)) => value.to_string(),
            (Some(_), None) => "stale".to_owned(),
            (None, None) => "_".to_owned(),
        };
        before = *value;
        word
    });
    words.collect::<Vec<_>>().join(" ")
}

fn promtool() -> Result<PathBuf> {
    Ok(PROMETHEUS.ready(&Progress::start().follow(PROMETHEUS.name))?.join("promtool"))
}

fn run(args: &[&std::ffi::OsStr]) -> Result<String> {
    let output = Command::new(promtool()?).args(args).output().context("run promtool")?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "promtool says\n{out}{err}");
    Ok(format!("{out}{err}"))
}

#[test]
fn it_is_new_enough() -> Result<()> {
    let said = run(&["--version".as_ref()])?;
    let number = said.split("version ").nth(1).and_then(|rest| rest.split(['+', ' ', '-']).next()).unwrap_or_default();
    let parts: Vec<u32> = number.split('.').map_while(|part| part.parse().ok()).collect();
    let [major, minor, ..] = parts[..] else { anyhow::bail!("it says {said}") };
    ensure!((major, minor) >= OLDEST, "it is {number}");
    Ok(())
}

#[test]
fn it_takes_the_rules() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path: &Path = &folder.path().join("rules.yaml");
    std::fs::write(path, plain()?)?;
    let said = run(&["check".as_ref(), "rules".as_ref(), path.as_os_str()])?;
    ensure!(said.contains("SUCCESS"), "it says {said}");
    Ok(())
}
