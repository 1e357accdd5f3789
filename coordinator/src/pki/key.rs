//! Public keys as they are asked for, and private ones as they are given to users.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SubjectPublicKeyInfo};
use ring::digest::{SHA256, digest};
use thiserror::Error;
use x509_parser::{certification_request::X509CertificationRequest, pem::parse_x509_pem, prelude::FromDer};

use super::{PkiError, hex};

/// Nobody's request for a key on P-256 is longer; the schema takes no more either.
const LONGEST: usize = 4096;
/// A point on P-256 that is not compressed.
const POINT: usize = 65;
const UNCOMPRESSED: u8 = 4;

/// A public key that certificates may be for: SubjectPublicKeyInfo, DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Box<[u8]>);

/// A key pair, made here.
pub struct PrivateKey(KeyPair);

/// Why nothing is signed for what was asked.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum Unsuitable {
    #[error("the request is longer than {LONGEST} bytes")]
    Long,
    #[error("the request is no certificate signing request in PEM")]
    Malformed,
    #[error("the request is for a key that is none of ECDSA on P-256")]
    Algorithm,
    #[error("the request is not signed with its own key")]
    Signature,
    #[error("what was issued before is no certificate in PEM")]
    NoCertificate,
}

impl PublicKey {
    /// The key of a certificate signing request (PKCS#10, PEM), which must be signed with it. All else that it asks for is left
    /// out of account.
    ///
    /// # Errors
    /// With what is wrong with the request.
    pub fn asked(request: &str) -> Result<Self, Unsuitable> {
        if request.len() > LONGEST {
            return Err(Unsuitable::Long);
        }
        let (_, pem) = parse_x509_pem(request.as_bytes()).map_err(|_| Unsuitable::Malformed)?;
        let read = X509CertificationRequest::from_der(&pem.contents).map_err(|_| Unsuitable::Malformed)?;
        let (rest, asked) = read;
        if pem.label != "CERTIFICATE REQUEST" || !rest.is_empty() {
            return Err(Unsuitable::Malformed);
        }
        let key = Self::suitable(asked.certification_request_info.subject_pki.raw)?;
        asked.verify_signature().map_err(|_| Unsuitable::Signature)?;
        Ok(key)
    }

    /// The key that the first certificate of a chain (PEM) is for.
    ///
    /// # Errors
    /// When there is none.
    pub fn certified(chain: &str) -> Result<Self, Unsuitable> {
        let (_, pem) = parse_x509_pem(chain.as_bytes()).map_err(|_| Unsuitable::NoCertificate)?;
        let (_, leaf) = x509_parser::parse_x509_certificate(&pem.contents).map_err(|_| Unsuitable::NoCertificate)?;
        Self::suitable(leaf.public_key().raw)
    }

    fn suitable(info: &[u8]) -> Result<Self, Unsuitable> {
        let key = SubjectPublicKeyInfo::from_der(info).map_err(|_| Unsuitable::Algorithm)?;
        let point = key.der_bytes();
        let plain = point.len() == POINT && point.first() == Some(&UNCOMPRESSED);
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256 || !plain {
            return Err(Unsuitable::Algorithm);
        }
        Ok(Self(info.into()))
    }

    /// SHA-256 of the key, in hexadecimal: by this an answer names the request.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(digest(&SHA256, &self.0).as_ref())
    }

    pub(super) fn info(&self) -> Result<SubjectPublicKeyInfo, PkiError> {
        Ok(SubjectPublicKeyInfo::from_der(&self.0)?)
    }
}

impl PrivateKey {
    /// # Errors
    /// When the system has no random numbers.
    pub fn make() -> Result<Self, PkiError> {
        Ok(Self(KeyPair::generate()?))
    }

    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.subject_public_key_info().into())
    }

    /// PKCS#8, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.serialize_pem()
    }
}
