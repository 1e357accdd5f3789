//! Logs on stderr: text on a terminal's behalf, JSON lines when a machine reads them.

use tracing_subscriber::EnvFilter;

/// How a line of log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// Starts logging. `filter` has the syntax of `RUST_LOG`; one that cannot be parsed falls back to `info`.
pub fn start(format: Format, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        Format::Text => logs.with_ansi(false).init(),
        Format::Json => logs.json().flatten_event(true).init(),
    }
}
