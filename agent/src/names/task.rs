//! The task that keeps the book: takes offers, asks the addresses, writes the hosts file.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use etcd_operator_shared::names::PORT_AGENT;
use futures::future::join_all;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, header::HOST};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::{
    book::{Answer, Book},
    hosts,
};

/// How often all addresses are asked while they are all confirmed, and while one is not.
const CALM: Duration = Duration::from_secs(5);
const EAGER: Duration = Duration::from_millis(200);
/// How long the others may take to learn this member's address, before it is asked for as seldom as the rest.
const NEWS: Duration = Duration::from_secs(15);
/// How long an agent may take to answer: it is one hop away and answers from memory.
const PATIENCE: Duration = Duration::from_millis(700);

/// What an agent says at `/whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    pub cluster_uid: String,
    pub member: String,
    /// The addresses that stand in its hosts file, by member.
    #[serde(default)]
    pub addresses: BTreeMap<String, String>,
    /// etcd's ID that its volume is for, in hexadecimal; empty if none. An older agent does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<String>,
    /// Whether its etcd runs, and gives a list of members that is the cluster's (`plan::trust`).
    #[serde(default)]
    pub vouches: bool,
}

/// Whose names are kept, and where.
#[derive(Debug, Clone)]
pub struct Names {
    pub cluster: String,
    pub namespace: String,
    pub cluster_uid: String,
    /// This member and its own address.
    pub own: (String, String),
    /// The hosts file.
    pub file: PathBuf,
}

/// Keeps the book until the offers end.
pub async fn keep(names: Names, mut offers: watch::Receiver<Vec<(String, String)>>, told: watch::Sender<Book>) {
    let epoch = Instant::now();
    let kubelets = fs::read_to_string("/etc/hosts").unwrap_or_else(|_| "127.0.0.1\tlocalhost\n".into());
    let mut book = Book::default();
    let mut changed = Instant::now();
    loop {
        book.offer(offers.borrow_and_update().clone(), epoch.elapsed());
        write(&names, &kubelets, &book);
        // Told before the addresses are asked: a forming cluster starts on what is offered.
        told.send_if_modified(|old| replace(old, &book));
        let answers = join_all(book.addresses().into_iter().map(|(name, address)| ask(&names, name, address)));
        for (name, address, answer) in answers.await {
            book.heard(&name, &address, answer, epoch.elapsed());
        }
        write(&names, &kubelets, &book);
        told.send_if_modified(|old| replace(old, &book));
        let strangers = book.acquainted().len() < book.addresses().len() && changed.elapsed() < NEWS;
        let calm = book.confirmed().len() == book.addresses().len() && !strangers;
        // Both arms are cancel-safe: a change stays pending in the watch, a nap has no effect.
        tokio::select! {
            news = offers.changed() => match news {
                Ok(()) => changed = Instant::now(),
                Err(_) => return,
            },
            () = sleep(if calm { CALM } else { EAGER }) => {}
        }
    }
}

fn replace(old: &mut Book, new: &Book) -> bool {
    let changed = old != new;
    if changed {
        old.clone_from(new);
    }
    changed
}

fn write(names: &Names, kubelets: &str, book: &Book) {
    let addresses: Vec<_> = std::iter::once(names.own.clone()).chain(book.believed()).collect();
    let text = hosts::text(kubelets, &addresses, &names.cluster, &names.namespace);
    if let Err(error) = hosts::write(&names.file, &text) {
        warn!(%error, file = %names.file.display(), "cannot write the hosts file; etcd asks DNS for its peers");
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

async fn ask(names: &Names, member: String, address: String) -> (String, String, Answer) {
    let (own, own_address) = &names.own;
    let answer = match timeout(PATIENCE, whoami(&address)).await {
        Ok(Ok(said)) if said.cluster_uid == names.cluster_uid && said.member == member => {
            Answer::Itself { knows_me: said.addresses.get(own) == Some(own_address), holds: said.member_id.map(some) }
        }
        Ok(Ok(_)) => Answer::SomebodyElse,
        Ok(Err(_)) | Err(_) => Answer::Silence,
    };
    (member, address, answer)
}

pub async fn whoami(address: &str) -> anyhow::Result<WhoAmI> {
    // An IPv6 address needs brackets in an authority.
    let authority =
        if address.contains(':') { format!("[{address}]:{PORT_AGENT}") } else { format!("{address}:{PORT_AGENT}") };
    let body = get(&authority, "/whoami").await?;
    Ok(serde_json::from_slice(&body)?)
}

/// One GET over plain HTTP; the caller bounds the time.
pub async fn get(authority: &str, path: &str) -> anyhow::Result<Bytes> {
    let stream = TcpStream::connect(authority).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Dropped with this future: a peer that went silent must not keep a task.
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::get(path).header(HOST, authority).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    anyhow::ensure!(status == StatusCode::OK, "{path} answered {status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}
