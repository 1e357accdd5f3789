//! `docs FOLDER`: writes the generated pages of `manifests/docs/reference`, asking the programs in FOLDER for their help.

use anyhow::{Context, Result};
use docs::{clone, reference};
use std::path::PathBuf;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).context("usage: docs FOLDER-OF-PROGRAMS")?;
    for page in reference::pages(Some(&folder))? {
        std::fs::write(clone(reference::FOLDER).join(&page.name), page.text)?;
    }
    Ok(())
}
