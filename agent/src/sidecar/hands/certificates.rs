//! What the member's traffic is encrypted with: asked for, kept and exposed.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use etcd_operator_shared::api::member::{Certificates as Said, Issued};
use jiff::Timestamp;
use tokio::{sync::watch, task::spawn_blocking};
use tracing::{info, warn};

use crate::{
    crash,
    etcd::access::Access,
    plan::certificates::{Facts, Step, Used, certificates, ending},
    tls::{
        Bundle, Identity, Key,
        bundle::{self, Pools, Trust},
        check::{Whose, check},
        handshake,
    },
    volume::Store,
};

/// Pause after an answer that was rejected: doubled each time, up to the longest.
const AGAIN: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);

/// Where the etcd of this pod is.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How this member is called by those that issue certificates.
#[derive(Debug, Clone)]
pub(in crate::sidecar) struct Name {
    pub whose: Whose,
    pub cluster_uid: String,
    /// Number of the member.
    pub ordinal: u32,
}

pub(in crate::sidecar) struct Certificates {
    name: Name,
    store: Store,
    folder: PathBuf,
    identity: watch::Sender<Option<Arc<Identity>>>,
    used: Option<Bundle>,
    /// Whether the volume was looked at for what was in use before.
    looked: bool,
    /// From when on the volume is to be told what is in use; `None` when it knows.
    owed: Option<Instant>,
    asked: Option<Asked>,
    rejected: Option<String>,
    /// How often in a row.
    rejections: u32,
    /// Nothing is asked or taken before.
    not_before: Instant,
}

/// How etcd is.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sidecar) struct Etcd<'a> {
    pub runs: bool,
    /// Digest of the authorities that it was last started with, where its launcher says it.
    pub loaded: Option<&'a str>,
}

struct Asked {
    key: Key,
    request: String,
}

/// Why an answer is not in use.
enum Fault {
    /// It is no good: another one is asked for.
    Rejected(String),
    /// It may be good, but this pod does not serve with it: tried again.
    NotServed(String),
}

impl Certificates {
    pub(in crate::sidecar) fn new(name: Name, store: Store, folder: PathBuf) -> Self {
        let (identity, _) = watch::channel(None);
        let not_before = Instant::now();
        Self {
            name,
            store,
            folder,
            identity,
            used: None,
            looked: false,
            owed: None,
            asked: None,
            rejected: None,
            rejections: 0,
            not_before,
        }
    }

    /// How clients of this cluster's etcd speak to it, from now on.
    pub(in crate::sidecar) fn access(&self) -> Access {
        if self.name.whose.encrypted.client { Access::Encrypted(self.identity.subscribe()) } else { Access::Plain }
    }

    /// As whom this member speaks to etcd's ports.
    pub(in crate::sidecar) fn identity(&self) -> watch::Receiver<Option<Arc<Identity>>> {
        self.identity.subscribe()
    }

    /// Whether etcd can be started: its traffic is plain, or has certificates. Also ones that have ended: a member that runs takes
    /// new ones without a restart.
    pub(in crate::sidecar) fn are_there(&self) -> bool {
        self.name.whose.encrypted.is_off() || self.used.is_some()
    }

    /// Where the authorities are that etcd is to believe.
    pub(in crate::sidecar) fn pools(&self) -> Pools {
        self.used.as_ref().map(|used| used.pools(&self.folder)).unwrap_or_default()
    }

    /// Digest of those authorities.
    pub(in crate::sidecar) fn believes(&self) -> Option<String> {
        self.used.as_ref().map(|used| used.issued.pools())
    }

    /// What the EtcdMember is to say of it; nothing where traffic is plain. `loaded`: digest of the authorities that etcd was started with.
    pub(in crate::sidecar) fn said(&self, loaded: Option<&str>) -> Option<Said> {
        (!self.name.whose.encrypted.is_off()).then(|| Said {
            request: self.asked.as_ref().map(|asked| asked.request.clone()),
            key: self.used.as_ref().map(|used| used.issued.key.clone()),
            // What the volume does not know would be another thing for the next pod.
            used: self.used.as_ref().filter(|_| self.owed.is_none()).map(|used| used.issued.digest()),
            loaded: loaded.map(str::to_owned),
            revoked: self.used.as_ref().and_then(Bundle::list).filter(|_| bundle::is_ordered(&self.folder)),
            not_after: self.not_after().map(|end| end.to_string()),
            rejected: self.rejected.clone(),
        })
    }

    /// etcd is about to be started with [`pools`](Self::pools).
    pub(in crate::sidecar) fn note_order(&self) {
        if self.name.whose.encrypted.client
            && let Err(error) = bundle::note_order(&self.folder, self.pools().revoked.is_some())
        {
            warn!(%error, "it cannot be noted whether etcd goes by a list of revoked certificates");
        }
    }

    /// When the first of the certificates in use ends.
    pub(in crate::sidecar) fn not_after(&self) -> Option<Timestamp> {
        self.used.as_ref().map(|used| used.not_after)
    }

    /// Why they are about to end.
    pub(in crate::sidecar) fn ending(&self) -> Option<String> {
        ending(self.used()?, self.rejected.as_deref(), Timestamp::now())
    }

    fn used(&self) -> Option<Used<'_>> {
        self.used.as_ref().map(|used| Used { issued: &used.issued, taken: used.taken, not_after: used.not_after })
    }

    /// One step. `ours`: whether the volume is known to be this member's; before, nothing on it is read or written.
    pub(in crate::sidecar) async fn turn(&mut self, offered: Option<&Issued>, ours: bool, etcd: Etcd<'_>) {
        if self.name.whose.encrypted.is_off() {
            return;
        }
        match &self.used {
            None => self.restore(ours).await,
            Some(_) => self.mend().await,
        }
        if (self.used.is_some() || self.looked) && Instant::now() >= self.not_before {
            match (self.due(offered), offered) {
                (Step::Ask, _) => self.ask(),
                (Step::Take, Some(offered)) => self.take(self.asked_key(), offered, etcd).await,
                (Step::Change, Some(offered)) => self.take(self.used_key(), offered, etcd).await,
                (Step::Take | Step::Change | Step::Nothing, _) => {}
            }
        }
        if ours {
            self.keep().await;
        }
    }

    fn due(&self, offered: Option<&Issued>) -> Step {
        certificates(Facts {
            encrypted: self.name.whose.encrypted,
            used: self.used(),
            asked: self.asked.as_ref().map(|asked| asked.key.digest()),
            offered,
            share: self.name.ordinal.wrapping_mul(7),
            now: Timestamp::now(),
        })
    }

    fn asked_key(&self) -> Option<String> {
        self.asked.as_ref().map(|asked| asked.key.pem())
    }

    fn used_key(&self) -> Option<String> {
        self.used.as_ref().map(|used| used.key.clone())
    }

    /// What was in use before: in memory when only a container was started again, else on the volume.
    async fn restore(&mut self, ours: bool) {
        let (folder, volume) = (self.folder.clone(), (ours && !self.looked).then(|| self.store.root()));
        self.looked |= ours;
        let found = blocking(move || {
            let found = Bundle::read(&folder).unwrap_or_default();
            found.map_or_else(|| volume.as_deref().map_or(Ok(None), Bundle::read), |found| Ok(Some(found)))
        });
        match found.await {
            Ok(Some(bundle)) if self.is_mine(&bundle) => {
                let not_after = bundle.not_after;
                match self.expose(bundle).await {
                    Ok(()) => {
                        info!(%not_after, "the certificates of before are in use again");
                        // They may be in memory alone: the agent may have died before it told the volume.
                        self.owed = Some(Instant::now());
                    }
                    Err(why) => warn!(why, "the certificates of before cannot be used; others are asked for"),
                }
            }
            Ok(Some(_) | None) => {}
            Err(error) => warn!(%error, "the certificates on the volume cannot be read; others are asked for"),
        }
    }

    fn is_mine(&self, bundle: &Bundle) -> bool {
        let Name { whose, cluster_uid, ordinal: _ } = &self.name;
        let Issued { key: _, names: _, peer, client } = &bundle.issued;
        let encrypted = whose.encrypted;
        let covers = (!encrypted.peer || peer.is_some()) && (!encrypted.client || client.is_some());
        bundle.cluster_uid == *cluster_uid && bundle.member == whose.member && covers
    }

    /// etcd opens the files at each handshake, and ends when it starts without.
    async fn mend(&mut self) {
        let (Some(bundle), folder) = (self.used.clone(), self.folder.clone()) else { return };
        let mended = move || if bundle.is_exposed(&folder) { Ok(false) } else { bundle.expose(&folder).map(|()| true) };
        match blocking(mended).await {
            Ok(false) => {}
            Ok(true) => warn!("certificates that etcd serves with were missing; they are there again"),
            Err(error) => warn!(%error, "the certificates cannot be put where etcd reads them"),
        }
    }

    fn ask(&mut self) {
        match Key::generate().and_then(|key| Ok(Asked { request: key.request()?, key })) {
            Ok(asked) => {
                info!(key = asked.key.digest(), "certificates are asked for");
                self.asked = Some(asked);
            }
            Err(error) => warn!(%error, "no key can be made"),
        }
    }

    async fn take(&mut self, key: Option<String>, offered: &Issued, etcd: Etcd<'_>) {
        let Some(key) = key else { return };
        let fault = match self.try_take(key, offered, etcd).await {
            Ok(not_after) => {
                info!(%not_after, "certificates are taken into use");
                (self.rejected, self.rejections) = (None, 0);
                self.owed = Some(Instant::now());
                self.forget(&offered.key);
                return;
            }
            Err(fault) => fault,
        };
        self.not_before = Instant::now() + LONGEST.min(AGAIN * (1 << self.rejections.min(6)));
        self.rejections = self.rejections.saturating_add(1);
        let why = match fault {
            Fault::NotServed(why) => why,
            Fault::Rejected(why) => {
                self.forget(&offered.key);
                why
            }
        };
        if self.rejected.as_ref() != Some(&why) {
            warn!(why, "certificates are not taken into use");
            self.rejected = Some(why);
        }
    }

    /// That key has its answer.
    fn forget(&mut self, key: &str) {
        self.asked = self.asked.take().filter(|asked| asked.key.digest() != key);
    }

    /// Checks an answer, exposes it, and looks whether etcd serves with it; else what was before is back.
    async fn try_take(&mut self, key: String, offered: &Issued, etcd: Etcd<'_>) -> Result<Timestamp, Fault> {
        let (Name { whose, cluster_uid, .. }, now) = (&self.name, Timestamp::now());
        let before = self.used.clone();
        let believed = before.as_ref().map(|before| believed(before, etcd)).unwrap_or_default();
        let not_after = check(whose, offered, &believed, now).map_err(|fault| Fault::Rejected(fault.to_string()))?;
        let (cluster_uid, member, issued) = (cluster_uid.clone(), whose.member.clone(), offered.clone());
        let before_that = believed.into_iter().rfind(|trust| *trust != Trust::of(&issued));
        // Another list of revoked certificates does not put their renewal off.
        let taken = before.as_ref().filter(|before| same(&before.issued, offered)).map_or(now, |before| before.taken);
        let bundle = Bundle { cluster_uid, member, key, issued, before: before_that, taken, not_after };
        crash::point("before-expose");
        self.expose(bundle.clone()).await.map_err(Fault::NotServed)?;
        crash::point("after-expose");
        let Some(before) = before.filter(|_| etcd.runs) else { return Ok(not_after) };
        let identity = self.identity.borrow().clone();
        let Some(identity) = identity else { return Ok(not_after) };
        if let Err(failed) = handshake::with_own(LOOPBACK, &identity, &bundle).await {
            self.expose(before).await.map_err(Fault::NotServed)?;
            return Err(Fault::NotServed(failed.to_string()));
        }
        Ok(not_after)
    }

    async fn expose(&mut self, bundle: Bundle) -> Result<(), String> {
        let whose = &self.name.whose;
        let identity = Identity::of(&bundle, &whose.cluster, &whose.namespace)?;
        let (exposed, folder) = (bundle.clone(), self.folder.clone());
        blocking(move || exposed.expose(&folder)).await.map_err(|error| error.to_string())?;
        self.identity.send_replace(Some(Arc::new(identity)));
        self.used = Some(bundle);
        Ok(())
    }

    /// The volume is told what is in use, for a pod that begins where nobody answers. One without room is tried again later: what is
    /// in use is exposed already.
    async fn keep(&mut self) {
        let due = self.owed.is_some_and(|due| Instant::now() >= due);
        let Some(bundle) = self.used.clone().filter(|_| due) else { return };
        let store = self.store.clone();
        let kept = blocking(move || {
            if Bundle::read(&store.root()).is_ok_and(|there| there.as_ref() == Some(&bundle)) {
                return Ok(false);
            }
            store.write_secret(bundle::FILE, &bundle.text()?).map(|()| true)
        });
        self.owed = match kept.await {
            Ok(false) => None,
            Ok(true) => {
                crash::point("after-keep");
                None
            }
            Err(error) => {
                warn!(%error, "the certificates cannot be kept on the volume; it is tried again");
                Some(Instant::now() + LONGEST)
            }
        };
    }
}

/// Whom this member's etcd may believe: whom it was to believe last, and, unless it was started since, those before.
fn believed(used: &Bundle, etcd: Etcd<'_>) -> Vec<Trust> {
    let is_loaded = etcd.loaded.is_some_and(|loaded| loaded == used.issued.pools());
    let before = used.before.clone().filter(|_| !is_loaded);
    before.into_iter().chain([Trust::of(&used.issued)]).collect()
}

/// Whether two answers hold the same certificates, whatever was revoked between them.
fn same(one: &Issued, other: &Issued) -> bool {
    let without = |issued: &Issued| {
        let mut issued = issued.clone();
        issued.client.iter_mut().for_each(|client| client.revoked = None);
        issued
    };
    without(one) == without(other)
}

/// Runs a piece of disk I/O where it may hang without stopping the probes.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
