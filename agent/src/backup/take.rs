//! Takes a backup into the store: once of each name, whoever takes it and how often it is tried.

use bytes::Bytes;
use etcd_operator_shared::{
    api::member::TakenBackup,
    backup::{FORMAT, Hash, Manifest, data_key, is_name, manifest_key, of_schedule},
};
use futures::{Stream, StreamExt, stream};
use jiff::{Timestamp, Unit};
use rand::RngExt;

use super::{
    Failure,
    content::{Content, Whole},
    hashes, manifests,
    store::{Place, Put},
    upload::{PART, Stored, Upload},
};
use crate::{
    crash,
    etcd::member::{EtcdError, Member, Status},
};

/// How often it is begun anew because what was read before was compacted meanwhile.
const TRIES: usize = 3;

/// Whose backup it is.
#[derive(Debug, Clone)]
pub struct Origin {
    pub namespace: String,
    pub cluster: String,
    pub cluster_uid: String,
    pub incarnation: i64,
    /// etcd's ID of that incarnation, in hexadecimal.
    pub cluster_id: String,
    pub member: String,
}

/// This member's etcd, and the others'.
pub struct Sources {
    pub own: Member,
    pub others: Vec<Member>,
}

/// A backup that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub manifest: Manifest,
    /// Where its manifest is.
    pub location: String,
    /// Whether it was there already.
    pub found: bool,
}

impl Taken {
    /// As the EtcdMember tells it.
    #[must_use]
    pub fn said(&self) -> TakenBackup {
        let Manifest { name, member, version, digest, bytes, at_least, started, taken, .. } = self.manifest.clone();
        TakenBackup {
            name,
            stored: true,
            message: None,
            member: Some(member),
            location: Some(self.location.clone()),
            version: Some(version),
            digest: Some(digest),
            bytes: Some(bytes),
            at_least: Some(at_least),
            started,
            ended: taken,
        }
    }
}

/// What is known of the data before it has passed by.
#[derive(Debug, Clone)]
pub struct Known {
    pub version: String,
    pub at_least: i64,
    pub hashes: Vec<Hash>,
    pub started: Timestamp,
}

/// Takes the backup of this name, if it is not there.
///
/// # Errors
/// When it is not there afterwards, or nobody knows.
pub async fn take(
    place: &Place,
    origin: &Origin,
    name: &str,
    sources: &Sources,
    passed: &mut (dyn FnMut(u64) + Send),
) -> Result<Taken, Failure> {
    if !is_name(name) {
        return Err(Failure::Usage(format!("{name:?} is no name of a backup: letters, digits and '-'")));
    }
    if let Some(manifest) = manifests::find(place, origin.incarnation, name).await? {
        return Ok(found(place, manifest));
    }
    is_conditional(place).await?;
    for _ in 1..TRIES {
        match attempt(place, origin, name, sources, passed).await {
            Err(Failure::Failed { reason: "Compacted", .. }) => {}
            outcome => return outcome,
        }
    }
    attempt(place, origin, name, sources, passed).await
}

async fn attempt(
    place: &Place,
    origin: &Origin,
    name: &str,
    sources: &Sources,
    passed: &mut (dyn FnMut(u64) + Send),
) -> Result<Taken, Failure> {
    let started = now();
    let own = &sources.own;
    // Without a majority it ends here, and what is stored was never given up by one.
    let listing = own.members().await.map_err(unconfirmed)?;
    let at_least = own.revision().await.map_err(unconfirmed)?;
    let status = own.status().await?;
    is_ours(&status, origin)?;
    // The content is settled with the first piece: what is compacted later is compacted in the hashes, too, and a proof
    // can follow.
    let mut pieces = own.snapshot().await?;
    let first = pieces.next().await?;
    let hashes = hashes::ask(own, &status, &listing.members, &sources.others, at_least).await?;
    let known = Known { version: status.version, at_least, hashes, started };
    let rest = stream::try_unfold(pieces, async |mut pieces| {
        let piece = pieces.next().await?;
        Ok::<_, Failure>(piece.map(|piece| (piece, pieces)))
    });
    let pieces = stream::iter(first.map(Ok)).chain(rest);
    store(place, origin, name, known, Box::pin(pieces), PART, passed).await
}

fn unconfirmed(error: EtcdError) -> Failure {
    if error.is_auth() {
        return error.into();
    }
    Failure::failed("NoQuorum", format!("no quorum of members confirms what this one holds: {error}"))
}

fn is_ours(status: &Status, origin: &Origin) -> Result<(), Failure> {
    if status.cluster_id == origin.cluster_id {
        return Ok(());
    }
    let message = format!("etcd is of cluster {}, and {} is this one's", status.cluster_id, origin.cluster_id);
    Err(Failure::failed("OtherCluster", message))
}

/// Puts what passes by into the store, then says so, once.
pub async fn store(
    place: &Place,
    origin: &Origin,
    name: &str,
    known: Known,
    pieces: impl Stream<Item = Result<Bytes, Failure>> + Unpin,
    part: usize,
    passed: &mut (dyn FnMut(u64) + Send),
) -> Result<Taken, Failure> {
    let data = data_key(&format!("{:032x}", rand::rng().random::<u128>()));
    let mut upload = Upload::begin(place, &data, part)?;
    let (whole, stored) = match send(&mut upload, pieces, passed).await {
        Ok(whole) => (whole, upload.finish().await?),
        Err(failure) => {
            upload.abort().await;
            return Err(failure);
        }
    };
    crash::point("before-manifest");
    let manifest = manifest(origin, name, known, data, &whole, stored)?;
    let taken = announce(place, manifest).await?;
    crash::point("after-manifest");
    Ok(taken)
}

async fn send(
    upload: &mut Upload<'_>,
    mut pieces: impl Stream<Item = Result<Bytes, Failure>> + Unpin,
    passed: &mut (dyn FnMut(u64) + Send),
) -> Result<Whole, Failure> {
    let mut content = Content::default();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        content.pass(&piece);
        upload.write(&piece).await?;
        passed(content.bytes());
    }
    content.end()
}

fn manifest(
    origin: &Origin,
    name: &str,
    known: Known,
    data: String,
    whole: &Whole,
    stored: Stored,
) -> Result<Manifest, Failure> {
    let Origin { namespace, cluster, cluster_uid, incarnation, cluster_id, member } = origin.clone();
    let signed = |bytes: u64| i64::try_from(bytes).map_err(|_| Failure::failed("Failed", "it is too large"));
    let of = of_schedule(name);
    Ok(Manifest {
        format: FORMAT,
        name: name.to_owned(),
        schedule: of.map(|(schedule, _)| schedule.to_owned()),
        slot: of.map(|(_, slot)| slot.to_owned()),
        namespace,
        cluster,
        cluster_uid,
        incarnation,
        cluster_id,
        member,
        version: known.version,
        data,
        stored_digest: stored.digest,
        stored_bytes: signed(stored.bytes)?,
        digest: whole.digest.clone(),
        bytes: signed(whole.bytes)?,
        at_least: known.at_least,
        hashes: known.hashes,
        started: known.started.to_string(),
        taken: now().to_string(),
    })
}

/// Puts the manifest. Where another one is there already, that one counts, and this one's data goes. Whether a failed
/// attempt has put it is not known: then the data stays, and goes a day later if it was not.
async fn announce(place: &Place, manifest: Manifest) -> Result<Taken, Failure> {
    let key = manifest_key(manifest.incarnation, &manifest.name);
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| Failure::failed("Failed", error.to_string()))?;
    if place.put_once(&key, text).await? == Put::Stored {
        return Ok(Taken { location: place.location(&key), manifest, found: false });
    }
    match manifests::find(place, manifest.incarnation, &manifest.name).await? {
        // The store may have taken it and not been able to say so the first time.
        Some(other) if other.data == manifest.data => {
            Ok(Taken { location: place.location(&key), manifest, found: false })
        }
        Some(other) => {
            place.delete(&manifest.data).await?;
            Ok(found(place, other))
        }
        None => {
            let message = format!("somebody else is just putting {}", place.location(&key));
            Err(Failure::failed("Contended", message))
        }
    }
}

fn found(place: &Place, manifest: Manifest) -> Taken {
    Taken { location: place.location(&manifest_key(manifest.incarnation, &manifest.name)), manifest, found: true }
}

/// Tries whether the store honours that something is put only if it is not there: some take the condition, and ignore
/// it.
async fn is_conditional(place: &Place) -> Result<(), Failure> {
    let key = format!("probes/{:032x}", rand::rng().random::<u128>());
    place.put_once(&key, b"put to see whether it is put twice\n".to_vec()).await?;
    let again = place.put_once(&key, b"put twice\n".to_vec()).await;
    // What is left of it harms nobody.
    let _ = place.delete(&key).await;
    match again? {
        Put::Exists => Ok(()),
        Put::Stored => {
            let message = "the store overwrites what is to be put only once (If-None-Match): two members would take each \
                           other's backup away, so none is taken";
            Err(Failure::store("UnconditionalStore", message))
        }
    }
}

/// To the second: nobody needs more.
fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}

/// A name for a backup that nobody gave one.
#[must_use]
pub fn by_hand() -> String {
    format!("once-{}", now().strftime("%Y%m%dT%H%M%SZ"))
}

#[cfg(test)]
mod tests;
