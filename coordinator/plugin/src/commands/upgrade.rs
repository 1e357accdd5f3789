//! `upgrade`: patches `spec.version`, and follows what the operator makes of it.
//!
//! The API server judges what a version may look like, the operator which one may come next: it knows what the members
//! have agreed on. So even without `--wait` its first word is waited for.

use std::time::Duration;

use etcd_operator_shared::{api::EtcdCluster, version::Version};
use serde_json::json;

use super::{
    change::{merge, told},
    wait::{Far, until},
};
use crate::{
    apiserver::{cluster, connection::Connection},
    args::{Dry, Wait},
    failure::Failure,
    terminal,
    verdict::Verdict,
    view::{
        answer::Answer,
        page::{Said, conditions},
    },
};

/// A coordinator that runs looks at a change within a second.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// Reasons of the condition Stalled for which a version does not come until a person acts.
const REFUSALS: [&str; 4] = ["VersionRefused", "InvalidSpec", "TemplateRefused", "RehearsalFailed"];

pub async fn run(to: &Connection, name: &str, version: Version, wait: Wait, dry: Dry) -> Result<Verdict, Failure> {
    let before = cluster::get(to, name).await?;
    if let Some(image) = &before.spec.image {
        terminal::remark(&format!("spec.image names {image}: it must hold {version}, or be changed as well"));
    }
    let after = merge(to, name, &json!({"version": version.to_string()}), dry).await?;
    let words = if before.spec.version.parse() == Ok(version) {
        format!("{version} is what {name} asks for already")
    } else {
        told(&format!("{name} goes from {} to {version}", before.spec.version), dry)
    };
    terminal::say(&words);
    if dry.dry_run {
        terminal::remark("whether the way from the present version is open, the operator says once it is asked");
        return Ok(Verdict::Good);
    }
    let generation = after.metadata.generation;
    let look = async || cluster::get(to, name).await;
    if wait.wait {
        let what = format!("{name} does not run {version}");
        until(what, wait.timeout, async || far(&look().await?, version, generation)).await?;
        terminal::say(&format!("{name} runs {version}"));
        return Ok(Verdict::Good);
    }
    let first = until("", FIRST_WORD, async || {
        let cluster = look().await?;
        // Any word about the newest spec is enough.
        Ok(match far(&cluster, version, generation)? {
            Far::UnderWay(_) if !is_seen(&cluster, generation) => {
                Far::UnderWay("waiting for the operator to look at it".to_owned())
            }
            Far::UnderWay(words) => Far::Done(words),
            Far::Done(()) => Far::Done("it runs".to_owned()),
        })
    });
    match first.await {
        Ok(words) => terminal::say(&words),
        Err(Failure::TimedOut(_)) => terminal::remark("no coordinator has looked at it yet: it is done once one runs"),
        Err(failure) => return Err(failure),
    }
    Ok(Verdict::Good)
}

fn is_seen(cluster: &EtcdCluster, generation: Option<i64>) -> bool {
    cluster.status.as_ref().and_then(|status| status.observed_generation) >= generation
}

/// How far the change is; a refusal of the operator's is a failure.
fn far(cluster: &EtcdCluster, version: Version, generation: Option<i64>) -> Result<Far<()>, Failure> {
    if !is_seen(cluster, generation) {
        return Ok(Far::UnderWay("waiting for the operator to look at it".to_owned()));
    }
    if cluster.metadata.generation > generation && cluster.spec.version.parse() != Ok(version) {
        return Err(Failure::Refused(format!("somebody else asks for {} meanwhile", cluster.spec.version)));
    }
    let all = conditions(cluster);
    let is = |kind: &str, answer| all.iter().find(|said| said.kind == kind && said.status == answer);
    if let Some(said) = is("Stalled", Answer::True).filter(|said| REFUSALS.contains(&said.reason.as_str())) {
        return Err(Failure::Refused(format!("refused: {}: {}", said.reason, said.message)));
    }
    let status = cluster.status.clone().unwrap_or_default();
    let runs = status.version.as_deref().is_some_and(|runs| runs.parse() == Ok(version));
    let in_force = status.etcd.as_ref().is_none_or(|etcd| etcd.version.parse() == Ok(version));
    let settled = is("Ready", Answer::True).is_some() && is("Reconciling", Answer::False).is_some();
    if runs && in_force && settled && status.roll.is_none() {
        return Ok(Far::Done(()));
    }
    let why = is("Stalled", Answer::True)
        .or_else(|| is("Reconciling", Answer::True))
        .or_else(|| all.iter().find(|said| said.kind == "Ready"));
    let why = why.map_or_else(
        || "nothing is said yet".to_owned(),
        |Said { reason, message, .. }| format!("{reason}: {message}"),
    );
    let runs = status.version.map(|version| format!(", the oldest member runs {version}")).unwrap_or_default();
    Ok(Far::UnderWay(format!("{why} ({} serve{runs})", status.ready.as_deref().unwrap_or("none"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::page::tests::{cluster, say};

    fn wanted() -> Version {
        "v3.5.21".parse().unwrap()
    }

    #[test]
    fn it_is_done_when_all_run_it_and_nothing_is_being_changed() {
        let mut cluster = cluster(3);
        assert_eq!(far(&cluster, wanted(), Some(1)), Ok(Far::Done(())));
        say(&mut cluster, "Reconciling", "True", "EtcdUpdating", "etcd of demo-1 gets v3.5.21");
        let under_way = "EtcdUpdating: etcd of demo-1 gets v3.5.21 (3/3 serve, the oldest member runs v3.5.21)";
        assert_eq!(far(&cluster, wanted(), Some(1)), Ok(Far::UnderWay(under_way.to_owned())));
    }

    #[test]
    fn a_status_of_the_former_spec_says_nothing_of_the_change() {
        let mut cluster = cluster(3);
        say(&mut cluster, "Stalled", "True", "VersionRefused", "of the version before");
        assert!(matches!(far(&cluster, wanted(), Some(2)), Ok(Far::UnderWay(words)) if words.contains("waiting")));
        cluster.metadata.generation = Some(3);
        cluster.spec.version = "v3.6.11".into();
        cluster.status.as_mut().unwrap().observed_generation = Some(3);
        assert!(matches!(far(&cluster, wanted(), Some(2)), Err(Failure::Refused(words)) if words.contains("v3.6.11")));
    }

    #[test]
    fn what_the_operator_refuses_is_its_own_sentence() {
        let mut cluster = cluster(3);
        say(
            &mut cluster,
            "Stalled",
            "True",
            "VersionRefused",
            "v3.7.0 is two minor versions above 3.5: go to v3.6.11 first",
        );
        let failure = far(&cluster, wanted(), Some(1)).unwrap_err();
        assert_eq!(failure.verdict(), Verdict::Refused);
        assert!(failure.to_string().ends_with("go to v3.6.11 first"));
    }
}
