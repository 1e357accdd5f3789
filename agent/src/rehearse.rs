//! `rehearse`: starts the wanted etcd with the wanted flags as a member of a cluster of its own on loopback, and ends.
//! It runs in a throw-away pod, before a member that serves is given up for one with this image and these flags.
//!
//! ```text
//!   image ─▶ etcd --version ─▶ is it the wanted one? ─▶ etcd with all flags ─▶ /health answers ─▶ stopped, exit 0
//!                                └────────────── one sentence into the termination message, exit 1 ◀──────┘
//! ```

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use etcd_operator_shared::{names, version::Version};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use thiserror::Error;

use crate::{
    args::Rehearse,
    etcd::flags::{self, Entry, Tls, Whose},
    launch::{
        limits::{CGROUP, Limits},
        output::{Tail, pass},
        program,
    },
    plan::exit::{Class, Ended, classify},
};

/// Where kubelet looks for a container's last words.
const LAST_WORDS: &str = "/dev/termination-log";
/// Where the throw-away data goes, on what stands for the volume.
const DATA: &str = "rehearsal";
/// An empty member serves within a second; a processor may be shared by many.
const SERVES: Duration = Duration::from_secs(60);
/// etcd ends within eight seconds of SIGTERM.
const ENDS: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(50);
/// A question on loopback is answered at once or not at all.
const ANSWER: Duration = Duration::from_secs(1);
/// `exec` of a file that is for another processor. Source: `errno-base.h`.
const ENOEXEC: i32 = 8;

/// Why a member with this image and these flags could not work.
#[derive(Debug, Error)]
pub enum Failure {
    #[error("etcd cannot be started: {0}")]
    NoEtcd(io::Error),
    #[error("the image's etcd is not for this node's processor ({})", std::env::consts::ARCH)]
    OtherProcessor,
    #[error("the image holds etcd {found}, and {wanted} is wanted")]
    OtherVersion { found: String, wanted: Version },
    #[error("the image's etcd does not say which version it is: {0}")]
    NoVersion(String),
    #[error("etcd refuses its flags: {0}")]
    Refused(String),
    #[error("etcd ends at once: {0}")]
    Ends(String),
    #[error("etcd does not serve within {} s of its start", SERVES.as_secs())]
    Silent,
    #[error("etcd cannot be watched: {0}")]
    Unwatched(#[from] io::Error),
}

/// Rehearses, and leaves a failure where kubelet finds it.
///
/// # Errors
/// When a member could not work.
pub fn run(wanted: &Rehearse, path: Option<&OsStr>) -> Result<(), Failure> {
    let health = SocketAddr::from((Ipv4Addr::LOCALHOST, names::PORT_METRICS));
    let outcome = rehearse(wanted, path, health);
    if let Err(failure) = &outcome {
        // Without the file the exit code still says that it failed.
        let _ = fs::write(LAST_WORDS, failure.to_string());
    }
    outcome
}

fn rehearse(wanted: &Rehearse, path: Option<&OsStr>, health: SocketAddr) -> Result<(), Failure> {
    is_wanted(wanted.version, path)?;
    let member = names::member(&wanted.cluster, 0);
    let whose = Whose {
        namespace: &wanted.namespace,
        cluster: &wanted.cluster,
        member: &member,
        version: wanted.version,
        data_dir: &wanted.volume.join(DATA),
        listen: "127.0.0.1",
        // Certificates are for members, and this is none.
        tls: Tls::default(),
    };
    let founder = std::slice::from_ref(&member);
    let args = flags::arguments(&whose, &wanted.options, &Entry::New { members: founder, token: DATA });
    let mut etcd = program::command("etcd", &args, path, limits()).map_err(Failure::NoEtcd)?;
    let mut child =
        etcd.stdin(Stdio::null()).stdout(Stdio::inherit()).stderr(Stdio::piped()).spawn().map_err(started)?;
    let tail = Tail::default();
    let output = child.stderr.take().map(|stderr| pass(stderr, io::stderr(), tail.clone())).transpose()?;
    let ended = wait(&mut child, health)?;
    let stopped = stop(&mut child)?;
    // All that it said is there once its output has ended.
    output.map(thread::JoinHandle::join);
    match ended {
        End::Serves => Ok(()),
        End::Silent => Err(Failure::Silent),
        End::Ended => Err(meaning(stopped, &tail)),
    }
}

/// Whether the image has the version that its members are to run.
fn is_wanted(wanted: Version, path: Option<&OsStr>) -> Result<(), Failure> {
    let mut etcd = program::command("etcd", &["--version".into()], path, limits()).map_err(Failure::NoEtcd)?;
    let output = etcd.stdin(Stdio::null()).output().map_err(started)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let Some(found) = program::version_in(&said) else {
        let first = said.lines().next().unwrap_or_default();
        return Err(Failure::NoVersion(first.to_owned()));
    };
    if found.parse().ok() == Some(wanted) {
        return Ok(());
    }
    Err(Failure::OtherVersion { found: format!("v{found}"), wanted })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Serves,
    Silent,
    Ended,
}

/// Waits until it serves or has ended.
fn wait(child: &mut Child, health: SocketAddr) -> io::Result<End> {
    let began = Instant::now();
    while began.elapsed() < SERVES {
        if child.try_wait()?.is_some() {
            return Ok(End::Ended);
        }
        if serves(health) {
            return Ok(End::Serves);
        }
        thread::sleep(PAUSE);
    }
    Ok(End::Silent)
}

/// Whether etcd says that it serves.
fn serves(health: SocketAddr) -> bool {
    let asked = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&health, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        io::Write::write_all(&mut stream, b"GET /health HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer)
    };
    asked().is_ok_and(|answer| answer.contains(" 200 "))
}

/// Ends it, if it has not ended; how it has.
fn stop(child: &mut Child) -> io::Result<ExitStatus> {
    let asked = Instant::now();
    if child.try_wait()?.is_none() {
        // It is there: its end has not been waited for.
        let _ = kill(Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?), Signal::SIGTERM);
    }
    while asked.elapsed() < ENDS {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(PAUSE);
    }
    child.kill()?;
    child.wait()
}

fn meaning(status: ExitStatus, tail: &Tail) -> Failure {
    let ended = Ended {
        code: status.code(),
        signal: status.signal(),
        ordered: false,
        out_of_memory: false,
        tail: tail.lines(),
    };
    let verdict = classify(&ended);
    let line = if verdict.line.is_empty() { status.to_string() } else { verdict.line };
    match verdict.class {
        Class::WrongFlags => Failure::Refused(line),
        Class::Stopped
        | Class::Removed
        | Class::OutOfMemory
        | Class::Killed
        | Class::DiskFull
        | Class::CorruptWal
        | Class::CorruptDatabase
        | Class::AddressInUse
        | Class::Crashed => Failure::Ends(line),
    }
}

fn started(error: io::Error) -> Failure {
    if error.raw_os_error() == Some(ENOEXEC) { Failure::OtherProcessor } else { Failure::NoEtcd(error) }
}

pub(crate) fn limits() -> Limits {
    Limits::read(Path::new(CGROUP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use etcd_operator_shared::{api::EtcdOptions, validate};
    use std::os::unix::fs::PermissionsExt;

    /// What is said of an image whose `etcd` is this file, where v3.5.21 is wanted.
    fn said(etcd: Option<&[u8]>) -> String {
        let dir = tempfile::tempdir().unwrap();
        if let Some(content) = etcd {
            let file = dir.path().join("etcd");
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let wanted = Rehearse {
            namespace: "ns".into(),
            cluster: "demo".into(),
            version: "v3.5.21".parse().unwrap(),
            options: validate::options(&EtcdOptions::default()).unwrap(),
            volume: dir.path().into(),
        };
        // Nobody answers at this port.
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        rehearse(&wanted, Some(dir.path().as_os_str()), nobody).unwrap_err().to_string()
    }

    /// An etcd that says this version, and otherwise does this.
    fn etcd(version: &str, otherwise: &str) -> Vec<u8> {
        format!("#!/bin/sh\n[ $# = 1 ] && {{ echo 'etcd Version: {version}'; exit; }}\n{otherwise}\n").into_bytes()
    }

    #[test]
    fn an_image_with_another_version_than_its_tag_says_is_told() {
        assert_eq!(said(Some(&etcd("3.5.20", ""))), "the image holds etcd v3.5.20, and v3.5.21 is wanted");
        assert_eq!(said(Some(&etcd("4.0.0-rc.1", ""))), "the image holds etcd v4.0.0-rc.1, and v3.5.21 is wanted");
        assert!(said(Some(b"#!/bin/sh\necho busybox\n")).ends_with("which version it is: busybox"));
    }

    #[test]
    fn a_file_for_another_processor_is_told_as_such() {
        // The head of an ELF file for a machine that nobody has.
        let foreign = [b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xff\xfe\x01\0\0\0".as_slice(), &[0; 64]].concat();
        assert!(said(Some(&foreign)).contains("not for this node's processor"), "{}", said(Some(&foreign)));
    }

    #[test]
    fn what_etcd_says_of_its_flags_is_told() {
        let refuses = "echo 'flag provided but not defined: -bogus' >&2; echo 'Usage:' >&2; exit 2";
        assert_eq!(
            said(Some(&etcd("3.5.21", refuses))),
            "etcd refuses its flags: flag provided but not defined: -bogus"
        );
        assert_eq!(said(Some(&etcd("3.5.21", "exit 7"))), "etcd ends at once: exit status: 7");
        let panics = r#"echo '{"level":"fatal","msg":"failed to start","error":"no way"}' >&2; exit 1"#;
        assert_eq!(said(Some(&etcd("3.5.21", panics))), "etcd ends at once: failed to start: no way");
    }
}
