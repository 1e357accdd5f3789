//! `diagnose`: reads everything that the checks look at.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::status::sources;
use crate::{
    apiserver::{cluster, connection::Connection, lists::Known},
    args::Output,
    diagnose::{Scene, diagnose, print},
    failure::Failure,
    print::{paint::Paint, structured},
    terminal,
    verdict::Verdict,
    view::page::Page,
};

pub async fn run(to: &Connection, name: &str, output: Output, paint: Paint) -> Result<Verdict, Failure> {
    let report = diagnose(&scene(to, name).await?);
    let text = match output {
        Output::Table | Output::Wide => print(&report, paint),
        Output::Json => structured::json(&report)?,
        Output::Yaml => structured::yaml(&report)?,
    };
    let _ = terminal::print(&text);
    Ok(report.verdict())
}

pub async fn scene(to: &Connection, name: &str) -> Result<Scene, Failure> {
    let sources = sources(to, name).await?;
    let nodes = async {
        match &sources.pods {
            Known::Read(pods) => {
                let names: BTreeSet<String> =
                    pods.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect();
                cluster::nodes(to, &names).await
            }
            Known::Unread(why) => Known::Unread(why.clone()),
        }
    };
    let (claims, nodes, events, classes, lease) = tokio::join!(
        cluster::claims(to, name),
        nodes,
        cluster::warnings(to),
        cluster::classes(to),
        cluster::lease(to, &sources.cluster),
    );
    Ok(Scene { page: Page::of(&sources), sources, claims, nodes, events, classes, lease, now: Timestamp::now() })
}
