//! `hold` and `release`: `spec.hold`, after counting what quorum is left.

use etcd_operator_shared::quorum::quorum;
use serde_json::json;

use super::{
    change::{decided, told},
    status::sources,
};
use crate::{
    apiserver::connection::Connection,
    args::{self, Dry},
    failure::Failure,
    terminal,
    verdict::Verdict,
    view::{answer::Answer, page::Page},
};

pub async fn hold(to: &Connection, name: &str, typed: &str, yes: bool, dry: Dry) -> Result<Verdict, Failure> {
    let sources = sources(to, name).await?;
    let page = Page::of(&sources);
    let member = member(&page, typed)?;
    match cost(&page, &sources.cluster.spec.hold, &member) {
        Cost::Held => {
            terminal::say(&format!("{member} is held already"));
            return Ok(Verdict::Good);
        }
        Cost::Quorum(words) => return Err(Failure::Refused(format!("refused: {words}"))),
        Cost::Bearable(words) => {
            if !yes && !dry.dry_run && !terminal::ask(&format!("Stop the etcd of {member}? {words}."))? {
                terminal::remark("nothing was changed");
                return Ok(Verdict::Failed);
            }
            decided(to, name, dry, |cluster| {
                let held = &cluster.spec.hold;
                (!held.contains(&member)).then(|| json!({"hold": held.iter().chain([&member]).collect::<Vec<_>>()}))
            })
            .await?;
            terminal::say(&told(&format!("{member} is held; {words}"), dry));
        }
    }
    Ok(Verdict::Good)
}

pub async fn release(to: &Connection, name: &str, typed: &str, dry: Dry) -> Result<Verdict, Failure> {
    // A member that is held is named by the spec, whatever else is known of it.
    let member = args::member(name, typed).unwrap_or_else(|| typed.to_owned());
    let released = decided(to, name, dry, |cluster| {
        let held = &cluster.spec.hold;
        let rest: Vec<&String> = held.iter().filter(|one| **one != member).collect();
        (rest.len() < held.len()).then(|| json!({ "hold": if rest.is_empty() { None } else { Some(rest) } }))
    })
    .await?;
    let words = match released {
        Some(_) => told(&format!("{member} goes on"), dry),
        None => return Err(Failure::NotFound(format!("spec.hold of {name} does not name {member}"))),
    };
    terminal::say(&words);
    Ok(Verdict::Good)
}

fn member(page: &Page, typed: &str) -> Result<String, Failure> {
    let found = args::member(&page.name, typed).filter(|member| page.members.iter().any(|row| row.name == *member));
    let all: Vec<&str> = page.members.iter().map(|row| row.name.as_str()).collect();
    found.ok_or_else(|| Failure::NotFound(format!("{} has no member {typed}: it has {}", page.name, all.join(", "))))
}

/// What a hold costs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cost {
    /// Nothing: it is held already.
    Held,
    /// The cluster goes on, or nobody is left who could: in words.
    Bearable(String),
    /// The others would be no quorum, and the operator would not hold it.
    Quorum(String),
}

fn cost(page: &Page, held: &[String], member: &str) -> Cost {
    if held.iter().any(|one| one == member) {
        return Cost::Held;
    }
    let wanted: Vec<_> = page.members.iter().filter(|row| row.wanted).collect();
    let off = |name: &str| name == member || held.iter().any(|one| one == name);
    let left = wanted.iter().filter(|row| row.ready == Answer::True && !off(&row.name)).count();
    let needed = quorum(wanted.len());
    if wanted.iter().all(|row| off(&row.name)) {
        // With every member named, a person means it: the operator stops them all.
        return Cost::Bearable("no member is left then, and nobody serves".to_owned());
    }
    let words = format!("{left} of {} members go on serving, {needed} are needed", wanted.len());
    if left >= needed { Cost::Bearable(words) } else { Cost::Quorum(format!("without {member} {words}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::page::tests::sources;

    fn cost_in(size: u32, held: &[&str], member: &str) -> Cost {
        let held: Vec<String> = held.iter().map(ToString::to_string).collect();
        cost(&Page::of(&sources(size)), &held, member)
    }

    #[test]
    fn a_hold_that_costs_the_quorum_is_refused_unless_nobody_is_left() {
        assert_eq!(cost_in(3, &[], "demo-1"), Cost::Bearable("2 of 3 members go on serving, 2 are needed".into()));
        assert!(matches!(cost_in(3, &["demo-0"], "demo-1"), Cost::Quorum(words) if words.contains("1 of 3")));
        assert!(
            matches!(cost_in(3, &["demo-0", "demo-2"], "demo-1"), Cost::Bearable(words) if words.contains("nobody"))
        );
        assert!(matches!(cost_in(1, &[], "demo-0"), Cost::Bearable(_)));
        assert_eq!(cost_in(3, &["demo-1"], "demo-1"), Cost::Held);
    }

    #[test]
    fn a_member_that_is_not_there_is_not_found_and_the_others_are_named() {
        let page = Page::of(&sources(3));
        assert_eq!(member(&page, "2").unwrap(), "demo-2");
        let failure = member(&page, "demo-5").unwrap_err();
        assert_eq!(failure.verdict(), Verdict::NotFound);
        assert!(failure.to_string().contains("demo-0, demo-1, demo-2"));
    }
}
