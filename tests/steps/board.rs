//! What is shown while steps run: on a terminal one line that changes, in a log a line now and then.
//!
//! Lanes tell how far they are, a thread of the board's own looks at that and prints. What a program prints for people goes
//! above the line that changes.

use crate::view::{self, Far, Shown};
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Often enough that a second is never skipped.
const TICK: Duration = Duration::from_millis(250);
/// What ended sooner is not worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// The board; clones are the same one.
#[derive(Clone, Debug)]
pub struct Board(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    began: Instant,
    step: usize,
    steps: usize,
    lanes: Vec<Option<Running>>,
    /// Columns of the terminal; none in a log.
    width: Option<usize>,
}

#[derive(Debug)]
struct Running {
    shown: Shown,
    since: Instant,
    /// What the log was told last, and when.
    told: Far,
    told_at: Instant,
}

impl Board {
    /// A board for so many steps.
    #[must_use]
    pub fn start(steps: usize) -> Self {
        let is_terminal =
            std::io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let width = is_terminal.then(columns);
        let state = State { began: Instant::now(), step: 0, steps, lanes: vec![], width };
        let board = Self(Arc::new(Mutex::new(state)));
        let weak = Arc::downgrade(&board.0);
        std::thread::spawn(move || {
            while let Some(state) = weak.upgrade() {
                state.lock().unwrap_or_else(PoisonError::into_inner).tick();
                drop(state);
                std::thread::sleep(TICK);
            }
        });
        board
    }

    /// The next step begins, with so many lanes.
    pub fn next_step(&self, name: &str, lanes: usize) {
        let mut state = self.state();
        state.step += 1;
        state.lanes = (0..lanes).map(|_| None).collect();
        let line = format!("{}{name}", state.head());
        state.print(&line);
    }

    /// A task of a lane begins.
    pub fn begin(&self, lane: usize, what: &str) {
        let now = Instant::now();
        let shown = Shown { what: what.to_owned(), far: Far::Begun };
        self.state().lanes[lane] = Some(Running { shown, since: now, told: Far::Begun, told_at: now });
    }

    pub fn far(&self, lane: usize, far: Far) {
        if let Some(running) = &mut self.state().lanes[lane] {
            running.shown.far = far;
        }
    }

    /// The lane's task has ended well.
    pub fn end(&self, lane: usize) {
        let mut state = self.state();
        let Some(ended) = state.lanes[lane].take() else { return };
        if ended.since.elapsed() >= WORTH_A_LINE {
            let took = view::clock(ended.since.elapsed());
            let line = format!("{}{}: done in {}", state.head(), ended.shown.what, took.trim_start());
            state.print(&line);
        }
    }

    /// A line for people.
    pub fn print(&self, line: &str) {
        self.state().print(line);
    }

    /// A line for people behind the step and the time.
    pub fn say(&self, what: &str) {
        let mut state = self.state();
        let line = format!("{}{what}", state.head());
        state.print(&line);
    }

    /// Nothing runs any more, and the changing line goes.
    pub fn clear(&self) {
        let mut state = self.state();
        state.lanes.clear();
        state.draw();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn head(&self) -> String {
        view::head(self.step, self.steps, self.began.elapsed())
    }

    fn print(&mut self, line: &str) {
        // Nobody is left to tell when stdout is gone.
        let clear = if self.width.is_some() { "\r\x1b[K" } else { "" };
        let _ = writeln!(std::io::stdout(), "{clear}{line}");
        self.draw();
    }

    fn tick(&mut self) {
        if self.width.is_some() {
            return self.draw();
        }
        let head = self.head();
        for running in self.lanes.iter_mut().flatten() {
            if view::is_due(running.told != running.shown.far, running.told_at.elapsed()) {
                (running.told, running.told_at) = (running.shown.far.clone(), Instant::now());
                let _ = writeln!(std::io::stdout(), "{}", view::line(&head, &running.shown));
            }
        }
    }

    /// Draws the line that changes.
    fn draw(&self) {
        let Some(width) = self.width else { return };
        let tasks: Vec<Shown> = self.lanes.iter().flatten().map(|running| running.shown.clone()).collect();
        let line = if tasks.is_empty() { String::new() } else { view::status(&self.head(), &tasks, width) };
        let mut out = std::io::stdout();
        let _ = write!(out, "\r\x1b[K{line}");
        let _ = out.flush();
    }
}

/// How wide the terminal is: `stty` asks the one on its stdin.
fn columns() -> usize {
    let said = std::process::Command::new("stty").arg("size").stdin(std::process::Stdio::inherit()).output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    said.split_whitespace().nth(1).and_then(|columns| columns.parse().ok()).filter(|&columns| columns > 0).unwrap_or(80)
}
