//! Who is to blame: the troubles of pods and members, the gravest first.

use etcd_operator_shared::api::member::MemberPhase;

use crate::{
    facts::{Facts, Seat, Voice},
    refusal,
    trouble::{self, shorten},
};

/// One problem, named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub reason: String,
    pub message: String,
    /// Whether it lasts until a person acts.
    pub held: bool,
}

/// Whether a reason, unlike what members go through when a cluster comes up, may well stay until somebody acts.
pub fn lasts(reason: &str) -> bool {
    const OF_MEMBERS: [&str; 3] = ["MemberHeld", "MemberFailing", "AlarmRaised"];
    OF_MEMBERS.contains(&reason)
        || trouble::Reason::ALL.iter().any(|r| r.as_str() == reason)
        || refusal::REASONS.contains(&reason)
}

/// All problems: those that wait for a person, then those of pods, then those of members.
pub fn of(facts: &Facts) -> Vec<Problem> {
    let members = || facts.seats.values().filter_map(member);
    let pods = facts.pods().filter_map(|(_, pod)| pod.trouble.as_ref());
    let pods = pods.map(|trouble| Problem {
        reason: trouble.reason.as_str().to_owned(),
        message: trouble.message.clone(),
        held: false,
    });
    members().filter(|p| p.held).chain(pods).chain(members().filter(|p| !p.held)).collect()
}

/// What a member's own agent says is wrong with it.
fn member(seat: &Seat) -> Option<Problem> {
    let Voice::NotReady(said) = seat.voice() else { return None };
    let name = &seat.pod.as_ref()?.name;
    let words = shorten(if said.message.is_empty() { &said.reason } else { &said.message });
    if words.is_empty() {
        return None;
    }
    let (reason, held, message) = match said.phase? {
        MemberPhase::Held => ("MemberHeld".to_owned(), true, format!("member {name} is held: {words}")),
        MemberPhase::Failing => {
            let flags = said.last_exit.as_ref().is_some_and(|exit| exit.class == "WrongFlags");
            ("MemberFailing".to_owned(), flags, format!("member {name}: {words}"))
        }
        MemberPhase::Left => return None,
        MemberPhase::Waiting
        | MemberPhase::Starting
        | MemberPhase::Joining
        | MemberPhase::Running
        | MemberPhase::Leaving => (said.reason.clone(), false, format!("member {name}: {words}")),
    };
    Some(Problem { reason: camel(&reason), message, held })
}

/// A condition's reason must be a CamelCase word; what an agent of another version sends may not be one.
fn camel(reason: &str) -> String {
    let word: String = reason.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    if word.starts_with(|c: char| c.is_ascii_alphabetic()) { word } else { "MemberNotReady".into() }
}
