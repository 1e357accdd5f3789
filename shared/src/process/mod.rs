//! What both mains need: logs, shutdown, a small HTTP server.

pub mod logs;
pub mod probe;
pub mod shutdown;
