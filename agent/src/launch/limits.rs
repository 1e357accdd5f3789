//! What the container may use, as its control group says.

use std::{fs, path::Path};

/// Where a container finds its own control group, of either version.
pub const CGROUP: &str = "/sys/fs/cgroup";
/// From here on a limit of memory means none: version 1 writes the largest multiple of a page that fits 63 bits.
const UNLIMITED: u64 = 1 << 60;

/// The limits of a container; `None` where there is none, or none can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// In bytes.
    pub memory: Option<u64>,
    /// Whole processors that the quota is worth, rounded up.
    pub processors: Option<u64>,
}

impl Limits {
    /// Reads them. They can change while a container runs, so they are read for each start.
    #[must_use]
    pub fn read(cgroup: &Path) -> Self {
        let word = |file: &str, n: usize| {
            let text = fs::read_to_string(cgroup.join(file)).ok()?;
            text.split_whitespace().nth(n).map(ToOwned::to_owned)
        };
        // `max` and -1 say that there is none, and are no numbers here.
        let number = |file, n| word(file, n)?.parse::<u64>().ok();
        let memory = number("memory.max", 0).or_else(|| number("memory/memory.limit_in_bytes", 0));
        let share = |quota: Option<u64>, period: Option<u64>| Some(quota?.div_ceil(period.filter(|p| *p > 0)?));
        let processors = share(number("cpu.max", 0), number("cpu.max", 1))
            .or_else(|| share(number("cpu/cpu.cfs_quota_us", 0), number("cpu/cpu.cfs_period_us", 0)));
        Self { memory: memory.filter(|bytes| *bytes < UNLIMITED), processors: processors.filter(|n| *n > 0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Limits {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Limits::read(dir.path())
    }

    #[test]
    fn limits_are_read_from_either_version_of_control_groups() {
        let limits = Limits { memory: Some(1 << 30), processors: Some(3) };
        assert_eq!(read(&[("memory.max", "1073741824\n"), ("cpu.max", "250000 100000\n")]), limits);
        let first = [
            ("memory/memory.limit_in_bytes", "1073741824\n"),
            ("cpu/cpu.cfs_quota_us", "250000\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(read(&first), limits);
    }

    #[test]
    fn no_limit_is_none_however_it_is_written() {
        assert_eq!(read(&[]), Limits::default());
        assert_eq!(read(&[("memory.max", "max\n"), ("cpu.max", "max 100000\n")]), Limits::default());
        let first = [
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(read(&first), Limits::default());
    }
}
