//! etcdutl, which makes a data directory of a snapshot.
//!
//! It is of the image as etcd is, so that it writes what that etcd reads, and gets the same environment: nothing of
//! others'.

use std::{
    ffi::OsStr,
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, ExitStatus, Stdio},
    sync::mpsc::Sender,
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::Pid,
};

use super::{
    limits::{CGROUP, Limits},
    machine::Event,
    output::{self, Tail},
    program,
    threads::{Input, spawn},
};

/// Longest telling line that is handed on, in characters.
const LINE: usize = 300;

/// Starts it; its end is an event.
///
/// # Errors
/// When the image has no etcdutl, or it cannot be started or waited for.
pub(super) fn begin(args: &[String], path: Option<&OsStr>, tx: Sender<Input>) -> io::Result<Pid> {
    let mut etcdutl = program::command("etcdutl", args, path, Limits::read(Path::new(CGROUP)))?;
    let child = etcdutl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let waits = spawn("etcdutl", move || {
        let failed = attend(child).unwrap_or_else(|error| Some(format!("etcdutl cannot be waited for: {error}")));
        let _ = tx.send(Input::Machine(Event::Restored { failed }));
    });
    // One that nobody could wait for is ended again at once.
    waits.map(|()| pid).inspect_err(|_| {
        let _ = kill(pid, Signal::SIGKILL);
        let _ = waitpid(pid, None);
    })
}

/// Waits for its end and the last of its output; why it failed, if it did.
fn attend(mut child: Child) -> io::Result<Option<String>> {
    let tail = Tail::default();
    let out = child.stdout.take().map(|from| output::pass(from, io::stdout(), tail.clone())).transpose();
    let err = child.stderr.take().map(|from| output::pass(from, io::stderr(), tail.clone())).transpose();
    let status = child.wait();
    for pipe in [out, err].into_iter().flatten().flatten() {
        let _ = pipe.join();
    }
    Ok(failure(status?, &tail.lines()))
}

/// Source: etcd `pkg/cobrautl/error.go`, `ExitWithError`.
fn failure(status: ExitStatus, tail: &[String]) -> Option<String> {
    if status.success() {
        return None;
    }
    let said = tail.iter().rev().find(|line| line.starts_with("Error: "));
    let last = || tail.iter().rev().find(|line| !line.trim().is_empty());
    let line: String = said.or_else(last).map(|line| line.chars().take(LINE).collect()).unwrap_or_default();
    Some(match status.signal() {
        Some(signal) => format!("etcdutl was ended by signal {signal}"),
        None => format!("etcdutl cannot restore the snapshot: {}", line.trim_start_matches("Error: ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: i32, tail: &[&str]) -> Option<String> {
        let tail: Vec<String> = tail.iter().map(|line| (*line).to_owned()).collect();
        failure(ExitStatus::from_raw(code), &tail)
    }

    #[test]
    fn the_line_that_tells_is_handed_on() {
        assert_eq!(said(0, &["Error: nothing"]), None);
        let tail = ["{\"level\":\"info\",\"msg\":\"restoring snapshot\"}", "Error: expected sha256 [1], got [2]", ""];
        let why = said(1 << 8, &tail).unwrap();
        assert_eq!(why, "etcdutl cannot restore the snapshot: expected sha256 [1], got [2]");
        assert_eq!(said(2 << 8, &["panic: oh"]).unwrap(), "etcdutl cannot restore the snapshot: panic: oh");
        assert_eq!(said(9, &[]).unwrap(), "etcdutl was ended by signal 9");
    }
}
