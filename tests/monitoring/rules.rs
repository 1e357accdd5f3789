//! `manifests/monitoring/rules.yaml`, as it is read here.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Seconds between two looks at the rules in all tests here.
pub const STEP: u32 = 30;

/// One alert.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    pub alert: String,
    pub expr: String,
    #[serde(rename = "for", default)]
    pub waits: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct File {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Alert>,
}

impl Alert {
    /// For how many steps it has to be so before it fires.
    ///
    /// # Errors
    /// When that is no whole number of steps.
    pub fn lasts(&self) -> Result<u32> {
        let Some(text) = &self.waits else { return Ok(0) };
        let (number, unit) = text.split_at(text.len() - 1);
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => bail!("{text} is no time"),
        };
        let seconds = number.parse::<u32>()? * unit;
        ensure!(seconds.is_multiple_of(STEP), "{text} is no whole number of steps");
        Ok(seconds / STEP)
    }
}

/// All of them.
///
/// # Errors
/// When the file is not what it should be.
pub fn alerts() -> Result<Vec<Alert>> {
    let file: File = serde_yaml::from_str(&text()?)?;
    Ok(file.spec.groups.into_iter().flat_map(|group| group.rules).collect())
}

/// The same as a file of rules of Prometheus itself.
///
/// # Errors
/// When it cannot be read.
pub fn plain() -> Result<String> {
    let file: serde_yaml::Value = serde_yaml::from_str(&text()?)?;
    Ok(serde_yaml::to_string(file.get("spec").context("it has a spec")?)?)
}

fn text() -> Result<String> {
    read("manifests/monitoring/rules.yaml")
}

/// A file of the clone.
///
/// # Errors
/// When it is not there.
pub fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(clone(path)).with_context(|| format!("read {path}"))
}

/// Where something of the clone is.
#[must_use]
pub fn clone(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
