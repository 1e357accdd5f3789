//! What is done for the members' databases, one thing at a time: they are asked, compared, compacted, defragmented, and
//! their alarms are taken back.

use std::time::{Duration, Instant};

use etcd_operator_shared::api::{
    Word,
    cluster::{Action, Chore},
};
use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::lane::Lane;
use crate::{
    crash,
    etcd::{
        data::{is_compacted, is_of_the_future},
        member::{EtcdError, Member, Status},
    },
    hosts::task::whoami,
    plan::{
        compare::{Comparison, Hash},
        upkeep::{Database, Kind, Survey, Why},
    },
};

/// How long an agent may take to say how much room there is: it is one hop away and answers from memory.
const PATIENCE: Duration = Duration::from_millis(700);
/// A follower that is connected has what a quorum has within milliseconds.
const CATCHES_UP: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(50);
/// Until what was done shows in what members say: etcd counts what is in use when it commits, ten times a second.
const SETTLES: Duration = Duration::from_secs(1);
/// Until something is tried again that failed: etcd may refuse it for as long as its authentication is on.
const LATER: Duration = Duration::from_secs(30);

/// Where a member is asked.
#[derive(Clone)]
pub(in crate::sidecar) struct Door {
    pub id: String,
    pub member: String,
    pub etcd: Member,
    pub agent: Agent,
}

/// What is said of a member's volume and backups.
#[derive(Debug, Clone)]
pub(in crate::sidecar) enum Agent {
    /// This one.
    Own { room: Option<u64>, backs_up: bool },
    /// The one at this address.
    At(String),
}

/// Something to be done.
pub(in crate::sidecar) enum Work {
    Survey { own: Door, others: Vec<Door> },
    Compact { own: Member, revision: i64 },
    Defragment { door: Door, why: Why },
    Compare { own: Door, others: Vec<Door>, leader: bool },
    Disarm { own: Member, whose: Vec<(String, String)>, kind: Kind },
}

/// How it ended.
pub(in crate::sidecar) enum Ended {
    Surveyed(Survey),
    /// `took`: the longest that one member took for its hash.
    Compared {
        comparison: Comparison,
        took: Duration,
    },
    Compacted {
        revision: i64,
        chore: Chore,
    },
    Done(Chore),
    /// `id`: of the member that could not be defragmented.
    Failed {
        id: Option<String>,
        why: String,
    },
}

pub(in crate::sidecar) struct Upkeep {
    lane: Lane<Ended>,
    not_before: Instant,
    defragments: bool,
    /// Why something failed last: said once.
    trouble: Option<String>,
}

impl Upkeep {
    pub(in crate::sidecar) fn new() -> Self {
        Self { lane: Lane::new(), not_before: Instant::now(), defragments: false, trouble: None }
    }

    /// Whether something may begin.
    pub(in crate::sidecar) fn is_free(&self, now: Instant) -> bool {
        !self.lane.is_busy() && now >= self.not_before
    }

    /// Whether a member is being defragmented.
    pub(in crate::sidecar) fn defragments(&self) -> bool {
        self.lane.is_busy() && self.defragments
    }

    pub(in crate::sidecar) fn begin(&mut self, work: Work) {
        self.defragments = matches!(work, Work::Defragment { .. });
        self.lane.begin(perform(work));
    }

    /// The end of what was begun; pends while there is nothing. Cancel-safe.
    pub(in crate::sidecar) async fn ended(&mut self) -> Ended {
        let ended = self.lane.ended().await;
        let pause = match &ended {
            Ended::Surveyed(_) | Ended::Compared { .. } => Duration::ZERO,
            Ended::Compacted { .. } | Ended::Done(_) => SETTLES,
            Ended::Failed { .. } => LATER,
        };
        self.not_before = Instant::now() + pause;
        self.note(&ended);
        ended
    }

    fn note(&mut self, ended: &Ended) {
        match ended {
            // What cannot be done may well be looked at.
            Ended::Surveyed(_) | Ended::Compared { .. } => {}
            Ended::Compacted { .. } | Ended::Done(_) => self.trouble = None,
            Ended::Failed { why, .. } if self.trouble.as_ref() == Some(why) => {}
            Ended::Failed { id, why } => {
                warn!(member = id, "{why}; it is tried again");
                self.trouble = Some(why.clone());
            }
        }
    }
}

async fn perform(work: Work) -> Ended {
    let (what, id, outcome) = match work {
        Work::Survey { own, others } => ("ask how large the databases are", None, survey(&own, &others).await),
        Work::Compact { own, revision } => ("compact", None, compact(&own, revision).await),
        Work::Defragment { door, why } => {
            let id = Some(door.id.clone());
            ("defragment", id, defragment(&door, why).await)
        }
        Work::Compare { own, others, leader } => ("compare members", None, compare(&own, &others, leader).await),
        Work::Disarm { own, whose, kind } => ("take an alarm back", None, disarm(&own, &whose, kind).await),
    };
    match outcome {
        Ok(ended) => ended,
        Err(error) => Ended::Failed { id, why: format!("cannot {what}: {error}") },
    }
}

async fn survey(own: &Door, others: &[Door]) -> Result<Ended, EtcdError> {
    // By the leader's own word: whatever it is, it was reached, and compacting up to it needs a quorum.
    let revision = own.etcd.status().await?.revision;
    let doors: Vec<Door> = std::iter::once(own).chain(others).cloned().collect();
    let asked = join_all(doors.into_iter().map(database)).await;
    Ok(Ended::Surveyed(Survey { revision, databases: asked.into_iter().flatten().collect() }))
}

/// What is known of one member's database; `None` where it does not answer, or another one does.
async fn database(door: Door) -> Option<Database> {
    let said = door.etcd.status().await.ok().filter(|said| said.member_id == door.id)?;
    let (room, read) = match &door.agent {
        Agent::Own { room, backs_up } => (*room, *backs_up),
        Agent::At(address) => {
            let said = timeout(PATIENCE, whoami(address)).await.ok()?.ok();
            let said = said.filter(|said| said.member == door.member)?;
            (said.room, said.backs_up)
        }
    };
    let (size, in_use) = sizes(&said);
    Some(Database { id: said.member_id, size, in_use, room, read })
}

fn sizes(said: &Status) -> (u64, u64) {
    (said.db_size.unsigned_abs(), said.db_size_in_use.unsigned_abs())
}

async fn compact(own: &Member, revision: i64) -> Result<Ended, EtcdError> {
    crash::point("before-compact");
    match own.compact(revision).await {
        Err(error) if !is_compacted(&error) => return Err(error),
        Ok(()) | Err(_) => {}
    }
    crash::point("after-compact");
    let message = format!("what was before revision {revision} is forgotten: databases had reached their quota");
    Ok(Ended::Compacted { revision, chore: chore(Action::Compacted, message) })
}

async fn defragment(door: &Door, why: Why) -> Result<Ended, EtcdError> {
    let before = itself(door).await?;
    info!(member = door.member, why = why.sentence(), "its database is defragmented");
    let began = Instant::now();
    crash::point("before-defragment");
    door.etcd.defragment().await?;
    crash::point("after-defragment");
    let took = began.elapsed().as_secs_f64();
    let after = itself(door).await?;
    let mebibytes = |said: &Status| said.db_size.unsigned_abs() as f64 / f64::from(1 << 20);
    let (member, from, to, why) = (&door.member, mebibytes(&before), mebibytes(&after), why.sentence());
    let message = format!("the database of {member} went from {from:.1} to {to:.1} MiB in {took:.1} s: {why}");
    Ok(Ended::Done(chore(Action::Defragmented, message)))
}

/// What the member says of itself, if it is the one that is meant.
async fn itself(door: &Door) -> Result<Status, EtcdError> {
    let said = door.etcd.status().await?;
    if said.member_id == door.id { Ok(said) } else { Err(EtcdError::OtherMember(said.member_id)) }
}

/// Asks one after the other: whoever reckons applies nothing meanwhile.
async fn compare(own: &Door, others: &[Door], leader: bool) -> Result<Ended, EtcdError> {
    let revision = own.etcd.status().await?.revision;
    let (mut hashes, mut took) = (vec![], Duration::ZERO);
    for door in others.iter().chain(leader.then_some(own)) {
        let (hash, time) = hash(door, revision).await?;
        hashes.push(hash);
        took = took.max(time);
    }
    Ok(Ended::Compared { comparison: Comparison { revision, hashes }, took })
}

/// The hash of one member as of a revision, which it may not have yet, and how long it took.
async fn hash(door: &Door, revision: i64) -> Result<(Hash, Duration), EtcdError> {
    let version = itself(door).await?.version.parse();
    let version = version.map_err(|_| EtcdError::Unreachable("its version is not understood".into()))?;
    let waited = Instant::now();
    loop {
        let began = Instant::now();
        match door.etcd.hash(revision).await {
            Ok(said) => {
                let hash = Hash { id: door.id.clone(), hash: said.hash, compacted: said.compact_revision, version };
                return Ok((hash, began.elapsed()));
            }
            Err(error) if is_of_the_future(&error) && waited.elapsed() < CATCHES_UP => sleep(AGAIN).await,
            Err(error) => return Err(error),
        }
    }
}

async fn disarm(own: &Member, whose: &[(String, String)], kind: Kind) -> Result<Ended, EtcdError> {
    for (id, _) in whose {
        crash::point("before-disarm");
        own.disarm(id, kind).await?;
        crash::point("after-disarm");
    }
    let names: Vec<&str> = whose.iter().map(|(_, name)| name.as_str()).collect();
    let (name, why) = match kind {
        Kind::NoSpace => ("NOSPACE", "etcd takes writes again"),
        Kind::Corrupt => ("CORRUPT", "all members hold the same keys"),
    };
    let message = format!("the alarm {name} of {} is taken back: {why}", names.join(", "));
    Ok(Ended::Done(chore(Action::Disarmed, message)))
}

/// Something that was done.
pub(in crate::sidecar) fn chore(action: Action, message: String) -> Chore {
    info!(?action, message, "done for the databases");
    Chore { action: Word::Known(action), time: Timestamp::now().to_string(), message }
}
