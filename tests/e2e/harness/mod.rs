//! What every test stands on.
//!
//! ```text
//!   play ─▶ turn       two at a time, or alone
//!        ─▶ stage      a namespace, a coordinator of its own, faults that heal; struck at the end, whatever happened
//!        ─▶ the test   demo (an EtcdCluster) · etcd · process · client · pods · http · kubectl · poll
//!        ─▶ evidence   when it failed
//! ```

pub mod client;
pub mod coordinator;
pub mod demo;
pub mod etcd;
pub mod evidence;
pub mod http;
pub mod kubectl;
pub mod leftovers;
pub mod play;
pub mod pods;
pub mod poll;
pub mod process;
pub mod say;
pub mod stage;
pub mod turn;

pub use client::Client;
pub use demo::{Demo, PATIENCE};
pub use play::play;
pub use poll::{holds, until};
pub use process::Part;
pub use say::say;
pub use stage::Stage;
pub use turn::Manner;
