//! Conditions as Kubernetes' API conventions want them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What one condition update now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionUpdate {
    pub kind: &'static str,
    pub status: Status,
    /// CamelCase, never empty.
    pub reason: String,
    /// One sentence for a person.
    pub message: String,
}

/// A condition's status; `Unknown` is a value of its own, never a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    True,
    False,
    Unknown,
}

impl Status {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// Puts `update` into the list: replaces the condition of the same type, keeping its transition time while the status
/// stays.
pub fn upsert(conditions: &mut Vec<Condition>, update: ConditionUpdate, generation: Option<i64>, now: Timestamp) {
    let ConditionUpdate { kind, status, reason, message } = update;
    let old = conditions.iter().position(|c| c.type_ == kind);
    let since = old
        .map(|i| &conditions[i])
        .filter(|c| c.status == status.as_str())
        .map_or(Time(now), |c| c.last_transition_time.clone());
    let new = Condition {
        type_: kind.to_owned(),
        status: status.as_str().to_owned(),
        reason,
        message,
        last_transition_time: since,
        observed_generation: generation,
    };
    match old {
        Some(i) => conditions[i] = new,
        None => conditions.push(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(status: Status, reason: &str) -> ConditionUpdate {
        ConditionUpdate { kind: "Ready", status, reason: reason.into(), message: String::new() }
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let (t0, t1) = (Timestamp::from_second(10).unwrap(), Timestamp::from_second(20).unwrap());
        let mut list = vec![];
        upsert(&mut list, ready(Status::False, "A"), Some(1), t0);
        upsert(&mut list, ready(Status::False, "B"), Some(1), t1);
        assert_eq!((list[0].last_transition_time.0, list[0].reason.as_str()), (t0, "B"));
        upsert(&mut list, ready(Status::True, "C"), Some(1), t1);
        assert_eq!((list.len(), list[0].last_transition_time.0), (1, t1));
    }
}
