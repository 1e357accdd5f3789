//! A member's certificates, where traffic is encrypted.
//!
//! ```text
//!   key (made here, leaves the pod never) ─▶ request, in the EtcdMember's status
//!                                               │ the coordinator signs
//!   Bundle ◀── check ◀── answer, in the EtcdMember's spec
//!     ├─▶ certificates.json on the volume        a new pod starts without coordinator and API server
//!     ├─▶ certificates.json in /tls (memory)     a container starts again though the volume lost it
//!     ├─▶ peer.pem, server.pem, root.pem there   etcd reads them at each handshake: a renewal restarts nothing
//!     └─▶ Identity                               what the agent itself is a client with
//! ```
//!
//! Invariants: nothing is exposed that was not checked against key, names, uses, time and the authorities that this
//! member's etcd believes; a file changes by a rename, key and chain at once.

mod anyone;
pub mod bundle;
pub mod check;
pub mod handshake;
pub mod identity;
pub mod key;
pub mod server;

pub use bundle::Bundle;
pub use identity::Identity;
pub use key::Key;
