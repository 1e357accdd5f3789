//! Promise: `kubectl get etcdc,etcdm` and events tell the story of each step in words.

use crate::harness::demo::spec;
use crate::harness::{Demo, Manner, PATIENCE, Stage, play, until};
use anyhow::{Result, ensure};

#[test]
fn events_tell_what_was_done() {
    play("story", Manner::Beside, async |stage| {
        let (one, _) = Demo::up(stage, "demo", spec(1)).await?;
        let three = one.resize(3).await?;
        shows(stage, "Scaling").await?;
        three.settles(PATIENCE).await?;
        shows(stage, "Running").await?;
        let one = three.scale(1).await?;
        let stopped = one.scale(0).await?;
        shows(stage, "Stopped").await?;
        stopped.scale(1).await?;
        told(stage, &["Creating", "Running", "Scaling", "Running", "Scaling", "Running", "Stopped", "Running"]).await
    });
}

/// `kubectl get etcdc,etcdm` shows this word.
async fn shows(stage: &Stage, word: &str) -> Result<()> {
    let shown = until(&format!("kubectl shows {word}"), PATIENCE, async || {
        let shown = stage.kubectl.run(&["-n", &stage.namespace, "get", "etcdc,etcdm"]).await?;
        ensure!(shown.contains(word), "kubectl shows:\n{shown}");
        Ok(shown)
    })
    .await?;
    stage.say(format!("kubectl get etcdc,etcdm\n{shown}"));
    Ok(())
}

/// These reasons are among the events, in this order.
async fn told(stage: &Stage, reasons: &[&str]) -> Result<()> {
    let shown = until("the events tell all of it", PATIENCE, async || {
        let sorted = ["-n", &stage.namespace, "get", "events", "--sort-by=.firstTimestamp", "-o"];
        let columns = "custom-columns=KIND:.involvedObject.kind,NAME:.involvedObject.name,REASON:.reason,TEXT:.message";
        let all = stage.kubectl.run(&[&sorted[..], &[columns]].concat()).await?;
        let ours: Vec<&str> = all.lines().filter(|line| line.starts_with("Etcd")).collect();
        let mut said = ours.iter().filter_map(|line| line.split_whitespace().nth(2));
        let missing = reasons.iter().find(|reason| !said.any(|said| said == **reason));
        ensure!(missing.is_none(), "{missing:?} is not told in its place:\n{}", ours.join("\n"));
        Ok(ours.join("\n"))
    })
    .await?;
    stage.say(format!("events\n{shown}"));
    Ok(())
}
