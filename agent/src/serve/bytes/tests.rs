//! The server of bytes and the member that fetches them, with each other.

use std::{net::SocketAddr, sync::atomic::AtomicU64};

use rustls::{ClientConfig, SignatureScheme, client::ResolvesClientCert, pki_types::ServerName, sign::CertifiedKey};

use super::*;
use crate::{
    fetch::{FetchError, fetch},
    http::{self, HttpError},
    plan::start::Snapshot,
    tls::{
        Identity,
        check::tests::{Authority, authority, bundle},
        server,
    },
};

/// A file that is served, a folder to fetch it to, and what is wanted.
struct Stage {
    dir: tempfile::TempDir,
    wanted: Snapshot,
    shutdown: CancellationToken,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Stage {
    async fn new(content: &[u8], tls: Option<TlsAcceptor>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("snapshot.db");
        fs::write(&file, content).unwrap();
        let served = Arc::new(Served::of(&file, None).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let from = listener.local_addr().unwrap().to_string();
        let wanted = Snapshot { digest: served.digest.clone(), size: served.size, from, bump: 0 };
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(listener, served, tls, shutdown.clone()));
        Self { dir, wanted, shutdown }
    }

    async fn fetched(&self, wanted: &Snapshot, tls: Option<Arc<ClientConfig>>) -> Result<Vec<u8>, FetchError> {
        let (to, name) = (self.dir.path().join("fetched"), ServerName::try_from("anyone").unwrap());
        let _ = fs::remove_file(&to);
        fetch(wanted, &to, tls.map(|config| (config, name)), &AtomicU64::new(0)).await?;
        Ok(fs::read(to).unwrap())
    }
}

fn content() -> Vec<u8> {
    (0..3_000_000_u32).map(|n| (n % 251) as u8).collect()
}

fn member(authority: &Authority) -> Option<Arc<ClientConfig>> {
    Identity::of(&bundle(authority, 600), "demo", "ns").unwrap().anyone
}

/// Encrypted, for members of this authority.
fn encrypted(authority: &Authority) -> Option<TlsAcceptor> {
    let trust = bundle(authority, 600).issued.peer.unwrap().trust;
    Some(TlsAcceptor::from(server::config(&trust).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_members_get_the_very_bytes_while_another_reads_nothing() {
    let stage = Stage::new(&content(), None).await;
    let address: SocketAddr = stage.wanted.from.parse().unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    let ask = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", stage.wanted.digest);
    tokio::io::AsyncWriteExt::write_all(&mut idle, ask.as_bytes()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(stage.fetched(&stage.wanted, None).await.unwrap(), content());
    }
}

#[tokio::test]
async fn nothing_else_is_served() {
    let stage = Stage::new(b"bytes", None).await;
    let asked = async |path: &str| http::get(&stage.wanted.from, path, 100).await;
    for path in ["/", "/snapshot.db", "/../mark.json", "/0000"] {
        assert!(matches!(asked(path).await, Err(HttpError::Refused(StatusCode::NOT_FOUND))), "{path}");
    }
    assert_eq!(asked("/readyz").await.unwrap(), "ok");
    assert_eq!(asked(&format!("/{}", stage.wanted.digest)).await.unwrap(), "bytes");
}

#[test]
fn a_file_that_is_not_the_one_that_is_wanted_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("snapshot.db");
    assert!(matches!(Served::of(&file, None), Err(ServeError::Unreadable(..))));
    fs::write(&file, "abc").unwrap();
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(Served::of(&file, Some(digest)).unwrap().size, 3);
    assert!(matches!(Served::of(&file, Some("00")), Err(ServeError::Other { .. })));
}

#[tokio::test]
async fn bytes_that_are_not_the_wanted_ones_are_not_taken() {
    let stage = Stage::new(&content(), None).await;
    let longer = Snapshot { size: stage.wanted.size + 1, ..stage.wanted.clone() };
    assert!(matches!(stage.fetched(&longer, None).await, Err(FetchError::Other { .. })));
    let shorter = Snapshot { size: stage.wanted.size - 1, ..stage.wanted.clone() };
    assert!(matches!(stage.fetched(&shorter, None).await, Err(FetchError::TooLong { .. })));
    let other = Snapshot { digest: "00".repeat(32), ..stage.wanted.clone() };
    assert!(matches!(stage.fetched(&other, None).await, Err(FetchError::Refused { .. })));
    let nobody = Snapshot { from: "127.0.0.1:1".into(), ..stage.wanted.clone() };
    assert!(matches!(stage.fetched(&nobody, None).await, Err(FetchError::Unreachable { .. })));
}

#[tokio::test]
async fn a_server_that_lies_about_what_it_serves_is_found_out() {
    let stage = Stage::new(b"bytes", None).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let from = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother";
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
    });
    let lied = stage.fetched(&Snapshot { from, ..stage.wanted.clone() }, None).await;
    assert!(matches!(lied, Err(FetchError::Other { found: 5, .. })), "{lied:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_traffic_is_encrypted_only_members_get_the_bytes() {
    let (ours, theirs) = (authority(), authority());
    let stage = Stage::new(&content(), encrypted(&ours)).await;
    assert_eq!(stage.fetched(&stage.wanted, member(&ours)).await.unwrap(), content());
    assert!(stage.fetched(&stage.wanted, member(&theirs)).await.is_err(), "another cluster's member");
    assert!(stage.fetched(&stage.wanted, None).await.is_err(), "in the clear");
    let nobody = nobody();
    let refused = stage.fetched(&stage.wanted, Some(nobody)).await;
    assert!(matches!(refused, Err(FetchError::Refused { status: StatusCode::FORBIDDEN, .. })), "{refused:?}");
}

/// A client without a certificate.
fn nobody() -> Arc<ClientConfig> {
    let identity = Identity::of(&bundle(&authority(), 600), "demo", "ns").unwrap();
    let mut config = ClientConfig::clone(&identity.anyone.unwrap());
    config.client_auth_cert_resolver = Arc::new(Nothing);
    Arc::new(config)
}

/// Shows nothing.
#[derive(Debug)]
struct Nothing;

impl ResolvesClientCert for Nothing {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
