//! Promise: encrypted traffic lets nobody in without a certificate of the cluster, people need no flags, certificates are renewed
//! without a restart, and all that a plain cluster survives an encrypted one survives too.

use crate::harness::demo::unsaid;
use crate::harness::etcd::{Etcd, User};
use crate::harness::{Client, Demo, Loss, Manner, PATIENCE, play, until};
use anyhow::{Context, Result, bail, ensure};
use etcd_operator_shared::api::EtcdMember;
use etcd_operator_shared::names::{PORT_CLIENT, PORT_PEER};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testbed::faults::control_plane::Component;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Certificates of so short a life that a minute sees several.
const LEAF: Duration = Duration::from_secs(20);
/// How long they are watched, under a client.
const WATCHED: Duration = Duration::from_secs(70);

#[test]
fn nobody_gets_in_without_a_certificate_of_the_cluster_and_people_need_no_flags() {
    play("encrypted", Manner::Beside, async |stage| {
        let (demo, took) = Demo::up(stage, "demo", encrypted(3, &json!({}))).await?;
        stage.say(format!("Ready after {:.2} s", took.as_secs_f64()));
        let (other, _) = Demo::up(stage, "other", encrypted(1, &json!({}))).await?;
        demo.all_vote().await?;
        let (_, members) = demo.one_cluster().await?;
        let urls: Vec<&String> = members.iter().flat_map(|member| &member.peer_urls).collect();
        ensure!(urls.iter().all(|url| url.starts_with("https://")), "members are at {urls:?}");
        people_need_no_flags(&demo).await?;
        demo.etcd(0).await?.put("greeting", "hello").await?;
        ensure!(
            demo.etcd(2).await?.get("greeting").await?.as_deref() == Some("hello"),
            "another member reads another value"
        );
        let own = demo.user().await?.context("its traffic is encrypted")?;
        let theirs = other.user().await?.context("its traffic is encrypted")?;
        strangers_are_refused(&demo, &own, &theirs).await
    });
}

#[test]
fn certificates_are_renewed_under_a_client_without_a_restart() {
    play("encrypted_leaves", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let ca = json!({"security": {"ca": {"leafDuration": format!("{}s", LEAF.as_secs())}}});
        let (demo, _) = Demo::up(stage, "demo", encrypted(3, &ca)).await?;
        let id = demo.all_vote().await?;
        let client = Client::start(&demo).await?;
        let (began, mut keys) = (Instant::now(), vec![BTreeSet::new(); 3]);
        let mut lost = false;
        while began.elapsed() < WATCHED {
            for (ordinal, seen) in (0..).zip(&mut keys) {
                let object = stage.api::<EtcdMember>().get(&demo.member(ordinal)).await?;
                let said = object.status.and_then(|status| status.certificates).unwrap_or_default();
                ensure!(said.rejected.is_none(), "certificates were rejected: {:?}", said.rejected);
                seen.extend(said.key);
            }
            if !lost && began.elapsed() > WATCHED / 2 {
                demo.lose(faults, 1, Loss::Claim).await?;
                lost = true;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        stage.say(format!("{:?} keys in {} s", keys.iter().map(BTreeSet::len).collect::<Vec<_>>(), WATCHED.as_secs()));
        ensure!(keys.iter().all(|seen| seen.len() > 2), "certificates were not renewed");
        demo.ready().await?;
        ensure!(demo.restarts().await? == 0, "a container was restarted");
        let report = client.finish(&demo).await?;
        ensure!(report.cluster == id && demo.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

#[test]
fn an_encrypted_cluster_scales_sleeps_and_wakes_under_a_client() {
    play("encrypted_scale", Manner::Beside, async |stage| {
        let (one, _) = Demo::up(stage, "demo", encrypted(1, &json!({"version": "v3.6.16"}))).await?;
        let id = one.all_vote().await?;
        let client = Client::start(&one).await?;
        let three = one.scale(3).await?;
        let one = three.scale(1).await?;
        let report = client.finish(&one).await?;
        ensure!(report.cluster == id, "the cluster ID changed");
        one.etcd(0).await?.put("before", "sleep").await?;
        one.scale(0).await?;
        let one = one.scale(1).await?;
        ensure!(one.etcd(0).await?.get("before").await?.as_deref() == Some("sleep"), "the data is gone");
        ensure!(one.all_vote().await? == id, "the cluster ID changed");
        Ok(())
    });
}

#[test]
fn a_pod_begins_with_the_certificates_on_its_volume_while_the_coordinator_is_away() {
    play("encrypted_alone", Manner::Alone, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let (demo, _) = Demo::up(stage, "demo", encrypted(3, &json!({"version": "v3.7.3"}))).await?;
        let client = Client::start(&demo).await?;
        stage.kill_coordinator().await?;
        demo.delete_pod(1, 1).await?;
        until("the pod comes back without a coordinator", PATIENCE, async || demo.etcd(1).await?.serves().await)
            .await?;
        stage.stop_part(faults, Component::ApiServer).await?;
        client.next(PATIENCE).await?;
        stage.start_part(faults, Component::ApiServer).await?;
        stage.start_coordinator(&crate::harness::stage::agent_image())?;
        demo.ready().await?;
        client.finish(&demo).await.map(drop)
    });
}

/// A cluster all of whose traffic is encrypted, since nothing else is said.
pub fn encrypted(size: u32, fields: &Value) -> Value {
    let mut all = unsaid(size);
    crate::harness::demo::merge(&mut all, fields.clone());
    all
}

/// etcdctl as people type it, which must find certificates by itself.
async fn people_need_no_flags(demo: &Demo<'_>) -> Result<()> {
    demo.exec_cleanly(0, &["--", "etcdctl", "put", "typed", "by hand"]).await?;
    let read = demo.exec_cleanly(1, &["--", "etcdctl", "get", "typed"]).await?;
    ensure!(read.contains("by hand"), "etcdctl reads {read}");
    let list = demo.exec_cleanly(0, &["--", "etcdctl", "endpoint", "health", "--cluster"]).await?;
    ensure!(list.matches("is healthy").count() == 3, "{list}");
    Ok(())
}

/// Nobody, somebody else's user, one with a certificate that was made up, and plain words, at both ports of every member; and an
/// application at the members' own port.
async fn strangers_are_refused(demo: &Demo<'_>, own: &User, theirs: &User) -> Result<()> {
    let made_up = made_up(own)?;
    let trusting = User { authority: own.authority.clone(), ..theirs.clone() };
    for ordinal in 0..demo.size {
        let ip = demo.ip(ordinal).await?;
        Etcd::for_user(&ip, PORT_CLIENT, Some(own)).await?.serves().await.context("its own user is let in")?;
        let strangers =
            [("nobody", None), ("another cluster's user", Some(&trusting)), ("a made-up user", Some(&made_up))];
        for (who, user) in strangers {
            for port in [PORT_CLIENT, PORT_PEER] {
                if Etcd::for_user(&ip, port, user).await?.said().await.is_ok() {
                    bail!("{who} was let in at port {port}");
                }
            }
        }
        ensure!(gets(&ip, PORT_CLIENT, own).await?, "the same question is answered at the port for clients");
        let authority = peer_authority(demo, ordinal).await?;
        let application = User { authority, ..own.clone() };
        ensure!(!gets(&ip, PORT_PEER, &application).await?, "an application was let in at the members' own port");
    }
    Ok(())
}

/// Whether a page that both ports have is given to a user: under TLS 1.3 only an answer shows that somebody was let in.
async fn gets(ip: &str, port: u16, user: &User) -> Result<bool> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(user.authority.as_bytes()) {
        roots.add(root?)?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(user.certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(user.key.as_bytes())?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain?, key)?;
    let stream = TcpStream::connect((ip, port)).await?;
    let name = ServerName::try_from(user.name.clone())?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let mut answer = String::new();
    let asked = async {
        stream.write_all(b"GET /version HTTP/1.0\r\n\r\n").await?;
        stream.read_to_string(&mut answer).await
    };
    Ok(timeout(PATIENCE, asked).await?.is_ok() && answer.contains("200 OK"))
}

/// The authority of the members' own port.
async fn peer_authority(demo: &Demo<'_>, ordinal: u32) -> Result<String> {
    let object = demo.stage.api::<EtcdMember>().get(&demo.member(ordinal)).await?;
    let issued = object.spec.certificates.and_then(|issued| issued.peer).context("it has a certificate for members")?;
    Ok(issued.trust)
}

/// The same user by an authority that somebody made up.
fn made_up(own: &User) -> Result<User> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = Issuer::new(params, KeyPair::generate()?);
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name.push(DnType::CommonName, "root");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &authority)?.pem();
    Ok(User { certificate, key: key.serialize_pem(), ..own.clone() })
}
