//! What a test's own coordinator counts.

use super::{Stage, http};
use anyhow::{Context, Result};

/// The sum of a metric of the coordinator over all its labels.
///
/// # Errors
/// When it does not answer, or says no number.
pub async fn sum(stage: &Stage, metric: &str) -> Result<f64> {
    let text = http::get("127.0.0.1", stage.coordinator_port()?, "/metrics").await?.body;
    let is_it = |line: &&str| line.split(['{', ' ']).next() == Some(metric);
    let numbers = text.lines().filter(is_it);
    numbers.map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok()).context("no number")).sum()
}

/// Writes of every kind, its Lease apart.
///
/// # Errors
/// As [`sum`].
pub async fn writes(stage: &Stage) -> Result<f64> {
    sum(stage, "etcd_coordinator_api_writes_total").await
}
