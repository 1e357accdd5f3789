//! Keys and certificates: what an authority is, what it signs, and what may be asked of it. No client and no clock: the time is
//! handed in.
//!
//! All keys are of ECDSA on P-256: every TLS library has it, and a signature costs some 40 us.

mod authority;
mod key;
mod revoked;
mod rotation;
mod serial;

use jiff::Timestamp;
use thiserror::Error;

pub use authority::{Authority, Leaf, Usage};
pub use key::{PrivateKey, PublicKey, Unsuitable};
pub use revoked::{Ledger, Revoked};
pub use rotation::{Act, Change, History, Move, Pair, Side};
pub use serial::Serial;

/// Why something cannot be made or read.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum PkiError {
    #[error("{0}")]
    Broken(String),
    #[error("it is no certificate of an authority")]
    NoAuthority,
    #[error("the key is not the certificate's")]
    NotItsKey,
    #[error("the authority was valid until {0}")]
    Over(Timestamp),
    #[error("the list of revoked certificates takes no more than {room}, and the first of them ends at {until}")]
    Full { room: usize, until: Timestamp },
}

impl From<rcgen::Error> for PkiError {
    fn from(error: rcgen::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Bytes as people compare them.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
