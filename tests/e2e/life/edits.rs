//! Promise: a size that is edited all the time does no harm; left alone, the cluster settles at the last one.

use crate::harness::demo::spec;
use crate::harness::length::{dice, either};
use crate::harness::{Client, Demo, Manner, play};
use anyhow::{Context, ensure};
use rand::seq::IndexedRandom;
use std::time::{Duration, Instant};

const SIZES: [u32; 5] = [0, 1, 3, 5, 7];
/// From whatever the edits left: seven members, one after the other.
const SETTLES: Duration = Duration::from_secs(300);

#[test]
fn a_size_edited_every_second_settles_at_the_last() {
    play("edits", Manner::Beside, async |stage| {
        let mut dice = dice(stage);
        let (mut demo, _) = Demo::up(stage, "demo", spec(3)).await?;
        let id = demo.all_vote().await?;
        let client = Client::start(&demo).await?;
        let started = Instant::now();
        let mut asked = vec![];
        while started.elapsed() < Duration::from_secs(either(15, 60)) {
            let size = *SIZES.choose(&mut dice).context("there are sizes")?;
            demo = demo.resize(size).await?;
            asked.push(size);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let last = *[1, 3, 5].choose(&mut dice).context("there are sizes")?;
        stage.say(format!("sizes asked for: {asked:?}, then {last}"));
        let left_alone = Instant::now();
        demo = demo.resize(last).await?;
        demo.settles(SETTLES).await.with_context(|| format!("after {asked:?}"))?;
        demo.has_claims(last).await?;
        stage.say(format!("settled at {last} after {:.1} s", left_alone.elapsed().as_secs_f64()));
        client.next(Duration::from_secs(30)).await?;
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}
