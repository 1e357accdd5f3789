//! A program that is listened to while it runs.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, pipe};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// As many of its last lines are told when it fails: a compiler's error with what surrounds it.
const TAIL: usize = 40;

/// The programs that run, and whether they were told to end.
static CREW: Mutex<Crew> = Mutex::new(Crew { pids: vec![], dismissed: false });

struct Crew {
    pids: Vec<u32>,
    dismissed: bool,
}

/// What a listener makes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Worth telling when the program fails.
    Kept,
    /// Only progress, or shown already.
    Dropped,
}

/// Runs it to its end. Each line of its output, stdout and stderr as they come, is heard; a carriage return ends a line too.
///
/// # Errors
/// When it cannot be started or fails: with its last words.
pub fn run(mut command: Command, hear: &mut dyn FnMut(&str) -> Heard) -> Result<()> {
    let (output, input) = pipe()?;
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    let name = name(&command);
    let mut child = {
        let mut crew = CREW.lock().unwrap_or_else(PoisonError::into_inner);
        if crew.dismissed {
            bail!("{name} is not begun: all is coming to its end");
        }
        let child = command.spawn().with_context(|| format!("run {name}"))?;
        crew.pids.push(child.id());
        child
    };
    // The pipe ends when nobody can write into it any more; this process neither.
    drop(command);
    let mut tail = VecDeque::new();
    lines(output, |line| {
        if hear(line) == Heard::Kept && !line.trim().is_empty() {
            tail.push_back(line.to_owned());
            if tail.len() > TAIL {
                tail.pop_front();
            }
        }
    });
    let ended = child.wait();
    CREW.lock().unwrap_or_else(PoisonError::into_inner).pids.retain(|&pid| pid != child.id());
    let status = ended?;
    if !status.success() {
        let tail: Vec<String> = tail.into();
        bail!("{name} failed ({status}):\n{}", tail.join("\n"));
    }
    Ok(())
}

/// As it was typed.
fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(std::ffi::OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// No program begins from now on.
pub fn let_none_begin() {
    CREW.lock().unwrap_or_else(PoisonError::into_inner).dismissed = true;
}

#[must_use]
pub fn any_runs() -> bool {
    !CREW.lock().unwrap_or_else(PoisonError::into_inner).pids.is_empty()
}

/// Asks every program to end, and lets none begin.
pub fn dismiss() {
    let_none_begin();
    let crew = CREW.lock().unwrap_or_else(PoisonError::into_inner);
    for pid in crew.pids.iter().filter_map(|&pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

/// Cuts what is read at line feeds and carriage returns, as soon as it comes.
fn lines(from: impl Read, mut each: impl FnMut(&str)) {
    let mut from = BufReader::new(from);
    let mut line = vec![];
    while let Ok(read) = from.fill_buf() {
        if read.is_empty() {
            break;
        }
        let end = read.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        line.extend_from_slice(&read[..end.unwrap_or(read.len())]);
        let used = end.map_or(read.len(), |end| end + 1);
        from.consume(used);
        if end.is_some() {
            each(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    if !line.is_empty() {
        each(&String::from_utf8_lossy(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_outputs_are_heard_in_their_order_and_cut_at_carriage_returns() {
        let mut heard = vec![];
        run(shell("echo a; echo b >&2; printf 'c\\rd\\r'; printf e"), &mut |line| {
            heard.push(line.to_owned());
            Heard::Kept
        })
        .unwrap();
        assert_eq!(heard, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_failure_tells_the_last_words_and_not_the_progress() {
        let keep = |line: &str| if line.starts_with('%') { Heard::Dropped } else { Heard::Kept };
        let error = run(shell("echo %1; echo because >&2; echo %2; exit 3"), &mut { keep }).unwrap_err().to_string();
        assert!(
            error.starts_with("sh -c echo") && error.contains("(exit status: 3)") && error.ends_with(":\nbecause"),
            "{error}"
        );
    }
}
