//! The process: how it is put together, which of several acts, and how it says that it is well.

mod lease;
mod probes;
pub mod run;
mod senses;
mod term;
