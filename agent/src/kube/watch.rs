//! Keeps the last EtcdMember that the API server showed.

use std::{sync::Arc, time::Duration};

use ::kube::{
    Api, ResourceExt,
    runtime::watcher::{self, Event, watcher},
};
use etcd_operator_shared::api::EtcdMember;
use futures::{StreamExt, pin_mut};
use tokio::{sync::watch, time::sleep};
use tracing::{info, warn};

/// What the API server has said of the object.
#[derive(Debug, Clone)]
pub struct Seen {
    pub object: View,
    /// Whether the watch works now. What was seen before stays the best that is known.
    pub connected: bool,
}

/// The object as it was last seen.
#[derive(Debug, Clone)]
pub enum View {
    /// The API server was never heard.
    Unheard,
    Missing,
    Present(Arc<EtcdMember>),
}

/// How long to wait before the API server is asked again after a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// Watches one object until the receiver is gone.
pub async fn follow(api: Api<EtcdMember>, name: String, seen: watch::Sender<Seen>) {
    loop {
        let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let events = watcher(api.clone(), only);
        pin_mut!(events);
        let mut listed = None;
        loop {
            match events.next().await {
                Some(Ok(event)) => take(&seen, &mut listed, event),
                Some(Err(error)) => {
                    lost(&seen, &error);
                    break;
                }
                None => break,
            }
            if seen.is_closed() {
                return;
            }
        }
        sleep(PAUSE).await;
    }
}

fn take(seen: &watch::Sender<Seen>, listed: &mut Option<Arc<EtcdMember>>, event: Event<EtcdMember>) {
    let object = match event {
        Event::Init => {
            *listed = None;
            return;
        }
        Event::InitApply(object) => {
            *listed = Some(Arc::new(object));
            return;
        }
        Event::InitDone => listed.take().map_or(View::Missing, View::Present),
        Event::Apply(object) => View::Present(Arc::new(object)),
        Event::Delete(_) => View::Missing,
    };
    if !seen.borrow().connected {
        info!(member = name_of(&object), "the API server answers");
    }
    seen.send_replace(Seen { object, connected: true });
}

fn name_of(view: &View) -> Option<String> {
    match view {
        View::Present(object) => Some(object.name_any()),
        View::Unheard | View::Missing => None,
    }
}

fn lost(seen: &watch::Sender<Seen>, error: &watcher::Error) {
    seen.send_if_modified(|seen| {
        let was = std::mem::replace(&mut seen.connected, false);
        if was {
            warn!(%error, "the API server does not answer; this member goes on with what is known");
        }
        was
    });
}
