//! Who may run beside whom: two cores carry two ordinary tests, and a test that stops a node or the API server spoils all others.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit};

static FLOOR: RwLock<()> = RwLock::const_new(());
static PLACES: Semaphore = Semaphore::const_new(2);

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
    Beside { _floor: RwLockReadGuard<'static, ()>, _place: SemaphorePermit<'static> },
    Alone { _floor: RwLockWriteGuard<'static, ()> },
}

/// Waits for a turn.
///
/// # Errors
/// Never: nobody closes the semaphore.
pub async fn take(manner: Manner) -> anyhow::Result<Turn> {
    Ok(match manner {
        Manner::Beside => Turn::Beside { _floor: FLOOR.read().await, _place: PLACES.acquire().await? },
        Manner::Alone => Turn::Alone { _floor: FLOOR.write().await },
    })
}
