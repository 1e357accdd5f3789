//! Does an operator act on the cluster?

use jiff::SignedDuration;

use super::{Check, Finding, Scene};
use crate::{apiserver::lists::Known, print::units::age, view::page};

const CHECK: Check = Check::Operator;
/// A leader renews its Lease every few seconds; after a minute nobody leads.
const SILENT: SignedDuration = SignedDuration::from_mins(1);
/// A new object is looked at within seconds.
const NEW: SignedDuration = SignedDuration::from_secs(30);

pub fn check(scene: &Scene) -> Vec<Finding> {
    let cluster = &scene.sources.cluster;
    if cluster.status.is_none() {
        let old = scene.page.created.is_none_or(|made| scene.now.duration_since(made) > NEW);
        return vec![match old {
            true => Finding::fault(CHECK, "no coordinator has ever looked at it")
                .advise("is the operator installed, does it run, and does it look after this namespace (--namespace)?"),
            false => Finding::note(CHECK, "it was made a moment ago, and no coordinator has looked at it yet"),
        }];
    }
    let mut found: Vec<Finding> = match &scene.lease {
        Some(Known::Read(lease)) => lease_of(scene, lease.as_ref()).into_iter().collect(),
        Some(Known::Unread(why)) => vec![Finding::unknown(CHECK, why.clone())],
        None => vec![Finding::unknown(CHECK, "the status names no operator, so that nobody can say whether it runs")],
    };
    found.extend(page::unseen(cluster).map(|words| Finding::note(CHECK, words)));
    let name = cluster.status.as_ref().and_then(|status| status.operator.clone()).unwrap_or_default();
    super::finding::or_fine(found, CHECK, format!("{name} acts on it"))
}

fn lease_of(scene: &Scene, lease: Option<&k8s_openapi::api::coordination::v1::Lease>) -> Option<Finding> {
    const ADVICE: &str =
        "look at the operator's pods; members look after themselves meanwhile, and nothing of the spec is acted on";
    let name = scene.sources.cluster.status.as_ref()?.operator.clone()?;
    let Some(lease) = lease else {
        let words = format!("the operator {name} that acted on it last is gone: its Lease does not exist");
        return Some(Finding::fault(CHECK, words).advise("install it again, or another one: it takes over by itself"));
    };
    let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
    match renewed {
        Some(renewed) if scene.now.duration_since(renewed) <= SILENT => None,
        Some(renewed) => {
            let words = format!("no coordinator of {name} has been heard for {}", age(renewed, scene.now));
            Some(Finding::fault(CHECK, words).advise(ADVICE))
        }
        None => Some(Finding::fault(CHECK, format!("no coordinator of {name} leads")).advise(ADVICE)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diagnose::{
        Outcome,
        scene::tests::{read, well},
    };

    fn outcome(scene: &Scene) -> Outcome {
        check(scene)[0].outcome
    }

    #[test]
    fn an_operator_that_is_silent_or_gone_is_a_fault() {
        let mut scene = well(3);
        assert_eq!(outcome(&scene), Outcome::Fine);
        scene.lease = Some(Known::Read(Some(read(json!({"spec": {"renewTime": "2026-11-27T11:50:00.000000Z"}})))));
        assert_eq!(outcome(&scene), Outcome::Fault);
        scene.lease = Some(Known::Read(None));
        assert_eq!(outcome(&scene), Outcome::Fault);
        scene.lease = Some(Known::Unread("not allowed to read Leases".into()));
        assert_eq!(outcome(&scene), Outcome::Unknown);
    }

    #[test]
    fn a_cluster_that_nobody_looks_at_is_a_fault_once_it_is_not_new_any_more() {
        let mut scene = well(3);
        scene.sources.cluster.status = None;
        assert_eq!(outcome(&scene), Outcome::Fault);
        scene.page.created = Some(scene.now);
        assert_eq!(outcome(&scene), Outcome::Note);
    }
}
