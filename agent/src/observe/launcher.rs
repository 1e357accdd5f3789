//! The agent's end of the socket to the launcher.

use std::{path::PathBuf, time::Duration};

use etcd_operator_shared::version::Version;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::sleep,
};
use tracing::{info, warn};

use crate::launch::protocol::{self, Message, Request, State, VERSION};

/// What the launcher last said.
#[derive(Debug, Clone, Default)]
pub struct Launcher {
    pub connected: bool,
    pub version: Option<String>,
    /// Version of the protocol that it speaks.
    pub protocol: u32,
    /// Version of the image's etcd, where it says one that is known here.
    pub etcd: Option<Version>,
    pub state: Option<State>,
    /// Why it can start nothing, while it cannot.
    pub waiting: Option<String>,
    /// The last order that it did not obey, and why, until it obeys one.
    pub refused: Option<(u64, String)>,
    /// What became of the last request to restore, by its number: why it failed, or that it did not.
    pub restored: Option<(u64, Option<String>)>,
    /// It got SIGTERM and waits for leadership to be handed over.
    pub terminating: bool,
}

/// How often the socket is tried. The etcd container starts some hundred milliseconds after the agent.
const RETRY: Duration = Duration::from_millis(10);

/// Keeps the connection until the requests end.
pub async fn follow(socket: PathBuf, mut requests: mpsc::Receiver<Request>, told: watch::Sender<Launcher>) {
    loop {
        let Ok(stream) = UnixStream::connect(&socket).await else {
            if told.is_closed() {
                return;
            }
            sleep(RETRY).await;
            continue;
        };
        let (from, mut to) = stream.into_split();
        let (heard, mut messages) = mpsc::channel(16);
        let reader = tokio::spawn(read(from, heard));
        let ended = talk(&mut to, &mut messages, &mut requests, &told).await;
        reader.abort();
        told.send_replace(Launcher::default());
        match ended {
            Ended::ByUs => return,
            Ended::ByLauncher => info!("the launcher is gone; waiting for its successor"),
        }
    }
}

enum Ended {
    ByUs,
    ByLauncher,
}

async fn talk(
    to: &mut OwnedWriteHalf,
    messages: &mut mpsc::Receiver<Message>,
    requests: &mut mpsc::Receiver<Request>,
    told: &watch::Sender<Launcher>,
) -> Ended {
    if send(to, &Request::Hello { protocol: VERSION }).await.is_err() {
        return Ended::ByLauncher;
    }
    loop {
        // Both arms are cancel-safe: messages and requests stay in their channels.
        tokio::select! {
            message = messages.recv() => match message {
                Some(message) => told.send_modify(|known| take(known, message)),
                None => return Ended::ByLauncher,
            },
            request = requests.recv() => match request {
                Some(request) => if send(to, &request).await.is_err() { return Ended::ByLauncher },
                None => return Ended::ByUs,
            },
        }
    }
}

fn take(known: &mut Launcher, message: Message) {
    known.connected = true;
    match message {
        Message::Hello { protocol, version, etcd } => {
            (known.protocol, known.version) = (protocol, Some(version));
            known.etcd = etcd.and_then(|etcd| etcd.parse().ok());
        }
        Message::State(state) => {
            known.refused = known.refused.take().filter(|(order, _)| *order > state.order);
            (known.state, known.waiting) = (Some(state), None);
        }
        Message::Waiting { why } => (known.state, known.waiting) = (None, Some(why)),
        Message::Restored { number, failed } => known.restored = Some((number, failed)),
        Message::Refused { order, why } => known.refused = Some((order, why)),
        Message::Terminating => known.terminating = true,
    }
}

async fn send(to: &mut OwnedWriteHalf, request: &Request) -> std::io::Result<()> {
    to.write_all(&protocol::frame(request)?).await
}

/// Reads whole messages in a task of its own, because reading a frame is not cancel-safe.
async fn read(mut from: OwnedReadHalf, heard: mpsc::Sender<Message>) {
    loop {
        match read_one(&mut from).await {
            Ok(message) => {
                if heard.send(message).await.is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return,
            Err(error) => {
                warn!(%error, "cannot understand the launcher");
                return;
            }
        }
    }
}

async fn read_one(from: &mut OwnedReadHalf) -> std::io::Result<Message> {
    let mut header = [0; 4];
    from.read_exact(&mut header).await?;
    let mut body = vec![0; protocol::body_length(header)?];
    from.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}
