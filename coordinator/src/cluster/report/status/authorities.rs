//! What is said of the authorities: how far a change of them is and what it waits for, and when they end.

use etcd_operator_shared::api::{Word, cluster::Authorities};

use super::{Input, certificates};
use crate::cluster::facts::certificates::{Held, Known};

/// What to say. They are not looked at each time: what was said before holds until they are.
pub fn of(input: Input<'_>, before: Option<Authorities>) -> Option<Authorities> {
    let Some(care) = &input.decision.care else { return before };
    if care.incarnation.encrypted.is_off() {
        return None;
    }
    let certificates_end = certificates::first(input).map(|(_, end)| end.to_string());
    let Some(Known::Held(held)) = &input.facts.authorities else {
        let certificates_end = |said: &Authorities| certificates_end.or_else(|| said.certificates_end.clone());
        return before.map(|said| Authorities { certificates_end: certificates_end(&said), ..said });
    };
    let Held { generation, asked, change, end, renewal, .. } = &**held;
    Some(Authorities {
        generation: *generation,
        asked: *asked,
        phase: change.as_ref().map(|change| Word::Known(change.phase)),
        since: change.as_ref().map(|change| change.since.to_string()),
        waits: care.rotation.waits.clone().filter(|_| change.is_some()),
        not_after: end.to_string(),
        renew_after: renewal.to_string(),
        certificates_end,
    })
}

/// The change that is under way, for people, to go on from another sentence.
pub fn changing(input: Input<'_>) -> Option<String> {
    let Some(Known::Held(held)) = &input.facts.authorities else { return None };
    let (generation, change) = (held.generation, held.change.as_ref()?);
    let waits = input.decision.care.as_ref()?.rotation.waits.as_ref()?;
    Some(format!(
        "; the authorities are changed for those of generation {generation} ({:?}), which waits {waits}",
        change.phase
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use etcd_operator_shared::api::cluster::AuthorityPhase;

    use super::*;
    use crate::cluster::{
        decide::{Waited, decide, rotation::tests as rotating},
        facts::Facts,
    };

    #[test]
    fn what_was_said_holds_until_they_are_looked_at_again_and_a_plain_cluster_says_nothing() {
        let (cluster, facts) = rotating::issuing();
        let says = |facts: &Facts, before| {
            let decision = decide(&cluster, facts, Waited::default());
            of(Input { cluster: &cluster, facts, decision: &decision, denials: &[], lacking: Duration::ZERO }, before)
        };
        let said = says(&facts, None).unwrap();
        assert_eq!((said.generation, &said.phase), (2, &Some(Word::Known(AuthorityPhase::Issue))));
        assert!(said.waits.as_ref().unwrap().contains("demo-0 (it has not taken them yet)"), "{said:?}");
        let unseen = Facts { authorities: None, ..facts.clone() };
        assert_eq!(says(&unseen, Some(said.clone())), Some(said));
        assert_eq!(says(&unseen, None), None);
    }
}
