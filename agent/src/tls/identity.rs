//! As whom the agent speaks to etcd's own ports.

use std::sync::Arc;

use etcd_client::{Certificate, Identity as Pair, TlsOptions};
use etcd_operator_shared::certificates;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{PrivateKeyDer, ServerName, pem::PemObject},
};

use super::{Bundle, anyone, check};

/// For one bundle: whoever holds connections made with another one makes new ones.
#[derive(Debug)]
pub struct Identity {
    /// SHA-256 of its public key, in hexadecimal.
    pub key: String,
    /// The name that every member's certificate has.
    pub name: ServerName<'static>,
    /// Towards the ports for clients, where they are encrypted.
    pub client: Option<Client>,
    /// Towards the members' own ports, where they are.
    pub peer: Option<Arc<ClientConfig>>,
    /// Towards whoever serves what the cluster begins with: as a member, and believing nobody, since the digest says
    /// what is right.
    pub anyone: Option<Arc<ClientConfig>>,
}

/// What a client is.
#[derive(Debug)]
pub struct Client {
    /// For gRPC.
    pub channel: TlsOptions,
    /// For HTTP.
    pub http: Arc<ClientConfig>,
}

impl Identity {
    /// The one that a bundle makes.
    ///
    /// # Errors
    /// When the bundle is not what it was checked to be.
    pub fn of(bundle: &Bundle, cluster: &str, namespace: &str) -> Result<Self, String> {
        let (key, issued, name) = (&bundle.key, &bundle.issued, certificates::common(cluster, namespace));
        let mut client = None;
        if let Some(issued) = &issued.client {
            let channel = TlsOptions::new()
                .ca_certificate(Certificate::from_pem(&issued.trust))
                .identity(Pair::from_pem(&issued.root, key))
                .domain_name(&name);
            client = Some(Client { channel, http: config(key, &issued.root, &issued.trust)? });
        }
        let peer = issued.peer.as_ref().map(|issued| config(key, &issued.chain, &issued.trust)).transpose()?;
        let anyone = issued.peer.as_ref().map(|issued| anyone::config(key, &issued.chain)).transpose()?;
        let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
        Ok(Self { key: issued.key.clone(), name, client, peer, anyone })
    }
}

/// How a client with this pair, that believes these authorities, speaks TLS.
fn config(key: &str, chain: &str, trust: &str) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for root in check::certificates(trust)? {
        roots.add(root).map_err(|error| error.to_string())?;
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| error.to_string())?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = config.with_client_auth_cert(check::certificates(chain)?, key);
    config.map(Arc::new).map_err(|error| error.to_string())
}
