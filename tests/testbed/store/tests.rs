use super::client::ask;
use super::*;
use std::net::Ipv4Addr;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn a_store_keeps_each_object_as_a_file_and_what_is_there_is_not_put_again() {
    let store = Store::start(HERE, Traffic::Plain).await.unwrap();
    let bucket = store.bucket("backups").unwrap();
    let put =
        async |path: &str, more: &str| ask(&store, &store.keys, "PUT", path, more, b"words").await.unwrap().status;
    assert_eq!(put("/backups/a/b.json", "").await, 200);
    assert_eq!(put("/backups/a/b.json", "if-none-match: *\r\n").await, 412);
    assert_eq!(put("/backups/a/c.json", "if-none-match: *\r\n").await, 200);
    assert_eq!(put("/nowhere/a", "").await, 404);
    assert_eq!(bucket.keys(""), ["a/b.json", "a/c.json"]);
    assert_eq!(bucket.keys("a/c"), ["a/c.json"]);

    let get = async |path: &str| ask(&store, &store.keys, "GET", path, "", b"").await.unwrap().body;
    bucket.flip("a/b.json").unwrap();
    assert_eq!(get("/backups/a/b.json").await, b"wosds");
    bucket.write("a/d.json", b"by hand").unwrap();
    assert_eq!(get("/backups/a/d.json").await, b"by hand");
    assert_eq!(ask(&store, &store.keys, "DELETE", "/backups/a/c.json", "", b"").await.unwrap().status, 204);
    assert_eq!(bucket.keys(""), ["a/b.json", "a/d.json"]);
}

#[tokio::test]
async fn who_has_other_keys_is_refused_and_a_store_that_was_away_has_everything_still() {
    let store = Store::start(HERE, Traffic::Plain).await.unwrap();
    store.bucket("backups").unwrap().write("a", b"words").unwrap();
    let stranger = Keys { secret: "other".into(), ..store.keys.clone() };
    assert_eq!(ask(&store, &stranger, "GET", "/backups/a", "", b"").await.unwrap().status, 403);
    store.go_away().await.unwrap();
    assert!(ask(&store, &store.keys, "GET", "/backups/a", "", b"").await.is_err());
    assert!(store.go_away().await.is_err());
    store.come_back().await.unwrap();
    assert_eq!(ask(&store, &store.keys, "GET", "/backups/a", "", b"").await.unwrap().body, b"words");
}

#[tokio::test]
async fn an_encrypted_store_shows_a_certificate_of_its_own_authority() {
    use rustls::pki_types::pem::PemObject;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = Store::start(HERE, Traffic::Encrypted).await.unwrap();
    let mut roots = rustls::RootCertStore::empty();
    let authority = store.authority().unwrap().as_bytes();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(authority).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(store.address()).await.unwrap();
    let name = rustls::pki_types::ServerName::from(HERE);
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await.unwrap();
    assert!(store.endpoint().starts_with("https://127.0.0.1:"));
}

#[tokio::test]
async fn nothing_stays_of_a_store_that_is_dropped() {
    let store = Store::start(HERE, Traffic::Plain).await.unwrap();
    let (folder, address) = (store.folder.path().to_owned(), store.address());
    drop(store);
    assert!(!folder.exists());
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
