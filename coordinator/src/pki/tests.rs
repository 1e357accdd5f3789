//! Claims about what is signed and what is refused, checked on the certificates as others read them.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PublicKeyData};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    parse_x509_certificate,
    pem::{Pem, parse_x509_pem},
};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn authority(life: Duration) -> Authority {
    Authority::make("client", ("demo", "ns"), life, now()).unwrap()
}

fn request(key: &KeyPair) -> String {
    CertificateParams::default().serialize_request(key).unwrap().pem().unwrap()
}

fn pem(text: &str) -> Pem {
    parse_x509_pem(text.as_bytes()).unwrap().1
}

fn read(pem: &Pem) -> X509Certificate<'_> {
    parse_x509_certificate(&pem.contents).unwrap().1
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let all = certificate.subject_alternative_name().unwrap().unwrap();
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(address) => format!("{address:?}"),
        other => panic!("{other:?}"),
    };
    all.value.general_names.iter().map(name).collect()
}

#[test]
fn a_leaf_says_what_it_is_to_say_and_is_signed_by_its_authority() {
    let (authority, key) = (authority(10 * HOUR), KeyPair::generate().unwrap());
    let public = PublicKey::asked(&request(&key)).unwrap();
    let said = ["demo-0.demo-peer.ns.svc".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let leaf = Leaf { common: "demo-0", names: &said, usage: Usage::Both };
    let signed = authority.sign(leaf, &public, HOUR, now()).unwrap();
    let (leaf, root) = (pem(&signed.chain), pem(authority.certificate()));
    let (leaf, root) = (read(&leaf), read(&root));
    leaf.verify_signature(Some(root.public_key())).unwrap();
    assert_eq!(leaf.public_key().raw, key.subject_public_key_info(), "the agent's own key");
    assert_eq!(leaf.subject().to_string(), "CN=demo-0");
    assert_eq!(
        names(&leaf),
        [
            said[0].clone(),
            format!("{:?}", [127, 0, 0, 1]),
            format!("{:?}", {
                let mut one = [0u8; 16];
                one[15] = 1;
                one
            })
        ]
    );
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && usage.client_auth && !leaf.is_ca() && root.is_ca());
    let times = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    assert_eq!(times, (now().as_second() - 3600, now().as_second() + 3600));
    assert_eq!(signed.not_after.as_second(), times.1);
}

#[test]
fn a_client_is_no_server_and_no_two_certificates_have_the_same_serial() {
    let (authority, key) = (authority(10 * HOUR), PrivateKey::make().unwrap());
    let leaf = Leaf { common: "root", names: &[], usage: Usage::Client };
    let signed: Vec<Pem> =
        (0..2).map(|_| pem(&authority.sign(leaf, &key.public(), HOUR, now()).unwrap().chain)).collect();
    let one = read(&signed[0]);
    let usage = one.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
    assert_ne!(read(&signed[0]).raw_serial(), read(&signed[1]).raw_serial());
}

#[test]
fn no_leaf_outlives_its_authority_and_none_is_signed_after_it() {
    let (authority, key) = (authority(2 * HOUR), PrivateKey::make().unwrap());
    let leaf = Leaf { common: "root", names: &[], usage: Usage::Client };
    let later = now() + HOUR;
    assert_eq!(authority.sign(leaf, &key.public(), 10 * HOUR, later).unwrap().not_after, authority.end());
    assert_eq!(authority.end(), now() + 2 * HOUR);
    let over = authority.sign(leaf, &key.public(), HOUR, now() + 2 * HOUR);
    assert_eq!(over, Err(PkiError::Over(authority.end())));
}

#[test]
fn an_authority_that_is_kept_signs_on_and_one_with_another_key_is_none() {
    let (one, other) = (authority(HOUR), authority(HOUR));
    let again = Authority::read(one.certificate(), &one.key()).unwrap();
    let key = PrivateKey::make().unwrap().public();
    let signed = again.sign(Leaf { common: "a", names: &[], usage: Usage::Client }, &key, HOUR, now()).unwrap();
    let (leaf, root) = (pem(&signed.chain), pem(one.certificate()));
    read(&leaf).verify_signature(Some(read(&root).public_key())).unwrap();
    assert_eq!(read(&leaf).issuer(), read(&root).subject());
    assert_ne!(read(&root).subject(), read(&pem(other.certificate())).subject(), "no two have the same name");
    assert_eq!(Authority::read(one.certificate(), &other.key()).err(), Some(PkiError::NotItsKey));
    assert_eq!(Authority::read(&signed.chain, &one.key()).err(), Some(PkiError::NoAuthority));
    assert_eq!(Authority::read("", &one.key()).err(), Some(PkiError::NoAuthority));
    assert!(Authority::read(one.certificate(), "nonsense").is_err());
}

#[test]
fn one_that_vouches_for_another_signs_the_very_name_and_key_of_it() {
    let (former, new) = (authority(10 * HOUR), authority(100 * HOUR));
    let word = pem(&former.vouch(&new, now()).unwrap());
    let (word, root, by) = (read(&word), pem(new.certificate()), pem(former.certificate()));
    let (root, by) = (read(&root), read(&by));
    assert_eq!(word.subject().as_raw(), root.subject().as_raw());
    assert_eq!(word.public_key().raw, root.public_key().raw);
    assert_eq!(word.issuer().as_raw(), by.subject().as_raw());
    word.verify_signature(Some(by.public_key())).unwrap();
    assert!(word.is_ca() && word.basic_constraints().unwrap().unwrap().value.path_len_constraint == Some(0));
    assert_eq!(word.validity().not_after.timestamp(), former.end().as_second(), "not beyond who says it");
    assert_eq!(former.vouch(&new, former.end()), Err(PkiError::Over(former.end())));
}

#[test]
fn in_each_phase_of_a_change_members_and_applications_are_told_what_fits() {
    let first = Pair::make(("demo", "ns"), HOUR, 1, now()).unwrap();
    let key = PrivateKey::make().unwrap().public();
    let certificates = |pair: &Pair| {
        let leaf = Leaf { common: "a", names: &[], usage: Usage::Client };
        let signed = pair.sign(Side::Client, leaf, &key, HOUR, now()).unwrap();
        signed.chain.matches("BEGIN CERTIFICATE").count()
    };
    let second = copy(&first).further(Move::Issue { asked: 2 }, ("demo", "ns"), HOUR, now() + HOUR / 2).unwrap();
    let (old, new) = (first.client.certificate(), second.client.certificate());
    assert_eq!((certificates(&first), first.trust(Side::Client), first.shown().as_str()), (1, old, old));
    assert_eq!((certificates(&second), second.trust(Side::Client)), (2, old));
    assert_eq!(second.shown(), format!("{new}{old}"));
    let retiring = copy(&second).further(Move::Retire, ("demo", "ns"), HOUR, now()).unwrap();
    assert_eq!((certificates(&retiring), retiring.trust(Side::Client), retiring.shown().as_str()), (2, new, new));
    assert_eq!((first.renewal(), first.end()), (now() + HOUR / 3 * 2, now() + HOUR));
    assert_ne!(second.trust(Side::Peer), second.trust(Side::Client));
}

fn copy(pair: &Pair) -> Pair {
    let copy = |one: &Authority| Authority::read(one.certificate(), &one.key()).unwrap();
    Pair {
        peer: copy(&pair.peer),
        client: copy(&pair.client),
        history: pair.history.clone(),
        revoked: pair.revoked.clone(),
    }
}

#[test]
fn the_key_of_a_certificate_is_the_one_that_was_asked_for() {
    let (authority, key) = (authority(HOUR), KeyPair::generate().unwrap());
    let public = PublicKey::asked(&request(&key)).unwrap();
    let signed = authority.sign(Leaf { common: "a", names: &[], usage: Usage::Client }, &public, HOUR, now()).unwrap();
    assert_eq!(PublicKey::certified(&signed.chain).as_ref(), Ok(&public));
    assert_eq!((public.digest().len(), PublicKey::certified("x")), (64, Err(Unsuitable::NoCertificate)));
}

#[test]
fn what_nothing_is_signed_for_is_said() {
    let key = KeyPair::generate().unwrap();
    let good = request(&key);
    let stranger = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    assert_eq!(PublicKey::asked(&request(&stranger)), Err(Unsuitable::Algorithm));
    assert_eq!(PublicKey::asked(&"x".repeat(5000)), Err(Unsuitable::Long));
    for nonsense in ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\n", authority(HOUR).certificate()] {
        assert_eq!(PublicKey::asked(nonsense), Err(Unsuitable::Malformed), "{nonsense}");
    }
    // Whatever is changed of a request, it never stands for another key.
    let der = pem(&good).contents;
    let (mut taken, mine) = (0, PublicKey::asked(&good));
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 1;
        let asked = PublicKey::asked(&armoured(&changed));
        assert!(asked.is_err() || asked == mine, "byte {at}");
        taken += usize::from(asked.is_ok());
    }
    assert!(taken < 4, "all but what frames the signature is signed: {taken}");
    assert_eq!(PublicKey::asked(&armoured(&der)), PublicKey::asked(&good));
    assert_eq!(PublicKey::asked(&armoured(&[der.as_slice(), &[0]].concat())), Err(Unsuitable::Malformed));
}

fn armoured(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in der.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digit = |place: usize| char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]);
        text.extend((0..4).map(|place| if place <= chunk.len() { digit(place) } else { '=' }));
    }
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
}

mod any {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_request_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), text in ".{0,300}") {
            let _ = PublicKey::asked(&armoured(&bytes));
            let _ = PublicKey::asked(&text);
            let _ = PublicKey::certified(&armoured(&bytes).replace(" REQUEST", ""));
        }

        #[test]
        fn no_change_of_a_request_makes_it_panic(at in 0usize..200, by in any::<u8>(), cut in 0usize..200) {
            let key = KeyPair::generate().unwrap();
            let mut der = pem(&request(&key)).contents;
            let length = der.len();
            der[at % length] = by;
            der.truncate(length - cut.min(length));
            let _ = PublicKey::asked(&armoured(&der));
        }
    }
}
