//! A bounded number of open connections: who comes last gets in, and the one that has been idle longest goes.
//!
//! Turning newcomers away would let whoever came first, and says nothing, keep kubelet out.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

/// The places, in the order in which they were taken.
#[derive(Clone)]
pub struct Places {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    places: BTreeMap<u64, (CancellationToken, Arc<AtomicBool>)>,
}

/// One connection's place; free again when it is dropped.
pub struct Place {
    number: u64,
    all: Places,
    /// Cancelled when the place is needed for another.
    pub lost: CancellationToken,
    busy: Arc<AtomicBool>,
}

/// Says that a question is being answered, until it is dropped.
pub struct Busy(Arc<AtomicBool>);

impl Places {
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// Takes a place. Where there is none left, the oldest connection that nobody is being answered on loses its own, or the
    /// oldest of all.
    #[must_use]
    pub fn take(&self) -> Place {
        let (lost, busy) = (CancellationToken::new(), Arc::<AtomicBool>::default());
        let mut taken = self.lock();
        if taken.places.len() >= self.most {
            let idle = taken.places.iter().find(|(_, (_, busy))| !busy.load(Ordering::Relaxed));
            let victim = idle.or_else(|| taken.places.iter().next()).map(|(number, _)| *number);
            if let Some((victim, _)) = victim.and_then(|number| taken.places.remove(&number)) {
                victim.cancel();
            }
        }
        let number = taken.next;
        taken.next += 1;
        taken.places.insert(number, (lost.clone(), busy.clone()));
        Place { number, all: self.clone(), lost, busy }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// For whoever answers on this connection: each question makes it busy.
    pub fn bell(&self) -> impl Fn() -> Busy + use<> {
        let busy = self.busy.clone();
        move || {
            busy.store(true, Ordering::Relaxed);
            Busy(busy.clone())
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.lock().places.remove(&self.number);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_idle_one_makes_room_and_one_that_is_being_answered_does_not() {
        let places = Places::new(2);
        let (first, second) = (places.take(), places.take());
        let answering = first.bell()();
        let third = places.take();
        assert_eq!([&first, &second, &third].map(|place| place.lost.is_cancelled()), [false, true, false]);
        drop(answering);
        let fourth = places.take();
        assert_eq!([&first, &third, &fourth].map(|place| place.lost.is_cancelled()), [true, false, false]);
    }

    #[test]
    fn where_all_are_busy_the_oldest_goes() {
        let places = Places::new(2);
        let (first, second) = (places.take(), places.take());
        let _busy = (first.bell()(), second.bell()());
        let _third = places.take();
        assert!(first.lost.is_cancelled() && !second.lost.is_cancelled());
    }

    #[test]
    fn a_connection_that_ended_gives_its_place_back() {
        let places = Places::new(1);
        drop(places.take());
        let (first, count) = (places.take(), places.lock().places.len());
        assert!(!first.lost.is_cancelled() && count == 1);
    }
}
