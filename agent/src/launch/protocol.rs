//! What agent and launcher say to each other: JSON in frames of a 4-byte big-endian length, on a unix socket.
//!
//! The launcher listens; the newest connection is the agent's. Either end may be one version older: a reader ignores
//! fields it does not know, and a new message is sent only to a peer whose `Hello` named a version that has it.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::volume::mark::Identity;

/// Version of the protocol that this program speaks.
pub const VERSION: u32 = 4;
/// Longest frame in bytes that is read: an order with every flag has about 3 KiB.
pub const MAX_FRAME: u32 = 1 << 20;

/// From the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    Hello {
        protocol: u32,
    },
    /// Run etcd so. Answered by states.
    Start(Order),
    /// Stop etcd and do not start it again. Acknowledged by a state whose process is `Idle`.
    Halt,
    /// The same at once, without etcd's own way out: it is out of its cluster and can finish nothing that it has begun.
    /// Since version 2.
    Kill,
    /// Make a data directory of a snapshot, beside the place where etcd looks for one. While that goes on no state is
    /// said. Answered by `Restored`. Since version 4.
    Restore(Restore),
    /// Leadership is handed over (or need not be): go on with the termination.
    Release,
}

/// From the launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    Hello {
        protocol: u32,
        version: String,
        /// Version that the image's etcd says it is, such as `3.5.21`: the image may be another than the one that the
        /// pod was made with. Left out where it says none, and by launchers that do not ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        etcd: Option<String>,
    },
    /// At once after `Hello`, and on every change.
    State(State),
    /// The launcher got SIGTERM and waits, bounded, for `Release`.
    Terminating,
    /// Nothing can be started, in a sentence: the volume's lock is not to be had. Instead of a state, which would say
    /// that nothing runs on the volume. Since version 3.
    Waiting { why: String },
    /// What became of the request to restore with this number: why it failed, in a sentence. Since version 4.
    Restored { number: u64, failed: Option<String> },
    /// The order with this number is not obeyed, in a sentence. Since version 3.
    Refused { order: u64, why: String },
}

/// Whose volume, in a shape of its own: the mark on the disk may change while launchers of older versions run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    pub volume_id: String,
    #[serde(default)]
    pub member_id: Option<String>,
    /// For launchers of before version 3, which compare the whole of it with the mark.
    #[serde(flatten)]
    pub rest: Rest,
}

/// See [`Volume::rest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rest {
    pub cluster_uid: String,
    pub incarnation: i64,
    pub member: String,
    pub claim: i64,
}

impl From<&Identity> for Volume {
    fn from(identity: &Identity) -> Self {
        let Identity { cluster_uid, incarnation, member, volume_id, claim, member_id } = identity.clone();
        Self { volume_id, member_id, rest: Rest { cluster_uid, incarnation, member, claim } }
    }
}

/// How to run etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Rises with each order that a launcher gets.
    pub number: u64,
    /// Whether the volume holds no data yet: then etcd is started once, and never again by the launcher itself.
    pub first: bool,
    pub args: Vec<String>,
    /// With what the launcher starts etcd again by itself. Empty from an agent that knows no such field.
    #[serde(default)]
    pub again: Vec<String>,
    /// Digest of the options that the arguments are made of: said again in states, for an agent that comes after this
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
    /// Digest of the authorities that etcd believes when it is started so: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools: Option<String>,
    /// Whose volume the order is for: the launcher starts nothing on another.
    #[serde(rename = "identity")]
    pub volume: Volume,
}

/// How to make a data directory of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// Drawn at random: it is said again in the answer.
    pub number: u64,
    /// Arguments of the image's `etcdutl`.
    pub args: Vec<String>,
    /// Whose volume it is for: on another, and beside data, nothing is made.
    pub volume: Volume,
}

impl Order {
    /// The order as the launcher gives it to itself after etcd has ended. It never says `new`, nor names other members:
    /// should the data vanish between the look at it and the start, etcd refuses instead of beginning a second life
    /// under its ID.
    #[must_use]
    pub fn restart(&self) -> Self {
        let args = if self.again.is_empty() { without_entry(&self.args) } else { self.again.clone() };
        Self { first: false, args, ..self.clone() }
    }
}

/// The arguments without all that speaks of how the member comes to its cluster.
fn without_entry(args: &[String]) -> Vec<String> {
    let stays = |flag: &&String| !flag.trim_start_matches('-').starts_with("initial-cluster");
    let existing = "--initial-cluster-state=existing".to_owned();
    args.iter().filter(stays).cloned().chain([existing]).collect()
}

/// What the launcher knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub process: Process,
    /// Number of the last order, 0 before the first.
    pub order: u64,
    /// How often etcd was started again in this container.
    pub restarts: u32,
    pub last_exit: Option<Exit>,
    /// Digest of the options of the last order, where it said one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
    /// Digest of the authorities of the last order, the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools: Option<String>,
}

/// What etcd's process is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Process {
    /// It does not run, and the launcher will not start it without an order.
    #[default]
    Idle,
    Running {
        pid: i32,
    },
    Stopping {
        pid: i32,
    },
    /// It does not run, and the launcher starts it by itself: after a pause, or, where that is 0, just now.
    Pausing {
        millis: u64,
    },
}

/// How etcd last ended, with the last lines of its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub ordered: bool,
    pub out_of_memory: bool,
    pub tail: Vec<String>,
    /// Seconds since 1970.
    pub at: i64,
}

/// One message as bytes on the wire.
pub fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|n| *n <= MAX_FRAME);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "message too long for a frame"))?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(body);
    Ok(bytes)
}

/// Reads one message; `UnexpectedEof` when the other end is gone.
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut body = vec![0; body_length(length)?];
    from.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

/// Writes one message.
pub fn write<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    to.write_all(&frame(message)?)
}

/// The length of a frame's body, refused when it is longer than any message.
pub fn body_length(header: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(header);
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("frame of {length} bytes is too long")));
    }
    Ok(length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut wire = Vec::new();
        write(&mut wire, &Request::Halt).unwrap();
        write(&mut wire, &Request::Hello { protocol: 1 }).unwrap();
        let mut wire = wire.as_slice();
        assert_eq!(read::<Request>(&mut wire).unwrap(), Request::Halt);
        assert_eq!(read::<Request>(&mut wire).unwrap(), Request::Hello { protocol: 1 });
        assert_eq!(read::<Request>(&mut wire).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_huge_frame_is_refused_before_memory_is_taken() {
        assert!(read::<Request>(&mut [0xff, 0xff, 0xff, 0xff].as_slice()).is_err());
    }

    #[test]
    fn an_order_of_an_older_agent_is_restarted_without_a_word_on_how_the_member_came_to_its_cluster() {
        let older = br#"{"Start":{"number":1,"first":true,"args":["--name=demo-0","--initial-advertise-peer-urls=http://d:2380",
            "--initial-cluster-state=new","--initial-cluster=demo-0=http://d:2380","--initial-cluster-token=t"],
            "identity":{"clusterUid":"u","incarnation":1,"member":"demo-0","volumeId":"v","claim":1,"memberId":"a"}}}"#;
        let Ok(Request::Start(order)) = serde_json::from_slice(older) else { panic!("it is understood") };
        assert_eq!(
            order.restart().args,
            ["--name=demo-0", "--initial-advertise-peer-urls=http://d:2380", "--initial-cluster-state=existing"]
        );
    }

    #[test]
    fn a_launcher_of_before_version_3_finds_the_whole_identity_in_an_order() {
        let identity = Identity {
            cluster_uid: "u".into(),
            incarnation: 1,
            member: "demo-0".into(),
            volume_id: "v".into(),
            claim: 2,
            member_id: Some("a".into()),
        };
        let order = Order {
            number: 1,
            first: false,
            args: vec![],
            again: vec![],
            options: None,
            pools: None,
            volume: Volume::from(&identity),
        };
        let sent = serde_json::to_value(Request::Start(order)).unwrap();
        // Such a launcher reads it as the mark's own struct was then, and is now.
        assert_eq!(serde_json::from_value::<Identity>(sent["Start"]["identity"].clone()).unwrap(), identity);
    }

    #[test]
    fn a_launcher_that_does_not_say_which_etcd_it_has_is_understood() {
        let older = br#"{"Hello":{"protocol":3,"version":"0.1.0"}}"#;
        let hello = Message::Hello { protocol: 3, version: "0.1.0".into(), etcd: None };
        assert_eq!(serde_json::from_slice::<Message>(older).unwrap(), hello);
        assert_eq!(serde_json::to_vec(&hello).unwrap(), older);
    }

    #[test]
    fn fields_of_a_newer_peer_are_ignored() {
        let newer = br#"{"Hello":{"protocol":2,"colour":"blue"}}"#;
        assert_eq!(serde_json::from_slice::<Request>(newer).unwrap(), Request::Hello { protocol: 2 });
    }
}
