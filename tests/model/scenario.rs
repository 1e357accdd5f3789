//! A beginning, and what may happen to it.

use std::collections::{HashSet, VecDeque};

use crate::{
    budget::Budget,
    mistake::{Mistake, Rules},
    world::{PLACES, Process, World},
};

#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What a person calls it.
    pub name: &'static str,
    pub begins: Begins,
    pub budget: Budget,
    pub rules: Rules,
}

/// How a cluster begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// Founded with this size: objects are there, pods are not.
    Founded(u8),
    /// Founded with this size, in a life that begins with data.
    Restored(u8),
    /// Founded with this size; the life after that begins with data.
    RestoredLater(u8),
    /// All its members run, and are about to elect a leader.
    Formed(u8),
}

/// No rule is taken away, nothing is edited, answers are at once.
pub const RULES: Rules = Rules {
    mistake: None,
    sizes: &[],
    keeps_volumes: false,
    counts: false,
    api_returns: true,
    late_lists: false,
    records: false,
    blots: true,
    only: None,
};

/// Nothing goes wrong.
pub const CALM: Budget = Budget {
    crashes: 0,
    disks: 0,
    emptied: 0,
    data: 0,
    objects: 0,
    outages: 0,
    cuts: 0,
    copies: 0,
    unrest: 0,
    lags: 0,
    deaf: 0,
    blind: 0,
    haste: 0,
    late: 0,
    writes: 0,
    edits: 0,
    pauses: 0,
    ends: 0,
    serves: 0,
    forced: 0,
};

impl Scenario {
    /// The first state.
    #[must_use]
    pub fn first(&self) -> World {
        let budget = Budget { edits: self.rules.sizes.len() as u8, ..self.budget };
        let mut world = match self.begins {
            Begins::Founded(size) => World::founded(size, CALM),
            Begins::Restored(size) => restored(size, 0),
            Begins::RestoredLater(size) => restored(size, 1),
            Begins::Formed(size) => formed(size, &Rules { mistake: None, ..self.rules }),
        };
        world.budget = budget;
        world.settle(&self.rules);
        world
    }

    #[must_use]
    pub fn with(self, mistake: Mistake) -> Self {
        Self { rules: Rules { mistake: Some(mistake), ..self.rules }, ..self }
    }

    /// The bounds in words: what may happen, and how often.
    #[must_use]
    pub fn bounds(&self) -> String {
        let Budget {
            crashes,
            disks,
            emptied,
            data,
            objects,
            outages,
            cuts,
            copies,
            unrest,
            lags,
            deaf,
            blind,
            haste,
            late,
            writes,
            edits: _,
            pauses,
            ends,
            serves,
            forced,
        } = self.budget;
        let counted = [
            (crashes, "crashes"),
            (disks, "lost disks"),
            (emptied, "emptied volumes"),
            (data, "lost data directories"),
            (objects, "deleted EtcdMembers"),
            (outages, "outages of the API server"),
            (cuts, "nodes cut off"),
            (copies, "takings and returns of a volume's copy"),
            (unrest, "needless elections"),
            (lags, "commits by a bare quorum"),
            (deaf, "agents that do not hear their launcher"),
            (blind, "hanging watches or refused writes"),
            (haste, "waits cut short"),
            (late, "late requests"),
            (writes, "writes of a client"),
            (pauses, "rests"),
            (ends, "incarnations given up"),
            (serves, "times that nobody serves the data, or another"),
            (forced, "members forced to be alone"),
        ];
        let counted = counted.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
        let edits = (!self.rules.sizes.is_empty()).then(|| format!("size edited to {:?}", self.rules.sizes));
        let begins = match self.begins {
            Begins::Founded(size) => format!("founded with {size}"),
            Begins::Restored(size) => format!("founded with {size} on data"),
            Begins::RestoredLater(size) => format!("founded with {size}, then on data"),
            Begins::Formed(size) => format!("formed with {size}"),
        };
        let late = self.rules.late_lists.then(|| "lists heard late".to_owned());
        let only = self.rules.only.map(|property| format!("judged by ({property}) alone"));
        let away = (!self.rules.api_returns).then(|| "an API server that never returns".to_owned());
        std::iter::once(begins)
            .chain(edits)
            .chain(counted)
            .chain(late)
            .chain(away)
            .chain(only)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// A cluster that was just founded, one of whose lives begins with data.
fn restored(size: u8, life: usize) -> World {
    let mut world = World::founded(size, CALM);
    world.lives[life].restored = true;
    world
}

/// The first settled state of a cluster to which nothing happens, without its leader.
fn formed(size: u8, rules: &Rules) -> World {
    let rules = &Rules { sizes: &[], ..*rules };
    let mut first = World::founded(size, CALM);
    first.settle(rules);
    let (mut seen, mut queue) = (HashSet::from([first.clone()]), VecDeque::from([first]));
    while let Some(mut world) = queue.pop_front() {
        if world.is_settled(true) {
            for place in 0..PLACES {
                if let Some(pod) = world.pod_mut(place).filter(|pod| pod.runs()) {
                    pod.process = Process::Running { leads: false };
                }
            }
            return world;
        }
        for next in world.steps_on(rules).into_iter().filter_map(|step| step.outcome.ok()) {
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    World::founded(size, CALM)
}
