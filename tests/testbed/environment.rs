//! The file that a shell reads to find the testbed: `.testbed/env` in the clone.

use crate::machine::Testbed;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

impl Testbed {
    /// Writes `.testbed/env` of the clone this program was built from.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_environment(&self) -> Result<PathBuf> {
        let clone = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in a clone")?;
        let file = clone.join(".testbed/env");
        fs::create_dir_all(clone.join(".testbed"))?;
        let lines = format!(
            "export KUBECONFIG={}\nexport PATH={}:$PATH\n",
            self.kubeconfig().display(),
            self.layout().bin().display()
        );
        fs::write(&file, lines).with_context(|| format!("write {}", file.display()))?;
        Ok(file)
    }
}
