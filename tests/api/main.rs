//! The kinds against a real API server: every rule in one sentence, every default, every description.
//!
//! Nothing runs here but the API server: objects are sent as dry runs, or have size 0, in a namespace of the test's own.

mod agreement;
mod backups;
mod examples;
mod maintenance;
mod pods;
mod rules;
mod server;
mod shape;
