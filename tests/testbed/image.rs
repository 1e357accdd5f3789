//! Images without a registry: buildah builds an archive, `ctr` imports it on every node.

use crate::command::{call, run};
use crate::layout::{Layout, Node};
use crate::lock::Lock;
use crate::progress::Progress;
use crate::toolchain;
use crate::worker::PAUSE_IMAGE;
use anyhow::{Context, Result, anyhow};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const ETCD_DOCKERFILE: &str = include_str!("../../images/etcd.Dockerfile");
const PAUSE_DOCKERFILE: &str = include_str!("../../images/pause.Dockerfile");

/// The name under which an etcd release is known to pods.
#[must_use]
pub fn etcd_image(version: &str) -> String {
    format!("quay.io/coreos/etcd:{version}")
}

/// The pause image: no pod starts without it.
///
/// # Errors
/// When buildah fails.
pub fn pause() -> Result<PathBuf> {
    let context = context_of("pause", &[Path::new("/usr/bin/catatonit")])?;
    build(PAUSE_DOCKERFILE, &context, PAUSE_IMAGE)
}

/// The image of an etcd release.
///
/// # Errors
/// When there is no such release, or it or its image cannot be built.
pub fn etcd(version: &str, progress: Progress) -> Result<PathBuf> {
    let tool = toolchain::etcd(version)?;
    let folder = tool.ready(&progress.follow(tool.name))?;
    build_keyed(ETCD_DOCKERFILE, &folder, &etcd_image(version), &folder.to_string_lossy())
}

/// Builds the image `name` and returns its archive, which stays in the cache and is made anew only when the
/// Dockerfile or a file of the context changes. Every file of the context counts, so let it hold only what the image
/// needs. Programs in a `FROM scratch` image need no `RUN`.
///
/// # Errors
/// When buildah fails.
pub fn build_image(dockerfile: &Path, context: &Path, name: &str) -> Result<PathBuf> {
    let dockerfile = fs::read_to_string(dockerfile).with_context(|| format!("read {}", dockerfile.display()))?;
    build(&dockerfile, context, name)
}

fn build(dockerfile: &str, context: &Path, name: &str) -> Result<PathBuf> {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    digest_folder(&mut digest, context).with_context(|| format!("read the context of {name}"))?;
    let key = toolchain::short_hex(digest.finish().as_ref());
    build_keyed(dockerfile, context, name, &key)
}

fn build_keyed(dockerfile: &str, context: &Path, name: &str, key: &str) -> Result<PathBuf> {
    let hash = ring::digest::digest(&ring::digest::SHA256, format!("{dockerfile}\0{key}").as_bytes());
    let folder = toolchain::cache()?.join("images");
    let stem = name.replace(['/', ':'], "_");
    let archive = folder.join(format!("{stem}-{}.tar", toolchain::short_hex(hash.as_ref())));
    let _lock = Lock::take(&folder.join(format!("{stem}.lock")), || ())?;
    if !archive.exists() {
        let work = folder.join(format!("{stem}.building"));
        let made = buildah(dockerfile, context, name, &work).and_then(|made| {
            forget_older(&folder, &stem);
            fs::rename(made, &archive).map_err(|error| anyhow!(error))
        });
        let _ = fs::remove_dir_all(&work);
        made.with_context(|| format!("build the image {name}"))?;
    }
    Ok(archive)
}

fn buildah(dockerfile: &str, context: &Path, name: &str, work: &Path) -> Result<PathBuf> {
    if work.exists() {
        fs::remove_dir_all(work)?;
    }
    fs::create_dir_all(work)?;
    fs::write(work.join("Dockerfile"), dockerfile)?;
    let buildah = || {
        let mut command = Command::new("buildah");
        command
            .args(["--storage-driver", "vfs", "--root"])
            .arg(work.join("root"))
            .arg("--runroot")
            .arg(work.join("run"));
        command
    };
    run(buildah()
        .args(["bud", "--isolation", "chroot", "--timestamp", "0", "-t", name, "-f"])
        .arg(work.join("Dockerfile"))
        .arg(context))?;
    let archive = work.join("image.tar");
    run(buildah().args(["push", "--quiet", name]).arg(format!("docker-archive:{}:{name}", archive.display())))?;
    Ok(archive)
}

/// Imports archives on `nodes`, in parallel, leaving out those a node has.
///
/// # Errors
/// When a node's containerd refuses or is down.
pub fn load(layout: &Layout, nodes: impl Iterator<Item = Node>, archives: &[PathBuf]) -> Result<()> {
    std::thread::scope(|scope| {
        let loading: Vec<_> = nodes.map(|node| scope.spawn(move || load_on(layout, node, archives))).collect();
        loading
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread that loads images panicked"))?)
    })
}

fn load_on(layout: &Layout, node: Node, archives: &[PathBuf]) -> Result<()> {
    for archive in archives {
        let mark = mark(layout, node, archive)?;
        if !mark.exists() {
            // Of two archives with one name the last is what the node has: whoever had loaded the other has to do it again.
            forget_marks(&mark, archive)?;
            import(&layout.containerd_socket(node), archive).with_context(|| format!("on {node}"))?;
            fs::write(&mark, "")?;
        }
    }
    Ok(())
}

/// Imports an archive into one containerd.
///
/// # Errors
/// When it refuses or is down.
pub fn import(socket: &Path, archive: &Path) -> Result<()> {
    let line = format!("ctr -a {} -n k8s.io images import {}", socket.display(), archive.display());
    call(&line).map(drop).with_context(|| format!("load {}", archive.display()))
}

/// Gives an image that the nodes have a second name, and one by its digest, which is returned.
///
/// # Errors
/// When a node lacks the image or is down.
pub fn name(layout: &Layout, nodes: impl Iterator<Item = Node>, image: &str, also: &str) -> Result<String> {
    let mut by_digest = None;
    for node in nodes {
        let ctr = |words: &str| {
            call(&format!("ctr -a {} -n k8s.io images {words}", layout.containerd_socket(node).display()))
        };
        let listed = ctr(&format!("ls name=={image}"))?;
        let digest = listed.split_whitespace().find(|word| word.starts_with("sha256:"));
        let digest = digest.with_context(|| format!("{node} lacks the image {image}"))?;
        let repository = image.rsplit_once(':').map_or(image, |(repository, _)| repository);
        let named = format!("{repository}@{digest}");
        ctr(&format!("tag --force {image} {also} {named}"))?;
        by_digest = Some(named);
    }
    by_digest.context("the testbed has nodes")
}

/// Notes that a node has these images, which it got with its template.
///
/// # Errors
/// When the note cannot be written.
pub fn note_loaded(layout: &Layout, node: Node, archives: &[PathBuf]) -> Result<()> {
    archives.iter().try_for_each(|archive| Ok(fs::write(mark(layout, node, archive)?, "")?))
}

/// The file that says that a node has this very archive.
fn mark(layout: &Layout, node: Node, archive: &Path) -> Result<PathBuf> {
    let file = fs::metadata(archive).with_context(|| format!("find the archive {}", archive.display()))?;
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let marks = layout.node(node).join("images");
    fs::create_dir_all(&marks)?;
    Ok(marks.join(format!("{name}-{}-{}-{}", file.len(), file.mtime(), file.mtime_nsec())))
}

/// Removes the marks of archives that are named like this one.
fn forget_marks(mark: &Path, archive: &Path) -> Result<()> {
    let name = format!("{}-", archive.file_name().unwrap_or_default().to_string_lossy());
    for entry in fs::read_dir(mark.parent().context("a mark lies in a folder")?)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// One archive a name is enough: the others are builds of the past.
fn forget_older(folder: &Path, stem: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name
            .strip_prefix(stem)
            .is_some_and(|rest| rest.starts_with('-') && rest.len() == "-0123456789abcdef.tar".len())
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A context folder in the cache with copies of `files`.
fn context_of(name: &str, files: &[&Path]) -> Result<PathBuf> {
    let folder = toolchain::cache()?.join("images").join(format!("{name}.context"));
    fs::create_dir_all(&folder)?;
    for file in files {
        fs::copy(file, folder.join(file.file_name().unwrap_or_default()))
            .with_context(|| format!("copy {}", file.display()))?;
    }
    Ok(folder)
}

fn digest_folder(digest: &mut ring::digest::Context, folder: &Path) -> Result<()> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        digest.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        if path.is_dir() {
            digest_folder(digest, &path)?;
        } else {
            digest.update(&fs::metadata(&path)?.mode().to_be_bytes());
            digest.update(&fs::read(&path)?);
        }
    }
    Ok(())
}
