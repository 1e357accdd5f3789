//! `pause` and `resume`: `spec.paused`.

use serde_json::json;

use super::change::{decided, told};
use crate::{apiserver::connection::Connection, args::Dry, failure::Failure, terminal, verdict::Verdict};

pub async fn pause(to: &Connection, name: &str, dry: Dry) -> Result<Verdict, Failure> {
    let changed = decided(to, name, dry, |cluster| (!cluster.spec.paused).then(|| json!({"paused": true}))).await?;
    let words = match changed {
        Some(_) => {
            told(&format!("{name} is paused: nothing joins, leaves, rolls or is replaced until it is resumed"), dry)
        }
        None => format!("{name} was paused already"),
    };
    terminal::say(&words);
    Ok(Verdict::Good)
}

pub async fn resume(to: &Connection, name: &str, dry: Dry) -> Result<Verdict, Failure> {
    let changed = decided(to, name, dry, |cluster| cluster.spec.paused.then(|| json!({"paused": null}))).await?;
    let words = match changed {
        Some(_) => told(&format!("{name} goes on"), dry),
        None => format!("{name} was not paused"),
    };
    terminal::say(&words);
    Ok(Verdict::Good)
}
