//! Who may run beside whom: a test mostly waits, so two cores carry three of them; one that stops a node or the API server
//! spoils all others, and runs when they have ended.
//!
//! ```text
//!   Beside ─▶ announced ─▶ a place, of three ─▶ runs ─▶ gone
//!   Alone  ─▶ until nobody is announced, and nobody else is alone ─▶ runs
//! ```
//! So the floor is emptied once. libtest has to start more tests than there are places (`--test-threads` in the Makefile):
//! those that wait to be alone hold a thread each.

use std::sync::LazyLock;
use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit, watch};

const AT_ONCE: usize = 3;

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);
/// How many that run beside others wait or run.
static ANNOUNCED: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));
/// One is alone at a time.
static ALONE: Mutex<()> = Mutex::const_new(());
/// Holds back who comes while somebody is alone.
static FLOOR: RwLock<()> = RwLock::const_new(());

/// How a test gets on with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It breaks only what is its own.
    Beside,
    /// It breaks what all share, or measures what others would spoil.
    Alone,
}

/// The right to run, until dropped.
pub enum Turn {
    Beside { _floor: RwLockReadGuard<'static, ()>, _place: SemaphorePermit<'static>, _announced: Announced },
    Alone { _floor: RwLockWriteGuard<'static, ()>, _alone: MutexGuard<'static, ()> },
}

/// One of those that run beside others, until dropped.
pub struct Announced(());

/// Waits for a turn.
///
/// # Errors
/// Never: nobody closes the semaphore or the channel.
pub async fn take(manner: Manner) -> anyhow::Result<Turn> {
    Ok(match manner {
        Manner::Beside => {
            let announced = Announced::new();
            let place = PLACES.acquire().await?;
            Turn::Beside { _floor: FLOOR.read().await, _place: place, _announced: announced }
        }
        Manner::Alone => {
            let alone = ALONE.lock().await;
            ANNOUNCED.subscribe().wait_for(|announced| *announced == 0).await?;
            Turn::Alone { _floor: FLOOR.write().await, _alone: alone }
        }
    })
}

impl Announced {
    fn new() -> Self {
        ANNOUNCED.send_modify(|announced| *announced += 1);
        Self(())
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        ANNOUNCED.send_modify(|announced| *announced -= 1);
    }
}
