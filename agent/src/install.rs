//! `install`: puts the agent's own binary, and a hosts file, where the etcd container finds them.
//!
//! Runs as the agent container's postStart hook, which kubelet finishes before it starts the etcd container. After a
//! failed hook kubelet starts etcd all the same and both containers fall into back-off, so it retries inside a bound.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use etcd_operator_shared::names::HOSTS_FILE;

use crate::volume::store::write_durably;

/// Name of the binary in the shared directory.
const BINARY: &str = "etcd-agent";
/// How long the hook tries. An emptyDir takes 10 MB in some milliseconds; a node under pressure may need a few tries.
const BOUND: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Copies what is needed into `shared`.
///
/// # Errors
/// The last failure, once the bound has passed.
pub fn run(shared: &Path) -> io::Result<()> {
    let until = Instant::now() + BOUND;
    loop {
        match place(shared) {
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => thread::sleep(PAUSE),
            Ok(()) => return Ok(()),
        }
    }
}

fn place(shared: &Path) -> io::Result<()> {
    let beside = shared.join("etcd-agent.new");
    fs::copy("/proc/self/exe", &beside)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755))?;
    fs::File::open(&beside)?.sync_all()?;
    fs::rename(&beside, shared.join(BINARY))?;
    fs::File::open(shared)?.sync_all()?;
    place_hosts(shared)
}

/// Mounted over the etcd container's /etc/hosts, so it must exist before that container does, and must stay the same
/// file: the mount holds the inode. While the agent's image cannot be pulled kubelet tries the etcd container all the
/// same, and makes what it does not find as a directory: that one is in nobody's use.
fn place_hosts(shared: &Path) -> io::Result<()> {
    let hosts = shared.join(HOSTS_FILE);
    match fs::metadata(&hosts) {
        Ok(found) if found.is_dir() => fs::remove_dir(&hosts)?,
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    write_durably(shared, HOSTS_FILE, &fs::read("/etc/hosts").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_kubelet_made_gives_way_to_the_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(HOSTS_FILE)).unwrap();
        run(dir.path()).unwrap();
        assert!(dir.path().join(HOSTS_FILE).is_file());
    }

    #[test]
    fn a_second_install_keeps_the_hosts_file_that_is_mounted() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path()).unwrap();
        fs::write(dir.path().join(HOSTS_FILE), "127.0.0.1 changed\n").unwrap();
        run(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(HOSTS_FILE)).unwrap(), "127.0.0.1 changed\n");
        assert!(dir.path().join(BINARY).metadata().unwrap().permissions().mode() & 0o111 != 0);
    }
}
