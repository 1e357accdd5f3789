//! What must hold, and when it does not.

use crate::{
    config::Config,
    mistake::Rules,
    places::seats,
    world::{Answer, Id, Notes, Process, View, Wal, World, bit, initial_id, seat_of},
};

/// A property that does not hold, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// (a) An acknowledged write is lost.
    LostWrite(String),
    /// (b) Two clusters, or two leaders that can commit.
    TwoLeaders(String),
    /// (c) An ID runs whose volume was lost.
    SecondLife(String),
    /// (d) The wanted membership cannot be reached any more, although a majority is intact and nothing else fails.
    Stuck(String),
    /// (e) A member that is wanted and has its volume is taken out.
    TakenOut(String),
    /// (f) A pod whose member has left joins again.
    CameBack(String),
    /// (h) A member begins with other data than its life.
    OtherBytes(String),
    /// (g) The membership, or how many pods there are, changes while all rests.
    Stirred(String),
}

impl Broken {
    /// The property's letter.
    #[must_use]
    pub fn property(&self) -> char {
        match self {
            Self::LostWrite(_) => 'a',
            Self::TwoLeaders(_) => 'b',
            Self::SecondLife(_) => 'c',
            Self::Stuck(_) => 'd',
            Self::TakenOut(_) => 'e',
            Self::CameBack(_) => 'f',
            Self::Stirred(_) => 'g',
            Self::OtherBytes(_) => 'h',
        }
    }

    #[must_use]
    pub fn sentence(&self) -> &str {
        match self {
            Self::LostWrite(why)
            | Self::TwoLeaders(why)
            | Self::SecondLife(why)
            | Self::Stuck(why)
            | Self::TakenOut(why)
            | Self::CameBack(why)
            | Self::Stirred(why)
            | Self::OtherBytes(why) => why,
        }
    }
}

impl World {
    /// What must hold in every state; (a), (c), (e) and (f) are checked where they would break.
    pub fn check(&self, rules: &Rules) -> Result<(), Broken> {
        let leaders: usize = (1..=2).map(|incarnation| self.leaders(incarnation).count()).sum();
        if leaders > 1 {
            return Err(Broken::TwoLeaders("two leaders can commit".into()));
        }
        if self.incarnation > 1 && self.leaders(1).next().is_some() {
            return Err(Broken::TwoLeaders(
                "the cluster of an incarnation that is over serves beside the new one".into(),
            ));
        }
        match self.trusted_alone(rules) {
            Some(seat) => Err(Broken::TwoLeaders(format!("demo-{seat} serves alone, and its agent vouches for it"))),
            None => Ok(()),
        }
    }

    /// Checks that an ID may start on an empty disk at this place.
    pub fn check_first_start(&self, place: usize, id: Id) -> Result<(), Broken> {
        if self.volume(place).is_some_and(|volume| volume.database) {
            return Err(Broken::SecondLife(
                "etcd starts for the first time on a database that another log left".into(),
            ));
        }
        if self.ran & bit(id) == 0 {
            return Ok(());
        }
        let place = seat_of(id);
        Err(Broken::SecondLife(format!("etcd starts on an empty disk under an ID of demo-{place} that has run before")))
    }

    /// Checks that a founder may begin empty.
    pub fn check_begins_empty(&self, incarnation: u8) -> Result<(), Broken> {
        let broken = || Broken::OtherBytes("etcd begins empty in a life that begins with data".into());
        if self.life(incarnation).restored { Err(broken()) } else { Ok(()) }
    }

    /// Checks that data that was restored may be put in place under this ID.
    pub fn check_restored(&self, id: Id, right: bool) -> Result<(), Broken> {
        if !right {
            return Err(Broken::OtherBytes("a founder begins with other bytes than its life".into()));
        }
        let second =
            || Broken::SecondLife(format!("data is restored under an ID of demo-{} that has run", seat_of(id)));
        if self.ran & bit(id) == 0 { Ok(()) } else { Err(second()) }
    }

    /// Checks that the agent at this place may do what cannot wait for the end of a rest: it knows of none.
    pub fn check_rest(&self, place: usize, what: &str) -> Result<(), Broken> {
        let knows = matches!(self.pod(place).map(|pod| pod.agent.view), Some(View::Seen(notes)) if notes.paused);
        let sentence = || format!("demo-{}'s agent {what} while all rests", self.ordinal(place));
        if self.paused && knows { Err(Broken::Stirred(sentence())) } else { Ok(()) }
    }

    /// Checks that etcd may start on the data that is there.
    pub fn check_restart(&self, place: usize) -> Result<(), Broken> {
        if self.volume(place).is_some_and(|volume| volume.rolled) {
            return Err(Broken::SecondLife("etcd starts on an older copy of its volume".into()));
        }
        Ok(())
    }

    /// Whether a majority of the current membership has its volumes, or has not needed one yet: of what is committed, and of
    /// what the longest log that is left takes for it. etcd counts quorums by what it knows to be committed, so a change that
    /// only a lost volume knew to be is none yet.
    #[must_use]
    pub fn majority_intact(&self) -> bool {
        let intact = |config: Config| (config.voters & !self.lost).count_ones() >= config.quorum();
        let wals = seats().filter_map(|seat| self.seats[seat].volume?.wal);
        let left = wals.filter(|wal| wal.incarnation == self.incarnation && self.lost & bit(wal.id) == 0);
        let left: Vec<Wal> = left.filter(|wal| wal.len > 0 && !wal.forced).collect();
        let longest = left.iter().map(|wal| wal.len).max();
        let known = |wal: &&Wal| Some(wal.len) == longest && intact(self.life(wal.incarnation).seen_by(**wal));
        intact(self.config(self.incarnation)) && (left.is_empty() || left.iter().any(|wal| known(&wal)))
    }

    /// Whether everything is as the user wants it.
    #[must_use]
    pub fn is_settled(&self, api_returns: bool) -> bool {
        if !api_returns {
            return self.members_are(&self.config(self.incarnation), self.replicas);
        }
        let told = |seat: usize| {
            let object = self.seats[seat].object;
            let is_told =
                |notes: Notes| notes.stopped == (self.wish == 0) && (self.wish == 0 || notes.size == self.wish);
            object.is_some_and(|object| is_told(object.notes))
        };
        let wished = usize::from(self.wish);
        let pods = seats().all(|seat| self.seats[seat].pod.is_some() == (seat < wished));
        let quiet = !self.ending && !self.paused && self.lowering.is_none() && self.stray.is_none();
        let done = self.replicas == self.wish && pods && (0..wished).all(told) && quiet;
        done && (self.wish == 0 || self.members_are(&self.config(self.incarnation), self.wish))
    }

    /// Whether the members are exactly the first ordinals, all vote, all run at their seats, and one leads.
    fn members_are(&self, config: &Config, size: u8) -> bool {
        let runs = |seat: usize| {
            let id = self.seats[seat].volume.and_then(|volume| volume.wal).filter(|wal| !wal.forced).map(|wal| wal.id);
            let process = self.seats[seat].pod.as_ref().map(|pod| pod.process);
            id.is_some_and(|id| config.voters & bit(id) != 0) && matches!(process, Some(Process::Running { .. }))
        };
        config.learners == 0
            && config.voters.count_ones() == u32::from(size)
            && u32::from(config.seats()).trailing_ones() == u32::from(size)
            && (0..usize::from(size)).all(runs)
            && self.leader(self.incarnation).is_some()
    }

    /// Marks what a fault destroys at this place: IDs whose only proof or data it was.
    pub fn lose(&mut self, place: usize) {
        let seat = self.ordinal(place);
        let Some(volume) = self.volume(place).copied() else { return };
        let mut lost = volume.wal.map_or(0, |wal| bit(wal.id));
        if let Some(Answer::Added(id)) = self.pod(place).and_then(|pod| pod.agent.answer) {
            lost |= bit(id);
        }
        if let Some(mark) = volume.mark {
            let claimed = self.seats[seat].object.and_then(|object| object.notes.claim);
            let mine = claimed.is_some_and(|(_, volume_id)| volume_id == mark.ident.volume_id);
            lost |= mark.ident.id.map_or(0, bit);
            lost |= if mine && mark.ident.id.is_none() { bit(initial_id(mark.ident.incarnation, seat)) } else { 0 };
        }
        self.lost |= lost;
    }
}
