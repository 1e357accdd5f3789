//! The launcher's promises, and a random history against them.

use proptest::prelude::*;

use super::*;
use crate::launch::protocol::{Rest, Volume};

const FULL: Disk = Disk::Wal;
const NEW: &str = "--initial-cluster-state=new";
const EXISTING: &str = "--initial-cluster-state=existing";
const EMPTY: Disk = Disk::Empty;

fn order(number: u64, first: bool) -> Order {
    let volume = Volume { volume_id: "v".into(), member_id: Some("a".into()), rest: Rest::default() };
    let state = if first { NEW } else { EXISTING };
    Order { number, first, args: vec![state.into()], again: vec![EXISTING.into()], options: None, pools: None, volume }
}

fn crash() -> Exit {
    Exit { code: None, signal: Some(9), ordered: false, out_of_memory: false, tail: vec![], at: 0 }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A machine that has the volume to itself.
fn locked() -> Machine {
    let mut m = Machine::default();
    m.step(Event::Locked, at(0), |_| Disk::Other);
    m
}

/// A machine whose etcd runs since second 0.
fn running(disk: &Disk) -> Machine {
    let mut m = locked();
    m.step(Event::Connected, at(0), |_| disk.clone());
    let actions = m.step(Event::Asked(Request::Start(order(1, *disk == EMPTY))), at(0), |_| disk.clone());
    assert!(matches!(actions[0], Action::Spawn(_)));
    m.step(Event::Spawned { pid: 7 }, at(0), |_| disk.clone());
    m
}

fn spawns(actions: &[Action]) -> bool {
    actions.iter().any(|a| matches!(a, Action::Spawn(_)))
}

#[test]
fn a_crash_on_data_is_followed_by_a_start_at_once() {
    assert!(spawns(&running(&FULL).step(Event::Ended(crash()), at(60), |_| FULL)));
}

#[test]
fn between_the_decision_to_start_etcd_and_its_process_nothing_is_said_to_rest() {
    let rests = |actions: &[Action]| {
        let state = |a: &Action| matches!(a, Action::Send(Message::State(State { process: Process::Idle, .. })));
        actions.iter().any(state)
    };
    let mut m = locked();
    m.step(Event::Connected, at(0), |_| FULL);
    assert!(!rests(&m.step(Event::Asked(Request::Start(order(1, false))), at(0), |_| FULL)));
    assert!(!rests(&m.step(Event::Spawned { pid: 7 }, at(0), |_| FULL)));
    assert!(!rests(&m.step(Event::Ended(crash()), at(60), |_| FULL)));
    assert!(!rests(&m.step(Event::Spawned { pid: 8 }, at(60), |_| FULL)));
    for _ in 0..2 {
        assert!(!rests(&m.step(Event::Ended(crash()), at(61), |_| FULL)));
        m.step(Event::Spawned { pid: 9 }, at(61), |_| FULL);
    }
    assert!(!rests(&m.step(Event::Ended(crash()), at(62), |_| FULL)));
    assert!(!rests(&m.step(Event::Tick, at(70), |_| FULL)));
}

#[test]
fn a_founder_is_never_started_again_as_new() {
    let mut m = running(&EMPTY);
    let actions = m.step(Event::Ended(crash()), at(60), |_| FULL);
    let [Action::Spawn(again), _] = &actions[..] else { panic!("it is started again: {actions:?}") };
    assert_eq!((again.first, again.args.as_slice()), (false, [EXISTING.to_owned()].as_slice()));
}

#[test]
fn a_first_start_is_done_once() {
    let mut m = running(&EMPTY);
    assert!(!spawns(&m.step(Event::Ended(crash()), at(1), |_| EMPTY)));
    assert!(!spawns(&m.step(Event::Asked(Request::Start(order(1, true))), at(1), |_| EMPTY)), "the same order again");
    assert!(spawns(&m.step(Event::Asked(Request::Start(order(2, true))), at(1), |_| EMPTY)), "a new order");
}

#[test]
fn a_refused_order_says_why_to_an_agent_that_understands() {
    let refused = |protocol| {
        let mut m = locked();
        m.step(Event::Connected, at(0), |_| FULL);
        m.step(Event::Asked(Request::Hello { protocol }), at(0), |_| FULL);
        m.step(Event::Asked(Request::Start(order(4, true))), at(0), |_| FULL)
    };
    let why = "there is data where etcd was to start for the first time".to_owned();
    assert_eq!(refused(3)[0], Action::Send(Message::Refused { order: 4, why }));
    assert!(matches!(refused(3)[1], Action::Send(Message::State(_))));
    assert!(matches!(refused(2)[..], [Action::Send(Message::State(_))]), "an older agent could not read it");
}

#[test]
fn the_next_agents_version_is_not_the_last_ones() {
    let mut m = locked();
    m.step(Event::Connected, at(0), |_| FULL);
    m.step(Event::Asked(Request::Hello { protocol: 3 }), at(0), |_| FULL);
    m.step(Event::Connected, at(1), |_| FULL);
    assert_eq!(m.step(Event::Asked(Request::Start(order(4, true))), at(1), |_| FULL).len(), 1);
}

#[test]
fn a_volume_that_changed_hands_is_not_started_on() {
    for disk in [Disk::Other, Disk::Unreadable("input/output error".into())] {
        assert!(!spawns(&running(&FULL).step(Event::Ended(crash()), at(60), |_| disk.clone())));
        for first in [true, false] {
            let mut m = locked();
            assert!(!spawns(&m.step(Event::Asked(Request::Start(order(1, first))), at(0), |_| disk.clone())));
        }
    }
}

#[test]
fn a_first_start_never_meets_data_and_a_later_one_never_meets_none() {
    let mut m = locked();
    assert!(!spawns(&m.step(Event::Asked(Request::Start(order(1, true))), at(0), |_| FULL)));
    assert!(!spawns(&m.step(Event::Asked(Request::Start(order(2, false))), at(0), |_| EMPTY)));
    for first in [true, false] {
        assert!(!spawns(&m.step(Event::Asked(Request::Start(order(3, first))), at(0), |_| Disk::Database)));
    }
}

#[test]
fn quick_crashes_pause_longer_each_time_up_to_a_bound() {
    let mut m = running(&FULL);
    let mut pauses = vec![];
    for i in 1..12 {
        let now = at(i * 20);
        m.started = now;
        let actions = m.step(Event::Ended(crash()), now, |_| FULL);
        let pause = m.deadline().map_or(Duration::ZERO, |d| d - now);
        pauses.push(pause);
        if !spawns(&actions) {
            assert!(spawns(&m.step(Event::Tick, now + pause, |_| FULL)));
        }
        m.step(Event::Spawned { pid: 7 }, now, |_| FULL);
    }
    assert_eq!(pauses[0], Duration::ZERO);
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert_eq!(pauses.last(), Some(&ends::LONGEST_PAUSE));
}

#[test]
fn an_exit_that_no_restart_cures_asks_the_agent() {
    let removed = Exit { code: Some(0), signal: None, ..crash() };
    let mut m = running(&FULL);
    assert!(!spawns(&m.step(Event::Ended(removed), at(60), |_| FULL)));
    assert_eq!(m.process, Process::Idle);
}

fn full() -> Exit {
    let line = "write /var/lib/etcd/data/member/wal/0.tmp: no space left on device".to_owned();
    Exit { code: Some(1), signal: None, tail: vec![line], ..crash() }
}

#[test]
fn the_reserve_is_given_up_when_a_start_finds_no_room_and_not_before() {
    let mut m = running(&FULL);
    let first = m.step(Event::Ended(full()), at(60), |_| FULL);
    assert!(spawns(&first) && !first.contains(&Action::MakeRoom), "it ran for long: {first:?}");
    m.step(Event::Spawned { pid: 8 }, at(60), |_| FULL);
    let second = m.step(Event::Ended(full()), at(61), |_| FULL);
    assert_eq!((&second[0], spawns(&second)), (&Action::MakeRoom, true), "room first, then etcd: {second:?}");
    m.step(Event::Spawned { pid: 9 }, at(61), |_| FULL);
    assert!(!m.step(Event::Ended(crash()), at(62), |_| FULL).contains(&Action::MakeRoom), "a kill needs no room");
}

#[test]
fn without_the_volumes_lock_nothing_is_started_and_nothing_is_said_to_be_at_rest() {
    let mut m = Machine::default();
    m.step(Event::Unlocked { why: "another launcher works on it".into() }, at(0), |_| FULL);
    let hello = m.step(Event::Connected, at(0), |_| FULL);
    assert!(matches!(hello[..], [Action::Send(Message::Hello { .. })]), "{hello:?}");
    let waiting = Action::Send(Message::Waiting { why: "another launcher works on it".into() });
    assert_eq!(m.step(Event::Asked(Request::Hello { protocol: 3 }), at(0), |_| FULL), [waiting]);
    assert!(!spawns(&m.step(Event::Asked(Request::Start(order(1, false))), at(0), |_| FULL)));
    let told = m.step(Event::Locked, at(1), |_| FULL);
    assert!(matches!(&told[..], [Action::Send(Message::State(State { process: Process::Idle, .. }))]), "{told:?}");
    assert!(spawns(&m.step(Event::Asked(Request::Start(order(2, false))), at(1), |_| FULL)));
}

#[test]
fn an_etcd_whose_lock_is_lost_runs_on_and_is_not_started_again() {
    let mut m = running(&FULL);
    let told = m.step(Event::Unlocked { why: "another launcher works on it".into() }, at(1), |_| FULL);
    assert!(told.is_empty(), "what runs is still what runs: {told:?}");
    assert!(!spawns(&m.step(Event::Ended(crash()), at(60), |_| FULL)));
}

#[test]
fn sigterm_waits_for_the_hand_over_but_not_for_ever() {
    let mut m = running(&FULL);
    assert_eq!(m.step(Event::Terminate, at(60), |_| FULL)[0], Action::Send(Message::Terminating));
    assert!(m.step(Event::Tick, at(61), |_| FULL).is_empty());
    assert!(m.step(Event::Tick, at(60) + RELEASE_WITHIN, |_| FULL).contains(&Action::Stop));
    assert!(m.step(Event::Ended(crash()), at(70), |_| FULL).contains(&Action::Leave));
}

#[test]
fn sigterm_without_an_agent_stops_at_once() {
    let mut m = running(&FULL);
    m.step(Event::Disconnected, at(1), |_| FULL);
    assert!(m.step(Event::Terminate, at(2), |_| FULL).contains(&Action::Stop));
}

#[test]
fn an_agent_that_dies_during_the_hand_over_does_not_delay_the_stop() {
    let mut m = running(&FULL);
    m.step(Event::Terminate, at(1), |_| FULL);
    assert!(m.step(Event::Disconnected, at(2), |_| FULL).contains(&Action::Stop));
}

#[test]
fn halt_is_acknowledged_when_etcd_is_gone_and_not_before() {
    let mut m = running(&FULL);
    assert!(m.step(Event::Asked(Request::Halt), at(1), |_| FULL).contains(&Action::Stop));
    assert!(m.step(Event::Asked(Request::Kill), at(1), |_| FULL).contains(&Action::Kill), "it may be asked to hurry");
    assert!(matches!(m.process, Process::Stopping { .. }));
    let told = m.step(Event::Ended(crash()), at(2), |_| FULL);
    assert!(!spawns(&told));
    assert!(matches!(&told[..], [Action::Send(Message::State(State { process: Process::Idle, .. }))]));
}

proptest! {
    /// Whatever happens in whatever order: never two processes, nothing started on a volume that does not fit, nothing
    /// started while terminating, and a deadline whenever the machine waits for time.
    #[test]
    fn no_history_breaks_a_promise(history in prop::collection::vec((0_u8..11, any::<bool>(), 0_usize..5), 1..80)) {
        let mut m = locked();
        let (mut alive, mut now, mut number, mut terminated, mut mine) = (false, Duration::ZERO, 0, false, true);
        for (what, wal, seen) in history {
            now += Duration::from_millis(700);
            let disk = [Disk::Other, Disk::Unreadable("eio".into()), Disk::Database, EMPTY, FULL][seen].clone();
            let event = match what {
                0 => Event::Connected,
                1 => Event::Disconnected,
                2 => { number += 1; Event::Asked(Request::Start(order(number, !wal))) }
                3 => Event::Asked(Request::Start(order(number, wal))),
                4 => Event::Asked(if wal { Request::Halt } else { Request::Kill }),
                5 => Event::Asked(Request::Release),
                6 if alive => { alive = false; Event::Ended(crash()) }
                7 => { terminated = true; Event::Terminate }
                8 => { mine = true; Event::Locked }
                9 => { mine = false; Event::Unlocked { why: "another".into() } }
                _ => Event::Tick,
            };
            let actions = m.step(event, now, |_| disk.clone());
            if actions.contains(&Action::Leave) {
                prop_assert!(!alive, "it leaves only when etcd is gone");
                return Ok(());
            }
            for action in actions {
                if let Action::Spawn(order) = action {
                    prop_assert!(!alive, "two processes");
                    prop_assert!(disk == if order.first { EMPTY } else { FULL }, "started on {disk:?}");
                    prop_assert!(disk == EMPTY || !order.args.contains(&NEW.to_owned()), "data is started on as new");
                    prop_assert!(!terminated, "started while terminating");
                    prop_assert!(mine, "started beside another launcher");
                    alive = true;
                    m.step(Event::Spawned { pid: 1 }, now, |_| disk.clone());
                }
            }
            let waits = matches!(m.process, Process::Pausing { .. }) || m.terminating == Some(true);
            prop_assert!(!waits || m.deadline.is_some());
        }
    }
}

fn restore(number: u64) -> Request {
    Request::Restore(Restore { number, args: vec!["snapshot".into()], volume: order(1, true).volume })
}

/// A machine of a new agent's whose etcdutl is at work.
fn restoring() -> Machine {
    let mut m = locked();
    m.step(Event::Connected, at(0), |_| EMPTY);
    m.step(Event::Asked(Request::Hello { protocol: 4 }), at(0), |_| EMPTY);
    let actions = m.step(Event::Asked(restore(9)), at(0), |_| EMPTY);
    assert!(matches!(&actions[..], [Action::Restore(_), Action::Send(Message::Waiting { .. })]), "{actions:?}");
    m
}

/// What it answers to a request that it does not obey.
fn turned_down(actions: &[Action]) -> bool {
    let [Action::Send(Message::Restored { failed: Some(_), .. }), ..] = actions else { return false };
    !actions.iter().any(|action| matches!(action, Action::Restore(_)))
}

#[test]
fn a_snapshot_is_restored_only_where_etcd_could_start_for_the_first_time() {
    let disks = [Disk::Wal, Disk::Database, Disk::Other, Disk::Unreadable("io error".into())];
    for disk in disks {
        assert!(turned_down(&locked().step(Event::Asked(restore(9)), at(0), |_| disk.clone())), "{disk:?}");
    }
    assert!(turned_down(&Machine::default().step(Event::Asked(restore(9)), at(0), |_| EMPTY)), "without the lock");
    assert!(turned_down(&running(&EMPTY).step(Event::Asked(restore(9)), at(0), |_| EMPTY)), "while etcd runs");
}

#[test]
fn nothing_is_started_nor_said_to_rest_while_etcdutl_is_at_work() {
    let mut m = restoring();
    assert!(turned_down(&m.step(Event::Asked(restore(10)), at(1), |_| EMPTY)), "one at a time");
    let Message::State(_) = m.word().unwrap_or(Message::Terminating) else {
        let actions = m.step(Event::Asked(Request::Start(order(1, true))), at(1), |_| EMPTY);
        assert!(!spawns(&actions) && matches!(actions[0], Action::Send(Message::Refused { order: 1, .. })));
        // An agent that comes anew is told so as well.
        m.step(Event::Connected, at(2), |_| EMPTY);
        let said = m.step(Event::Asked(Request::Hello { protocol: 4 }), at(2), |_| EMPTY);
        assert!(matches!(said[..], [Action::Send(Message::Waiting { .. })]), "{said:?}");
        let ended = m.step(Event::Restored { failed: None }, at(3), |_| EMPTY);
        assert_eq!(ended[0], Action::Send(Message::Restored { number: 9, failed: None }));
        assert!(matches!(ended[1], Action::Send(Message::State(State { process: Process::Idle, .. }))), "{ended:?}");
        return;
    };
    panic!("it says a state");
}

#[test]
fn an_etcdutl_at_work_is_ended_before_the_launcher_leaves() {
    let mut m = restoring();
    assert!(m.step(Event::Terminate, at(1), |_| EMPTY).contains(&Action::Kill));
    let ended = m.step(Event::Restored { failed: Some("killed".into()) }, at(1), |_| EMPTY);
    assert_eq!(ended[0], Action::Leave);
}
