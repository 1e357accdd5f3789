//! etcd's rules of membership and leadership, as small as they can be and still go wrong.
//!
//! A log is a prefix of what its life has committed: an entry is appended and committed in one step, on exactly the members
//! of one quorum, and every smallest quorum is tried. A leader that lacks a committed entry is itself the violation, so no
//! log ever needs a branch. Terms are on the volume; that of an election is above those of all its voters, so that nobody is
//! asked twice in one. A member acts on a change of the membership only once it knows that it is committed; until then it
//! counts quorums as before.

use crate::{
    config::{Config, quorums},
    property::Broken,
    world::{Entry, Id, Ids, PLACES, Process, Wal, World, bit, ids, seat_of},
};

impl World {
    /// The membership that is committed.
    #[must_use]
    pub fn config(&self, incarnation: u8) -> Config {
        let life = self.life(incarnation);
        life.config(life.len)
    }

    fn seen_by(&self, wal: Wal) -> Config {
        self.life(wal.incarnation).seen_by(wal)
    }

    /// IDs that run, out of a set, with a term that is not above this.
    fn reached(&self, incarnation: u8, of: Ids, term: u8) -> Ids {
        let near = self.running(incarnation).filter(|(_, wal)| of & bit(wal.id) != 0 && wal.term <= term);
        near.fold(0, |set, (_, wal)| set | bit(wal.id))
    }

    /// The leaders that reach a quorum of what they take for the membership.
    pub fn leaders(&self, incarnation: u8) -> impl Iterator<Item = (usize, Wal)> {
        self.running(incarnation).filter(move |(place, wal)| {
            let config = self.seen_by(*wal);
            self.pod(*place).is_some_and(|pod| pod.leads())
                && self.reached(incarnation, config.voters, wal.term).count_ones() >= config.quorum()
        })
    }

    /// The leader, while there is one that can commit.
    #[must_use]
    pub fn leader(&self, incarnation: u8) -> Option<(usize, Wal)> {
        self.leaders(incarnation).max_by_key(|(_, wal)| wal.term)
    }

    /// An entry committed: by all that are there, or, at the cost of a lag, by each smallest quorum, which leaves the others
    /// behind and, of itself, all but the leader in the dark about the commit.
    #[must_use]
    pub fn committed(&self, incarnation: u8, entry: Entry) -> Vec<Result<World, Broken>> {
        let Some((_, leader)) = self.leader(incarnation) else { return vec![] };
        let config = self.seen_by(leader);
        let there = self.reached(incarnation, config.voters, leader.term);
        let commit = |with: Ids, lag: bool| {
            let mut next = self.clone();
            next.budget.lags -= u8::from(lag);
            next.commit(incarnation, entry, with, lag).map(|()| next)
        };
        let mut outcomes = vec![commit(there, false)];
        if self.budget.lags > 0 {
            outcomes.extend(quorums(config, there, leader.id).into_iter().map(|with| commit(with, true)));
        }
        outcomes
    }

    fn commit(&mut self, incarnation: u8, entry: Entry, with: Ids, lag: bool) -> Result<(), Broken> {
        let Some((place, leader)) = self.leader(incarnation) else { return Ok(()) };
        if lag {
            self.slow_down(incarnation, leader.id);
        }
        let life = self.life_mut(incarnation);
        if leader.len < life.len {
            return Err(Broken::TwoLeaders("a leader commits that has not heard of what another committed".into()));
        }
        life.log[usize::from(life.len)] = entry;
        life.len += 1;
        let (len, gone) = (life.len, entry == Entry::Remove(leader.id));
        for id in ids(with) {
            self.started |= bit(id);
            let Some(at) = self.place_of(incarnation, id) else { continue };
            // A leader that removes itself tells the others before it ends: etcd gives it a second for that.
            let knows = at == place || gone || !lag || !entry.changes();
            self.follow(at, Wal { len, knows, ..leader });
        }
        if with & bit(leader.id) == 0 {
            self.follow(place, Wal { len, knows: true, ..leader });
        }
        self.set_leads(place, !gone);
        Ok(())
    }

    /// A member takes over what a leader has.
    fn follow(&mut self, place: usize, leader: Wal) {
        self.set_leads(place, false);
        let Some(wal) = self.wal_mut(place) else { return };
        *wal = Wal { id: wal.id, slow: wal.slow, ..leader };
    }

    fn slow_down(&mut self, incarnation: u8, but: Id) {
        let others: Vec<usize> =
            self.running(incarnation).filter(|(_, w)| w.id != but).map(|(place, _)| place).collect();
        for place in others {
            if let Some(wal) = self.wal_mut(place) {
                wal.slow = true;
            }
        }
    }

    fn set_leads(&mut self, place: usize, leads: bool) {
        if let Some(pod) = self.pod_mut(place).filter(|pod| pod.runs()) {
            pod.process = Process::Running { leads };
        }
    }

    /// What an etcd that runs at this place has, if it is one of its cluster.
    fn wal_of(&self, place: usize) -> Option<Wal> {
        let runs = self.pod(place).is_some_and(|pod| pod.runs());
        self.volume(place)?.wal.filter(|wal| runs && !wal.forced)
    }

    /// Brings a member up to date with the leader, unless it is slow, or is no member. Whether anything changed.
    pub fn catch_up(&mut self, place: usize) -> bool {
        let Some(wal) = self.wal_of(place) else { return false };
        let Some((leads, leader)) = self.leader(wal.incarnation) else { return false };
        let known = wal.len == leader.len && wal.knows && wal.term == leader.term;
        let told = self.started & bit(wal.id) != 0;
        let member = self.config(wal.incarnation).has(wal.id);
        if leads == place || (known && told) || !member || wal.term > leader.term || wal.slow {
            return false;
        }
        self.follow(place, leader);
        self.started |= bit(wal.id);
        true
    }

    /// A slow member is slow no more.
    #[must_use]
    pub fn hastened(&self, place: usize) -> Option<World> {
        let slow = self.volume(place)?.wal?.slow && self.pod(place)?.runs();
        slow.then(|| {
            let mut next = self.clone();
            if let Some(wal) = next.wal_mut(place) {
                wal.slow = false;
            }
            next
        })
    }

    /// Every election that this place can win now, by the votes of all that would give theirs, or, at the cost of a lag, of a
    /// smallest quorum.
    #[must_use]
    pub fn elections(&self, place: usize) -> Vec<(Ids, Result<World, Broken>)> {
        let Some(wal) = self.wal_of(place) else { return vec![] };
        let config = self.seen_by(wal);
        if config.voters & bit(wal.id) == 0 || (wal.len == 0 && !wal.is_bare()) {
            return vec![];
        }
        let votes = self.running(wal.incarnation).filter(|(_, v)| config.voters & bit(v.id) != 0 && v.len <= wal.len);
        let votes = votes.fold(0, |set, (_, v)| set | bit(v.id));
        if votes.count_ones() < config.quorum() {
            return vec![];
        }
        let mut elections = vec![(votes, self.elected(place, wal, votes))];
        if self.budget.lags > 0 {
            let mut before = self.clone();
            before.budget.lags -= 1;
            before.slow_down(wal.incarnation, wal.id);
            let wal = Wal { slow: false, ..wal };
            let each = quorums(config, votes, wal.id).into_iter();
            elections.extend(each.map(|with| (with, before.elected(place, wal, with))));
        }
        elections
    }

    fn elected(&self, place: usize, wal: Wal, with: Ids) -> Result<World, Broken> {
        let voters = || self.running(wal.incarnation).filter(|(_, voter)| with & bit(voter.id) != 0);
        let term = voters().map(|(_, voter)| voter.term).max().unwrap_or(0) + 1;
        let rival = |(_, other): (usize, Wal)| other.term == term && other.id != wal.id;
        let leads = |(place, _): &(usize, Wal)| self.pod(*place).is_some_and(|pod| pod.leads());
        if self.running(wal.incarnation).filter(leads).any(rival) {
            return Err(Broken::TwoLeaders(format!("two leaders of term {term}: somebody voted twice")));
        }
        if wal.len < self.life(wal.incarnation).len {
            return Err(Broken::LostWrite("a leader was elected that lacks a committed entry".into()));
        }
        let mut next = self.clone();
        let places: Vec<usize> = voters().map(|(at, _)| at).collect();
        for at in places {
            next.follow(at, Wal { term, knows: true, ..wal });
        }
        next.started |= with;
        next.set_leads(place, true);
        Ok(next)
    }

    /// Whether a process finds that it is no member any more: its own log says so, or a member that knows turns it away.
    #[must_use]
    pub fn is_turned_away(&self, place: usize) -> bool {
        let Some(wal) = self.wal_of(place) else { return false };
        if self.is_turned_away_by_one_forced(wal) {
            return true;
        }
        let knows_better = |(_, other): (usize, Wal)| other.len >= wal.len && !self.knows_as_member(other, wal.id);
        !self.config(wal.incarnation).has(wal.id) && self.running(wal.incarnation).any(knows_better)
    }

    /// Whether an etcd that was forced to be alone runs: it takes all others for removed, and tells them so.
    fn is_turned_away_by_one_forced(&self, wal: Wal) -> bool {
        (0..PLACES).any(|place| {
            let runs = self.pod(place).is_some_and(|pod| pod.runs());
            let other = self.volume(place).and_then(|volume| volume.wal).filter(|other| runs && other.forced);
            other.is_some_and(|other| other.incarnation == wal.incarnation)
        })
    }

    /// Whether for this log the ID is a member, or is yet to become one.
    fn knows_as_member(&self, wal: Wal, id: Id) -> bool {
        let later = &self.life(wal.incarnation).log[usize::from(wal.len)..];
        self.seen_by(wal).has(id) || later.contains(&Entry::AddLearner(id)) || later.contains(&Entry::AddVoter(id))
    }

    /// Whether etcd would take this change now. Source: etcd `server/etcdserver/server.go`, strict reconfiguration.
    #[must_use]
    pub fn is_allowed(&self, incarnation: u8, entry: Entry) -> bool {
        let Some((_, leader)) = self.leader(incarnation) else { return false };
        let config = self.config(incarnation);
        let connected = self.reached(incarnation, config.voters, u8::MAX).count_ones();
        let started = |set: Ids| (set & self.started).count_ones();
        match entry {
            Entry::Founded => false,
            Entry::Write => true,
            Entry::AddLearner(id) | Entry::AddVoter(id) => {
                let taken = config.seats() & 1 << seat_of(id) != 0;
                !taken && config.learners == 0 && connected == config.voters.count_ones()
            }
            Entry::Promote(id) => {
                let synced = self.running(incarnation).any(|(_, wal)| wal.id == id && wal.len == leader.len);
                config.learners & bit(id) != 0 && synced && started(config.voters) + 1 >= config.quorum()
            }
            Entry::Remove(id) if config.learners & bit(id) != 0 => true,
            Entry::Remove(id) if config.voters & bit(id) != 0 => {
                let left = config.voters & !bit(id);
                let dead = self.place_of(incarnation, id).is_none();
                let spare = connected > 1 + (config.voters.count_ones() - 1) / 2;
                started(left) > left.count_ones() / 2 && (dead || spare)
            }
            Entry::Remove(_) => false,
        }
    }

    /// Whether somebody other than this place gives a linearizable list.
    #[must_use]
    pub fn answers(&self, place: usize, incarnation: u8) -> bool {
        let config = self.config(incarnation);
        let serves =
            |at: &usize| self.running(incarnation).any(|(p, wal)| p == *at && config.has(wal.id) && wal.len > 0);
        self.leader(incarnation).is_some() && (0..PLACES).filter(|at| *at != place).any(|at| serves(&at))
    }
}
