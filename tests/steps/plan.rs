//! Steps one after another; in a step, lanes side by side; in a lane, tasks one after another. The first failure ends all.

use crate::board::Board;
use crate::cargo;
use crate::debian::Package;
use crate::process::{self, Heard};
use crate::toolchain::Tool;
use crate::view::Far;
use anyhow::{Context, Error, Result, anyhow};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Lanes that run side by side.
#[derive(Debug)]
pub struct Step {
    pub name: String,
    pub lanes: Vec<Vec<Task>>,
}

/// One thing to do.
#[derive(Debug)]
pub struct Task {
    pub what: String,
    pub work: Work,
}

/// How a task is done, and what becomes of its output.
#[derive(Debug)]
pub enum Work {
    /// A program that builds or sets up: how far it is, is shown, and its last words when it fails.
    Listen(Command),
    /// A program whose output is what people want to see.
    Show(Command),
    /// A tool of the cache.
    Tool(&'static Tool),
    /// Programs of Debian's, in the cache.
    Package(&'static Package),
    /// Calls of our own.
    Call(fn(&Teller<'_>) -> Result<()>),
}

/// Tells how far a task is.
#[derive(Clone, Copy, Debug)]
pub struct Teller<'a> {
    pub board: &'a Board,
    lane: usize,
}

impl Teller<'_> {
    pub fn far(&self, far: Far) {
        self.board.far(self.lane, far);
    }
}

impl Task {
    #[must_use]
    pub fn listen(what: &str, command: Command) -> Self {
        Self { what: what.to_owned(), work: Work::Listen(command) }
    }

    #[must_use]
    pub fn show(what: &str, command: Command) -> Self {
        Self { what: what.to_owned(), work: Work::Show(command) }
    }

    #[must_use]
    pub fn tool(tool: &'static Tool) -> Self {
        Self { what: tool.name.to_owned(), work: Work::Tool(tool) }
    }

    #[must_use]
    pub fn package(package: &'static Package) -> Self {
        Self { what: package.name.to_owned(), work: Work::Package(package) }
    }

    #[must_use]
    pub fn call(what: &str, call: fn(&Teller<'_>) -> Result<()>) -> Self {
        Self { what: what.to_owned(), work: Work::Call(call) }
    }
}

/// Performs all steps on one board.
///
/// # Errors
/// With the first task that failed.
pub fn perform(steps: Vec<Step>) -> Result<()> {
    let board = Board::start(steps.len());
    let outcome = steps.into_iter().try_for_each(|step| perform_step(&board, step));
    board.clear();
    outcome
}

fn perform_step(board: &Board, step: Step) -> Result<()> {
    board.next_step(&step.name, step.lanes.len());
    let first: Mutex<Option<Error>> = Mutex::default();
    std::thread::scope(|scope| {
        for (lane, tasks) in step.lanes.into_iter().enumerate() {
            let (teller, first) = (Teller { board, lane }, &first);
            scope.spawn(move || {
                if let Err(error) = tasks.into_iter().try_for_each(|task| perform_task(&teller, task)) {
                    first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    process::dismiss();
                }
            });
        }
    });
    first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn perform_task(teller: &Teller<'_>, task: Task) -> Result<()> {
    teller.board.begin(teller.lane, &task.what);
    let done = match task.work {
        Work::Listen(command) => listen(teller, command),
        Work::Show(command) => show(teller, command),
        Work::Tool(tool) => tool.ready(&|far| teller.far(far)).map(drop),
        Work::Package(package) => package.ready(&|far| teller.far(far)).map(drop),
        Work::Call(call) => call(teller),
    };
    done.with_context(|| format!("{} failed", task.what))?;
    teller.board.end(teller.lane);
    Ok(())
}

fn listen(teller: &Teller<'_>, mut command: Command) -> Result<()> {
    cargo::show_progress(&mut command);
    // Beside a bar, what is compiled just now says nothing.
    let mut has_bar = false;
    process::run(command, &mut |line| {
        let (bar, is_chatter) = (cargo::bar(line), cargo::is_chatter(line));
        let is_blank = line.trim().is_empty();
        has_bar = bar.is_some() || has_bar && (is_chatter || is_blank);
        match bar {
            Some(far) => teller.far(far),
            None if has_bar || is_blank => {}
            None => teller.far(Far::Words(line.trim().to_owned())),
        }
        if has_bar || is_chatter { Heard::Dropped } else { Heard::Kept }
    })
}

fn show(teller: &Teller<'_>, mut command: Command) -> Result<()> {
    cargo::show_progress(&mut command);
    process::run(command, &mut |line| {
        match cargo::bar(line) {
            Some(far) => teller.far(far),
            None if cargo::is_chatter(line) => teller.far(Far::Words(line.trim().to_owned())),
            None => teller.board.print(line),
        }
        Heard::Dropped
    })
    .map_err(|error| anyhow!("{}", error.to_string().trim_end_matches([':', '\n'])))
}
