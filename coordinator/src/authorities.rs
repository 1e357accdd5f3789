//! The authorities of each cluster: one for its members, one for its clients.
//!
//! ```text
//!   founding ──create, the first one wins──▶ Secret etcd-ca-UID in the coordinator's own namespace
//!   something is to be signed ──▶ read live, and kept for a moment
//! ```
//! With one for both, any application's certificate would open the port between members. A Secret goes by the UID with which
//! the cluster's data began: whoever goes on with the data goes on with its authorities. Keys stand in no other object.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etcd_operator_shared::names;
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use tokio::time::Instant;

use crate::{
    apiserver::{ApiServer, Cause, Failed},
    pki::{Authority, Pair, PkiError},
};

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
}

/// Whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// UID with which the cluster's data began.
    pub life: String,
    pub cluster: String,
    pub namespace: String,
}

impl Authorities {
    #[must_use]
    pub fn new(namespace: String) -> Self {
        Self { namespace, ..Self::default() }
    }

    /// The authorities of a cluster that is being founded: made, unless somebody has. Never called later: members that know
    /// others would not believe these.
    pub async fn found(&self, api: &ApiServer, whose: &Whose, life: Duration) -> Result<Arc<Pair>, Failed> {
        if let Some(pair) = self.known(&whose.life) {
            return Ok(pair);
        }
        let name = names::authorities(&whose.life);
        let unable = |error: PkiError| Failed {
            attempt: format!("make Secret {name}"),
            cause: Cause::Unavailable(error.to_string()),
        };
        let of = (whose.cluster.as_str(), whose.namespace.as_str());
        let pair = Pair::make(of, life, Timestamp::now()).map_err(unable)?;
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

    fn known(&self, life: &str) -> Option<Arc<Pair>> {
        let all = self.lock();
        all.get(life).filter(|(_, at)| at.elapsed() < FRESH).map(|(pair, _)| Arc::clone(pair))
    }

    async fn read(&self, api: &ApiServer, life: &str) -> Result<Option<Arc<Pair>>, Failed> {
        let name = names::authorities(life);
        let Some(secret) = api.get::<Secret>(&self.namespace, &name).await? else {
            self.lock().remove(life);
            return Ok(None);
        };
        // A person must act on it, and is told of what is refused.
        let attempt = || format!("use Secret {name} in namespace {}", self.namespace);
        let unusable = |words| Failed { attempt: attempt(), cause: Cause::Refused(words) };
        let pair = read(&secret).map_err(unusable)?;
        Ok(Some(self.keep(life, pair, Instant::now())))
    }

    fn keep(&self, life: &str, pair: Pair, now: Instant) -> Arc<Pair> {
        let pair = Arc::new(pair);
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

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Arc<Pair>, Instant)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a person can do where a cluster cannot begin for want of authorities.
fn unkept(namespace: &str, failed: Failed) -> Failed {
    match failed.cause {
        Cause::Refused(words) => Failed {
            attempt: format!(
                "keep the certificate authorities of the cluster as a Secret in namespace {namespace} (give the coordinator the right to,                  or set spec.security.peer.mode and spec.security.client.mode to Plain)"
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
    Ok(Pair { peer: one("peer")?, client: one("client")? })
}

fn data(Pair { peer, client }: &Pair) -> BTreeMap<String, ByteString> {
    let pairs = [("peer", peer), ("client", client)].into_iter().flat_map(|(of, authority)| {
        [
            (format!("{of}.crt"), ByteString(authority.certificate().as_bytes().to_vec())),
            (format!("{of}.key"), ByteString(authority.key().into_bytes())),
        ]
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose() -> Whose {
        Whose { life: "u".into(), cluster: "demo".into(), namespace: "ns".into() }
    }

    fn pair() -> Pair {
        Pair::make(("demo", "ns"), Duration::from_secs(3600), Timestamp::UNIX_EPOCH + Duration::from_secs(7200))
            .unwrap()
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
