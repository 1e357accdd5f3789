//! Keeps the last EtcdMember that the API server showed.
//!
//! Every wait ends: a list is bounded here, a connection and the head of an answer by the client, and a connection that went
//! dead under a watch by HTTP/2's pings (see [`super::members`]). So what is `connected` was heard from lately.

use std::{
    error::Error,
    io::ErrorKind,
    sync::Arc,
    time::{Duration, Instant},
};

use ::kube::{
    Api, ResourceExt,
    runtime::watcher::{self, Event, watcher},
};
use etcd_operator_shared::api::EtcdMember;
use futures::{FutureExt, Stream, StreamExt, pin_mut};
use rand::RngExt;
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tracing::{info, warn};

use super::PATIENCE;

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
    Unheard(Silence),
    Missing,
    Present(Arc<EtcdMember>),
}

/// An API server that was never heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// When it was first asked.
    pub since: Instant,
    /// Whether each question so far met a refusal: nobody listens there. A question that is still under way, or was lost, says
    /// nothing.
    pub refused: bool,
}

/// How long nobody may listen before the API server is taken to be away: there are several, and one may just be restarting.
const REFUSED: Duration = Duration::from_secs(1);
/// How long a first answer may be under way. A lost SYN alone costs 1 s, an API server that is down behind a balancer
/// [`super::CONNECT`], and rules for a new pod's traffic come late; what it says keeps an old volume from running.
const SLOW: Duration = Duration::from_secs(8);
/// Pause before the API server is asked again: eight times while a start waits for its first word, and otherwise. It doubles,
/// and is cut at random: the members of ten thousand clusters must not come back at once.
const EAGER: Duration = Duration::from_millis(100);
const CALM: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

impl Seen {
    /// Before the API server was asked.
    #[must_use]
    pub fn nothing(now: Instant) -> Self {
        Self { object: View::Unheard(Silence { since: now, refused: false }), connected: false }
    }
}

impl Silence {
    /// Whether a first answer is worth waiting for.
    #[must_use]
    pub fn may_end(&self, now: Instant) -> bool {
        let silent = now.duration_since(self.since);
        silent < if self.refused { REFUSED } else { SLOW }
    }
}

/// Watches one object until the receiver is gone. `doubt` says that the connection may be dead.
pub async fn follow(api: Api<EtcdMember>, name: String, doubt: Arc<Notify>, seen: watch::Sender<Seen>) {
    let (mut failures, mut refused) = (0, true);
    loop {
        let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let ended = listen(watcher(api.clone(), only), &doubt, &seen, &mut failures).await;
        if seen.is_closed() {
            return;
        }
        refused &= ended.refused;
        if failures == 0 {
            warn!(why = ended.why, "the API server does not answer; this member goes on with what is known");
        }
        lost(&seen, refused);
        failures += 1;
        let unheard = matches!(seen.borrow().object, View::Unheard(_));
        let part = rand::rng().random_range(0.5..1.0);
        sleep(pause(failures, unheard).mul_f64(part)).await;
    }
}

/// Why a watch has ended.
struct Ended {
    why: String,
    refused: bool,
}

/// Takes events until one of them is an error, or nothing comes where something must.
async fn listen(
    events: impl Stream<Item = watcher::Result<Event<EtcdMember>>>,
    doubt: &Notify,
    seen: &watch::Sender<Seen>,
    failures: &mut u32,
) -> Ended {
    let ended = |why: &str| Ended { why: why.to_owned(), refused: false };
    pin_mut!(events);
    // A doubt about the connection before this one.
    let _ = doubt.notified().now_or_never();
    let (mut listed, mut complete) = (None, false);
    loop {
        let bound = async {
            match complete {
                false => sleep(PATIENCE).await,
                true => std::future::pending().await,
            }
        };
        // All arms are cancel-safe: the stream keeps what it has, a bound and a doubt end it.
        let event = tokio::select! {
            event = events.next() => event,
            () = bound => return ended("it did not list the EtcdMember in time"),
            () = doubt.notified(), if complete => return ended("it did not answer a write in time"),
            () = seen.closed() => return ended("nobody asks any more"),
        };
        match event {
            Some(Ok(event)) => {
                complete |= matches!(event, Event::InitDone);
                if take(seen, &mut listed, event) {
                    *failures = 0;
                }
            }
            Some(Err(error)) => {
                return Ended { refused: is_refusal(&error), why: why(&error) };
            }
            None => return ended("the watch has ended"),
        }
    }
}

/// Takes one event; returns whether it showed how the object is.
fn take(seen: &watch::Sender<Seen>, listed: &mut Option<Arc<EtcdMember>>, event: Event<EtcdMember>) -> bool {
    let object = match event {
        Event::Init => {
            *listed = None;
            return false;
        }
        Event::InitApply(object) => {
            *listed = Some(Arc::new(object));
            return false;
        }
        Event::InitDone => listed.take().map_or(View::Missing, View::Present),
        Event::Apply(object) => View::Present(Arc::new(object)),
        Event::Delete(_) => View::Missing,
    };
    if !seen.borrow().connected {
        info!(member = name_of(&object), "the API server answers");
    }
    seen.send_replace(Seen { object, connected: true });
    true
}

fn name_of(view: &View) -> Option<String> {
    match view {
        View::Present(object) => Some(object.name_any()),
        View::Unheard(_) | View::Missing => None,
    }
}

fn lost(seen: &watch::Sender<Seen>, refused: bool) {
    seen.send_if_modified(|seen| {
        let mut changed = std::mem::replace(&mut seen.connected, false);
        if let View::Unheard(silence) = &mut seen.object {
            changed |= std::mem::replace(&mut silence.refused, refused) != refused;
        }
        changed
    });
}

/// What went wrong, down to its cause.
fn causes(error: &watcher::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |one: &&(dyn Error + 'static)| (*one).source())
}

/// The error and its root, which not every error in between names.
fn why(error: &watcher::Error) -> String {
    let (said, root) = (error.to_string(), causes(error).last().map(ToString::to_string).unwrap_or_default());
    if said.contains(&root) { said } else { format!("{said}: {root}") }
}

/// Whether nobody listens at the address, or no way leads there.
fn is_refusal(error: &watcher::Error) -> bool {
    causes(error).filter_map(|one| one.downcast_ref::<std::io::Error>()).any(|one| {
        matches!(one.kind(), ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable)
    })
}

fn pause(failures: u32, unheard: bool) -> Duration {
    let (first, before_it_doubles) = if unheard { (EAGER, 8) } else { (CALM, 1) };
    LONGEST.min(first * (1 << failures.saturating_sub(before_it_doubles).min(6)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::token::Tokens;
    use std::path::Path;
    use tokio::{net::TcpListener, time::timeout};

    fn seen_after(silence: Duration, refused: bool) -> bool {
        let since = Instant::now();
        Silence { since, refused }.may_end(since + silence)
    }

    #[test]
    fn a_slow_first_answer_is_not_an_absent_api_server() {
        assert!(seen_after(Duration::from_millis(7_900), false));
        assert!(!seen_after(SLOW, false));
        assert!(seen_after(Duration::from_millis(900), true));
        assert!(!seen_after(REFUSED, true));
    }

    #[test]
    fn the_first_word_is_asked_for_eagerly_and_an_outage_calmly() {
        assert_eq!([1, 8, 9, 20].map(|n| pause(n, true).as_millis()), [100, 100, 200, 5_000]);
        assert_eq!([1, 2, 9].map(|n| pause(n, false).as_millis()), [500, 1_000, 5_000]);
    }

    /// Follows at an address; returns what is seen, and how to doubt it.
    fn following(address: std::net::SocketAddr) -> (watch::Receiver<Seen>, Arc<Notify>) {
        let config = ::kube::Config::new(format!("http://{address}").parse().unwrap());
        let api = Api::namespaced(super::super::client(&config, Tokens::of(Path::new("/none"))).unwrap(), "ns");
        let (told, seen) = watch::channel(Seen::nothing(Instant::now()));
        let doubt = Arc::new(Notify::new());
        tokio::spawn(follow(api, "demo-0".into(), doubt.clone(), told));
        (seen, doubt)
    }

    fn silence(seen: &Seen) -> Silence {
        match &seen.object {
            View::Unheard(silence) => *silence,
            View::Missing | View::Present(_) => panic!("nobody has answered: {seen:?}"),
        }
    }

    #[tokio::test]
    async fn nobody_listening_is_told_apart_from_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mut mute, _doubt) = following(address);
        let asked = listener.accept().await.unwrap();
        assert!(!silence(&mute.borrow_and_update()).refused, "a question is under way");
        drop((asked, listener));
        let (mut refused, _doubt) = following(address);
        let seen = timeout(Duration::from_secs(5), refused.wait_for(|seen| silence(seen).refused)).await;
        assert!(!seen.unwrap().unwrap().connected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_never_comes_is_asked_for_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_seen, _doubt) = following(listener.local_addr().unwrap());
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(listener.accept().await.unwrap());
        }
    }
}
