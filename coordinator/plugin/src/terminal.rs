//! Standard output and the person before it.

use std::io::{self, BufRead, IsTerminal, Write};

use etcd_operator_shared::process::shutdown;

use crate::failure::Failure;

/// Whether anybody reads on: `kubectl etcd logs … | head` closes the pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    There,
    Gone,
}

/// Prints to standard output.
#[must_use]
pub fn print(text: &str) -> Reader {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Reader::There,
        Err(_) => Reader::Gone,
    }
}

/// Prints what nobody misses who has stopped reading.
pub fn say(text: &str) {
    let _ = print(&format!("{text}\n"));
}

/// Says something beside the output.
pub fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether standard output is a screen, which can be cleared.
#[must_use]
pub fn is_screen() -> bool {
    io::stdout().is_terminal()
}

/// Clears the screen for a page that is shown again.
#[must_use]
pub fn again(text: &str) -> Reader {
    if is_screen() { print(&format!("\x1b[H\x1b[2J{text}")) } else { print(&format!("{text}\n")) }
}

/// Returns when somebody asks it to end, as with Ctrl-C: what was begun is taken away then.
pub async fn interrupted() -> Failure {
    match shutdown::on_signal() {
        Ok(asked) => asked.cancelled().await,
        // Without handlers the default action ends the process.
        Err(_) => std::future::pending().await,
    }
    Failure::Failed("interrupted: nothing was written".to_owned())
}

/// Whether progress may be drawn over itself.
#[must_use]
pub fn draws() -> bool {
    io::stderr().is_terminal()
}

/// Draws a line of progress over the one before; an empty one wipes it.
pub fn draw(text: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush());
}

/// Asks a person. Where nobody is there to be asked, the flag that answers is named.
///
/// # Errors
/// When nobody can be asked.
pub fn ask(question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("{question} Nobody is here to be asked: say --yes")));
    }
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::Failed(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
