//! A server that makes a certificate for itself, and knows who shows one of the members' authority.

use std::sync::Arc;

use rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};

use super::check;

/// How it speaks TLS. Who shows no certificate is let in as nobody; who shows another authority's is turned away.
///
/// # Errors
/// When `authority`, all certificates that are believed as PEM, holds none, or there is no randomness.
pub fn config(authority: &str) -> Result<Arc<ServerConfig>, String> {
    let mut roots = RootCertStore::empty();
    for root in check::certificates(authority)? {
        roots.add(root).map_err(|error| error.to_string())?;
    }
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated();
    let verifier = verifier.build().map_err(|error| error.to_string())?;
    let own = rcgen::generate_simple_self_signed(vec!["snapshot".to_owned()]).map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).map_err(ToOwned::to_owned)?;
    let config = ServerConfig::builder().with_client_cert_verifier(verifier);
    config.with_single_cert(vec![own.cert.der().clone()], key).map(Arc::new).map_err(|error| error.to_string())
}
