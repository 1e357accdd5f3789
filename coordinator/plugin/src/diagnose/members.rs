//! What do the agents say of their members?

use jiff::SignedDuration;

use super::{
    Check, Finding, Scene,
    advice::{self, Lasting},
    finding::or_fine,
};
use crate::view::{answer::Answer, row::Row};

const CHECK: Check = Check::Members;
/// A member starts within seconds, and on a busy node within a minute.
const NEW: SignedDuration = SignedDuration::from_mins(1);
/// Said of members that serve, and of no interest.
const HARMLESS: &str = "AuthenticationOn";

pub fn check(scene: &Scene) -> Vec<Finding> {
    let mut found: Vec<Finding> = scene.wanted().filter_map(|row| standing(scene, row)).collect();
    found.extend(scene.members().iter().flat_map(|member| {
        let name = member.metadata.name.clone().unwrap_or_default();
        let notices =
            member.status.iter().flat_map(|status| &status.notices).filter(|notice| notice.reason != HARMLESS);
        notices.map(move |notice| {
            with_advice(
                scene,
                Finding::fault(CHECK, format!("{}: {}", notice.reason, notice.message)),
                &name,
                &notice.reason,
            )
        })
    }));
    let unreadable = scene.sources.members.read().into_iter().flat_map(|listed| &listed.unreadable);
    found.extend(unreadable.map(|words| Finding::fault(CHECK, words.clone())));
    found.extend(scene.sources.members.caveat().map(|why| Finding::unknown(CHECK, why)));
    or_fine(found, CHECK, fine(scene))
}

/// Who is explained by another check is not fine for that.
fn fine(scene: &Scene) -> String {
    let (serve, wanted) = (scene.wanted().filter(|row| row.ready == Answer::True).count(), scene.wanted().count());
    match wanted - serve {
        0 if wanted == 0 => "no member is wanted".to_owned(),
        0 => "all agents say that their members serve".to_owned(),
        1 => format!("{serve} agents say that their members serve; why the other one does not another check tells"),
        others => {
            format!("{serve} agents say that their members serve; why the other {others} do not another check tells")
        }
    }
}

/// Whose pod is in trouble has no agent that could say anything: the check of pods, or of volumes, names it.
fn standing(scene: &Scene, row: &Row) -> Option<Finding> {
    let known_already = scene.trouble(&row.name).is_some()
        || row.reason.as_deref() == Some("NoPod") && scene.sources.pods.read().is_some();
    let (reason, message) =
        (row.reason.as_deref().unwrap_or("Unknown"), row.message.as_deref().unwrap_or("it does not say why"));
    let words = format!("{reason}: {message}");
    let finding = match row.ready {
        Answer::True => return None,
        Answer::False | Answer::Unknown if known_already => return None,
        // A person wants it so, and the check of the spec says it.
        Answer::False if reason == "HeldBySpec" => return None,
        Answer::False => match advice::lasting(reason) {
            Lasting::Passes => Finding::note(CHECK, words),
            Lasting::OfNewPods if is_new(scene, &row.name) => Finding::note(CHECK, words),
            Lasting::OfNewPods | Lasting::Stays => Finding::fault(CHECK, words),
        },
        Answer::Unknown => Finding::unknown(CHECK, words),
    };
    Some(with_advice(scene, finding, &row.name, reason))
}

/// Whether its pod was made a moment ago: its containers may still be on their way.
fn is_new(scene: &Scene, member: &str) -> bool {
    let made = scene.pod(member).and_then(|pod| pod.metadata.creation_timestamp.as_ref());
    made.is_some_and(|made| scene.now.duration_since(made.0) < NEW)
}

fn with_advice(scene: &Scene, finding: Finding, member: &str, reason: &str) -> Finding {
    let finding = finding.of(member);
    match advice::of_member(reason) {
        Some(words) => finding.advise(words.replace("MEMBER", member).replace("NAME", &scene.page.name)),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        apiserver::lists::{Known, Listed},
        diagnose::{
            Outcome,
            scene::tests::{of, read, well},
        },
        view::page::{
            Sources,
            tests::{member, pod, sources},
        },
    };

    /// One member whose agent says this.
    fn saying(ready: bool, reason: &str, notice: Option<&str>) -> Scene {
        let mut one = member("demo-0", ready);
        let status = one.status.as_mut().unwrap();
        status.reason = reason.into();
        status.notices = notice.iter().map(|reason| read(json!({"reason": reason, "message": "words"}))).collect();
        let members = Known::Read(Listed { items: vec![one], unreadable: vec![] });
        of(Sources { members, ..sources(1) })
    }

    #[test]
    fn each_reason_comes_with_what_to_do_about_it() {
        for reason in ["ForeignVolume", "WrongFlags", "CutOff", "DiskFull"] {
            let found = check(&saying(false, reason, None));
            assert_eq!((found[0].outcome, found[0].subject.as_deref()), (Outcome::Fault, Some("demo-0")), "{reason}");
            assert!(found[0].message.starts_with(reason) && found[0].advice.is_some(), "{found:?}");
        }
        let crashed = check(&saying(false, "Crashed", None));
        assert_eq!(crashed[0].advice.as_deref(), Some("see why: kubectl etcd logs demo"));
    }

    #[test]
    fn what_passes_by_itself_is_a_note() {
        for reason in ["Starting", "WaitingForPeers", "Leaving", "Joining"] {
            assert_eq!(check(&saying(false, reason, None))[0].outcome, Outcome::Note, "{reason}");
        }
    }

    #[test]
    fn a_container_that_has_not_started_is_a_fault_once_its_pod_is_not_new_any_more() {
        let outcome = |made: &str| {
            let mut scene = saying(false, "LauncherMissing", None);
            if let Known::Read(pods) = &mut scene.sources.pods {
                pods[0].metadata.creation_timestamp = read(json!(made));
            }
            check(&scene)[0].outcome
        };
        assert_eq!(outcome("2026-11-27T11:59:30Z"), Outcome::Note);
        assert_eq!(outcome("2026-11-27T11:50:00Z"), Outcome::Fault);
    }

    #[test]
    fn a_notice_of_a_member_that_serves_is_a_fault_unless_it_is_harmless() {
        assert_eq!(check(&saying(true, "", Some("VolumeEmptied")))[0].outcome, Outcome::Fault);
        assert_eq!(check(&saying(true, "", Some(HARMLESS)))[0].outcome, Outcome::Fine);
        assert_eq!(check(&well(3))[0].outcome, Outcome::Fine);
    }

    #[test]
    fn what_a_person_asks_for_and_what_the_pod_explains_is_not_told_twice() {
        assert_eq!(check(&saying(false, "HeldBySpec", None))[0].outcome, Outcome::Fine);
        let mut pending = pod("demo-0", "False");
        pending.status = read(json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "no"}]}));
        let scene = of(Sources { pods: Known::Read(vec![pending]), ..sources(1) });
        assert_eq!(check(&scene)[0].outcome, Outcome::Fine);
    }
}
