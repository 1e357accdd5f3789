//! A follower's disk is lost: from the return of its pod, on a volume that is still to be made, until all vote again.

use anyhow::Result;

use crate::{bed::Bed, figure::Figure, operator::Operator};

/// What is measured here.
pub const FIGURES: [&str; 2] = ["lost-disk", "lost-disk-gap"];

/// Loses a follower's disk `runs` times, and says how long nobody could write meanwhile.
pub async fn measure(operator: &Operator, runs: usize, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let bed = Bed::up(operator, "robbed", 3, "v3.5.21").await?;
    let mut seconds = vec![];
    for _ in 0..runs {
        bed.lead(0).await?;
        seconds.push(bed.lose_disk(1, "lost").await?);
    }
    let report = bed.down().await?;
    let gaps = report.intervals("lost").map(|interval| interval.gap_ms).collect();
    for (name, unit, values) in [(FIGURES[0], "s", seconds), (FIGURES[1], "ms", gaps)] {
        if wanted(name) {
            Figure::of(name, unit, values).print();
        }
    }
    Ok(())
}
