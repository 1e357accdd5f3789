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

    fn is_corruption(self) -> bool {
        match self {
            Self::CorruptWal | Self::CorruptDatabase => true,
            Self::Stopped
            | Self::Removed
            | Self::OutOfMemory
            | Self::Killed
            | Self::DiskFull
            | Self::WrongFlags
            | Self::AddressInUse
            | Self::Crashed => false,
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

/// etcd's own words, all on one line; first match wins. Seen from 3.5.21, 3.6.16 and 3.7.3, but the WAL that cannot be repaired,
/// the log out of range and the checksum of a page, which are from etcd's and bbolt's sources.
const WORDS: [(&[&str], Class); 11] = [
    (&["no space left on device"], Class::DiskFull),
    (&["the member has been permanently removed from the cluster"], Class::Removed),
    (&["data-dir used by this member must be removed"], Class::Removed),
    (&["crc mismatch"], Class::CorruptWal),
    (&["failed to read WAL, cannot be repaired"], Class::CorruptWal),
    (&["is out of range [lastIndex"], Class::CorruptWal),
    (&["failed to open database", "invalid database"], Class::CorruptDatabase),
    (&["failed to open database", "checksum error"], Class::CorruptDatabase),
    (&["failed to open database", "file size too small"], Class::CorruptDatabase),
    (&["database file is corrupted"], Class::CorruptDatabase),
    (&["address already in use"], Class::AddressInUse),
];

/// The system's words for a disk that cannot be read now. What is on it may be whole: an etcd that ended with them says nothing
/// of its data.
const UNREADABLE: [&str; 4] =
    ["input/output error", "permission denied", "read-only file system", "stale NFS file handle"];

/// How the lines begin with which etcd and Go's flag package refuse a command line. Later in a run the same words can stand in
/// anybody's error. Source: Go `flag/flag.go`; etcd `server/etcdmain/{config,etcd}.go`.
const REFUSALS: [&str; 6] = [
    "flag provided but not defined: ",
    "flag needs an argument: ",
    "bad flag syntax: ",
    "invalid value ",
    "invalid boolean value ",
    "panic: unrecognized level: ",
];

/// Longest telling line that is kept, in characters.
const LINE: usize = 300;

/// Reads an exit. A signal is weighed before words, because a killed process could not say why.
#[must_use]
pub fn classify(ended: &Ended) -> Verdict {
    const SIGKILL: i32 = 9;
    let verdict = |class, line: &str| Verdict { class, line: cut(line) };
    if ended.signal == Some(SIGKILL) {
        return if ended.out_of_memory {
            verdict(Class::OutOfMemory, "killed by the kernel: the container's memory limit was reached")
        } else if ended.ordered {
            verdict(Class::Stopped, "was asked to stop and was killed, on purpose or as it took too long")
        } else {
            verdict(Class::Killed, "killed by signal 9")
        };
    }
    let told = told(&ended.tail);
    if ended.ordered {
        return told.filter(|v| v.class == Class::Removed).unwrap_or_else(|| verdict(Class::Stopped, ""));
    }
    if let Some(refused) = refused(ended) {
        return verdict(Class::WrongFlags, &said(refused));
    }
    if let Some(told) = told {
        return told;
    }
    match (ended.code, ended.signal) {
        // etcd ends with 0 by itself only when it finds that it was removed (server.go, errorc).
        (Some(0), _) => verdict(Class::Removed, "etcd ended by itself without an error"),
        _ => verdict(Class::Crashed, &last_line(&ended.tail)),
    }
}

fn told(tail: &[String]) -> Option<Verdict> {
    let unreadable = tail.iter().any(|line| is_last_word(line) && UNREADABLE.iter().any(|words| line.contains(words)));
    // A member that hears of another's bad checksum goes on: only what it ends with speaks of its own data.
    let speaks = |class: &Class, line: &str| !class.is_corruption() || (is_last_word(line) && !unreadable);
    WORDS.iter().find_map(|(words, class)| {
        let says = |line: &&String| words.iter().all(|words| line.contains(words)) && speaks(class, line);
        let line = tail.iter().rev().find(says)?;
        Some(Verdict { class: *class, line: cut(&said(line)) })
    })
}

/// The line with which etcd refused its flags: the first of a run that was over at once, or a line of its log that says so.
/// With `--version` or `--help` it runs nothing either, and ends with 0.
fn refused(ended: &Ended) -> Option<&str> {
    let first = ended.tail.first()?;
    let usage = ended.tail.get(1).is_some_and(|line| line.starts_with("Usage:"));
    let refuses = usage || REFUSALS.iter().any(|words| first.starts_with(words));
    // Help is longer than what is kept of it; every log line is JSON.
    let answers = !ended.tail.iter().any(|line| line.starts_with('{'));
    match ended.code {
        Some(2) if refuses => Some(first),
        Some(0) if answers => Some(first),
        Some(1) => {
            ended.tail.iter().find(|line| line.contains(r#""msg":"failed to verify flags""#)).map(String::as_str)
        }
        Some(_) | None => None,
    }
}

fn cut(line: &str) -> String {
    line.chars().take(LINE).collect()
}

/// The last line that a person would point at.
fn last_line(tail: &[String]) -> String {
    tail.iter()
        .rev()
        .find(|line| is_last_word(line))
        .or_else(|| tail.iter().rev().find(|l| !l.trim().is_empty()))
        .map(|l| said(l))
        .unwrap_or_default()
}

/// A line after which etcd ends.
fn is_last_word(line: &str) -> bool {
    line.starts_with("panic:") || line.contains(r#""level":"fatal""#) || line.contains(r#""level":"panic""#)
}

/// The message and error of one of etcd's JSON lines, or the line as it is.
fn said(line: &str) -> String {
    // A line that was cut to be kept lacks the end of its stack.
    let line = line.split(r#","stacktrace":"#).next().unwrap_or(line);
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let Some(json) = parse(line).or_else(|| parse(&format!("{line}}}"))) else { return line.trim().to_owned() };
    let field = |name: &str| json.get(name).and_then(|v| v.as_str());
    match (field("msg"), field("error")) {
        (Some(msg), Some(error)) => format!("{msg}: {error}"),
        (Some(msg), None) => msg.to_owned(),
        (None, _) => line.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests;
