//! etcd's output: passed through as it is, the last lines kept for a verdict.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read, Write},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

/// Lines that are kept: a Go panic's head and the log lines before it.
const LINES: usize = 60;
/// Bytes of a line that are kept.
const WIDTH: usize = 600;

/// The last lines of one run.
#[derive(Debug, Clone, Default)]
pub struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// The lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn push(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(&line[..line.len().min(WIDTH)]).trim_end().to_owned();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Copies `from` to `to` line by line until it ends. A sink that is gone does not stop etcd: its lines are still kept.
///
/// # Errors
/// When no thread can be had for it.
pub fn pass<R, W>(from: R, mut to: W, tail: Tail) -> io::Result<JoinHandle<()>>
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    thread::Builder::new().name("output".into()).spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(from.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let _ = to.write_all(&line);
            tail.push(&line);
            line.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_are_kept() {
        let tail = Tail::default();
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        pass(io::Cursor::new(text), io::sink(), tail.clone()).unwrap().join().unwrap();
        let lines = tail.lines();
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (LINES, Some("line 99")));
    }
}
