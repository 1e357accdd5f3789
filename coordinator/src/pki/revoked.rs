//! The certificates of clients that nobody is to accept any more, and the list (RFC 5280) that says so.
//!
//! ```text
//!   revoked ──▶ on the ledger, and so on every list ── the certificate would have ended ──▶ off the ledger
//! ```
//! Numbers of ledgers only rise: who has a list takes none with a lower number.

use jiff::Timestamp;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber};
use serde::{Deserialize, Serialize};
use x509_parser::{certificate::X509Certificate, pem::parse_x509_pem, prelude::FromDer, revocation_list};

use super::{Authority, PkiError, Serial, authority::date};

/// As many fit on a list: some 47 bytes each of what an EtcdMember holds of it.
const ROOM: usize = 5000;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    pub serial: Serial,
    /// When it was revoked.
    pub since: Timestamp,
    /// It ends no later: nobody accepts it then, listed or not.
    pub until: Timestamp,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    pub number: i64,
    pub all: Vec<Revoked>,
}

/// Nothing was ever revoked.
impl Default for Ledger {
    fn default() -> Self {
        Self { number: 1, all: vec![] }
    }
}

impl Ledger {
    /// The next one, with these on it as well and without those that have ended; `None` where it has them all.
    ///
    /// # Errors
    /// When there is no room for them.
    pub fn with(&self, news: &[Revoked], now: Timestamp) -> Result<Option<Self>, PkiError> {
        let new = |one: &&Revoked| one.until > now && self.all.iter().all(|known| known.serial != one.serial);
        let news: Vec<Revoked> = news.iter().filter(new).cloned().collect();
        if news.is_empty() {
            return Ok(None);
        }
        let stay = self.all.iter().filter(|one| one.until > now).cloned();
        let mut all: Vec<Revoked> = stay.chain(news).collect();
        all.sort_by_key(|one| one.serial);
        all.dedup_by_key(|one| one.serial);
        match all.iter().map(|one| one.until).min() {
            Some(until) if all.len() > ROOM => Err(PkiError::Full { room: ROOM, until }),
            Some(_) | None => Ok(Some(Self { number: self.number + 1, all })),
        }
    }

    /// The next one after both: a copy of before that was put back knows less than the members do. Of what is only on
    /// their list it is not known when it ends, but not after its authority.
    ///
    /// # Errors
    /// When the list is none of this authority, or there is no room.
    pub fn after(&self, number: i64, list: &str, authority: &Authority, now: Timestamp) -> Result<Self, PkiError> {
        let serials = read(list, authority)?;
        let listed: Vec<Revoked> =
            serials.into_iter().map(|serial| Revoked { serial, since: now, until: authority.end() }).collect();
        let ours = Self { number: number.max(self.number), all: self.all.clone() };
        Ok(ours.with(&listed, now)?.unwrap_or(Self { number: ours.number + 1, ..ours }))
    }

    pub(super) fn params(
        &self,
        from: time::OffsetDateTime,
        until: time::OffsetDateTime,
    ) -> CertificateRevocationListParams {
        let one = |one: &Revoked| RevokedCertParams {
            serial_number: one.serial.into(),
            revocation_time: date(one.since),
            reason_code: None::<RevocationReason>,
            invalidity_date: None,
        };
        CertificateRevocationListParams {
            this_update: from,
            next_update: until,
            crl_number: SerialNumber::from(self.number.unsigned_abs()),
            issuing_distribution_point: None,
            revoked_certs: self.all.iter().map(one).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
    }
}

/// What is on a list (PEM) that this authority has signed.
fn read(list: &str, authority: &Authority) -> Result<Vec<Serial>, PkiError> {
    let broken = |what: &str| PkiError::Broken(format!("the members' list of revoked certificates {what}"));
    let (_, pem) = parse_x509_pem(list.as_bytes()).map_err(|_| broken("is no PEM"))?;
    let (_, list) =
        revocation_list::CertificateRevocationList::from_der(&pem.contents).map_err(|_| broken("is none"))?;
    let (_, own) = parse_x509_pem(authority.certificate().as_bytes()).map_err(|_| PkiError::NoAuthority)?;
    let (_, own) = X509Certificate::from_der(&own.contents).map_err(|_| PkiError::NoAuthority)?;
    list.verify_signature(own.public_key()).map_err(|_| broken("is not signed by their authority"))?;
    Ok(list.iter_revoked_certificates().filter_map(|one| Serial::of(one.raw_serial())).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn authority() -> Authority {
        Authority::make("client", ("demo", "ns"), Duration::from_secs(7200), now()).unwrap()
    }

    fn until(seconds: u64) -> Revoked {
        Revoked { serial: Serial::draw(), since: now(), until: now() + Duration::from_secs(seconds) }
    }

    #[test]
    fn what_is_revoked_is_on_the_list_until_it_would_have_ended() {
        let (authority, short, long) = (authority(), until(10), until(1000));
        let serials = |ledger: &Ledger| read(&authority.sign_list(ledger, now()).unwrap(), &authority).unwrap();
        assert_eq!(serials(&Ledger::default()), [], "one that is empty is a list all the same");
        let one = Ledger::default().with(&[short.clone(), long.clone()], now()).unwrap().unwrap();
        let mut both = vec![short.serial, long.serial];
        both.sort();
        assert_eq!((one.number, serials(&one)), (2, both));
        assert_eq!(one.with(std::slice::from_ref(&long), now()), Ok(None), "twice is once");
        let later = now() + Duration::from_secs(10);
        assert_eq!(one.with(std::slice::from_ref(&short), later), Ok(None), "it has ended");
        let third = until(500);
        let next = one.with(std::slice::from_ref(&third), later).unwrap().unwrap();
        assert!(!serials(&next).contains(&short.serial) && next.all.len() == 2);
    }

    #[test]
    fn a_copy_of_before_that_is_put_back_takes_what_the_members_know() {
        let (authority, one, other) = (authority(), until(1000), until(1000));
        let ledger = Ledger::default().with(std::slice::from_ref(&one), now()).unwrap().unwrap();
        let theirs = Ledger { number: 7, all: vec![other.clone()] };
        let list = authority.sign_list(&theirs, now()).unwrap();
        let whole = ledger.after(7, &list, &authority, now()).unwrap();
        assert!(whole.number == 8 && [one, other].iter().all(|one| whole.all.iter().any(|it| it.serial == one.serial)));
        assert_eq!(whole.after(7, &list, &authority, now()).unwrap().all, whole.all);
        let stranger = Authority::make("client", ("demo", "ns"), Duration::from_secs(7200), now()).unwrap();
        assert!(ledger.after(7, &list, &stranger, now()).is_err());
        assert!(ledger.after(7, "nonsense", &authority, now()).is_err());
    }

    #[test]
    fn a_list_that_is_full_takes_no_more_and_an_authority_that_is_over_signs_none() {
        let many: Vec<Revoked> = (0..ROOM).map(|_| until(1000)).collect();
        let full = Ledger::default().with(&many, now()).unwrap().unwrap();
        assert!(authority().sign_list(&full, now()).unwrap().len() < 262_144, "what an EtcdMember takes");
        assert!(matches!(full.with(&[until(5)], now()), Err(PkiError::Full { .. })));
        assert!(authority().sign_list(&full, now() + Duration::from_secs(7200)).is_err());
    }
}
