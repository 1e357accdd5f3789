//! One GET, timed: probes are asked as kubelet asks them, with a connection each.

use anyhow::{Context, Result};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than any probe may take.
const PATIENCE: Duration = Duration::from_secs(6);

/// An answer and how long it took.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub body: String,
    pub took: Duration,
}

/// Asks `http://IP:PORT/PATH`.
///
/// # Errors
/// When nobody answers in the time a probe may take.
pub async fn get(ip: &str, port: u16, path: &str) -> Result<Reply> {
    let started = Instant::now();
    let answer = timeout(PATIENCE, ask(ip, port, path)).await;
    let answer = answer
        .map_err(|_| anyhow::anyhow!("no answer in {PATIENCE:?}"))
        .flatten()
        .with_context(|| format!("GET http://{ip}:{port}{path}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head and a body")?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).context("an answer has a status")?;
    Ok(Reply { status, body: body.to_owned(), took: started.elapsed() })
}

async fn ask(ip: &str, port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect((ip, port)).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {ip}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
