//! What it means that etcd ended.

/// How a process ended, and what it said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// Whether the launcher had asked it to stop.
    pub ordered: bool,
    /// Whether the kernel killed a process of the container for memory since etcd was started.
    pub out_of_memory: bool,
    /// Last lines of its output, oldest first.
    pub tail: Vec<String>,
}

/// What it means, and the line that tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub class: Class,
    pub line: String,
}

/// Classes of exits. The names are part of the API (`EtcdMember.status.lastExit.class`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It was asked to.
    Stopped,
    /// The cluster no longer has this member.
    Removed,
    OutOfMemory,
    /// SIGKILL from somebody, not for memory.
    Killed,
    DiskFull,
    CorruptWal,
    CorruptDatabase,
    WrongFlags,
    /// A port is taken.
    AddressInUse,
    Crashed,
}

impl Class {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Removed => "Removed",
            Self::OutOfMemory => "OutOfMemory",
            Self::Killed => "Killed",
            Self::DiskFull => "DiskFull",
            Self::CorruptWal => "CorruptWAL",
            Self::CorruptDatabase => "CorruptDatabase",
            Self::WrongFlags => "WrongFlags",
            Self::AddressInUse => "AddressInUse",
            Self::Crashed => "Crashed",
        }
    }

    /// Whether starting again with the same flags on the same disk cannot help.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        match self {
            Self::Removed | Self::CorruptWal | Self::CorruptDatabase | Self::WrongFlags => true,
            Self::Stopped | Self::OutOfMemory | Self::Killed | Self::DiskFull | Self::AddressInUse | Self::Crashed => {
                false
            }
        }
    }
}

/// etcd's own words, first match wins. Only the refusal of a flag was seen from a running etcd (3.5.21) so far; the others
/// are from its source and from reports of its users.
const WORDS: [(&str, Class); 16] = [
    ("no space left on device", Class::DiskFull),
    ("the member has been permanently removed from the cluster", Class::Removed),
    ("data-dir used by this member must be removed", Class::Removed),
    ("flag provided but not defined", Class::WrongFlags),
    ("unknown flag", Class::WrongFlags),
    ("invalid value", Class::WrongFlags),
    ("invalid argument", Class::WrongFlags),
    ("bad flag syntax", Class::WrongFlags),
    ("error verifying flags", Class::WrongFlags),
    ("crc mismatch", Class::CorruptWal),
    ("failed to read WAL", Class::CorruptWal),
    ("failed to open WAL", Class::CorruptWal),
    ("failed to open database", Class::CorruptDatabase),
    ("is corrupted", Class::CorruptDatabase),
    ("is out of range [lastIndex", Class::CorruptWal),
    ("address already in use", Class::AddressInUse),
];

/// Longest telling line that is kept, in characters.
const LINE: usize = 300;

/// Reads an exit. A signal is weighed before words, because a killed process could not say why.
#[must_use]
pub fn classify(ended: &Ended) -> Verdict {
    const SIGKILL: i32 = 9;
    let verdict = |class, line: &str| Verdict { class, line: line.chars().take(LINE).collect() };
    if ended.signal == Some(SIGKILL) {
        return if ended.out_of_memory {
            verdict(Class::OutOfMemory, "killed by the kernel: the container's memory limit was reached")
        } else if ended.ordered {
            verdict(Class::Stopped, "was asked to stop and was killed, on purpose or as it took too long")
        } else {
            verdict(Class::Killed, "killed by signal 9")
        };
    }
    let told = WORDS.iter().find_map(|(words, class)| {
        ended.tail.iter().rev().find(|line| line.contains(words)).map(|line| verdict(*class, &said(line)))
    });
    if ended.ordered {
        return told.filter(|v| v.class == Class::Removed).unwrap_or_else(|| verdict(Class::Stopped, ""));
    }
    if let Some(told) = told {
        return told;
    }
    match (ended.code, ended.signal) {
        // etcd ends with 0 by itself only when it finds that it was removed (server.go, errorc).
        (Some(0), _) => verdict(Class::Removed, "etcd ended by itself without an error"),
        (Some(2), _) if !panicked(&ended.tail) => verdict(Class::WrongFlags, &last_line(&ended.tail)),
        _ => verdict(Class::Crashed, &last_line(&ended.tail)),
    }
}

fn panicked(tail: &[String]) -> bool {
    tail.iter().any(|line| line.starts_with("panic:") || line.starts_with("goroutine "))
}

/// The last line that a person would point at.
fn last_line(tail: &[String]) -> String {
    let telling = |line: &&String| {
        line.starts_with("panic:") || line.contains(r#""level":"fatal""#) || line.contains(r#""level":"panic""#)
    };
    tail.iter()
        .rev()
        .find(telling)
        .or_else(|| tail.iter().rev().find(|l| !l.trim().is_empty()))
        .map(|l| said(l))
        .unwrap_or_default()
}

/// The message and error of one of etcd's JSON lines, or the line as it is.
fn said(line: &str) -> String {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(line) else { return line.trim().to_owned() };
    let field = |name: &str| json.get(name).and_then(|v| v.as_str());
    match (field("msg"), field("error")) {
        (Some(msg), Some(error)) => format!("{msg}: {error}"),
        (Some(msg), None) => msg.to_owned(),
        (None, _) => line.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: Option<i32>, signal: Option<i32>, tail: &[&str]) -> Ended {
        Ended { code, signal, ordered: false, out_of_memory: false, tail: tail.iter().map(|s| (*s).into()).collect() }
    }

    #[test]
    fn memory_is_told_from_a_kill() {
        let killed = ended(None, Some(9), &[]);
        assert_eq!(classify(&killed).class, Class::Killed);
        assert_eq!(classify(&Ended { out_of_memory: true, ..killed }).class, Class::OutOfMemory);
    }

    #[test]
    fn a_refused_flag_is_named() {
        let verdict = classify(&ended(
            Some(1),
            None,
            &[
                r#"{"level":"warn","caller":"etcdmain/etcd.go:75","msg":"failed to verify flags","error":"flag provided but not defined: -bogus"}"#,
            ],
        ));
        assert_eq!(verdict.class, Class::WrongFlags);
        assert_eq!(verdict.line, "failed to verify flags: flag provided but not defined: -bogus");
    }

    #[test]
    fn a_full_disk_wins_over_the_panic_that_follows_it() {
        let tail = [
            "write /var/lib/etcd/data/member/wal/1.tmp: no space left on device",
            "panic: failed",
            "goroutine 1 [running]:",
        ];
        assert_eq!(classify(&ended(Some(2), None, &tail)).class, Class::DiskFull);
    }

    #[test]
    fn a_panic_is_no_flag_error() {
        let verdict = classify(&ended(Some(2), None, &["panic: index out of bounds", "goroutine 1 [running]:"]));
        assert_eq!((verdict.class, verdict.line.as_str()), (Class::Crashed, "panic: index out of bounds"));
    }

    #[test]
    fn zero_without_an_order_means_removed() {
        assert_eq!(classify(&ended(Some(0), None, &[])).class, Class::Removed);
        assert_eq!(classify(&Ended { ordered: true, ..ended(Some(0), None, &[]) }).class, Class::Stopped);
    }
}
