//! Every call to the API server: bounded in time, and answered with a sentence where it fails.

pub mod cluster;
pub mod connection;
pub mod lists;
