//! What pods are made with and come to: another etcd, other options. Whoever is touched while it serves is touched
//! alone.

use std::sync::Arc;

use etcd_operator_shared::{api::member::ToldOptions, names};
use jiff::Timestamp;

use super::World;
use crate::cluster::{
    decide::step::{Step, Why},
    facts::{Etcd, Pod, swap::Swapped},
};

/// Which etcd, and its options, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    pub etcd: u8,
    pub options: u8,
}

impl Made {
    pub const FIRST: Self = Self { etcd: 21, options: 0 };

    pub fn version(self) -> String {
        format!("v3.5.{}", self.etcd)
    }

    pub fn image(self) -> String {
        format!("quay.io/coreos/etcd:{}", self.version())
    }

    pub fn said(self) -> String {
        format!("o{}", self.options)
    }

    pub fn shape(self) -> String {
        format!("{}-{}", self.etcd, self.options)
    }

    pub fn asked(self) -> Etcd {
        Etcd { version: self.version().parse().unwrap(), image: self.image() }
    }
}

impl World {
    /// What is done about pods. Where one that serves is touched, all others that vote run what they are to run.
    pub(super) fn touch(&mut self, step: &Step) {
        let alone = |why: Why| matches!(why, Why::Follower | Why::LeaderLast);
        let touched = match step {
            Step::Replace(deletions) => deletions.iter().find(|one| alone(one.why)).map(|one| one.name.clone()),
            Step::Swap(swap) => Some(swap.name.clone()),
            Step::Turn(turn) => Some(turn.name.clone()),
            Step::Look(_)
            | Step::Begin(_)
            | Step::MakeMembers
            | Step::SetReplicas(_)
            | Step::Refresh(_)
            | Step::Move(_)
            | Step::Try(_)
            | Step::End(_)
            | Step::Wait(_)
            | Step::Nothing => None,
        };
        if let Some(ordinal) = touched.and_then(|name| names::ordinal("demo", &name)) {
            for other in self.etcd.iter().filter(|other| **other != ordinal) {
                let well = self.pods.contains_key(other) && !self.down.contains(other) && self.is_settled(*other);
                assert!(well, "{ordinal} is touched while {other} is away or on its way: {step:?}");
            }
        }
        match step {
            Step::Replace(deletions) => {
                let gone = |pod: &Pod| deletions.iter().any(|v| v.uid == pod.uid);
                self.pods.retain(|_, pod| !gone(pod));
            }
            Step::Swap(swap) => self.pods.values_mut().filter(|pod| pod.uid == swap.uid).for_each(|pod| {
                let (version, image) = (swap.etcd.version.to_string(), swap.etcd.image.clone());
                let note = Swapped { version, image, container: swap.container.clone(), at: Timestamp::UNIX_EPOCH };
                pod.asked = Some(swap.etcd.clone());
                (pod.etcd.image, pod.etcd.swapped) = (swap.write.clone(), Some(note));
            }),
            Step::Turn(turn) => {
                let member = self.members.get_mut(&turn.ordinal).unwrap();
                let told = ToldOptions { pod: turn.uid.clone(), said: turn.options.clone() };
                Arc::make_mut(&mut member.spec).options = Some(told);
                *member.version.generation.as_mut().unwrap() += 1;
            }
            Step::Look(_)
            | Step::Begin(_)
            | Step::MakeMembers
            | Step::SetReplicas(_)
            | Step::Refresh(_)
            | Step::Move(_)
            | Step::Try(_)
            | Step::End(_)
            | Step::Wait(_)
            | Step::Nothing => {}
        }
    }

    /// What the etcd of a pod runs.
    pub fn runs(&self, ordinal: u32) -> Option<Made> {
        self.runs.get(&ordinal).copied().filter(|_| self.pods.contains_key(&ordinal))
    }

    /// Whether a pod's etcd runs what it is to run.
    fn is_settled(&self, ordinal: u32) -> bool {
        let (pod, runs) = (&self.pods[&ordinal], self.runs[&ordinal]);
        pod.etcd.image == runs.image() && self.told(ordinal).is_none_or(|told| told == runs.said())
    }

    /// The options that were told to the pod that is there.
    fn told(&self, ordinal: u32) -> Option<String> {
        let told = self.members.get(&ordinal)?.spec.options.clone()?;
        (self.pods.get(&ordinal)?.uid == told.pod).then_some(told.said)
    }

    /// A container whose image was changed is stopped, and comes back as another one in the next round.
    pub(super) fn kubelets(&mut self) {
        self.down.retain(|ordinal| self.pods.contains_key(ordinal));
        for ordinal in self.pods.keys().copied().collect::<Vec<_>>() {
            let id = self.tick().to_string();
            let (pod, runs) = (self.pods.get_mut(&ordinal).unwrap(), self.runs.get_mut(&ordinal).unwrap());
            if pod.etcd.id.is_none() {
                runs.etcd = pod.asked.as_ref().unwrap().version.patch;
                (pod.etcd.id, pod.etcd_runs) = (Some(id), true);
                self.down.remove(&ordinal);
            } else if pod.etcd.image != runs.image() {
                (pod.etcd.id, pod.etcd_runs, pod.ready) = (None, false, false);
                self.down.insert(ordinal);
            } else {
                // An etcd that its agent has started once more is there again.
                self.down.remove(&ordinal);
            }
        }
    }

    /// Starts etcd once more where it was told other options.
    pub(super) fn turns(&mut self, ordinal: u32) {
        let told = self.told(ordinal).and_then(|told| told[1..].parse().ok());
        let runs = self.runs.get_mut(&ordinal).unwrap();
        if let Some(options) = told.filter(|told| *told != runs.options && !self.down.contains(&ordinal)) {
            runs.options = options;
            self.down.insert(ordinal);
        }
    }
}
