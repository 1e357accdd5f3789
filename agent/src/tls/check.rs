//! Whether certificates may be taken into use: an etcd with wrong ones runs on with the connections that it has, and finds
//! nobody once they are cut.

use std::{iter, sync::Arc};

use etcd_operator_shared::{
    api::{cluster::Encrypted, member::Issued},
    certificates,
    names::peer_host,
};
use jiff::Timestamp;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
};
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{bundle::Trust, key::hex};

/// Why certificates are not taken into use.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Rejected {
    #[error("there is no certificate for {0}")]
    Missing(&'static str),
    #[error("the certificate for {whose} cannot be read: {why}")]
    Unreadable { whose: &'static str, why: String },
    #[error("the certificate for {0} is for another key")]
    OtherKey(&'static str),
    #[error("the certificate for {whose} is not good for it: {why}")]
    Unfit { whose: &'static str, why: String },
    #[error("the list of revoked certificates is none that lets this member's own in: {0}")]
    Revocations(String),
}

const PEERS: &str = "other members";
const CLIENTS: &str = "clients";
const ROOT: &str = "the agent";

/// Whose certificates they are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    pub namespace: String,
    pub cluster: String,
    pub member: String,
    pub encrypted: Encrypted,
}

/// Judges an answer to the key of this digest; gives when the first of its certificates ends. `believed`: authorities that this member's
/// etcd, and others', may believe beside those that the answer names, and no others: each of them must vouch for it.
///
/// # Errors
/// With the first fault.
pub fn check(whose: &Whose, issued: &Issued, believed: &[Trust], now: Timestamp) -> Result<Timestamp, Rejected> {
    let Whose { namespace, cluster, member, encrypted } = whose;
    let (common, host) = (certificates::common(cluster, namespace), peer_host(member, cluster, namespace));
    let mut ends = Vec::new();
    if encrypted.peer {
        let peer = issued.peer.as_ref().ok_or(Rejected::Missing(PEERS))?;
        let others = believed.iter().filter_map(|trust| trust.peer.as_deref());
        for trust in iter::once(peer.trust.as_str()).chain(others) {
            let leaf = Leaf::read(PEERS, &peer.chain, trust)?;
            leaf.serves(&[&common, &host], now)?;
            leaf.asks(now)?;
            ends.push(leaf.is_of(&issued.key)?);
        }
    }
    if encrypted.client {
        let client = issued.client.as_ref().ok_or(Rejected::Missing(CLIENTS))?;
        let others = believed.iter().filter_map(|trust| trust.client.as_deref());
        for trust in iter::once(client.trust.as_str()).chain(others) {
            let server = Leaf::read(CLIENTS, &client.server, trust)?;
            server.serves(&[&common, &host, "localhost", "127.0.0.1"], now)?;
            // etcd's own gateway is a client with it.
            server.asks(now)?;
            let root = Leaf::read(ROOT, &client.root, trust)?;
            root.asks(now)?;
            root.is_root()?;
            if let Some(revoked) = &client.revoked {
                root.passes(&revoked.list, now)?;
                server.passes(&revoked.list, now)?;
            }
            ends.extend([server.is_of(&issued.key)?, root.is_of(&issued.key)?]);
        }
    }
    Ok(ends.into_iter().min().unwrap_or(Timestamp::MAX))
}

/// A leaf with all that it is judged by.
struct Leaf {
    whose: &'static str,
    chain: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
}

impl Leaf {
    fn read(whose: &'static str, chain: &str, trust: &str) -> Result<Self, Rejected> {
        let unreadable = |why: String| Rejected::Unreadable { whose, why };
        let chain = certificates(chain).map_err(unreadable)?;
        let mut roots = RootCertStore::empty();
        for root in certificates(trust).map_err(unreadable)? {
            roots.add(root).map_err(|error| unreadable(error.to_string()))?;
        }
        if chain.is_empty() || roots.is_empty() {
            return Err(Rejected::Missing(whose));
        }
        Ok(Self { whose, chain, roots: Arc::new(roots) })
    }

    /// Whether a client takes it for each of these names.
    fn serves(&self, names: &[&str], now: Timestamp) -> Result<(), Rejected> {
        let verifier = WebPkiServerVerifier::builder(Arc::clone(&self.roots)).build().map_err(|e| self.unfit(&e))?;
        for name in names {
            let name = ServerName::try_from(*name).map_err(|error| self.unfit(&error))?;
            let (leaf, rest) = self.parts()?;
            verifier.verify_server_cert(leaf, rest, &name, &[], time(now)).map_err(|error| self.unfit(&error))?;
        }
        Ok(())
    }

    /// Whether a server takes it for a client's.
    fn asks(&self, now: Timestamp) -> Result<(), Rejected> {
        let verifier = WebPkiClientVerifier::builder(Arc::clone(&self.roots)).build().map_err(|e| self.unfit(&e))?;
        let (leaf, rest) = self.parts()?;
        verifier.verify_client_cert(leaf, rest, time(now)).map(drop).map_err(|error| self.unfit(&error))
    }

    /// Whether etcd takes its owner for root: once it asks what a client may do, nobody else is of use to the agent.
    fn is_root(&self) -> Result<(), Rejected> {
        let (leaf, _) = self.parts()?;
        let (_, read) = X509Certificate::from_der(leaf)
            .map_err(|error| Rejected::Unreadable { whose: self.whose, why: error.to_string() })?;
        let common = read.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        if common == Some(certificates::ROOT) { Ok(()) } else { Err(self.unfit(&"its common name is not root")) }
    }

    /// Whether it is let in by a list of revoked certificates that its own authority has signed: etcd lets nobody in by
    /// one that it cannot read.
    fn passes(&self, list: &str, now: Timestamp) -> Result<(), Rejected> {
        let unreadable = |error: &dyn std::fmt::Display| Rejected::Revocations(error.to_string());
        let list = CertificateRevocationListDer::from_pem_slice(list.as_bytes()).map_err(|error| unreadable(&error))?;
        let verifier = WebPkiClientVerifier::builder(Arc::clone(&self.roots))
            .with_crls([list])
            .only_check_end_entity_revocation()
            .build()
            .map_err(|error| unreadable(&error))?;
        let (leaf, rest) = self.parts()?;
        verifier.verify_client_cert(leaf, rest, time(now)).map(drop).map_err(|error| unreadable(&error))
    }

    /// Whether it is for the key of this digest; gives when it ends.
    fn is_of(&self, key: &str) -> Result<Timestamp, Rejected> {
        let (leaf, _) = self.parts()?;
        let (_, read) = X509Certificate::from_der(leaf)
            .map_err(|error| Rejected::Unreadable { whose: self.whose, why: error.to_string() })?;
        if hex(read.public_key().raw) != key {
            return Err(Rejected::OtherKey(self.whose));
        }
        Timestamp::from_second(read.validity().not_after.timestamp()).map_err(|error| self.unfit(&error))
    }

    fn parts(&self) -> Result<(&CertificateDer<'static>, &[CertificateDer<'static>]), Rejected> {
        self.chain.split_first().ok_or(Rejected::Missing(self.whose))
    }

    fn unfit(&self, why: &impl std::fmt::Display) -> Rejected {
        Rejected::Unfit { whose: self.whose, why: why.to_string() }
    }
}

/// All certificates of a PEM text.
///
/// # Errors
/// When one cannot be read.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn time(now: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_second().max(0).unsigned_abs()))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::tls::{Bundle, Key};
    use etcd_operator_shared::api::member::{ClientCertificates, PeerCertificate, RevocationList};
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams, DnType,
        ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, PublicKeyData, RevokedCertParams, SerialNumber,
        SubjectPublicKeyInfo,
    };
    use std::time::{Duration, SystemTime};

    pub struct Authority {
        name: String,
        pem: String,
        issuer: Issuer<'static, KeyPair>,
    }

    pub fn authority() -> Authority {
        // An error means that one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut params = CertificateParams::default();
        // Each has a name of its own, as the coordinator's have.
        let key = KeyPair::generate().unwrap();
        let name = format!("authority {}", &hex(&key.subject_public_key_info())[..8]);
        params.distinguished_name.push(DnType::CommonName, name.clone());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { name, pem, issuer: Issuer::new(params, key) }
    }

    /// What an authority is asked to sign.
    #[derive(Clone)]
    pub struct Wish {
        pub names: Vec<String>,
        pub uses: Vec<ExtendedKeyUsagePurpose>,
        /// Seconds from now.
        pub valid: (i64, i64),
    }

    fn both() -> Vec<ExtendedKeyUsagePurpose> {
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
    }

    /// A good answer to a request.
    pub fn answer(authority: &Authority, request: &str) -> Issued {
        let request = CertificateSigningRequestParams::from_pem(request).unwrap();
        let spki = SubjectPublicKeyInfo::from_der(&request.public_key.subject_public_key_info()).unwrap();
        all(authority, &spki, &peer_wish(), &server_wish(), &root_wish())
    }

    fn sign(authority: &Authority, key: &SubjectPublicKeyInfo, wish: &Wish) -> String {
        let at = |seconds: i64| {
            let now = SystemTime::now();
            let by = Duration::from_secs(seconds.unsigned_abs());
            (if seconds < 0 { now - by } else { now + by }).into()
        };
        let mut params = CertificateParams::new(wish.names.clone()).unwrap();
        (params.not_before, params.not_after) = (at(wish.valid.0), at(wish.valid.1));
        params.extended_key_usages = wish.uses.clone();
        let common = if wish.names.is_empty() { certificates::ROOT } else { "etcd" };
        params.distinguished_name.push(DnType::CommonName, common);
        params.signed_by(key, &authority.issuer).unwrap().pem()
    }

    pub fn whose() -> Whose {
        Whose {
            namespace: "ns".into(),
            cluster: "demo".into(),
            member: "demo-1".into(),
            encrypted: Encrypted { peer: true, client: true },
        }
    }

    fn peer_wish() -> Wish {
        Wish { names: certificates::peer("demo-1", "demo", "ns"), uses: both(), valid: (-3600, 3600) }
    }

    fn server_wish() -> Wish {
        Wish { names: certificates::server("demo-1", "demo", "ns", &[]), ..peer_wish() }
    }

    fn root_wish() -> Wish {
        Wish { names: vec![], uses: vec![ExtendedKeyUsagePurpose::ClientAuth], ..peer_wish() }
    }

    fn issued(authority: &Authority, key: &Key, peer: &Wish, server: &Wish, root: &Wish) -> Issued {
        let public = KeyPair::from_pem(&key.pem()).unwrap().public_key_pem();
        all(authority, &SubjectPublicKeyInfo::from_pem(&public).unwrap(), peer, server, root)
    }

    fn all(authority: &Authority, key: &SubjectPublicKeyInfo, peer: &Wish, server: &Wish, root: &Wish) -> Issued {
        Issued {
            key: hex(&key.subject_public_key_info()),
            names: String::new(),
            peer: Some(PeerCertificate { chain: sign(authority, key, peer), trust: authority.pem.clone() }),
            client: Some(ClientCertificates {
                server: sign(authority, key, server),
                root: sign(authority, key, root),
                trust: authority.pem.clone(),
                revoked: Some(revoking(authority, 1, &[])),
            }),
        }
    }

    /// A list with these numbers on it.
    pub fn revoking(authority: &Authority, number: i64, serials: &[SerialNumber]) -> RevocationList {
        let (now, later) = (SystemTime::now(), SystemTime::now() + Duration::from_secs(7200));
        let one = |serial: &SerialNumber| RevokedCertParams {
            serial_number: serial.clone(),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: later.into(),
            crl_number: SerialNumber::from(number.unsigned_abs()),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(one).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        RevocationList { number, list: list.signed_by(&authority.issuer).unwrap().pem().unwrap() }
    }

    fn serial(chain: &str) -> SerialNumber {
        let leaf = certificates(chain).unwrap().remove(0);
        X509Certificate::from_der(&leaf).unwrap().1.raw_serial().to_vec().into()
    }

    #[test]
    fn a_list_that_would_let_nobody_in_is_rejected() {
        let (authority, key) = (authority(), Key::generate().unwrap());
        let good = issued(&authority, &key, &peer_wish(), &server_wish(), &root_wish());
        let client = good.client.clone().unwrap();
        let with = |revoked: RevocationList| {
            let client = ClientCertificates { revoked: Some(revoked), ..client.clone() };
            check(&whose(), &Issued { client: Some(client), ..good.clone() }, &[], Timestamp::now())
        };
        assert!(with(revoking(&authority, 2, &[SerialNumber::from(7)])).is_ok(), "somebody else is revoked");
        for own in [&client.root, &client.server] {
            assert!(matches!(with(revoking(&authority, 2, &[serial(own)])), Err(Rejected::Revocations(_))));
        }
        assert!(with(revoking(&super::tests::authority(), 2, &[])).is_err(), "another authority's");
        for list in ["", "nonsense", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"] {
            assert!(with(RevocationList { number: 2, list: list.into() }).is_err(), "{list:?}");
        }
        let none = ClientCertificates { revoked: None, ..client.clone() };
        assert!(check(&whose(), &Issued { client: Some(none), ..good.clone() }, &[], Timestamp::now()).is_ok());
    }

    /// A good one that ends in so many seconds.
    pub fn bundle(authority: &Authority, seconds: i64) -> Bundle {
        let (key, valid) = (Key::generate().unwrap(), (-3600, seconds));
        let wishes = [peer_wish(), server_wish(), root_wish()].map(|wish| Wish { valid, ..wish });
        let issued = issued(authority, &key, &wishes[0], &wishes[1], &wishes[2]);
        let not_after = check(&whose(), &issued, &[], Timestamp::now()).unwrap();
        let (cluster_uid, member) = ("u".into(), "demo-1".into());
        Bundle { cluster_uid, member, key: key.pem(), issued, before: None, taken: Timestamp::now(), not_after }
    }

    #[test]
    fn good_ones_are_taken_until_the_first_of_them_ends() {
        let (authority, key) = (authority(), Key::generate().unwrap());
        let short = Wish { valid: (-3600, 600), ..root_wish() };
        let issued = issued(&authority, &key, &peer_wish(), &server_wish(), &short);
        let ends = check(&whose(), &issued, &[], Timestamp::now()).unwrap();
        let left = ends.as_second() - Timestamp::now().as_second();
        assert!((590..=600).contains(&left), "{left}");
    }

    #[test]
    fn each_fault_is_rejected_before_etcd_sees_it() {
        let (authority, key) = (authority(), Key::generate().unwrap());
        let good = (peer_wish(), server_wish(), root_wish());
        let only = |one: ExtendedKeyUsagePurpose| vec![one];
        let without = |wish: &Wish, name: &str| Wish {
            names: wish.names.iter().filter(|known| *known != name).cloned().collect(),
            ..wish.clone()
        };
        let faults = [
            ("the common name is missing", (without(&good.0, "demo-peer.ns.svc"), good.1.clone(), good.2.clone())),
            (
                "the member's name is missing",
                (without(&good.0, "demo-1.demo-peer.ns.svc"), good.1.clone(), good.2.clone()),
            ),
            ("localhost is missing", (good.0.clone(), without(&good.1, "localhost"), good.2.clone())),
            (
                "only a server",
                (
                    Wish { uses: only(ExtendedKeyUsagePurpose::ServerAuth), ..good.0.clone() },
                    good.1.clone(),
                    good.2.clone(),
                ),
            ),
            (
                "only a client",
                (
                    Wish { uses: only(ExtendedKeyUsagePurpose::ClientAuth), ..good.0.clone() },
                    good.1.clone(),
                    good.2.clone(),
                ),
            ),
            ("expired", (good.0.clone(), Wish { valid: (-7200, -3600), ..good.1.clone() }, good.2.clone())),
            ("not yet valid", (good.0.clone(), good.1.clone(), Wish { valid: (3600, 7200), ..good.2.clone() })),
        ];
        for (fault, (peer, server, root)) in faults {
            let issued = issued(&authority, &key, &peer, &server, &root);
            assert!(check(&whose(), &issued, &[], Timestamp::now()).is_err(), "{fault}");
        }
    }

    #[test]
    fn certificates_for_another_key_or_of_another_authority_are_rejected() {
        let (ours, theirs, key) = (authority(), authority(), Key::generate().unwrap());
        let good = |authority: &Authority| issued(authority, &key, &peer_wish(), &server_wish(), &root_wish());
        let before = good(&ours);
        assert!(check(&whose(), &before, &[Trust::of(&good(&ours))], Timestamp::now()).is_ok());
        let other = check(&whose(), &good(&theirs), &[Trust::of(&before)], Timestamp::now());
        assert!(matches!(other, Err(Rejected::Unfit { .. })), "running members believe the former authority alone");
        let other = Issued { key: Key::generate().unwrap().digest().to_owned(), ..good(&ours) };
        assert_eq!(check(&whose(), &other, &[], Timestamp::now()), Err(Rejected::OtherKey(PEERS)));
    }

    /// An authority's certificate, signed by another one.
    fn cross(signed: &Authority, by: &Authority) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, signed.name.clone());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.signed_by(signed.issuer.key(), &by.issuer).unwrap().pem()
    }

    #[test]
    fn what_former_authorities_vouch_for_is_taken_by_whoever_believes_either_and_without_their_word_by_nobody_else() {
        let (former, new, key) = (authority(), authority(), Key::generate().unwrap());
        let voucher = cross(&new, &former);
        let bare = issued(&new, &key, &peer_wish(), &server_wish(), &root_wish());
        let chained = |issued: &Issued, trust: &str| {
            let (peer, client) = (issued.peer.clone().unwrap(), issued.client.clone().unwrap());
            let (trust, chain) = (trust.to_owned(), |leaf: &str| format!("{leaf}{voucher}"));
            Issued {
                peer: Some(PeerCertificate { chain: chain(&peer.chain), trust: trust.clone() }),
                client: Some(ClientCertificates {
                    server: chain(&client.server),
                    root: chain(&client.root),
                    trust,
                    revoked: None,
                }),
                ..issued.clone()
            }
        };
        let by =
            |authority: &Authority| Trust { peer: Some(authority.pem.clone()), client: Some(authority.pem.clone()) };
        let (both, now) = ([by(&former), by(&new)], Timestamp::now());
        for trust in [&former.pem, &new.pem] {
            assert_eq!(check(&whose(), &chained(&bare, trust), &both, now).err(), None);
        }
        assert!(check(&whose(), &bare, &[by(&former)], now).is_err(), "who was not started since would refuse it");
        assert!(check(&whose(), &bare, &[by(&new)], now).is_ok());
    }

    #[test]
    fn what_is_missing_or_no_certificate_is_said() {
        let (authority, key) = (authority(), Key::generate().unwrap());
        let good = issued(&authority, &key, &peer_wish(), &server_wish(), &root_wish());
        let none = Issued { client: None, ..good.clone() };
        assert_eq!(check(&whose(), &none, &[], Timestamp::now()), Err(Rejected::Missing(CLIENTS)));
        for chain in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let peer = PeerCertificate { chain: chain.into(), ..good.peer.clone().unwrap() };
            let bad = Issued { peer: Some(peer), ..good.clone() };
            assert!(check(&whose(), &bad, &[], Timestamp::now()).is_err(), "{chain:?}");
        }
    }
}
