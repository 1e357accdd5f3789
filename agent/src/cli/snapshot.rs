//! `etcd-agent snapshot`: a snapshot for a person, and what the sidecar and a proof's pod start.
//!
//! A process of its own each time: what a store takes of memory and of other people's code is gone when it ends.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use etcd_operator_shared::{
    api::member::{TakenBackup, ToldBackups},
    backup::{Manifest, Proof, Question},
    names::{self, Scheme, client_url},
    process::shutdown,
    validate::{self, Backup},
};
use jiff::Timestamp;
use nix::sys::{prctl::set_pdeathsig, signal::Signal};
use tokio::sync::watch;

use crate::{
    args::snapshot::{Prove, Salvage, Save, SnapshotVerb, Whose},
    backup::{
        Failure,
        failure::brief,
        list, prove, prune, salvage,
        save::{self, Target},
        store::Place,
        take::{self, Origin, Sources},
    },
    etcd::{
        access::Access,
        member::{self, Member},
    },
    serve::snapshot,
    tls::{Bundle, Identity},
    volume::Store,
};

/// Where kubelet looks for a container's last words.
const LAST_WORDS: &str = "/dev/termination-log";
/// Between two words on how far it is.
const OFTEN: Duration = Duration::from_secs(2);

/// Performs one verb.
pub fn run(verb: SnapshotVerb) -> anyhow::Result<()> {
    super::block_on(perform(verb))
}

async fn perform(verb: SnapshotVerb) -> Result<(), Failure> {
    match verb {
        SnapshotVerb::Save(save) if save.store => stored(&save).await,
        SnapshotVerb::Save(save) => saved(&save).await,
        SnapshotVerb::List { json, whose } => {
            let (_, place) = kept(&whose, None)?;
            match json {
                false => print!("{}", list::human(&place).await?),
                true => println!("{:#}", list::machine(&place).await?),
            }
            Ok(())
        }
        SnapshotVerb::Verify { name, whose } => {
            let (_, place) = kept(&whose, None)?;
            println!("{}", list::known(&place, &name).await?);
            Ok(())
        }
        SnapshotVerb::Prove(prove) => proven(&prove).await,
        SnapshotVerb::Salvage(salvage) => salvaged(&salvage).await,
        SnapshotVerb::Serve(serve) => snapshot::serve(&serve).await,
    }
}

/// `snapshot save FILE`, or `-`.
async fn saved(save: &Save) -> Result<(), Failure> {
    let target = match save.file.as_deref() {
        Some("-") => Target::StandardOutput,
        Some(path) => Target::File(path.into()),
        None => return Err(Failure::Usage("say where it goes: a file, - for standard output, or --store".into())),
    };
    let member = local(&save.whose)?;
    let whole = save::save(&member, &target, &mut Progress::default().of(true)).await?;
    eprintln!("saved {} bytes, SHA-256 {}", whole.bytes, whole.digest);
    Ok(())
}

/// `snapshot save --store`.
async fn stored(save: &Save) -> Result<(), Failure> {
    if save.json {
        // The sidecar's child ends with it: whoever starts next finds nobody at work.
        let _ = set_pdeathsig(Signal::SIGKILL);
    }
    let name = save.name.clone().unwrap_or_else(take::by_hand);
    let started = Timestamp::now();
    let outcome = into_store(save, &name).await;
    if save.json {
        tell(&outcome, &name, started);
    } else if let Ok((taken, _)) = &outcome {
        let already = if taken.found { " (it was there already)" } else { "" };
        println!("{}{already}", taken.location);
    }
    let (taken, (place, policy)) = outcome?;
    if !taken.found && taken.manifest.schedule.is_some() {
        pruned(&place, &policy, &taken.manifest).await;
    }
    Ok(())
}

async fn into_store(save: &Save, name: &str) -> Result<(take::Taken, (Place, Backup)), Failure> {
    let (policy, place) = kept(&save.whose, save.told.as_deref())?;
    let origin = origin(&save.whose);
    let sources = Sources { own: local(&save.whose)?, others: others(save)? };
    let taken = take::take(&place, &origin, name, &sources, &mut Progress::default().of(!save.json)).await?;
    Ok((taken, (place, policy)))
}

/// The one line that the sidecar reads.
fn tell(outcome: &Result<(take::Taken, (Place, Backup)), Failure>, name: &str, started: Timestamp) {
    let said = match outcome {
        Ok((taken, _)) => taken.said(),
        Err(failure) => failed(name, started, &failure.to_string()),
    };
    let mut out = io::stdout().lock();
    // A sidecar that does not listen any more has ended.
    let _ = serde_json::to_writer(&mut out, &said).map_err(io::Error::from).and_then(|()| writeln!(out));
    let _ = out.flush();
}

/// What is said of a backup that was not taken.
#[must_use]
pub fn failed(name: &str, started: Timestamp, why: &str) -> TakenBackup {
    TakenBackup {
        name: name.to_owned(),
        stored: false,
        message: Some(brief(why)),
        started: started.to_string(),
        ended: Timestamp::now().to_string(),
        ..TakenBackup::default()
    }
}

/// What is not pruned now is pruned the next time: the backup is there all the same.
async fn pruned(place: &Place, policy: &Backup, newest: &Manifest) {
    match prune::prune(place, policy, newest).await {
        Ok(pruned) if pruned == prune::Pruned::default() => {}
        Ok(pruned) => eprintln!("pruned: {:?}, of no backup: {:?}", pruned.backups, pruned.orphans),
        Err(failure) => eprintln!("cannot prune: {failure}"),
    }
}

/// `snapshot prove`.
async fn proven(prove: &Prove) -> Result<(), Failure> {
    let question: Question = serde_json::from_str(&prove.question)
        .map_err(|error| Failure::Usage(format!("the question cannot be understood: {error}")))?;
    let path = crate::args::search_path();
    let stage = prove::Stage { credentials: &prove.credentials, volume: &prove.volume, programs: path.as_deref() };
    last_words(prove::prove(&question, stage)).await
}

/// `snapshot salvage`.
async fn salvaged(told: &Salvage) -> Result<(), Failure> {
    let whose = salvage::Whose {
        namespace: &told.namespace,
        cluster: &told.cluster,
        cluster_uid: &told.cluster_uid,
        incarnation: told.incarnation,
        member: &told.member,
    };
    let path = crate::args::search_path();
    last_words(salvage::salvage(whose, &told.volume, &told.scratch, path.as_deref())).await
}

/// Does it, and says what was found in the container's last words.
async fn last_words(work: impl Future<Output = Result<Proof, Failure>>) -> Result<(), Failure> {
    // Dropping it is safe: what it leaves goes with its pod, or with the next try.
    let outcome = tokio::select! {
        outcome = work => outcome,
        // PID 1 of its container: a signal that nobody waits for is lost on it.
        () = asked_to_end() => Err(Failure::failed("Stopped", "it was asked to end")),
    };
    let proof = outcome.as_ref().map_or_else(prove::meaning, Proof::clone);
    if let Ok(said) = serde_json::to_string(&proof) {
        println!("{said}");
        // Without the file the exit code still says that it failed. Only kubelet makes it.
        let last_words = OpenOptions::new().write(true).truncate(true).open(LAST_WORDS);
        let _ = last_words.and_then(|mut file| file.write_all(said.as_bytes()));
    }
    outcome.map(drop)
}

async fn asked_to_end() {
    match shutdown::on_signal() {
        Ok(asked) => asked.cancelled().await,
        Err(_) => std::future::pending().await,
    }
}

/// The policy that was told, or the one that the sidecar keeps on the volume, and the place in its store.
fn kept(whose: &Whose, told: Option<&str>) -> Result<(Backup, Place), Failure> {
    let unknown = |why: String| Failure::Usage(format!("what is said of backups cannot be understood: {why}"));
    let told: ToldBackups = match told {
        Some(told) => serde_json::from_str(told).map_err(|error| unknown(error.to_string()))?,
        None => Store::new(whose.volume.clone())
            .read_backups()
            .map_err(|error| unknown(error.to_string()))?
            .ok_or_else(|| Failure::NotFound("the cluster has no store for backups: see spec.backup".into()))?,
    };
    let raw = serde_json::from_str(&told.policy).map_err(|error| unknown(error.to_string()))?;
    let policy = validate::backup(&raw).map_err(|error| unknown(error.to_string()))?;
    let place = Place::open(&policy.store, &told.path, &whose.credentials)?;
    Ok((policy, place))
}

fn origin(whose: &Whose) -> Origin {
    Origin {
        namespace: whose.namespace.clone(),
        cluster: whose.cluster.clone(),
        cluster_uid: whose.cluster_uid.clone(),
        incarnation: whose.incarnation,
        cluster_id: whose.cluster_id.clone(),
        member: whose.member.clone(),
    }
}

/// As whom etcd is asked, as the sidecar is at this moment.
fn access(whose: &Whose) -> Result<Access, Failure> {
    if !whose.client_tls {
        return Ok(Access::Plain);
    }
    let missing =
        |why: String| Failure::failed("NoCertificate", format!("there is no certificate to ask etcd with: {why}"));
    let bundle = Bundle::read(&whose.tls).map_err(|error| missing(error.to_string()))?;
    let bundle = bundle.ok_or_else(|| missing("the sidecar has none yet".into()))?;
    let identity = Identity::of(&bundle, &whose.cluster, &whose.namespace).map_err(missing)?;
    // The sender may go: for this process the identity stays the one that it is.
    Ok(Access::Encrypted(watch::channel(Some(Arc::new(identity))).1))
}

fn asked(whose: &Whose) -> Result<member::Whose, Failure> {
    let (cluster, namespace) = (whose.cluster.clone(), whose.namespace.clone());
    Ok(member::Whose { cluster, namespace, access: access(whose)? })
}

/// This member's etcd.
pub(super) fn local(whose: &Whose) -> Result<Member, Failure> {
    Ok(Member::local(asked(whose)?))
}

/// The other members: where the sidecar knows them, else by all names that they can have.
fn others(save: &Save) -> Result<Vec<Member>, Failure> {
    let Whose { member, namespace, cluster, client_tls, .. } = &save.whose;
    let asked = asked(&save.whose)?;
    let named = || {
        let all = (0..names::MAX_MEMBERS).map(|ordinal| names::member(cluster, ordinal));
        let url = |name: String| client_url(Scheme::of(*client_tls), &name, cluster, namespace);
        all.filter(|name| name != member).map(url).collect::<Vec<_>>()
    };
    let endpoints = if save.endpoint.is_empty() { named() } else { save.endpoint.clone() };
    Ok(endpoints.iter().map(|endpoint| Member::at(endpoint, asked.clone())).collect())
}

/// How far it is, on standard error, for whoever looks at it.
#[derive(Default)]
struct Progress {
    said: Option<Instant>,
}

impl Progress {
    fn of(mut self, wanted: bool) -> impl FnMut(u64) + Send {
        move |bytes| {
            if wanted && self.said.is_none_or(|said| said.elapsed() >= OFTEN) {
                self.said = Some(Instant::now());
                eprintln!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
            }
        }
    }
}
