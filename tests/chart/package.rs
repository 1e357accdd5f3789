//! Claim: the chart passes Helm's lint, is whole when it is packed, and fits into the Secret that Helm keeps a release in.

use crate::render::{NAMESPACE, helm, objects, rendered};
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::process::{Command, Stdio};
use testbed::helm::CHART;

/// A Secret holds no more than 1 MiB, and Helm's releases only grow.
const LIMIT: usize = (1 << 20) / 2;

#[tokio::test]
async fn it_passes_helms_lint() -> Result<()> {
    helm().await?.run(&["lint", "--strict", CHART]).await.map(drop)
}

#[tokio::test]
async fn it_is_whole_when_it_is_packed() -> Result<()> {
    let (helm, folder) = (helm().await?, tempfile::tempdir()?);
    let into = folder.path().to_str().context("a path in UTF-8")?;
    helm.run(&["package", CHART, "--destination", into]).await?;
    let packed = format!("{into}/etcd-operator-{}.tgz", env!("CARGO_PKG_VERSION"));
    let told = helm.run(&["show", "readme", &packed]).await?;
    ensure!(told.contains("--take-ownership"), "its README says {told}");
    let made = helm.run(&["template", "etcd-operator", &packed, "--namespace", NAMESPACE]).await?;
    ensure!(objects(&made)? == rendered(&[]).await?, "it is another chart when it is packed");
    Ok(())
}

/// Helm keeps a release as JSON, chart and objects, compressed and then in base64: `pkg/storage/driver/util.go`.
#[tokio::test]
async fn a_release_fits_into_its_secret() -> Result<()> {
    let args = ["install", "etcd-operator", CHART, "--namespace", NAMESPACE, "--dry-run=client", "--output", "json"];
    let release = helm().await?.run(&args).await?;
    ensure!(release.contains("\"templates\""), "the chart is not in it");
    let mut gzip = Command::new("gzip").arg("-9").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = gzip.stdin.take().context("gzip has a stdin")?;
    let feed = std::thread::spawn(move || stdin.write_all(release.as_bytes()));
    let length = gzip.wait_with_output()?.stdout.len().div_ceil(3) * 4;
    feed.join().map_err(|_| anyhow::anyhow!("the thread panicked"))??;
    println!("a release is a Secret of {length} bytes");
    ensure!((1000..LIMIT).contains(&length), "a release is a Secret of {length} bytes");
    Ok(())
}
