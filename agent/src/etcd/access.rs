//! How etcd's client ports are spoken to: plain, or as the identity that is in use at the moment.

use std::sync::Arc;

use etcd_operator_shared::names::Scheme;
use tokio::sync::watch;

use super::member::EtcdError;
use crate::tls::Identity;

/// Shared by all clients of a cluster's etcd.
#[derive(Debug, Clone)]
pub enum Access {
    Plain,
    /// `None` before the first certificates are there.
    Encrypted(watch::Receiver<Option<Arc<Identity>>>),
}

impl Access {
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        Scheme::of(matches!(self, Self::Encrypted(_)))
    }

    /// As whom to speak now; `None` where nobody is asked.
    ///
    /// # Errors
    /// Before there are certificates.
    pub fn identity(&self) -> Result<Option<Arc<Identity>>, EtcdError> {
        match self {
            Self::Plain => Ok(None),
            Self::Encrypted(identity) => identity.borrow().clone().map(Some).ok_or(EtcdError::NoCertificate),
        }
    }
}
