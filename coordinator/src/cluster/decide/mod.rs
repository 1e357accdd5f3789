//! Everything that one reconciliation decides, from facts alone: no client, no clock, no async.
//!
//! ```text
//!   stage (is there an incarnation?) ──▶ Look, Begin, MakeMembers
//!     │ there is
//!     ▼
//!   addresses ──▶ desired ──▶ membership ──▶ addresses of the gone dropped ──▶ desired, membership again ──▶ step, departed
//! ```
//! Twice, because absence from a list proves something only if the list was read after the members were last told
//! something.

pub mod addresses;
pub mod adoption;
pub mod agents;
pub mod backups;
pub mod certificates;
pub mod cleanup;
pub mod growth;
pub mod hold;
pub mod incarnation;
pub mod installation;
pub mod membership;
pub mod moving;
pub mod pause;
pub mod places;
pub mod ration;
pub mod refusal;
pub mod replicas;
pub mod rollout;
pub mod space;
pub mod step;
pub mod target;
pub mod trial;
pub mod versions;
pub mod volumes;
pub mod waiting;

use std::time::Duration;

use etcd_operator_shared::{
    api::{
        EtcdCluster,
        cluster::{End, Incarnation},
    },
    validate::{self, Wanted},
};

use crate::cluster::facts::{Facts, Readiness, trial::Trial};
use addresses::Publish;
use cleanup::Departed;
use growth::Growth;
use hold::Hold;
use incarnation::{Stage, founders};
use membership::{Desired, Membership};
use moving::{Due, Moving};
use pause::Paused;
use refusal::Refusal;
use space::Room;
use step::Step;
use target::Target;
use versions::Course;
use volumes::Change;

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub step: Step,
    /// What of the spec is not done, and only a person can help.
    pub refusal: Option<Refusal>,
    pub membership: Membership,
    /// How many members are meant to serve.
    pub size: u32,
    /// `None` where nothing is made and nothing is touched.
    pub care: Option<Care>,
    /// Whether the cluster rests, and what would be done. Its members are told then, and nothing else is made or
    /// touched.
    pub paused: Option<Paused>,
    /// Look again after this time.
    pub again: Option<Duration>,
}

/// What is done for a cluster that has an incarnation, beside the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Care {
    pub wanted: Wanted,
    pub incarnation: Incarnation,
    pub target: Target,
    /// What every member is told.
    pub desired: Desired,
    /// Members to clear away.
    pub departed: Vec<Departed>,
    /// What is to be done about volumes beside those of the departed.
    pub volumes: Vec<Change>,
    /// What is due so that they grow.
    pub growth: Growth,
    /// What becomes of members that are to have other volumes.
    pub moving: Moving,
    /// What is due so that keys find room; `wanted` says the same of volumes.
    pub room: Room,
    /// Trials that nobody needs any more.
    pub trials: Vec<Trial>,
    /// Which members get certificates.
    pub certificates: certificates::Due,
    /// Which EtcdBackups are due.
    pub backups: backups::Due,
    /// Which etcd pods are made with; `wanted` says the same.
    pub course: Course,
    /// Ordinals below this have an EtcdMember.
    pub members: u32,
}

/// What was waited for, and how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waited {
    /// Since the first address of a cluster that forms was seen.
    pub address: Duration,
    /// Since a leader was last known.
    pub leader: Duration,
}

/// Decides about one cluster. What is decided about one that is paused is only said.
#[must_use]
pub fn decide(cluster: &EtcdCluster, facts: &Facts, waited: Waited) -> Decision {
    let decision = awake(cluster, facts, waited);
    let rests = cluster.spec.paused && cluster.metadata.deletion_timestamp.is_none();
    if rests { pause::rest(decision, facts) } else { decision }
}

fn awake(cluster: &EtcdCluster, facts: &Facts, waited: Waited) -> Decision {
    let untouched = |step: Step, refusal: Option<Refusal>| Decision::untouched(cluster, facts, step, refusal);
    if cluster.metadata.deletion_timestamp.is_some() {
        return untouched(Step::Wait(waiting::deletion(cluster)), None);
    }
    let wanted = match validate::cluster(cluster) {
        Ok(wanted) => wanted,
        Err(invalid) => return untouched(Step::Nothing, Some(invalid.into())),
    };
    match incarnation::stage(cluster, &wanted, facts) {
        Stage::NotWanted => untouched(Step::Nothing, None),
        Stage::Refused(refusal) => untouched(Step::Nothing, Some(refusal)),
        Stage::Waits(waiting) => untouched(Step::Wait(waiting), None),
        Stage::Unknown(look) => untouched(Step::Look(look), None),
        Stage::Begins(incarnation) => untouched(Step::Begin(incarnation), None),
        Stage::Present(incarnation) => Decision::cared_for(cluster, wanted, incarnation, facts, waited),
    }
}

impl Decision {
    /// Nothing of the spec is done; what runs is left as it is.
    #[must_use]
    pub fn untouched(cluster: &EtcdCluster, facts: &Facts, step: Step, refusal: Option<Refusal>) -> Self {
        let incarnation = cluster.status.as_ref().and_then(|s| s.incarnation.as_ref());
        let membership = incarnation.map(|i| Membership::of(i, has_formed(cluster), None, facts)).unwrap_or_default();
        let size = match cluster.spec.size {
            0 => 0,
            size => facts.told().unwrap_or(size.max(0).unsigned_abs()),
        };
        Self { step, refusal, membership, size, care: None, paused: None, again: None }
    }

    fn cared_for(
        cluster: &EtcdCluster,
        wanted: Wanted,
        incarnation: Incarnation,
        facts: &Facts,
        waited: Waited,
    ) -> Self {
        let named = &cluster.spec.hold;
        let target = match Target::of(cluster, &wanted, &incarnation) {
            Target::Run(size) => Target::Run(hold::size(size, named, facts)),
            target @ (Target::Stop | Target::End(_) | Target::Rest) => target,
        };
        let latched = cluster.status.as_ref().and_then(|status| status.moving.as_ref());
        let (meant, target) = match target {
            Target::Run(size) => (size, Target::Run(moving::with_spare(size, &wanted.storage, latched, facts))),
            Target::Stop | Target::End(_) | Target::Rest => (0, target),
        };
        let size = match target {
            Target::Run(size) => size,
            // A stopped cluster keeps its size: stopping is no change of membership.
            Target::Stop | Target::End(_) | Target::Rest => facts.told().unwrap_or_else(|| founders(&incarnation)),
        };
        let (known, pods) = (facts.published(), facts.replicas().max(founders(&incarnation)));
        let (peers, forms) = match addresses::publish(&facts.cluster, &known, &facts.addresses(), pods, waited.address)
        {
            Publish::Wait(rest) => (known, Some(rest)),
            Publish::List(list) => (list, None),
        };
        let told = Desired { size, stopped: !target.runs(), peers, ..Desired::default() };
        let (mut desired, membership) = without_the_gone(told, &incarnation, has_formed(cluster), facts);
        let hold = Hold::of(named, &membership, facts);
        let whole = target.runs() && is_whole(size, &membership, facts);
        let course = versions::course(&versions::View::of(cluster, &wanted, facts, size, whole));
        let wanted = Wanted { version: course.etcd.version, image: course.etcd.image.clone(), ..wanted };
        desired.downgrade = course.downgrade;
        let step = match replicas::next(target, &membership, facts, waited.leader) {
            _ if !incarnation.members_created => Step::MakeMembers,
            _ if facts.set.as_ref().is_some_and(|set| set.deleting) => Step::Wait(growth::released(facts)),
            Step::Nothing => rest(&wanted, &incarnation, facts),
            Step::SetReplicas(n) => places::raise(n, &incarnation, facts),
            step => step,
        };
        let step = match (target, hold.begins(facts)) {
            (Target::Run(_), Some(first)) if incarnation.members_created => first,
            (Target::Run(_) | Target::Stop | Target::End(_) | Target::Rest, _) => step,
        };
        let step = match target {
            Target::Run(_) => {
                let wish = cluster.spec.pod.agent_update.unwrap_or_default();
                agents::next(step, wish, &membership, facts)
            }
            Target::Stop | Target::End(_) | Target::Rest => step,
        };
        let step = match (target, step) {
            (Target::Run(_), Step::Nothing) => hold.pending(facts).unwrap_or(Step::Nothing),
            (Target::Run(_) | Target::Stop | Target::End(_) | Target::Rest, step) => step,
        };
        let free = step == Step::Nothing && course.roll.is_none() && hold.held.is_empty();
        let view = moving::View { wanted: &wanted, size: meant, latched, whole, free, membership: &membership, facts };
        let moving = match target {
            Target::Run(_) if incarnation.members_created => moving::next(view),
            Target::Run(_) | Target::Stop | Target::End(_) | Target::Rest => {
                Moving { told: latched.cloned(), due: Due::Nothing }
            }
        };
        let step = moving.step(step);
        let growth = match target {
            Target::Run(_) if moving.is_under_way() => moving.growth(),
            Target::Run(_) | Target::Stop => growth::next(&wanted.storage, step == Step::Nothing, facts),
            Target::End(_) | Target::Rest => Growth::None,
        };
        let rests = whole && free && step == Step::Nothing && growth == Growth::None && !moving.is_under_way();
        let room = match space::View::of(&wanted, size, facts) {
            Some(view) if rests => space::next(view),
            Some(_) | None => Room::Enough,
        };
        let (wanted, growth) = match room.volume(&wanted.storage) {
            Some(larger) => {
                let growth = growth::next(&larger, true, facts);
                (Wanted { storage: larger, ..wanted }, growth)
            }
            None => (wanted, growth),
        };
        let step = match step {
            Step::Nothing => {
                let kept = || hold::stays(wanted.size, meant).filter(|_| target.runs());
                let grows = growth.waiting(facts).or_else(|| room.waiting());
                grows.or_else(kept).map_or(Step::Nothing, Step::Wait)
            }
            step => step,
        };
        let step = match step {
            Step::Nothing if target.runs() => course.waiting().map_or(Step::Nothing, Step::Wait),
            step => step,
        };
        let again = forms.into_iter().chain(course.again()).min();
        let refusal = refusal::objection(cluster, &wanted, &incarnation, facts)
            .or_else(|| course.refusal())
            .or_else(|| hold.objection.clone().map(Refusal::HoldRefused))
            .or_else(|| moving.objection().map(Refusal::MoveRefused))
            .or_else(|| room.refusal());
        let retention = cluster.spec.storage.retention.clone();
        let is_cleared = incarnation.end() == Some(End::Stopped);
        let care = Care {
            departed: match target {
                Target::Run(size) if incarnation.members_created => {
                    cleanup::due(size, retention.when_scaled, &membership, facts)
                }
                Target::Rest if is_cleared => cleanup::stopped(facts),
                Target::Run(_) | Target::Stop | Target::End(_) | Target::Rest => vec![],
            },
            volumes: if is_cleared {
                volumes::stopped(facts)
            } else {
                volumes::ownership(retention.when_deleted, adoption::note(cluster, &incarnation), facts)
            },
            growth,
            moving,
            room,
            trials: trial::over(facts),
            certificates: match forms {
                // They ride together.
                Some(_) => certificates::Due::default(),
                None => certificates::due(cluster, &wanted.encryption, &incarnation, facts),
            },
            backups: backups::due(cluster, facts),
            course,
            members: members(target, &step, size, facts),
            wanted,
            desired: Desired { held: hold.held, serves: incarnation::serves(&incarnation, facts), ..desired },
            incarnation,
            target,
        };
        Self { step, refusal, membership, size: meant, care: Some(care), paused: None, again }
    }

    /// Whether something in it could not be taken back, or rests on what no cache holds.
    #[must_use]
    pub fn is_final(&self, facts: &Facts) -> bool {
        let takes = |care: &Care| {
            let holds = care.desired.held.iter().any(|ordinal| !facts.slot(*ordinal).is_held());
            holds
                || !care.departed.is_empty()
                || care.volumes.iter().any(Change::deletes)
                || care.growth == Growth::Look
                || care.moving.due == Due::Look
        };
        self.step.is_final(facts) || self.care.as_ref().is_some_and(takes)
    }
}

/// Whether the membership is what is wanted, and all members serve and are settled.
fn is_whole(size: u32, membership: &Membership, facts: &Facts) -> bool {
    let serves = |ordinal| {
        let slot = facts.slot(ordinal);
        matches!(slot.readiness(), Readiness::Ready(said) if said.settled) && !slot.is_changing()
    };
    waiting::pending(size, membership, facts).is_none() && (0..size).all(serves)
}

/// What the members are told, and who is one: once more where the addresses of members that are gone are dropped.
fn without_the_gone(told: Desired, incarnation: &Incarnation, formed: bool, facts: &Facts) -> (Desired, Membership) {
    let membership = Membership::of(incarnation, formed, Some(&told), facts);
    let peers = cleanup::without(&told.peers, &membership, facts);
    if peers == told.peers {
        return (told, membership);
    }
    let desired = Desired { peers, ..told };
    let membership = Membership::of(incarnation, formed, Some(&desired), facts);
    (desired, membership)
}

/// What an incarnation that has ended waits for, where another is wanted.
fn rest(wanted: &Wanted, incarnation: &Incarnation, facts: &Facts) -> Step {
    let left = incarnation.end().filter(|_| wanted.size > 0).and_then(|end| incarnation::leftover(end, facts));
    left.map_or(Step::Nothing, Step::Wait)
}

/// Ordinals below this have an EtcdMember.
fn members(target: Target, step: &Step, size: u32, facts: &Facts) -> u32 {
    match (target, step) {
        (Target::End(_) | Target::Rest, _) => 0,
        (Target::Stop, _) => size,
        (Target::Run(_), Step::SetReplicas(n)) => facts.replicas().max(*n),
        (
            Target::Run(_),
            Step::Look(_)
            | Step::Begin(_)
            | Step::MakeMembers
            | Step::Replace(_)
            | Step::Swap(_)
            | Step::Turn(_)
            | Step::Refresh(_)
            | Step::Move(_)
            | Step::Try(_)
            | Step::End(_)
            | Step::Wait(_)
            | Step::Nothing,
        ) => facts.replicas(),
    }
}

/// Whether the cluster is known to have formed.
fn has_formed(cluster: &EtcdCluster) -> bool {
    cluster.status.as_ref().is_some_and(|status| status.cluster_id.is_some())
}

#[cfg(test)]
mod tests;
