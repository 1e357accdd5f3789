//! An authority, and the certificates that it signs.

use std::{net::IpAddr, time::Duration};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType,
};
use time::OffsetDateTime;
use x509_parser::{parse_x509_certificate, pem::parse_x509_pem};

use super::{PkiError, PublicKey, Serial, revoked::Ledger};

/// Certificates are valid from so long before they are made: clocks differ.
const SKEW: Duration = Duration::from_secs(3600);
/// One authority below: the next one is signed by the former as well, when they change.
const BELOW: u8 = 1;

/// An authority with its key. It has no `Debug`: keys are in no log.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    begin: Timestamp,
    end: Timestamp,
}

/// What a certificate says.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    pub common: &'a str,
    pub names: &'a [String],
    pub usage: Usage,
}

/// What a certificate may be used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    Both,
    Client,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// PEM, the leaf first.
    pub chain: String,
    pub not_after: Timestamp,
}

impl Authority {
    /// A new one, for the traffic that `of` names, of one cluster.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn make(
        of: &str,
        (cluster, namespace): (&str, &str),
        life: Duration,
        now: Timestamp,
    ) -> Result<Self, PkiError> {
        let key = KeyPair::generate()?;
        let print = Serial::draw().to_string()[..8].to_owned();
        let mut name = DistinguishedName::new();
        // No two have the same name, or a chain of both could not be told apart.
        name.push(DnType::CommonName, format!("etcd {of} authority {print}"));
        name.push(DnType::OrganizationName, cluster);
        name.push(DnType::OrganizationalUnitName, namespace);
        let mut params = params(name, Serial::draw(), now, end(now, life));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(BELOW));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Self::of(certificate, key)
    }

    /// One that was kept: certificate and key in PEM.
    ///
    /// # Errors
    /// With what is wrong with them.
    pub fn read(certificate: &str, key: &str) -> Result<Self, PkiError> {
        Self::of(certificate.to_owned(), KeyPair::from_pem(key)?)
    }

    fn of(certificate: String, key: KeyPair) -> Result<Self, PkiError> {
        let (_, pem) = parse_x509_pem(certificate.as_bytes()).map_err(|_| PkiError::NoAuthority)?;
        let (_, read) = parse_x509_certificate(&pem.contents).map_err(|_| PkiError::NoAuthority)?;
        if !read.is_ca() {
            return Err(PkiError::NoAuthority);
        }
        if read.public_key().raw != key.subject_public_key_info() {
            return Err(PkiError::NotItsKey);
        }
        let validity = read.validity();
        let begin = Timestamp::from_second(validity.not_before.timestamp()).unwrap_or(Timestamp::MIN);
        let begin = begin.checked_add(SKEW).unwrap_or(begin);
        let end = Timestamp::from_second(validity.not_after.timestamp()).unwrap_or(Timestamp::MAX);
        let issuer = Issuer::from_ca_cert_der(&pem.contents.as_slice().into(), key)?;
        Ok(Self { issuer, certificate, begin, end })
    }

    /// Its certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its key, PEM.
    #[must_use]
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Another authority's certificate, signed by this one: whoever believes this one takes for good what the other has signed.
    ///
    /// # Errors
    /// When this one is not valid any more.
    pub fn vouch(&self, other: &Self, now: Timestamp) -> Result<String, PkiError> {
        if self.end <= now {
            return Err(PkiError::Over(self.end));
        }
        // It is found by name and key: it must have the very same.
        let mut params = params(subject(&other.certificate)?, Serial::draw(), now, self.end.min(other.end));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(other.issuer.key(), &self.issuer)?.pem())
    }

    /// From when on it is valid, but for what clocks may differ by.
    #[must_use]
    pub fn begin(&self) -> Timestamp {
        self.begin
    }

    /// Until when it is valid.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Signs a certificate for a key: valid for `life`, and no longer than the authority.
    ///
    /// # Errors
    /// When the authority is not valid any more.
    pub fn sign(&self, leaf: Leaf<'_>, key: &PublicKey, life: Duration, now: Timestamp) -> Result<Signed, PkiError> {
        self.sign_as(Serial::draw(), leaf, key, life, now)
    }

    /// Signs one with a serial number that was drawn, and written down, before.
    ///
    /// # Errors
    /// When the authority is not valid any more.
    pub fn sign_as(
        &self,
        serial: Serial,
        leaf: Leaf<'_>,
        key: &PublicKey,
        life: Duration,
        now: Timestamp,
    ) -> Result<Signed, PkiError> {
        if self.end <= now {
            return Err(PkiError::Over(self.end));
        }
        let Leaf { common, names, usage } = leaf;
        let not_after = end(now, life).min(self.end);
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, common);
        let client = ExtendedKeyUsagePurpose::ClientAuth;
        let mut params = params(name, serial, now, not_after);
        params.subject_alt_names = names.iter().map(|name| subject_name(name)).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match usage {
            Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, client],
            Usage::Client => vec![client],
        };
        params.use_authority_key_identifier_extension = true;
        let chain = params.signed_by(&key.info()?, &self.issuer)?.pem();
        Ok(Signed { chain, not_after })
    }

    /// Signs a list of revoked certificates, PEM. It has to say when the next one comes: etcd and agents do not ask for
    /// that, so it is as good as the authority, and the coordinator may be away.
    ///
    /// # Errors
    /// When the authority is not valid any more.
    pub fn sign_list(&self, ledger: &Ledger, now: Timestamp) -> Result<String, PkiError> {
        if self.end <= now {
            return Err(PkiError::Over(self.end));
        }
        let list = ledger.params(date(now.checked_sub(SKEW).unwrap_or(now)), date(self.end));
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }
}

/// What all certificates say.
fn params(name: DistinguishedName, serial: Serial, now: Timestamp, not_after: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (date(now.checked_sub(SKEW).unwrap_or(now)), date(not_after));
    params.distinguished_name = name;
    params.serial_number = Some(serial.into());
    params
}

/// The name that a certificate is for.
fn subject(certificate: &str) -> Result<DistinguishedName, PkiError> {
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).map_err(|_| PkiError::NoAuthority)?;
    let (_, read) = parse_x509_certificate(&pem.contents).map_err(|_| PkiError::NoAuthority)?;
    let mut name = DistinguishedName::new();
    for part in read.subject().iter_attributes() {
        let oid: Vec<u64> = part.attr_type().iter().ok_or(PkiError::NoAuthority)?.collect();
        name.push(DnType::from_oid(&oid), part.as_str().map_err(|_| PkiError::NoAuthority)?);
    }
    Ok(name)
}

/// A time as certificates say it.
pub(super) fn date(time: Timestamp) -> OffsetDateTime {
    let seconds = u64::try_from(time.as_second()).unwrap_or_default();
    rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
}

fn end(now: Timestamp, life: Duration) -> Timestamp {
    // Certificates know seconds.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    now.checked_add(life).unwrap_or(Timestamp::MAX)
}

fn subject_name(name: &str) -> Result<SanType, PkiError> {
    Ok(match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into()?),
    })
}
