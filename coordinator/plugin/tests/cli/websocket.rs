//! As much of a websocket, and of Kubernetes' channels in it, as a command takes that only prints.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// RFC 6455, 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Shakes hands, sends what is printed, and closes.
pub fn print(stream: &TcpStream, key: &str, prints: &[(u8, Vec<u8>)]) {
    let accept = base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()).as_ref());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"
    );
    let mut stream = stream;
    let mut sent = stream.write_all(head.as_bytes());
    for (channel, bytes) in prints {
        sent = sent.and_then(|()| stream.write_all(&frame(*channel, bytes)));
    }
    // A close without a code; the client answers it and goes.
    let _ = sent.and_then(|()| stream.write_all(&[0x88, 0])).and_then(|()| stream.shutdown(Shutdown::Write));
    let _ = stream.read_to_end(&mut vec![]);
}

/// One binary message, which servers do not mask.
fn frame(channel: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() + 1;
    let mut frame = vec![0x82, 127];
    frame.extend_from_slice(&(length as u64).to_be_bytes());
    frame.push(channel);
    frame.extend_from_slice(bytes);
    frame
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]);
            text.push(if place <= three.len() { letter } else { '=' });
        }
    }
    text
}
