//! `kubectl etcd`: see and operate etcd clusters that the etcd operator looks after.
//!
//! ```text
//!   args ─▶ commands ─▶ apiserver  objects, read with the reader's own rights
//!               │     ─▶ view, diagnose  plain data: what is shown, what is wrong
//!               │     ─▶ print     as text, in colours, as JSON or YAML
//!               └─▶ verdict or failure ─▶ exit code
//! ```
//! `view/`, `diagnose/` and `print/` are pure, but for the question whether a terminal is there. Nothing here speaks
//! etcd's protocol: what takes that is done by the agents, through pods/exec.

pub mod apiserver;
pub mod args;
pub mod commands;
pub mod diagnose;
pub mod failure;
pub mod part;
pub mod print;
pub mod terminal;
pub mod verdict;
pub mod view;

use args::Args;
use failure::Failure;
use verdict::Verdict;

/// Performs one command.
///
/// # Errors
/// With the sentence that is said, and the verdict that goes with it.
pub fn run(args: Args) -> Result<Verdict, Failure> {
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(commands::perform(args));
    // A read of standard input that nobody waits for any more must not hold the process.
    runtime.shutdown_background();
    outcome
}
