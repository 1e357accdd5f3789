//! `status`: one cluster on a page, or all of them, a line each; once, or again and again.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    apiserver::{
        cluster,
        connection::Connection,
        lists::{self, Known, Scope},
    },
    args::{Output, Status},
    failure::Failure,
    print::{
        self,
        fleet::{Width, summary},
        paint::Paint,
        structured,
    },
    terminal::{self, Reader},
    verdict::Verdict,
    view::{
        fleet::Fleet,
        page::{Page, Sources},
    },
};

/// Between two looks. A page is a handful of requests, a thousand clusters are two.
const OFTEN: Duration = Duration::from_secs(2);

pub async fn run(to: &Connection, asked: &Status, paint: Paint) -> Result<Verdict, Failure> {
    let output = asked.print.output;
    match &asked.name {
        Some(name) => {
            let text = |page: &Page| page_text(page, output, paint);
            let look = async || Ok(Page::of(&sources(to, name).await?));
            let shown = show(asked.watch, look, text).await?;
            Ok(shown.verdict())
        }
        None => {
            let scope = if asked.all_namespaces { Scope::All } else { Scope::Namespace };
            let text = |fleet: &Fleet| fleet_text(fleet, scope, output, paint);
            let look = async || Ok(Fleet::of(lists::own(to, scope, None).await?));
            let fleet = show(asked.watch, look, text).await?;
            beside(to, &fleet, scope, output);
            Ok(fleet.verdict())
        }
    }
}

/// All that a page is made of.
pub async fn sources(to: &Connection, name: &str) -> Result<Sources, Failure> {
    let cluster = cluster::get(to, name).await?;
    let backups = async {
        // Without a store there are none to speak of.
        if cluster.spec.backup.is_some() { cluster::backups(to, name).await } else { Known::Read(vec![]) }
    };
    let (members, pods, backups) = tokio::join!(cluster::members(to, name), cluster::pods(to, name), backups);
    Ok(Sources { cluster, members, pods, backups })
}

fn page_text(page: &Page, output: Output, paint: Paint) -> Result<String, Failure> {
    match output {
        Output::Table => Ok(print::page::print(page, Width::Usual, paint, Timestamp::now())),
        Output::Wide => Ok(print::page::print(page, Width::Wide, paint, Timestamp::now())),
        Output::Json => structured::json(page),
        Output::Yaml => structured::yaml(page),
    }
}

fn fleet_text(fleet: &Fleet, scope: Scope, output: Output, paint: Paint) -> Result<String, Failure> {
    let table = |width| match fleet.clusters.is_empty() {
        true => String::new(),
        false => print::fleet::print(fleet, scope, width, paint, Timestamp::now()),
    };
    match output {
        Output::Table => Ok(table(Width::Usual)),
        Output::Wide => Ok(table(Width::Wide)),
        Output::Json => structured::json(fleet),
        Output::Yaml => structured::yaml(fleet),
    }
}

/// What is said beside a table.
fn beside(to: &Connection, fleet: &Fleet, scope: Scope, output: Output) {
    if matches!(output, Output::Json | Output::Yaml) {
        return;
    }
    fleet.remarks.iter().for_each(|remark| terminal::remark(remark));
    match (fleet.clusters.is_empty(), scope) {
        (true, Scope::Namespace) => {
            terminal::remark(&format!("there are no EtcdClusters in namespace {}", to.namespace));
        }
        (true, Scope::All) => terminal::remark("there are no EtcdClusters"),
        (false, _) => summary(fleet).iter().for_each(|sum| terminal::remark(sum)),
    }
}

/// Shows what a look finds: once, or whenever it has changed.
async fn show<T: PartialEq + Serialize>(
    watch: bool,
    look: impl AsyncFn() -> Result<T, Failure>,
    text: impl Fn(&T) -> Result<String, Failure>,
) -> Result<T, Failure> {
    let mut shown = look().await?;
    if !watch {
        let _ = terminal::print(&text(&shown)?);
        return Ok(shown);
    }
    while terminal::again(&text(&shown)?) == Reader::There {
        shown = next(&look, &shown).await?;
    }
    Ok(shown)
}

/// The next look that finds something else. Ages alone are drawn anew on a screen only.
async fn next<T: PartialEq>(look: &impl AsyncFn() -> Result<T, Failure>, shown: &T) -> Result<T, Failure> {
    loop {
        tokio::time::sleep(OFTEN).await;
        match look().await {
            Ok(found) if terminal::is_screen() || found != *shown => return Ok(found),
            Ok(_) => {}
            // The API server may be away for a moment: whoever watches wants to see it come back.
            Err(Failure::Failed(why)) => terminal::remark(&why),
            Err(failure) => return Err(failure),
        }
    }
}
