//! An API server that knows a few paths by heart, and forbids all others.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::websocket;

#[derive(Default)]
struct State {
    /// By method and path, or by method and path with the query.
    answers: HashMap<String, (u16, Value)>,
    /// What a command in a pod prints: channel and bytes. Without any it may not be run.
    prints: Option<Vec<(u8, Vec<u8>)>>,
    asked: Vec<String>,
}

/// It ends with the test.
pub struct Server {
    folder: TempDir,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let server = Self::at(listener.local_addr().expect("it has an address").port());
        let state = Arc::clone(&server.state);
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| serve(&stream, &state)));
        server
    }

    /// One that is not there: nobody listens on its port any more.
    pub fn gone() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        Self::at(listener.local_addr().expect("it has an address").port())
    }

    fn at(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "ns"}}],
        });
        std::fs::write(folder.path().join("kubeconfig"), config.to_string()).expect("it can be written");
        Self { folder, state: Arc::default() }
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    pub fn answer(&self, path: &str, code: u16, body: Value) {
        self.answer_to("GET", path, code, body);
    }

    pub fn answer_to(&self, method: &str, path: &str, code: u16, body: Value) {
        self.state.lock().expect("no test has panicked here").answers.insert(format!("{method} {path}"), (code, body));
    }

    /// Lets a command in a pod print this, on one channel after the other.
    pub fn prints(&self, pieces: Vec<(u8, Vec<u8>)>) {
        self.state.lock().expect("no test has panicked here").prints = Some(pieces);
    }

    /// Methods and paths, with their queries.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().expect("no test has panicked here").asked.clone()
    }
}

/// A list of objects, and where it goes on.
pub fn list(kind: &str, items: &[Value], next: Option<&str>) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"continue": next.unwrap_or_default()}, "items": items})
}

/// A refusal as the API server words it.
pub fn failure(code: u16, message: &str, name: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message,
        "details": {"name": name}})
}

fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut lines = BufReader::new(stream);
    let mut first = String::new();
    if lines.read_line(&mut first).is_err() {
        return;
    }
    let (mut length, mut key) = (0, None);
    loop {
        let mut header = String::new();
        if lines.read_line(&mut header).is_err() || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("sec-websocket-key")
        {
            key = Some(value.trim().to_owned());
        }
        if let Some(count) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = count.trim().parse().unwrap_or_default();
        }
    }
    let mut body = vec![0; length];
    let _ = lines.read_exact(&mut body);
    let asked = first.rsplit_once(' ').map_or("", |(asked, _)| asked).replace("?&", "?");
    let prints = state.lock().expect("no test has panicked here").prints.clone();
    if let (Some(key), Some(prints)) = (key, prints) {
        state.lock().expect("no test has panicked here").asked.push(asked);
        return websocket::print(stream, &key, &prints);
    }
    let (code, body) = answer(&asked, state);
    let text = match body {
        Value::Null => "404 page not found".to_owned(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    let head = format!(
        "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    let mut stream = stream;
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes()));
}

fn answer(asked: &str, state: &Mutex<State>) -> (u16, Value) {
    let mut state = state.lock().expect("no test has panicked here");
    state.asked.push(asked.to_owned());
    let bare = asked.split('?').next().unwrap_or_default();
    let known = state.answers.get(asked).or_else(|| state.answers.get(bare));
    known.cloned().unwrap_or_else(|| (403, failure(403, "forbidden: no right", "")))
}
