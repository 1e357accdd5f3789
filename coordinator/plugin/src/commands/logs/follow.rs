//! Lines as they come, of pods that are made meanwhile as well.
//!
//! ```text
//!   every two seconds: pods ─▶ a task for each container that has none
//!   task: log ─▶ lines ─▶ window ─▶ standard output
//!         └─▶ its end: the next task for it goes on behind its last line
//! ```

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{
    Wanted, containers,
    merge::{HELD, Window},
    pods,
    source::{Line, Reach, Source},
};
use crate::{
    apiserver::connection::Connection,
    failure::Failure,
    terminal::{self, Reader},
    verdict::Verdict,
};

/// How soon a pod is noticed that was made meanwhile, or a container that has started again.
const LOOK: Duration = Duration::from_secs(2);
/// Lines on their way: a reader that is slower than etcd holds the streams back.
const ROOM: usize = 1024;

/// UID of a pod and a container of it: another pod of the same name is another one.
type Key = (String, String);

enum News {
    Line(Key, Line),
    Ended(Key),
}

pub async fn follow(to: &Connection, name: &str, wanted: &Wanted) -> Result<Verdict, Failure> {
    let (tell, mut told) = mpsc::channel(ROOM);
    let (mut running, mut last): (HashSet<Key>, HashMap<Key, Timestamp>) = Default::default();
    let (mut window, mut look, mut flush) =
        (Window::default(), tokio::time::interval(LOOK), tokio::time::interval(HELD / 2));
    let mut is_first = true;
    loop {
        // Each arm can be dropped at its wait: a line stays in the channel, a tick comes again.
        tokio::select! {
            Some(news) = told.recv() => match news {
                News::Line(key, line) => {
                    last.insert(key, line.at);
                    window.push(line, Instant::now());
                }
                News::Ended(key) => {
                    running.remove(&key);
                }
            },
            _ = flush.tick() => {
                for line in window.due(Instant::now()) {
                    if terminal::print(&line.print()) == Reader::Gone {
                        return Ok(Verdict::Good);
                    }
                }
            }
            _ = look.tick() => {
                let found = match found(to, name, wanted).await {
                    Ok(found) => found,
                    Err(failure) if is_first => return Err(failure),
                    // The API server may be away for a moment; lines that are there come all the same.
                    Err(_) => continue,
                };
                is_first = false;
                for (key, pod, container) in found {
                    if running.insert(key.clone()) {
                        let (to, wanted, tell) = (to.clone(), wanted.clone(), tell.clone());
                        let after = last.get(&key).copied();
                        tokio::spawn(async move { stream(&to, (key, pod, container), &wanted, after, &tell).await });
                    }
                }
            }
        }
    }
}

/// All containers that are wanted, with the UIDs of their pods.
async fn found(to: &Connection, name: &str, wanted: &Wanted) -> Result<Vec<(Key, String, String)>, Failure> {
    let pods = pods(to, name).await?;
    let uid = |name: &str| {
        pods.iter().find(|pod| pod.metadata.name.as_deref() == Some(name)).and_then(|pod| pod.metadata.uid.clone())
    };
    let all = containers(&pods, wanted)?;
    Ok(all
        .into_iter()
        .map(|(pod, container)| ((uid(&pod).unwrap_or_default(), container.clone()), pod, container))
        .collect())
}

async fn stream(
    to: &Connection,
    (key, pod, container): (Key, String, String),
    wanted: &Wanted,
    after: Option<Timestamp>,
    tell: &mpsc::Sender<News>,
) {
    // A container that has not started has no log yet: it is asked again.
    if let Ok(mut source) = Source::open(to, &pod, &container, wanted, Reach::Future { after }).await {
        while let Some(line) = source.next().await {
            if tell.send(News::Line(key.clone(), line)).await.is_err() {
                return;
            }
        }
    }
    // Nobody listens where the command has ended.
    let _ = tell.send(News::Ended(key)).await;
}
