//! Scaling, stopping and waking while a client runs, and the longest time in which none of its writes was acknowledged.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use tokio::time::{Duration, sleep};

use crate::{bed::Bed, figure::Figure, operator::Operator};

/// One change of the size.
struct Step {
    figure: &'static str,
    size: usize,
    /// Who leads when it begins.
    leads: Option<usize>,
    /// The member that all clients are connected to: then only the gap counts, under a name of its own.
    clients_at: Option<usize>,
}

const fn step(figure: &'static str, size: usize, leads: Option<usize>, clients_at: Option<usize>) -> Step {
    Step { figure, size, leads, clients_at }
}

/// From one member and back, clients spread; then the leader is among those that leave.
const SPREAD: [Step; 6] = [
    step("scale-1-3", 3, None, None),
    step("scale-3-5", 5, None, None),
    step("scale-5-3", 3, Some(0), None),
    step("scale-3-1", 1, Some(0), None),
    step("scale-1-3", 3, None, None),
    step("scale-3-1-leader-leaves", 1, Some(2), None),
];
/// The same with all clients connected to a member that leaves.
const LEAVER: [Step; 6] = [
    step("", 3, None, None),
    step("", 5, None, None),
    step("scale-5-3", 3, Some(0), Some(4)),
    step("scale-3-1", 1, Some(0), Some(2)),
    step("", 3, None, None),
    step("scale-3-1-leader-leaves", 1, Some(2), Some(2)),
];
/// What other versions differ in.
const UP: [Step; 3] = [step("scale-1-3", 3, None, None), step("scale-3-5", 5, None, None), step("", 1, Some(0), None)];
const UP_TO_THREE: [Step; 2] = [step("scale-1-3", 3, None, None), step("", 1, Some(0), None)];

/// Each cycle with its version and what its figures' names end with.
const CYCLES: [(&str, &str, &[Step]); 5] = [
    ("v3.5.21", "", &SPREAD),
    ("v3.5.21", "", &LEAVER),
    ("v3.5.35", "-v3.5.35", &UP),
    ("v3.6.16", "-v3.6.16", &UP_TO_THREE),
    ("v3.7.3", "-v3.7.3", &UP_TO_THREE),
];
/// etcd refuses to add or remove voters until those there are have been connected for 5 s: a step begins when that is over.
const REST: Duration = Duration::from_secs(6);

/// Values by the figure's name, in order.
type Values = BTreeMap<String, Vec<f64>>;

/// Measures the cycles in which a wanted figure is.
pub async fn measure(operator: &Operator, runs: usize, wanted: impl Fn(&str) -> bool) -> Result<()> {
    for (index, (version, end, steps)) in CYCLES.iter().enumerate() {
        if !steps.iter().any(|step| names(step, end).iter().any(|(name, _)| wanted(name))) {
            continue;
        }
        let mut values = Values::new();
        for run in 0..runs {
            let name = format!("sized-{index}-{run}");
            cycle(operator, &name, version, end, steps, &mut values)
                .await
                .with_context(|| format!("{version}, run {run}"))?;
        }
        print(values, &wanted);
    }
    if wanted("stop-3") || wanted("wake-3") {
        let mut values = Values::new();
        for run in 0..runs {
            stop_and_wake(operator, &format!("stopped-{run}"), &mut values).await?;
        }
        print(values, &wanted);
    }
    Ok(())
}

/// The figures of a step, with their units.
fn names(step: &Step, end: &str) -> Vec<(String, &'static str)> {
    let name = step.figure;
    match (name, step.clients_at) {
        ("", _) => vec![],
        (_, None) => vec![(format!("{name}{end}"), "s"), (format!("{name}{end}-gap"), "ms")],
        (_, Some(_)) => vec![(format!("{name}{end}-gap-leaver"), "ms")],
    }
}

async fn cycle(
    operator: &Operator,
    name: &str,
    version: &str,
    end: &str,
    steps: &[Step],
    values: &mut Values,
) -> Result<()> {
    let bed = Bed::up(operator, name, 1, version).await?;
    for (index, step) in steps.iter().enumerate() {
        bed.clients_at(step.clients_at).await?;
        if let Some(leader) = step.leads {
            bed.lead(leader).await?;
        }
        sleep(REST).await;
        let seconds = bed.resize(step.size, &index.to_string()).await?;
        if let Some((figure, "s")) = names(step, end).first() {
            values.entry(figure.clone()).or_default().push(seconds);
        }
    }
    let report = bed.down().await?;
    for (index, step) in steps.iter().enumerate() {
        if let Some((figure, "ms")) = names(step, end).last() {
            let mark = index.to_string();
            values.entry(figure.clone()).or_default().extend(report.intervals(&mark).map(|interval| interval.gap_ms));
        }
    }
    Ok(())
}

/// To no pod, and from there to three that are Ready and vote.
async fn stop_and_wake(operator: &Operator, name: &str, values: &mut Values) -> Result<()> {
    let bed = Bed::up(operator, name, 3, "v3.5.21").await?;
    for (figure, size) in [("stop-3", 0), ("wake-3", 3)] {
        sleep(REST).await;
        values.entry(figure.to_owned()).or_default().push(bed.resize(size, figure).await?);
    }
    bed.down().await.map(drop)
}

fn print(values: Values, wanted: impl Fn(&str) -> bool) {
    for (name, values) in values {
        if wanted(&name) {
            let unit = if name.contains("-gap") { "ms" } else { "s" };
            Figure::of(name, unit, values).print();
        }
    }
}
