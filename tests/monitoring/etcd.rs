//! What each release of etcd tells of itself: one member alone, on loopback, for a moment.

use crate::names::{Known, known};
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use testbed::Progress;
use testbed::toolchain::{ETCD_VERSIONS, ETCDS};

/// A member alone is there within a second; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// By release. It is built if nobody has.
///
/// # Errors
/// When one cannot be built, or says nothing.
pub fn told() -> Result<Vec<(&'static str, Known)>> {
    ETCD_VERSIONS
        .into_iter()
        .zip(&ETCDS)
        .map(|(version, tool)| {
            let program = tool.ready(&Progress::start().follow(tool.name))?.join("etcd");
            let text = scrape(&mut Command::new(program)).with_context(|| format!("ask etcd {version}"))?;
            Ok((version, known(&text)))
        })
        .collect()
}

fn scrape(etcd: &mut Command) -> Result<String> {
    let (folder, [client, peer, metrics]) = (tempfile::tempdir()?, free()?);
    let (client, peer) = (format!("http://{client}"), format!("http://{peer}"));
    etcd.arg("--data-dir").arg(folder.path());
    etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client, "--listen-peer-urls", &peer]);
    etcd.args(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &format!("default={peer}")]);
    etcd.args(["--listen-metrics-urls", &format!("http://{metrics}")]).stdout(Stdio::null()).stderr(Stdio::null());
    let _running = Running(etcd.spawn()?);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match ask(metrics) {
            // It serves: all that it registers is there.
            Ok(text) if text.contains("\netcd_server_has_leader 1") => return Ok(text),
            Ok(_) | Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    bail!("it tells of no leader within {} s", PATIENCE.as_secs())
}

/// Ports that nobody has just now.
fn free() -> Result<[SocketAddr; 3]> {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut all = Vec::new();
    for listener in &held {
        all.push(listener.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?.local_addr()?);
    }
    all.try_into().ok().context("three ports")
}

fn ask(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
