//! Visits every state that can be reached, breadth first, and then asks from which of them the wish can still come true.
//!
//! A state is known by a hash of 64 bits; at ten million states two would share one once in a quarter of a million runs. Of
//! each state only the way to it is kept, so a trace is played again from the start, and is a shortest one.

use std::{
    collections::{HashSet, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    graph::Graph,
    hash::{ByHash, hash},
    mistake::Rules,
    property::Broken,
    step::{Action, Step},
    world::{Volume, World},
};

/// What was found.
#[derive(Debug)]
pub struct Report {
    pub states: usize,
    pub steps: usize,
    /// Steps from the first state to the farthest.
    pub depth: u32,
    /// States in which everything is as wanted.
    pub settled: usize,
    /// States of which (d) promises anything: a majority is intact.
    pub promised: usize,
    /// Whether every state within the budget was visited.
    pub complete: bool,
    pub time: Duration,
    pub broken: Option<Counterexample>,
}

/// A way to a state in which a property does not hold.
#[derive(Debug)]
pub struct Counterexample {
    pub broken: Broken,
    pub trace: Vec<(Action, World)>,
    /// After how many steps all is lost; what follows is one way of how it goes on.
    pub ends_here: usize,
}

/// How far to go.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// At most this many states.
    pub states: usize,
    /// Say now and then how far it is.
    pub progress: bool,
}

struct Explorer<'a> {
    rules: &'a Rules,
    known: ByHash<u32>,
    /// How each state was first reached: from which, by which of its steps.
    ways: Vec<(u32, u16)>,
    graph: Graph,
    queue: VecDeque<(u32, World)>,
    steps: usize,
}

/// Visits every state that can be reached from the first one.
#[must_use]
pub fn explore(first: &World, rules: &Rules, bounds: Bounds) -> Report {
    let began = Instant::now();
    let mut explorer = Explorer {
        rules,
        known: ByHash::default(),
        ways: vec![],
        graph: Graph::default(),
        queue: VecDeque::new(),
        steps: 0,
    };
    explorer.visit(first.clone(), (0, 0));
    let mut broken = explorer.run(bounds, began);
    let complete = broken.is_none() && explorer.queue.is_empty();
    if complete && rules.judges('d') {
        broken = explorer.graph.stuck().map(|state| (state as u32, None, stuck()));
    }
    let (settled, promised) = explorer.graph.counts();
    let mut report = Report {
        states: explorer.ways.len(),
        steps: explorer.steps,
        depth: 0,
        settled,
        promised,
        complete,
        time: Duration::ZERO,
        broken: broken.map(|(state, last, broken)| explorer.counterexample(first, state, last, broken)),
    };
    report.depth = explorer.depth();
    report.time = began.elapsed();
    report
}

fn stuck() -> Broken {
    Broken::Stuck("from here the wanted membership is out of reach, although a majority is intact".into())
}

impl Explorer<'_> {
    fn run(&mut self, bounds: Bounds, began: Instant) -> Option<(u32, Option<Action>, Broken)> {
        while let Some((index, world)) = self.queue.pop_front() {
            self.graph.leave();
            for (number, Step { action, outcome }) in world.steps_on(self.rules).into_iter().enumerate() {
                self.steps += 1;
                let next = match outcome.and_then(|next| self.rules.judge(next.check(self.rules)).map(|()| next)) {
                    Ok(next) => next,
                    // What another property forbids may be what the world has no way to show the rest of.
                    Err(broken) if !self.rules.judges(broken.property()) => continue,
                    Err(broken) => return Some((index, Some(action), broken)),
                };
                let free = next.budget == world.budget;
                let at = self.visit(next, (index, number as u16));
                if free && at != index {
                    self.graph.step(at);
                }
            }
            if self.ways.len() >= bounds.states {
                return None;
            }
            if bounds.progress && index % 100_000 == 0 && index > 0 {
                let seconds = began.elapsed().as_secs();
                eprintln!("  {} states visited, {} waiting, {seconds} s", index, self.queue.len());
            }
        }
        None
    }

    /// The number of a state, which is put into the queue when it is new.
    fn visit(&mut self, world: World, way: (u32, u16)) -> u32 {
        let next = self.ways.len() as u32;
        let index = *self.known.entry(hash(&world)).or_insert(next);
        if index == next {
            self.ways.push(way);
            self.graph.state(world.is_settled(self.rules.api_returns), self.promises(&world));
            self.queue.push_back((next, world));
        }
        index
    }

    /// Whether (d) promises anything of this state. A volume that was put back, or forced, waits for a person.
    fn promises(&self, world: &World) -> bool {
        let forced = |volume: Volume| volume.wal.is_some_and(|wal| wal.forced);
        let waits = |volume: Volume| volume.rolled || forced(volume);
        world.majority_intact() && !world.seats.iter().any(|seat| seat.volume.is_some_and(waits))
    }

    fn way_to(&self, mut state: u32) -> Vec<u16> {
        let mut numbers = vec![];
        while state != 0 {
            let (from, number) = self.ways[state as usize];
            numbers.push(number);
            state = from;
        }
        numbers.reverse();
        numbers
    }

    fn depth(&self) -> u32 {
        let last = self.ways.len().saturating_sub(1) as u32;
        self.way_to(last).len() as u32
    }

    /// Plays the way to a state again.
    fn counterexample(&self, first: &World, state: u32, last: Option<Action>, broken: Broken) -> Counterexample {
        let (mut world, mut trace) = (first.clone(), vec![]);
        for number in self.way_to(state) {
            let step = world.steps_on(self.rules).swap_remove(usize::from(number));
            if let Ok(next) = step.outcome {
                world = next.clone();
                trace.push((step.action, next));
            }
        }
        let ends_here = trace.len();
        match last {
            Some(action) => trace.push((action, world)),
            None => trace.extend(self.dead_end(world)),
        }
        Counterexample { broken, trace, ends_here }
    }

    /// How it goes on from a state that is stuck, to one where nothing more happens without a fault, if there is one.
    fn dead_end(&self, world: World) -> Vec<(Action, World)> {
        let mut seen = HashSet::from([world.clone()]);
        let mut queue = VecDeque::from([(world, vec![])]);
        while let Some((world, trace)) = queue.pop_front().filter(|_| seen.len() < 20_000) {
            let budget = world.budget;
            let free =
                world.steps_on(self.rules).into_iter().filter_map(|step| Some((step.action, step.outcome.ok()?)));
            let mut ends = true;
            for (action, next) in free.filter(|(_, next)| next.budget == budget && *next != world) {
                ends = false;
                if seen.insert(next.clone()) {
                    let mut trace: Vec<(Action, World)> = trace.clone();
                    trace.push((action, next.clone()));
                    queue.push_back((next, trace));
                }
            }
            if ends {
                return trace;
            }
        }
        vec![]
    }
}
