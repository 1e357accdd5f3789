//! The authorities of each cluster: one for its members, one for its clients.
//!
//! ```text
//!   founding ──create, the first one wins──▶ Secret etcd-ca-UID in the coordinator's own namespace
//!   something is to be signed ──▶ read live, and kept for a moment
//!   a change, step by step ──▶ read live, and replaced if nobody has meanwhile: how far it is stands in the Secret and nowhere else
//! ```
//! With one for both, any application's certificate would open the port between members. A Secret goes by the UID with which
//! the cluster's data began: whoever goes on with the data goes on with its authorities. Keys stand in no other object.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etcd_operator_shared::{names, validate::Encryption};
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;
use serde_json::json;
use tokio::time::Instant;
use tracing::info;

use crate::{
    apiserver::{ApiServer, Cause, Failed},
    pki::{Act, Authority, History, Ledger, Pair, PkiError, Revoked},
};

/// How they came to be these, beside them.
const HISTORY: &str = "history.json";
/// Key of the Secret under which stands what was revoked, as JSON; left out until something is.
const REVOKED: &str = "client.revoked";

/// Kubernetes never changes a Secret's type: nothing else can be made of one.
const KIND: &str = "etcd.etcd.io/authorities";
/// What was read holds for so long: the renewals of one cluster come together.
const FRESH: Duration = Duration::from_secs(120);
/// As many are kept: each has two keys in it.
const KEPT: usize = 256;

/// Where they are, and those that were read lately.
#[derive(Default)]
pub struct Authorities {
    /// Namespace of the Secrets: that of the coordinator's Lease.
    pub namespace: String,
    read: Mutex<HashMap<String, (Arc<Pair>, Instant)>>,
    /// UIDs of the clusters whose Secret was there at the last look at all of them; `None` before the first.
    there: Mutex<Option<HashSet<String>>>,
    /// Numbers of the lists of revoked certificates, as far as they were read.
    lists: Mutex<HashMap<String, i64>>,
}

/// Whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// UID with which the cluster's data began.
    pub life: String,
    pub cluster: String,
    pub namespace: String,
}

/// As what they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// For how long they are valid.
    pub life: Duration,
    /// What of the spec they are made for.
    pub asked: i64,
}

impl Made {
    #[must_use]
    pub fn of(encryption: &Encryption) -> Self {
        Self { life: encryption.authority, asked: encryption.generation }
    }
}

impl Authorities {
    #[must_use]
    pub fn new(namespace: String) -> Self {
        Self { namespace, ..Self::default() }
    }

    /// The authorities of a cluster that is being founded: made, unless somebody has. Never called later: members that know
    /// others would not believe these.
    pub async fn found(&self, api: &ApiServer, whose: &Whose, made: Made) -> Result<Arc<Pair>, Failed> {
        if let Some(pair) = self.known(&whose.life) {
            return Ok(pair);
        }
        let name = names::authorities(&whose.life);
        let unable = |error: PkiError| Failed {
            attempt: format!("make Secret {name}"),
            cause: Cause::Unavailable(error.to_string()),
        };
        let of = (whose.cluster.as_str(), whose.namespace.as_str());
        let pair = Pair::make(of, made.life, made.asked, Timestamp::now()).map_err(unable)?;
        match api.create(&self.secret(whose, &pair)).await {
            Ok(_) => Ok(self.keep(&whose.life, pair, Instant::now())),
            Err(failed @ Failed { cause: Cause::Exists, .. }) => self.read(api, &whose.life).await?.ok_or(failed),
            Err(failed) => Err(unkept(&self.namespace, failed)),
        }
    }

    /// The authorities of a cluster, as they were a moment ago; `None` where there are none.
    pub async fn of(&self, api: &ApiServer, life: &str) -> Result<Option<Arc<Pair>>, Failed> {
        match self.known(life) {
            Some(pair) => Ok(Some(pair)),
            None => self.read(api, life).await,
        }
    }

    /// Takes a change one step further, unless somebody has since it was decided. Gives them as they are then.
    pub async fn take(
        &self,
        api: &ApiServer,
        whose: &Whose,
        act: Act,
        life: Duration,
    ) -> Result<Option<Arc<Pair>>, Failed> {
        let name = names::authorities(&whose.life);
        let Some((secret, pair)) = self.look(api, &whose.life).await? else { return Ok(None) };
        if pair.history.generation != act.generation {
            return Ok(Some(self.keep(&whose.life, pair, Instant::now())));
        }
        let unable = |error: PkiError| Failed {
            attempt: format!("change the authorities in Secret {name}"),
            cause: Cause::Unavailable(error.to_string()),
        };
        let (before, of) = (pair.history.clone(), (whose.cluster.as_str(), whose.namespace.as_str()));
        let next = pair.further(act.step, of, life, Timestamp::now()).map_err(unable)?;
        if next.history != before {
            // With the resourceVersion that was read: of two that do this one is refused.
            let metadata = json!({ "uid": secret.uid(), "resourceVersion": secret.resource_version() });
            let patch = json!({ "metadata": metadata, "data": data(&next) });
            api.merge::<Secret>(&self.namespace, &name, &patch).await?;
            info!(name, generation = next.history.generation, step = ?act.step, "the authorities are changed");
        }
        Ok(Some(self.keep(&whose.life, next, Instant::now())))
    }

    fn known(&self, life: &str) -> Option<Arc<Pair>> {
        let all = self.lock();
        all.get(life).filter(|(_, at)| at.elapsed() < FRESH).map(|(pair, _)| Arc::clone(pair))
    }

    async fn read(&self, api: &ApiServer, life: &str) -> Result<Option<Arc<Pair>>, Failed> {
        let found = self.look(api, life).await?;
        Ok(found.map(|(_, pair)| self.keep(life, pair, Instant::now())))
    }

    /// The Secret as it is now, and what is in it.
    async fn look(&self, api: &ApiServer, life: &str) -> Result<Option<(Secret, Pair)>, Failed> {
        let name = names::authorities(life);
        let Some(secret) = api.get::<Secret>(&self.namespace, &name).await? else {
            self.lock().remove(life);
            return Ok(None);
        };
        // A person must act on it, and is told of what is refused.
        let attempt = || format!("use Secret {name} in namespace {}", self.namespace);
        let unusable = |words| Failed { attempt: attempt(), cause: Cause::Refused(words) };
        let pair = read(&secret).map_err(unusable)?;
        Ok(Some((secret, pair)))
    }

    fn keep(&self, life: &str, pair: Pair, now: Instant) -> Arc<Pair> {
        let pair = Arc::new(pair);
        self.lists().insert(life.to_owned(), pair.revoked.number);
        if let Some(there) = self.there().as_mut() {
            there.insert(life.to_owned());
        }
        let mut all = self.lock();
        all.retain(|_, (_, at)| now.duration_since(*at) < FRESH);
        if all.len() >= KEPT
            && let Some(oldest) = all.iter().min_by_key(|(_, (_, at))| *at).map(|(life, _)| life.clone())
        {
            all.remove(&oldest);
        }
        all.insert(life.to_owned(), (Arc::clone(&pair), now));
        pair
    }

    /// Notes whose Secrets were there at a look at all of them.
    pub fn seen(&self, there: HashSet<String>) {
        *self.there() = Some(there);
    }

    /// Whether the last look at all Secrets lacked a cluster's, so that it is to be looked for.
    #[must_use]
    pub fn is_missed(&self, life: &str) -> bool {
        self.there().as_ref().is_some_and(|there| !there.contains(life))
    }

    /// Number of a cluster's list of revoked certificates; `None` where it was not read yet.
    #[must_use]
    pub fn list(&self, life: &str) -> Option<i64> {
        self.lists().get(life).copied()
    }

    /// Puts these on a cluster's list, for good: whoever asks from now on is given one with them on it. `None` where
    /// there are no authorities any more, so that nobody believes what they have signed.
    pub async fn revoke(&self, api: &ApiServer, life: &str, news: &[Revoked]) -> Result<Option<Arc<Pair>>, Failed> {
        let now = Timestamp::now();
        match self.of(api, life).await? {
            Some(pair) if pair.revoked.with(news, now) == Ok(None) => Ok(Some(pair)),
            Some(_) | None => self.rewrite(api, life, |pair| pair.revoked.with(news, now)).await,
        }
    }

    /// Puts on a cluster's list what stands on the one with this number that its members have.
    pub async fn catch_up(
        &self,
        api: &ApiServer,
        life: &str,
        number: i64,
        list: &str,
    ) -> Result<Option<Arc<Pair>>, Failed> {
        let now = Timestamp::now();
        self.rewrite(api, life, |pair| match pair.revoked.number < number {
            true => pair.revoked.after(number, list, &pair.client, now).map(Some),
            false => Ok(None),
        })
        .await
    }

    /// Writes the next list, if there is one and nobody has written since it was read.
    async fn rewrite(
        &self,
        api: &ApiServer,
        life: &str,
        next: impl FnOnce(&Pair) -> Result<Option<Ledger>, PkiError>,
    ) -> Result<Option<Arc<Pair>>, Failed> {
        let name = names::authorities(life);
        let attempt = || format!("revoke in Secret {name}");
        let refused = |words: String| Failed { attempt: attempt(), cause: Cause::Refused(words) };
        let Some(secret) = api.get::<Secret>(&self.namespace, &name).await? else { return Ok(None) };
        let mut pair = read(&secret).map_err(refused)?;
        if let Some(ledger) = next(&pair).map_err(|error| refused(error.to_string()))? {
            let text = serde_json::to_vec(&ledger).map_err(|error| refused(error.to_string()))?;
            let version = json!({"resourceVersion": secret.metadata.resource_version, "uid": secret.metadata.uid});
            let patch = json!({"metadata": version, "data": {REVOKED: ByteString(text)}});
            api.merge::<Secret>(&self.namespace, &name, &patch).await?;
            pair.revoked = ledger;
        }
        Ok(Some(self.keep(life, pair, Instant::now())))
    }

    fn secret(&self, whose: &Whose, pair: &Pair) -> Secret {
        let labels = [
            ("app.kubernetes.io/managed-by", names::MANAGER_COORDINATOR),
            (names::LABEL_CLUSTER, &whose.cluster),
            (names::LABEL_CLUSTER_UID, &whose.life),
            (names::LABEL_NAMESPACE, &whose.namespace),
        ];
        Secret {
            metadata: ObjectMeta {
                name: Some(names::authorities(&whose.life)),
                namespace: Some(self.namespace.clone()),
                labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
                ..ObjectMeta::default()
            },
            type_: Some(KIND.to_owned()),
            data: Some(data(pair)),
            ..Secret::default()
        }
    }

    fn there(&self) -> MutexGuard<'_, Option<HashSet<String>>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lists(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Arc<Pair>, Instant)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a person can do where a cluster cannot begin for want of authorities.
fn unkept(namespace: &str, failed: Failed) -> Failed {
    match failed.cause {
        Cause::Refused(words) => Failed {
            attempt: format!(
                "keep the certificate authorities of the cluster as a Secret in namespace {namespace} (give the coordinator the right to, or set spec.security.peer.mode and spec.security.client.mode to Plain)"
            ),
            cause: Cause::Refused(words),
        },
        Cause::Conflict
        | Cause::Exists
        | Cause::Foreign(_)
        | Cause::Missing
        | Cause::Timeout
        | Cause::Unavailable(_)
        | Cause::Unreadable(_)
        | Cause::Dropped
        | Cause::Broken(_) => failed,
    }
}

/// Reads them from their Secret.
fn read(secret: &Secret) -> Result<Pair, String> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key));
        let bytes = bytes.ok_or_else(|| format!("it has no {key}"))?;
        String::from_utf8(bytes.0.clone()).map_err(|_| format!("its {key} is no text"))
    };
    let one = |of: &str| {
        let (certificate, key) = (text(&format!("{of}.crt"))?, text(&format!("{of}.key"))?);
        Authority::read(&certificate, &key).map_err(|error| format!("its {of}.crt and {of}.key: {error}"))
    };
    let history = match secret.data.as_ref().and_then(|data| data.get(HISTORY)) {
        Some(text) => serde_json::from_slice(&text.0).map_err(|error| format!("its {HISTORY}: {error}"))?,
        None => History::first(1),
    };
    Ok(Pair { peer: one("peer")?, client: one("client")?, history, revoked: revoked(secret)? })
}

/// What was revoked. Nothing is signed by whoever cannot read it: that would let everybody in again.
fn revoked(secret: &Secret) -> Result<Ledger, String> {
    let Some(kept) = secret.data.as_ref().and_then(|data| data.get(REVOKED)) else { return Ok(Ledger::default()) };
    serde_json::from_slice(&kept.0).map_err(|error| format!("its {REVOKED}: {error}"))
}

/// What was revoked is written by itself, and stays where nothing is said of it.
fn data(Pair { peer, client, history, revoked: _ }: &Pair) -> BTreeMap<String, ByteString> {
    let pairs = [("peer", peer), ("client", client)].into_iter().flat_map(|(of, authority)| {
        [
            (format!("{of}.crt"), ByteString(authority.certificate().as_bytes().to_vec())),
            (format!("{of}.key"), ByteString(authority.key().into_bytes())),
        ]
    });
    let history = serde_json::to_vec(history).map(|text| (HISTORY.to_owned(), ByteString(text)));
    pairs.chain(history.ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Move, Side};

    fn begun() -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(7200)
    }

    const LIFE: Duration = Duration::from_secs(3600);

    fn whose() -> Whose {
        Whose { life: "u".into(), cluster: "demo".into(), namespace: "ns".into() }
    }

    fn pair() -> Pair {
        Pair::make(("demo", "ns"), LIFE, 1, begun()).unwrap()
    }

    #[test]
    fn what_is_kept_in_a_secret_is_read_again() {
        let (all, pair) = (Authorities::new("system".into()), pair());
        let secret = all.secret(&whose(), &pair);
        assert_eq!(secret.metadata.namespace.as_deref(), Some("system"), "the coordinator's own, never the cluster's");
        let again = read(&secret).unwrap();
        assert_eq!(again.peer.certificate(), pair.peer.certificate());
        assert_eq!(again.client.key(), pair.client.key());
        assert_ne!(again.client.key(), again.peer.key());
        assert_eq!(again.history, History::first(1));
        assert_eq!(again.revoked, Ledger::default(), "nothing was revoked yet");
        let mut older = secret;
        older.data.as_mut().unwrap().remove(HISTORY);
        assert_eq!(read(&older).unwrap().history, History::first(1), "of before there were changes");
    }

    #[test]
    fn a_change_goes_step_by_step_is_kept_between_two_and_no_step_is_done_twice() {
        let all = Authorities::new("system".into());
        let kept = |pair: &Pair| read(&all.secret(&whose(), pair)).unwrap();
        let next = |pair: &Pair, kind| kept(&kept(pair).further(kind, ("demo", "ns"), LIFE, begun()).unwrap());
        let first = pair();
        let issuing = next(&first, Move::Issue { asked: 7 });
        assert_eq!((issuing.history.generation, issuing.history.asked), (2, 7));
        assert_ne!(issuing.peer.key(), first.peer.key());
        assert_eq!(issuing.trust(Side::Peer), first.peer.certificate());
        let retiring = next(&issuing, Move::Retire);
        assert_eq!(retiring.trust(Side::Peer), issuing.peer.certificate());
        let done = next(&retiring, Move::Forget);
        assert_eq!((done.history.generation, done.history.asked, &done.history.change), (2, 7, &None));
        assert_eq!(done.client.key(), issuing.client.key());
        let out_of_turn = [
            (&first, Move::Retire),
            (&first, Move::Forget),
            (&done, Move::Retire),
            (&issuing, Move::Issue { asked: 8 }),
            (&issuing, Move::Forget),
            (&retiring, Move::Issue { asked: 8 }),
            (&retiring, Move::Retire),
        ];
        for (pair, kind) in out_of_turn {
            let then = next(pair, kind);
            assert_eq!((&then.history, then.peer.key()), (&pair.history, pair.peer.key()), "{kind:?}");
        }
    }

    #[test]
    fn the_key_of_a_former_authority_is_kept_nowhere() {
        let all = Authorities::new("system".into());
        let first = pair();
        let former = [first.peer.key(), first.client.key()];
        let next = first.further(Move::Issue { asked: 2 }, ("demo", "ns"), LIFE, begun()).unwrap();
        let data = all.secret(&whose(), &next).data.unwrap();
        let body = |key: &String| key.lines().nth(1).unwrap().to_owned();
        for key in former.iter().map(body) {
            assert!(data.values().all(|value| !String::from_utf8_lossy(&value.0).contains(&key)));
        }
    }

    #[test]
    fn a_list_of_revoked_certificates_that_cannot_be_read_is_no_empty_list() {
        let (all, pair) = (Authorities::new("system".into()), pair());
        let mut secret = all.secret(&whose(), &pair);
        let kept = Ledger { number: 4, all: vec![] };
        let put = |secret: &mut Secret, text: &[u8]| {
            secret.data.as_mut().unwrap().insert(REVOKED.into(), ByteString(text.to_vec()));
        };
        put(&mut secret, &serde_json::to_vec(&kept).unwrap());
        assert_eq!(read(&secret).unwrap().revoked, kept);
        put(&mut secret, b"");
        assert!(read(&secret).err().unwrap().starts_with("its client.revoked: "));
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_named() {
        let (all, pair) = (Authorities::new("system".into()), pair());
        let mut secret = all.secret(&whose(), &pair);
        let data = secret.data.as_mut().unwrap();
        let other = data["peer.key"].clone();
        data.insert("client.key".into(), other);
        assert_eq!(read(&secret).err().unwrap(), "its client.crt and client.key: the key is not the certificate's");
        secret.data.as_mut().unwrap().remove("peer.key");
        assert_eq!(read(&secret).err().unwrap(), "it has no peer.key");
    }

    #[test]
    fn a_coordinator_that_may_not_keep_them_says_what_a_person_can_do() {
        let failed = |cause| unkept("system", Failed { attempt: "create Secret etcd-ca-u".into(), cause }).to_string();
        let forbidden = failed(Cause::Refused("secrets is forbidden".into()));
        for part in ["in namespace system", "give the coordinator the right", "mode to Plain", ": secrets is forbidden"]
        {
            assert!(forbidden.contains(part), "{forbidden}");
        }
        assert_eq!(failed(Cause::Missing), "cannot create Secret etcd-ca-u: it does not exist", "the namespace goes");
    }

    #[test]
    fn no_more_are_kept_than_a_few_and_none_for_long() {
        let (all, one, begun) = (Authorities::new("system".into()), pair(), Instant::now());
        let copy = || read(&all.secret(&whose(), &one)).unwrap();
        for number in 0..KEPT + 5 {
            all.keep(&number.to_string(), copy(), begun);
        }
        assert_eq!(all.lock().len(), KEPT);
        all.keep("last", copy(), begun + FRESH);
        assert_eq!(all.lock().len(), 1);
    }

    #[test]
    fn one_is_missed_only_where_a_look_at_all_lacked_it_and_it_was_not_found_since() {
        let all = Authorities::new("system".into());
        assert!(!all.is_missed("u"));
        all.seen(HashSet::from(["other".to_owned()]));
        assert!(all.is_missed("u") && !all.is_missed("other"));
        all.keep("u", pair(), Instant::now());
        assert!(!all.is_missed("u"));
    }
}
