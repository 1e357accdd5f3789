//! When the next order to start etcd may be given.

use std::time::{Duration, Instant};

use crate::observe::launcher::Launcher;

/// An order that the launcher did not obey is given again after this.
const UNHEARD: Duration = Duration::from_secs(1);
/// Longest pause between orders for an etcd that keeps ending.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Orders given since etcd last served.
#[derive(Debug, Default)]
pub(in crate::sidecar) struct Orders {
    given: u32,
    /// The last order that the launcher which is there now may not have answered yet: its number, and when it was given.
    awaited: Option<(u64, Instant)>,
    last: Option<Instant>,
    /// Since when the plan says that etcd may start.
    startable: Option<Instant>,
}

impl Orders {
    /// The plan says that etcd may start; returns for how long it has said so.
    pub(in crate::sidecar) fn startable(&mut self, now: Instant) -> Duration {
        now.duration_since(*self.startable.get_or_insert(now))
    }

    pub(in crate::sidecar) fn not_startable(&mut self) {
        self.startable = None;
    }

    pub(in crate::sidecar) fn is_startable(&self) -> bool {
        self.startable.is_some()
    }

    /// The last order did what it was for: etcd served, or was stopped on purpose. The next one need not wait.
    pub(in crate::sidecar) fn obeyed(&mut self) {
        self.given = 0;
    }

    pub(in crate::sidecar) fn give(&mut self, number: u64, now: Instant) {
        self.given += 1;
        self.last = Some(now);
        self.awaited = Some((number, now));
    }

    /// Takes what the launcher says. One that is gone answers nothing any more.
    pub(in crate::sidecar) fn heard(&mut self, launcher: &Launcher) {
        let refused = launcher.refused.as_ref().map(|(number, _)| *number);
        let answered =
            |number: u64| refused == Some(number) || launcher.state.as_ref().is_none_or(|state| state.order >= number);
        self.awaited = self.awaited.filter(|(number, _)| !answered(*number));
    }

    /// Whether what the launcher last said may be older than the last order: it may run etcd by now.
    pub(in crate::sidecar) fn is_awaited(&self, now: Instant) -> bool {
        self.awaited.is_some_and(|(_, at)| now.duration_since(at) < UNHEARD)
    }

    /// An etcd that ended again and again without serving is started ever more rarely.
    pub(in crate::sidecar) fn is_due(&self, now: Instant) -> bool {
        let pause = match self.given {
            0 => Duration::ZERO,
            1 => UNHEARD,
            n => LONGEST_PAUSE.min(Duration::from_secs(1 << (n - 1).min(4))),
        };
        self.last.is_none_or(|at| now.duration_since(at) >= pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::protocol::{Process, State};

    fn launcher(order: u64) -> Launcher {
        let state = State { process: Process::Idle, order, restarts: 0, last_exit: None, options: None, pools: None };
        Launcher { connected: true, state: Some(state), ..Launcher::default() }
    }

    #[test]
    fn an_etcd_that_keeps_ending_is_started_ever_more_rarely_and_at_once_after_it_served() {
        let (mut orders, start) = (Orders::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(orders.is_due(at(0)));
        orders.give(1, at(0));
        assert!(!orders.is_due(at(0)) && orders.is_due(at(1)));
        orders.give(2, at(1));
        assert!(!orders.is_due(at(2)) && orders.is_due(at(3)));
        for number in 3..9 {
            orders.give(number, at(3));
        }
        assert!(!orders.is_due(at(12)) && orders.is_due(at(13)), "never later than the longest pause");
        orders.obeyed();
        assert!(orders.is_due(at(3)));
    }

    #[test]
    fn nothing_is_planned_on_what_the_launcher_said_before_the_last_order() {
        let (mut orders, now) = (Orders::default(), Instant::now());
        orders.give(1, now);
        orders.heard(&launcher(0));
        assert!(orders.is_awaited(now), "it may have been started since");
        assert!(!orders.is_awaited(now + UNHEARD), "an order that was lost or refused is given again");
        orders.heard(&launcher(1));
        assert!(!orders.is_awaited(now));
        orders.give(2, now);
        orders.heard(&Launcher { refused: Some((2, "the volume cannot be read".into())), ..launcher(1) });
        assert!(!orders.is_awaited(now), "a refusal is an answer");
        orders.give(2, now);
        orders.heard(&Launcher::default());
        assert!(!orders.is_awaited(now), "its successor counts from the beginning");
    }

    #[test]
    fn how_long_etcd_could_have_started_counts_from_when_nothing_else_stood_in_its_way() {
        let (mut orders, start) = (Orders::default(), Instant::now());
        assert_eq!(orders.startable(start), Duration::ZERO);
        assert_eq!(orders.startable(start + Duration::from_secs(2)), Duration::from_secs(2));
        orders.not_startable();
        assert!(!orders.is_startable());
        assert_eq!(orders.startable(start + Duration::from_secs(9)), Duration::ZERO);
    }
}
