//! As little of S3 as shows that the store speaks it: one signed request a connection.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use super::{Keys, Store};
use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA256, Key, sign};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date";
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Asks for what stands at a path of a plain store, with these further headers.
pub async fn ask(store: &Store, keys: &Keys, verb: &str, path: &str, more: &str, body: &[u8]) -> Result<Answer> {
    let (head, host) = (head(store, keys, verb, path, body)?, store.address());
    let exchange = async {
        let mut stream = TcpStream::connect(host).await?;
        let size = body.len();
        stream.write_all(format!("{head}{more}content-length: {size}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
        stream.write_all(body).await?;
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = timeout(PATIENCE, exchange).await.context("the store does not answer")??;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("an answer has a head")?;
    let status = String::from_utf8_lossy(&answer[..end]).split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer { status: status.context("an answer has a status")?, body: answer[end + 4..].to_vec() })
}

fn head(store: &Store, keys: &Keys, verb: &str, path: &str, body: &[u8]) -> Result<String> {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let (day, time) = (now.strftime("%Y%m%d").to_string(), now.strftime("%Y%m%dT%H%M%SZ").to_string());
    let (host, hash) = (store.address(), hex(digest(&SHA256, body).as_ref()));
    let headers = format!("host:{host}\nx-amz-content-sha256:{hash}\nx-amz-date:{time}\n");
    let request = format!("{verb}\n{path}\n\n{headers}\n{SIGNED}\n{hash}");
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let wanted = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(digest(&SHA256, request.as_bytes()).as_ref()));
    let key = scope.split('/').fold(format!("AWS4{}", keys.secret).into_bytes(), |key, part| {
        sign(&Key::new(HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec()
    });
    let signature = hex(sign(&Key::new(HMAC_SHA256, &key), wanted.as_bytes()).as_ref());
    let credential = format!("{}/{scope}", keys.access);
    Ok(format!(
        "{verb} {path} HTTP/1.1\r\nhost: {host}\r\nx-amz-content-sha256: {hash}\r\nx-amz-date: {time}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={SIGNED}, Signature={signature}\r\n"
    ))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
