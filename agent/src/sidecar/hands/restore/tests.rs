//! The hand with a real server of bytes, and a launcher that is played.

use tokio::net::TcpListener;

use super::*;
use crate::{
    launch::protocol::State,
    serve::bytes::{Served, serve},
};

struct Scene {
    dir: tempfile::TempDir,
    hand: Restores,
    launcher: Launcher,
    wanted: Snapshot,
    now: Instant,
    shutdown: CancellationToken,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn at_rest() -> Launcher {
    let state = State { process: Process::Idle, order: 0, restarts: 0, last_exit: None, options: None, pools: None };
    Launcher { connected: true, protocol: CAN, state: Some(state), ..Launcher::default() }
}

fn owner() -> Owner {
    Owner { member_id: "a".into(), cluster_id: "c".into() }
}

impl Scene {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("served"), "bytes").unwrap();
        let served = Arc::new(Served::of(&dir.path().join("served"), None).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let from = listener.local_addr().unwrap().to_string();
        let wanted = Snapshot { digest: served.digest.clone(), size: served.size, from, bump: 0 };
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(listener, served, None, shutdown.clone()));
        std::fs::create_dir(dir.path().join("volume")).unwrap();
        let (_, identity) = watch::channel(None);
        let hand = Restores::new(Store::new(dir.path().join("volume")), identity, false);
        Self { dir, hand, launcher: at_rest(), wanted, now: Instant::now(), shutdown }
    }

    fn turn(&mut self) -> Due {
        self.hand.turn(&self.wanted, &owner(), &self.launcher, self.now)
    }

    async fn ends(&mut self) {
        let ended = self.hand.ended().await;
        self.hand.finish(ended, self.now);
    }

    fn fetched(&self) -> Option<String> {
        std::fs::read_to_string(self.dir.path().join("volume/restore/snapshot.db")).ok()
    }

    /// Up to the request to the launcher; gives its number.
    async fn asks(&mut self) -> u64 {
        assert_eq!(self.turn(), Due::Nothing);
        self.ends().await;
        match self.turn() {
            Due::Ask(number) => number,
            other => panic!("{other:?}, {:?}", self.hand.trouble()),
        }
    }
}

#[tokio::test]
async fn what_is_fetched_is_handed_to_the_launcher_and_what_it_made_is_looked_at_before_it_counts() {
    let mut scene = Scene::new().await;
    let number = scene.asks().await;
    assert_eq!(scene.fetched().as_deref(), Some("bytes"));
    assert_eq!(scene.turn(), Due::Nothing, "one request is on its way");
    scene.launcher = Launcher { state: None, waiting: Some("etcdutl".into()), ..at_rest() };
    assert_eq!(scene.turn(), Due::Nothing, "it is at work");
    scene.launcher = Launcher { restored: Some((number, None)), ..at_rest() };
    scene.turn();
    assert_eq!(scene.turn(), Due::Nothing, "it is written out");
    scene.ends().await;
    // Nothing was made here: that is seen, and all begins anew.
    assert!(scene.hand.trouble().is_some_and(|why| why.contains("not this member's")), "{:?}", scene.hand.trouble());
    assert_eq!(scene.turn(), Due::Nothing, "after a pause");
    scene.now += LONGEST;
    scene.asks().await;
    assert!(scene.hand.trouble().is_none());
}

#[tokio::test]
async fn a_launcher_that_failed_or_was_lost_or_is_too_old_is_not_waited_for() {
    let mut scene = Scene::new().await;
    scene.asks().await;
    scene.now += UNHEARD;
    assert_eq!(scene.turn(), Due::Nothing);
    let Due::Ask(number) = scene.turn() else { panic!("a request that was lost is made again") };
    scene.launcher.restored = Some((number + 1, Some("another's".into())));
    scene.turn();
    assert!(scene.hand.trouble().is_none(), "an answer to another request is none");
    scene.launcher.restored = Some((number, Some("no etcdutl".into())));
    scene.turn();
    assert_eq!(scene.hand.trouble(), Some("no etcdutl"));
    scene.now += LONGEST;
    scene.launcher = Launcher { protocol: 3, ..at_rest() };
    assert_eq!(scene.turn(), Due::Nothing);
    scene.ends().await;
    assert_eq!(scene.turn(), Due::Nothing);
    assert!(scene.hand.trouble().is_some_and(|why| why.contains("older version")));
}

#[tokio::test]
async fn a_server_that_is_gone_is_named_and_tried_again_where_it_is_by_then() {
    let mut scene = Scene::new().await;
    let there = std::mem::replace(&mut scene.wanted.from, "127.0.0.1:1".into());
    assert_eq!(scene.turn(), Due::Nothing);
    scene.ends().await;
    assert!(scene.hand.trouble().is_some_and(|why| why.contains("127.0.0.1:1 cannot be reached")));
    scene.wanted.from = there;
    scene.now += LONGEST;
    scene.asks().await;
}

#[tokio::test]
async fn other_data_that_is_told_is_begun_with_from_the_beginning() {
    let mut scene = Scene::new().await;
    let number = scene.asks().await;
    scene.launcher.restored = Some((number, None));
    scene.wanted.digest = "00".repeat(32);
    assert_eq!(scene.turn(), Due::Nothing);
    scene.ends().await;
    assert!(scene.hand.trouble().is_some_and(|why| why.contains("404")), "{:?}", scene.hand.trouble());
}

#[tokio::test]
async fn what_is_not_the_next_step_any_more_is_not_fetched_on() {
    let mut scene = Scene::new().await;
    scene.turn();
    scene.hand.rest();
    scene.ends().await;
    assert_eq!((scene.hand.stage, scene.hand.trouble()), (Stage::Nothing, None));
    scene.asks().await;
    scene.hand.clear().await;
    assert!(!scene.dir.path().join("volume/restore").exists());
}
