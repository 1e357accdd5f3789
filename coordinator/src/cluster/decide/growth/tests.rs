//! Claims about volumes that grow.

use super::*;
use crate::cluster::facts::{
    ClaimSize,
    tests::{claim, healthy},
};

const GI: u64 = 1 << 30;

/// A healthy cluster, read live, whose claims ask for and have so many Gi.
fn facts(sizes: &[(u64, u64)]) -> Facts {
    let mut facts = Facts { source: Source::Live, ..healthy(u32::try_from(sizes.len()).unwrap()) };
    facts.claims = (0..).zip(sizes).map(|(ordinal, (asks, has))| (ordinal, sized(ordinal, *asks, *has))).collect();
    facts
}

fn sized(ordinal: u32, asks: u64, has: u64) -> Claim {
    let size = ClaimSize {
        class: None,
        version: Some("7".into()),
        requested: asks * GI,
        capacity: Some(has * GI),
        said: Some("Resizing: words".into()),
    };
    Claim { size: Some(size), ..claim(ordinal) }
}

fn volume(gibibytes: u64) -> Volume {
    Volume { size: format!("{gibibytes}Gi"), bytes: gibibytes * GI, class: None, limits: None }
}

fn due(facts: &Facts) -> Growth {
    next(&volume(16), true, facts)
}

fn names(growth: Growth) -> Vec<String> {
    let Growth::Ask(requests) = growth else { panic!("{growth:?}") };
    requests.into_iter().map(|request| request.name).collect()
}

fn sentence(growth: Growth) -> String {
    let Growth::Wait(waiting) = growth else { panic!("{growth:?}") };
    waiting.message
}

#[test]
fn nothing_is_due_while_the_template_is_as_wanted_whatever_the_claims_are() {
    assert_eq!(next(&volume(8), true, &facts(&[(4, 4)])), Growth::None);
    assert_eq!(next(&volume(4), true, &facts(&[(8, 8)])), Growth::None, "volumes do not shrink");
}

#[test]
fn nothing_is_decided_on_a_cache() {
    assert_eq!(due(&Facts { source: Source::Cache, ..facts(&[(8, 8)]) }), Growth::Look);
}

#[test]
fn one_claim_is_asked_first_and_then_all_others() {
    assert_eq!(names(due(&facts(&[(8, 8), (8, 8), (8, 8)]))), ["data-demo-0"]);
    assert_eq!(names(due(&facts(&[(16, 8), (8, 8), (8, 8)]))), ["data-demo-1", "data-demo-2"]);
}

#[test]
fn a_claim_that_somebody_has_grown_further_is_left_as_it_is() {
    assert_eq!(names(due(&facts(&[(32, 32), (8, 8)]))), ["data-demo-1"]);
}

#[test]
fn volumes_in_use_are_waited_for_in_the_words_of_those_who_grow_them() {
    let mut facts = facts(&[(16, 16), (16, 8)]);
    assert_eq!(sentence(due(&facts)), "data-demo-1 grows from 8Gi to 16Gi: Resizing: words");
    facts.slots.get_mut(&1).unwrap().pod = None;
    assert!(matches!(due(&facts), Growth::Release(_)), "its next pod mounts it with the new size");
}

#[test]
fn the_stateful_set_goes_last_by_version_and_only_while_nothing_else_is_under_way() {
    let facts = facts(&[(16, 16), (16, 16)]);
    assert_eq!(due(&facts), Growth::Release(facts.set.as_ref().unwrap().version.clone()));
    let sentence = sentence(next(&volume(16), false, &facts));
    assert!(sentence.contains("once nothing else is under way"), "{sentence}");
}

#[test]
fn a_stateful_set_that_goes_or_is_gone_is_left_to_the_next_step() {
    let mut facts = facts(&[(16, 16)]);
    facts.set.as_mut().unwrap().deleting = true;
    assert_eq!(due(&facts), Growth::None);
    facts.set = None;
    assert_eq!(due(&facts), Growth::None);
}
