//! Certificates for one throw-away etcd and the one who asks it, good for a day and for nobody else.

use std::time::{Duration, SystemTime};

use etcd_operator_shared::{
    api::member::{ClientCertificates, Issued},
    certificates::{self, ROOT},
};
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use crate::tls::Bundle;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A new authority, and what it signs: for the server, and for its user root.
///
/// # Errors
/// When there is no randomness.
pub fn bundle(cluster: &str, namespace: &str) -> Result<Bundle, String> {
    made(cluster, namespace).map_err(|error| error.to_string())
}

fn made(cluster: &str, namespace: &str) -> Result<Bundle, rcgen::Error> {
    let mut authority = params(vec![], "proof")?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = KeyPair::generate()?;
    let trust = authority.self_signed(&own)?.pem();
    let issuer = Issuer::new(authority, own);
    let key = KeyPair::generate()?;
    let names = vec![certificates::common(cluster, namespace), "localhost".into(), "127.0.0.1".into()];
    let server = params(names, "etcd")?.signed_by(&key, &issuer)?.pem();
    let root = params(vec![], ROOT)?.signed_by(&key, &issuer)?.pem();
    let client = ClientCertificates { server, root, trust, revoked: None };
    Ok(Bundle {
        cluster_uid: String::new(),
        member: String::new(),
        key: key.serialize_pem(),
        issued: Issued { key: "proof".into(), names: String::new(), peer: None, client: Some(client) },
        before: None,
        taken: Timestamp::UNIX_EPOCH,
        not_after: Timestamp::UNIX_EPOCH,
    })
}

/// etcd shows its own certificate to itself, too.
fn params(names: Vec<String>, common: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let now = SystemTime::now();
    (params.not_before, params.not_after) = ((now - DAY).into(), (now + DAY).into());
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Identity;

    #[test]
    fn whoever_has_it_is_root_of_that_etcd() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bundle = bundle("demo", "ns").unwrap();
        assert!(Identity::of(&bundle, "demo", "ns").is_ok_and(|identity| identity.client.is_some()));
    }
}
