//! What every test stands on.
//!
//! ```text
//!   play ─▶ turn       three at a time, or alone
//!        ─▶ stage      a namespace, a coordinator of its own, faults that heal; struck at the end, whatever happened
//!        ─▶ the test   demo (an EtcdCluster) · backup, store · etcd · process · client · counters · pods
//!                      http · kubectl · plugin · prometheus · poll
//!        ─▶ evidence   when it failed
//! ```

pub mod backup;
pub mod client;
pub mod coordinator;
pub mod counters;
pub mod demo;
pub mod events;
pub mod evidence;
pub mod forge;
pub mod http;
pub mod kubectl;
pub mod leftovers;
pub mod length;
pub mod loss;
pub mod play;
pub mod plugin;
pub mod pods;
pub mod poll;
pub mod process;
pub mod prometheus;
pub mod resize;
pub mod sampler;
pub mod say;
pub mod slowest;
pub mod stage;
pub mod store;
pub mod turn;
pub mod user;

pub use client::Client;
pub use demo::{Demo, PATIENCE};
pub use loss::Loss;
pub use play::play;
pub use poll::{holds, until};
pub use process::Part;
pub use sampler::Sampler;
pub use say::say;
pub use stage::Stage;
pub use store::Bucket;
pub use testbed::etcd;
pub use turn::Manner;
