//! Builds programs of a Go module, and tells how far it is.

use crate::process::{self, Heard};
use crate::view::Far;
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// What to build from the module in `source`.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    pub source: &'a Path,
    pub ldflags: &'a str,
    /// Go package and the name of the program it becomes.
    pub programs: &'a [(&'a str, &'a str)],
}

impl Build<'_> {
    /// Builds all of them into `out`. Programs of one module share what is compiled, so they are counted together.
    ///
    /// # Errors
    /// When `go` is missing or a build fails.
    pub fn run(&self, out: &Path, tell: &dyn Fn(Far)) -> Result<()> {
        let of = self.outdated(tell)?;
        let mut done = 0;
        for (package, program) in self.programs {
            // The last package is the program itself: next to nothing to compile, much to link.
            let far = |done| match done + 1 < of {
                true => Far::Count { done, of, unit: "packages" },
                false => Far::Words(format!("linking {program}")),
            };
            tell(far(done));
            let mut build = self.go("build");
            build.args(["-v", "-o"]).arg(out.join(program)).arg(package);
            process::run(build, &mut |line| {
                let is_package = !line.is_empty() && !line.contains(char::is_whitespace) && !line.starts_with('#');
                if is_package {
                    done += 1;
                    tell(far(done));
                }
                if is_package { Heard::Dropped } else { Heard::Kept }
            })?;
        }
        Ok(())
    }

    /// How many packages are not in Go's cache. Go downloads the modules for it.
    fn outdated(&self, tell: &dyn Fn(Far)) -> Result<usize> {
        let mut list = self.go("list");
        list.args(["-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"]);
        list.args(self.programs.iter().map(|(package, _)| package));
        let (mut modules, mut packages) = (0, 0);
        process::run(list, &mut |line| match line.strip_prefix("go: downloading ") {
            Some(_) => {
                modules += 1;
                tell(Far::Words(format!("{modules} modules downloaded")));
                Heard::Dropped
            }
            None => {
                packages += usize::from(!line.is_empty());
                Heard::Kept
            }
        })?;
        Ok(packages)
    }

    /// The same flags for both: they are part of what a compiled package is known by.
    fn go(&self, verb: &str) -> Command {
        // Nicer than what people and tests do beside it.
        let mut command = Command::new("nice");
        command.args(["go", verb, "-trimpath", "-buildvcs=false", "-ldflags", self.ldflags]);
        command.env("CGO_ENABLED", "0").current_dir(self.source);
        command
    }
}
