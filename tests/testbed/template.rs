//! A containerd with the stock images unpacked, kept in the cache: a node of the next boot gets hard links to it in
//! milliseconds, where importing would take each node seconds.
//!
//! Sharing is safe because layers and blobs are never written once they are unpacked; only the two databases are, and
//! those are copied.

use crate::command::{call, run};
use crate::image;
use crate::lock::Lock;
use crate::toolchain;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Containerd's databases, below its root.
const DATABASES: [&str; 2] =
    ["io.containerd.metadata.v1.bolt/meta.db", "io.containerd.snapshotter.v1.overlayfs/metadata.db"];
const PLUGINS_NOT_NEEDED: &str = r#"disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp",
]"#;

/// The template with exactly these archives, made if the cache lacks it; older ones are dropped.
///
/// # Errors
/// When containerd does not import them.
pub fn ready(archives: &[PathBuf]) -> Result<PathBuf> {
    let names: Vec<String> = archives.iter().map(|archive| archive.display().to_string()).collect();
    let version = call("containerd --version")?;
    let digest = ring::digest::digest(&ring::digest::SHA256, format!("{version}{}", names.join("\0")).as_bytes());
    let folder = toolchain::cache()?.join("images/containerd");
    let template = folder.join(toolchain::short_hex(digest.as_ref()));
    let _lock = Lock::take(&toolchain::cache()?.join("images/containerd.lock"), || ())?;
    if !template.exists() {
        let _ = fs::remove_dir_all(&folder);
        let draft = folder.join("draft");
        fs::create_dir_all(&draft)?;
        fill(&draft, archives).context("unpack the stock images")?;
        fs::rename(&draft, &template)?;
    }
    Ok(template)
}

/// Makes `root` the root of a containerd that has the template's images.
///
/// # Errors
/// When files cannot be linked or copied.
pub fn plant(template: &Path, root: &Path) -> Result<()> {
    let copy = |how: &str| run(Command::new("cp").args(["--archive", how]).arg(template).arg(root));
    // Another filesystem than the cache's takes no links: then copies, if need be whole ones.
    if copy("--link").is_err() {
        let _ = fs::remove_dir_all(root);
        copy("--reflink=auto")?;
    }
    for database in DATABASES {
        fs::remove_file(root.join(database))?;
        fs::copy(template.join(database), root.join(database)).with_context(|| format!("copy {database}"))?;
    }
    Ok(())
}

/// Runs a containerd on `root` for as long as the imports take.
fn fill(root: &Path, archives: &[PathBuf]) -> Result<()> {
    let work = root.with_extension("work");
    fs::create_dir_all(&work)?;
    let socket = work.join("containerd.sock");
    let configuration = work.join("containerd.toml");
    let (state, shown) = (work.join("state"), root.display());
    let text = format!(
        "version = 2\nroot = \"{shown}\"\nstate = \"{}\"\n{PLUGINS_NOT_NEEDED}\n[grpc]\n  address = \"{}\"\n",
        state.display(),
        socket.display()
    );
    fs::write(&configuration, text)?;
    let mut containerd = Command::new("containerd")
        .arg("--config")
        .arg(&configuration)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(work.join("log"))?)
        .spawn()
        .context("start containerd")?;
    let imported = await_socket(&socket, &mut containerd)
        .and_then(|()| archives.iter().try_for_each(|archive| image::import(&socket, archive)));
    // Asked, not killed: its databases must be whole.
    let _ = call(&format!("kill -TERM {}", containerd.id()));
    containerd.wait()?;
    imported?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

fn await_socket(socket: &Path, containerd: &mut Child) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while UnixStream::connect(socket).is_err() {
        if let Some(status) = containerd.try_wait()? {
            bail!("containerd ended: {status}");
        }
        if Instant::now() > deadline {
            bail!("containerd does not answer");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
