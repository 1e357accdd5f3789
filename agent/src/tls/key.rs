//! A member's private key, and how it asks for certificates.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use ring::digest::{SHA256, digest};

/// A private key.
#[derive(Debug)]
pub struct Key {
    pair: KeyPair,
    digest: String,
}

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate() -> Result<Self, rcgen::Error> {
        Ok(Self::of(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    fn of(pair: KeyPair) -> Self {
        let digest = hex(&pair.subject_public_key_info());
        Self { pair, digest }
    }

    /// SHA-256 of the public key, in hexadecimal: its name towards the coordinator.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Certificate signing request, PEM. It says nothing but the public key: what a certificate says is the coordinator's to decide.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn request(&self) -> Result<String, rcgen::Error> {
        CertificateParams::default().serialize_request(&self.pair)?.pem()
    }

    #[must_use]
    pub fn pem(&self) -> String {
        self.pair.serialize_pem()
    }
}

/// SHA-256 of a public key (SubjectPublicKeyInfo, DER), in hexadecimal.
#[must_use]
pub fn hex(public_key: &[u8]) -> String {
    digest(&SHA256, public_key).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_kept_is_the_same_key() {
        let key = Key::generate().unwrap();
        assert_eq!(Key::of(KeyPair::from_pem(&key.pem()).unwrap()).digest(), key.digest());
        assert_ne!(Key::generate().unwrap().digest(), key.digest());
    }

    #[test]
    fn a_request_carries_the_public_key_and_no_name() {
        let key = Key::generate().unwrap();
        let request = rcgen::CertificateSigningRequestParams::from_pem(&key.request().unwrap()).unwrap();
        assert_eq!(hex(&request.public_key.subject_public_key_info()), key.digest());
    }
}
