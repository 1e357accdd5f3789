//! `members` and `health`.

use etcd_operator_shared::quorum::quorum;
use serde::Serialize;

use super::status::sources;
use crate::{
    apiserver::connection::Connection,
    args::Output,
    failure::Failure,
    print::{self, fleet::Width, paint::Paint, structured},
    terminal,
    verdict::Verdict,
    view::{answer::Answer, page::Page, row::Row},
};

/// What is printed of members for other programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    namespace: &'a str,
    cluster: &'a str,
    members: &'a [Row],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    remarks: &'a [String],
}

pub async fn list(to: &Connection, name: &str, output: Output, paint: Paint) -> Result<Verdict, Failure> {
    let page = Page::of(&sources(to, name).await?);
    let all =
        Members { namespace: &page.namespace, cluster: &page.name, members: &page.members, remarks: &page.remarks };
    let text = match output {
        Output::Table => print::members::print(&page.members, Width::Usual, paint, ""),
        Output::Wide => print::members::print(&page.members, Width::Wide, paint, ""),
        Output::Json => structured::json(&all)?,
        Output::Yaml => structured::yaml(&all)?,
    };
    let _ = terminal::print(&text);
    if matches!(output, Output::Table | Output::Wide) {
        page.remarks.iter().for_each(|remark| terminal::remark(remark));
    }
    Ok(verdict(&page.members))
}

pub async fn health(to: &Connection, name: &str, paint: Paint) -> Result<Verdict, Failure> {
    let page = Page::of(&sources(to, name).await?);
    let _ = terminal::print(&print::members::health(&page.members, paint));
    terminal::remark(&sum(&page));
    page.remarks.iter().for_each(|remark| terminal::remark(remark));
    Ok(verdict(&page.members))
}

/// Members that are on their way out need not serve.
fn verdict(rows: &[Row]) -> Verdict {
    Verdict::of_health(rows.iter().filter(|row| row.wanted).all(|row| row.ready == Answer::True))
}

fn sum(page: &Page) -> String {
    let wanted = page.members.iter().filter(|row| row.wanted).count();
    let serve = page.members.iter().filter(|row| row.wanted && row.ready == Answer::True).count();
    match wanted {
        0 => format!("{} is stopped: its size is 0, and no member is wanted", page.name),
        1 if serve == 1 => "the member serves".to_owned(),
        _ if serve == wanted => format!("all {wanted} members serve"),
        // While members are still to come, fewer are a quorum: the coordinator knows who votes.
        _ if serve >= quorum(wanted) || is_available(page) => {
            format!("{serve} of {wanted} members serve: a quorum, so the cluster does")
        }
        _ => format!("{serve} of {wanted} members serve: no quorum is known to"),
    }
}

fn is_available(page: &Page) -> bool {
    page.condition("Available").is_some_and(|said| said.status == Answer::True)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apiserver::lists::{Known, Listed},
        view::page::{
            Sources,
            tests::{member, sources},
        },
    };

    fn page(serve: usize) -> Page {
        let items = (0..3).map(|k| member(&format!("demo-{k}"), k < serve)).collect();
        Page::of(&Sources { members: Known::Read(Listed { items, unreadable: vec![] }), ..sources(3) })
    }

    #[test]
    fn one_member_that_does_not_serve_is_enough_to_be_unhealthy() {
        let verdicts = [3, 2, 0].map(|serve| verdict(&page(serve).members));
        assert_eq!(verdicts, [Verdict::Good, Verdict::Unhealthy, Verdict::Unhealthy]);
        assert!(sum(&page(2)).contains("a quorum, so the cluster does"));
        let mut lost = page(1);
        lost.conditions.clear();
        assert!(sum(&lost).contains("no quorum is known to"));
    }

    #[test]
    fn a_member_that_goes_need_not_serve() {
        let mut page = page(2);
        page.members[2].wanted = false;
        assert_eq!((verdict(&page.members), sum(&page)), (Verdict::Good, "all 2 members serve".to_owned()));
    }
}
