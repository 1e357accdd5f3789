//! What users read (`manifests/docs`): pages and what is in them, the stories that the e2e tests play, and what is generated.

#[cfg(test)]
mod claims;
pub mod pages;
pub mod reference;
pub mod stories;

use std::path::{Path, PathBuf};

/// A file of the clone.
#[must_use]
pub fn clone(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
