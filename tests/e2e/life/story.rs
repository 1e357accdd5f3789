//! Promise: `kubectl get etcdc,etcdm` and events tell the story of each step in words.

use crate::harness::demo::spec;
use crate::harness::{Demo, Manner, PATIENCE, Stage, play, until};
use anyhow::{Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;

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
        told(stage).await
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
const STORY: [(&str, &str); 14] = [
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
];

/// All of it is among the events.
async fn told(stage: &Stage) -> Result<()> {
    let shown = until("the events tell all of it", PATIENCE, async || {
        let events = story(stage).await?;
        let text = events.iter().map(|(reason, text)| format!("{reason}: {text}")).collect::<Vec<_>>().join("\n");
        let mut rest = events.iter();
        let missing = STORY.iter().find(|(reason, part)| !rest.any(|(r, text)| r == reason && text.contains(part)));
        ensure!(missing.is_none(), "{missing:?} is not told in its place:\n{text}");
        Ok(text)
    })
    .await?;
    stage.say(format!("events\n{shown}"));
    Ok(())
}

/// Reason and text of the events on EtcdClusters, oldest first.
async fn story(stage: &Stage) -> Result<Vec<(String, String)>> {
    let all = stage.api::<Event>().list(&ListParams::default()).await?;
    let mut ours: Vec<Event> = all.items.into_iter().filter(is_ours).collect();
    ours.sort_by_key(|one| one.event_time.as_ref().map(|time| time.0));
    Ok(ours.into_iter().map(|one| (one.reason.unwrap_or_default(), one.note.unwrap_or_default())).collect())
}

fn is_ours(event: &Event) -> bool {
    event.regarding.as_ref().is_some_and(|about| about.kind.as_deref() == Some("EtcdCluster"))
}
