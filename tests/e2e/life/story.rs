//! Promise: `kubectl get etcdc,etcdm` and events tell the story of each step in words.

use crate::harness::demo::spec;
use crate::harness::{Demo, Manner, PATIENCE, Stage, events, play, until};
use anyhow::{Result, ensure};
use serde_json::json;

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
        let one = stopped.scale(1).await?;
        one.patch_spec(json!({"pod": {"annotations": {"rolled": "1"}}})).await?;
        one.ready().await?;
        told(stage).await?;
        events::warned_of_nothing(stage).await
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

/// What is told of these steps, in this order: the reason and what its text must hold. What is told again in the same words is
/// counted, not told twice.
const STORY: [(&str, &str); 15] = [
    ("IncarnationWritten", "demo-0"),
    ("Creating", ""),
    ("Running", "1 of 1"),
    ("ReplicasSet", "from 1 to 3"),
    ("Scaling", "of 3"),
    ("MemberJoining", "as learner"),
    ("MemberPromoted", "has become a voter"),
    ("Running", "3 of 3"),
    ("MemberLeaving", "demo-2"),
    ("MemberLeft", "has left"),
    ("VolumeDeleted", "has left"),
    ("Stopping", "from 1 to 0"),
    ("Stopped", ""),
    ("Waking", "from 0 to 1"),
    ("PodReplaced", "demo-0"),
];

/// All of it is among the events.
async fn told(stage: &Stage) -> Result<()> {
    let shown = until("the events tell all of it", PATIENCE, async || {
        let events = events::told(stage).await?;
        let text = events.iter().map(|one| format!("{}: {}", one.reason, one.text)).collect::<Vec<_>>().join("\n");
        let mut rest = events.iter();
        let missing = STORY.iter().find(|(reason, part)| !rest.any(|e| e.reason == *reason && e.text.contains(part)));
        ensure!(missing.is_none(), "{missing:?} is not told in its place:\n{text}");
        Ok(text)
    })
    .await?;
    stage.say(format!("events\n{shown}"));
    Ok(())
}
