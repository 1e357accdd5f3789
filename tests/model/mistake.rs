//! Planted mistakes: each takes one rule away, and the model must find what that breaks.

use crate::property::Broken;

/// How a world goes on.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub mistake: Option<Mistake>,
    /// The sizes that a user may ask for, one edit after the other.
    pub sizes: &'static [u8],
    /// Whether the volumes of members that left are kept.
    pub keeps_volumes: bool,
    /// Whether the counter on the volume counts starts; without a copy that is put back it only makes states.
    pub counts: bool,
    /// Whether an API server that went away comes back, and what it does is part of what is wanted.
    pub api_returns: bool,
    /// Whether a list may be old when it is acted on.
    pub late_lists: bool,
    /// Whether marks take the voters; without an etcd that is forced to be alone it only makes states.
    pub records: bool,
    /// Whether what nobody reads is blotted out. It is everywhere but where that is proven to change nothing.
    pub blots: bool,
    /// The one property that is judged; what breaks another goes on as if it did not, where it can.
    pub only: Option<char>,
}

impl Rules {
    #[must_use]
    pub fn judges(&self, property: char) -> bool {
        self.only.is_none_or(|only| only == property)
    }

    /// What was found, if it is judged.
    pub fn judge(&self, found: Result<(), Broken>) -> Result<(), Broken> {
        found.or_else(|broken| if self.judges(broken.property()) { Err(broken) } else { Ok(()) })
    }
}

/// One rule less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// `new` is concluded from the others' silence.
    NewOnSilence,
    /// A claim is written over whatever stands there.
    ClaimWithoutSwap,
    /// An EtcdMember that was made again counts like the first.
    NoInitial,
    /// Nothing records that a WAL was seen.
    NoLived,
    /// An entry that is listed as not started is taken over.
    AdoptByList,
    /// A pod whose member left may join again.
    LeftNotFinal,
    /// A member is added as a voter.
    VoterFirst,
    /// The new mark is written before the data is renamed.
    MarkBeforeRename,
    /// etcd starts before its ID is on the mark.
    IdAfterStart,
    /// The leader's agent removes a voter for being away.
    AwayIsRemoved,
    /// Replicas fall to the wanted size at once.
    LowerBeforeLeft,
    /// A stopped cluster is woken with as many pods as are wanted.
    WakeToTheWish,
    /// What has no pod is cleared away while the cluster is stopped.
    ClearWhileStopped,
    /// A pod starts on the data of an incarnation that is over.
    OlderIncarnation,
    /// Nobody's answer is taken for an empty list.
    SilenceIsAbsence,
    /// A volume behind its object starts all the same.
    NoCounter,
    /// An agent publishes its volume's counter although a higher one stands there.
    CounterFalls,
    /// The mark is written from memory over whatever is on the volume by now.
    MarkFromMemory,
    /// A member beside which another volume speaks goes on.
    SupersededGoesOn,
    /// An etcd that runs under another ID than the mark's goes on.
    OtherIdGoesOn,
    /// A member whose list has lost all other voters is trusted.
    AloneIsTrusted,
    /// Whoever was turned away as removed waits for a confirmation for ever.
    TurnedAwayForGood,
    /// The launcher starts etcd again with the arguments of its first start.
    RestartsAsFirst,
    /// A database without its WAL is left where etcd starts for the first time.
    DatabaseIsNoData,
    /// An agent goes on while all rests.
    NoRest,
    /// Data is restored before the claim is accepted.
    RestoresUnclaimed,
    /// A founder bootstraps although it is told of data to begin with.
    BeginsEmpty,
    /// A founder that is told of no data bootstraps, whatever the token says.
    UntoldIsEmpty,
    /// Whatever is served is taken.
    AnyBytes,
    /// What was restored is put in its place without another look.
    PlacesUnasked,
}

impl Mistake {
    /// What is wrong, for the reader of a trace.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NewOnSilence => "`new` is concluded from the others' silence",
            Self::ClaimWithoutSwap => "a claim is written without compare-and-swap",
            Self::NoInitial => "an EtcdMember made again is as good a proof as the first",
            Self::NoLived => "nothing records that a WAL was seen",
            Self::AdoptByList => "an entry listed as not started is taken over",
            Self::LeftNotFinal => "a pod whose member has left may join again",
            Self::VoterFirst => "a member is added as a voter",
            Self::MarkBeforeRename => "the new mark is written before the data is renamed",
            Self::IdAfterStart => "etcd starts before its ID is on the mark",
            Self::AwayIsRemoved => "the leader's agent removes a voter for being away",
            Self::LowerBeforeLeft => "replicas fall before the members have left",
            Self::WakeToTheWish => "a stopped cluster wakes with as many pods as are wanted, whoever is a member",
            Self::ClearWhileStopped => "members without a pod are cleared away while the cluster is stopped",
            Self::OlderIncarnation => "a pod starts on the data of an incarnation that is over",
            Self::SilenceIsAbsence => "nobody's answer is taken for an empty list",
            Self::NoCounter => "a volume behind its EtcdMember's counter starts all the same",
            Self::CounterFalls => "an older copy's counter is published over the newer one",
            Self::SupersededGoesOn => "a member beside which another volume speaks goes on",
            Self::OtherIdGoesOn => "an etcd that runs under another ID than the mark's goes on",
            Self::TurnedAwayForGood => "who was turned away as removed waits for a confirmation for ever",
            Self::RestartsAsFirst => "the launcher starts etcd again with the arguments of its first start",
            Self::DatabaseIsNoData => "a database without its WAL is left where etcd starts for the first time",
            Self::NoRest => "an agent goes on while all rests",
            Self::RestoresUnclaimed => "data is restored before the claim is accepted",
            Self::BeginsEmpty => "a founder bootstraps although its cluster begins with data",
            Self::UntoldIsEmpty => "a founder that is told of no data bootstraps, whatever the token says",
            Self::AnyBytes => "whatever is served is restored",
            Self::PlacesUnasked => "what was restored is put in its place without another look at the facts",
            Self::AloneIsTrusted => "a member whose list has lost all other voters is trusted",
            Self::MarkFromMemory => "the mark is written from memory over whatever is on the volume",
        }
    }
}
