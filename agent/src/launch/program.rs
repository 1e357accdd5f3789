//! The image's own programs, started with an environment of our choosing.
//!
//! etcd reads each of its flags from the environment too, where no list of refused flags looks: `ETCD_FORCE_NEW_CLUSTER`
//! makes one member a cluster of its own, and with `ETCD_CONFIG_FILE` etcd ignores its command line altogether. Go's runtime
//! and its HTTP client read theirs: a proxy would get the members' own traffic. So nothing of what the image, a webhook or a person puts into the
//! container's environment is handed on; PATH serves to find the program and goes no further.
//!
//! Source: etcd `server/etcdmain/config.go`, `parse`, and `client/pkg/transport/transport.go`, `NewTransport`.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{limits::Limits, threads};

/// Looked through after PATH, which others may have changed: the official image, then Bitnami's.
const USUAL: [&str; 4] = ["/usr/local/bin", "/opt/bitnami/etcd/bin", "/usr/bin", "/bin"];

/// How long the image's etcd may take to say which version it is. Measured: 20 ms, and as much again from a cold disk.
/// Another program that goes by its name must not keep the launcher from its work.
const SAYS_WITHIN: Duration = Duration::from_secs(2);

/// The version that the image's etcd says it is, such as `3.5.21`; `None` where it says none, or not in time.
#[must_use]
pub fn version(path: Option<&OsStr>, limits: Limits) -> Option<String> {
    let mut etcd = command("etcd", &["--version".into()], path, limits).ok()?;
    let child = etcd.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let output = output(child)?;
    version_in(&String::from_utf8_lossy(&output.stdout)).map(ToOwned::to_owned)
}

/// What it has written once it has ended; it is ended where that takes too long.
fn output(child: Child) -> Option<Output> {
    let pid = Pid::from_raw(i32::try_from(child.id()).ok()?);
    let (tx, rx) = mpsc::channel();
    // Nobody listens any more once it took too long.
    let awaits = threads::spawn("version", move || drop(tx.send(child.wait_with_output())));
    let said = awaits.ok().and_then(|()| rx.recv_timeout(SAYS_WITHIN).ok());
    if said.is_none() {
        // Another may hold its output open by now: what is left of it says nothing.
        let _ = kill(pid, Signal::SIGKILL);
    }
    said?.ok()
}

/// The version in what `etcd --version` writes.
#[must_use]
pub fn version_in(said: &str) -> Option<&str> {
    said.lines().find_map(|line| line.strip_prefix("etcd Version: ")).map(str::trim)
}

/// A command that runs a program of the image with these arguments, the environment of [`environment`] and nothing else.
///
/// # Errors
/// When the image has no such program.
pub fn command(name: &str, args: &[String], path: Option<&OsStr>, limits: Limits) -> io::Result<Command> {
    let mut command = Command::new(find(name, path)?);
    command.args(args).env_clear().envs(environment(limits));
    Ok(command)
}

/// All that a program of the image finds in its environment: how much of the container its Go runtime may use. Without a limit
/// the runtime knows best itself.
#[must_use]
pub fn environment(limits: Limits) -> Vec<(&'static str, String)> {
    let Limits { memory, processors } = limits;
    // The rest is for what the runtime does not count: the database's pages, the launcher.
    let memory = memory.map(|bytes| ("GOMEMLIMIT", (bytes / 10 * 9).to_string()));
    let processors = processors.map(|n| ("GOMAXPROCS", n.to_string()));
    memory.into_iter().chain(processors).collect()
}

/// The first executable file of this name. Relative folders are passed over: what lies where the container happens to
/// stand is not the image's.
fn find(name: &str, path: Option<&OsStr>) -> io::Result<PathBuf> {
    let named = path.into_iter().flat_map(env::split_paths);
    let mut places = named.chain(USUAL.map(PathBuf::from)).filter(|folder| folder.is_absolute());
    let found = places.find_map(|folder| Some(folder.join(name)).filter(|file| is_executable(file)));
    let missing = || {
        let path = path.unwrap_or_default().to_string_lossy();
        io::Error::new(io::ErrorKind::NotFound, format!("the image has no {name} in its PATH ({path})"))
    };
    found.ok_or_else(missing)
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const LIMITED: Limits = Limits { memory: Some(1_000), processors: Some(2) };

    /// An image whose `etcd` prints its environment and its arguments.
    fn image(folder: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(folder);
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("etcd");
        fs::write(&file, "#!/bin/sh\nenv\necho \"args: $*\"\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        (dir, folder)
    }

    #[test]
    fn nothing_of_the_containers_environment_reaches_etcd() {
        let (_dir, folder) = image("opt/bitnami/etcd/bin");
        let mut command = command("etcd", &["--name=demo-0".into()], Some(folder.as_os_str()), LIMITED).unwrap();
        // This process has an environment, as every process of a container does.
        assert!(env::vars_os().any(|(name, _)| name == "HOME" || name == "PATH"));
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        // What a shell sets by itself: PWD, SHLVL, _ (the program just run), and PATH where it has a default of its own.
        let own = ["PWD=", "SHLVL=", "_=", "OLDPWD="];
        let mut rest: Vec<&str> = said.lines().filter(|line| !own.iter().any(|name| line.starts_with(name))).collect();
        rest.sort_unstable();
        assert_eq!(rest, ["GOMAXPROCS=2", "GOMEMLIMIT=900", "args: --name=demo-0"]);
    }

    #[test]
    fn without_limits_the_runtime_is_told_nothing() {
        assert_eq!(environment(Limits::default()), vec![]);
    }

    #[test]
    fn etcd_is_found_wherever_the_image_keeps_it_but_not_where_it_merely_stands() {
        let (_dir, folder) = image("opt/bitnami/etcd/bin");
        let path = env::join_paths([Path::new("."), Path::new("/nowhere"), &folder]).unwrap();
        assert_eq!(find("etcd", Some(&path)).unwrap(), folder.join("etcd"));
        // The same folder, as seen from where the process stands.
        let up: PathBuf = env::current_dir().unwrap().components().skip(1).map(|_| "..").collect();
        let relative = up.join(folder.strip_prefix("/").unwrap());
        assert!(relative.join("etcd").exists());
        assert_ne!(find("etcd", Some(relative.as_os_str())).ok(), Some(relative.join("etcd")));
        let relative = env::join_paths([Path::new("bin")]).unwrap();
        assert!(find("no-such-program", Some(&relative)).unwrap_err().to_string().contains("PATH (bin)"));
        assert!(find("sh", None).is_ok(), "a PATH that others took away is made up for");
    }

    /// What is heard of the version of an image whose `etcd` is this script.
    fn heard(script: &str) -> Option<String> {
        let (_dir, folder) = image("bin");
        fs::write(folder.join("etcd"), format!("#!/bin/sh\n{script}\n")).unwrap();
        version(Some(folder.as_os_str()), Limits::default())
    }

    #[test]
    fn the_images_etcd_says_which_version_it_is_and_nobody_waits_long_for_it() {
        let real = "echo 'etcd Version: 3.6.16'; echo 'Git SHA: x'; echo 'Go Version: go1.24'";
        assert_eq!(heard(real).as_deref(), Some("3.6.16"));
        for other in ["echo busybox", "exit 1", "exec sleep 60"] {
            let began = Instant::now();
            assert_eq!(heard(other), None, "{other}");
            assert!(began.elapsed() < Duration::from_secs(20), "{other}");
        }
        assert_eq!(version(Some(OsStr::new("/nowhere")), Limits::default()), None);
    }

    #[test]
    fn a_folder_or_a_plain_file_is_no_program() {
        let (_dir, folder) = image("bin");
        fs::create_dir(folder.join("etcdutl")).unwrap();
        fs::write(folder.join("etcdctl"), "").unwrap();
        for name in ["etcdutl", "etcdctl"] {
            assert!(!is_executable(&folder.join(name)), "{name}");
        }
    }
}
