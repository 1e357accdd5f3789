//! `defrag` and `compact`: the agents' verbs of these names, through pods/exec.
//!
//! The operator does both by itself when they are due: these are for a time that a person chooses. Each member's agent
//! judges for itself whether it may be busy now, and its no ends what was begun.

use std::time::Duration;

use etcd_operator_shared::names::CONTAINER_AGENT;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Status};
use kube::api::AttachParams;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use super::status::sources;
use crate::{
    apiserver::connection::Connection,
    args,
    failure::{Failure, line},
    terminal,
    verdict::Verdict,
    view::{answer::Answer, page::Page, row::Row},
};

/// How long an agent may take to begin with a command.
const BEGINS: Duration = Duration::from_secs(60);
/// How long it may take for it: the agent itself gives up after ten minutes.
const ENDS: Duration = Duration::from_secs(660);

/// Defragments one member, or all of them: followers first, so that leadership moves once.
pub async fn defrag(to: &Connection, name: &str, typed: Option<&str>, force: bool) -> Result<Verdict, Failure> {
    let page = Page::of(&sources(to, name).await?);
    let members = match typed {
        Some(typed) => vec![named(&page, typed)?],
        None => in_order(&page)?,
    };
    let mut words = vec!["defrag"];
    words.extend(force.then_some("--force"));
    for member in members {
        terminal::say(&run(to, &member, &words).await?);
    }
    Ok(Verdict::Good)
}

/// Forgets old revisions, in all members.
pub async fn compact(to: &Connection, name: &str, keep: u64) -> Result<Verdict, Failure> {
    let page = Page::of(&sources(to, name).await?);
    let asked = serving(&page).next().map(|row| row.name.clone());
    let asked = asked.ok_or_else(|| Failure::Failed(nobody(&page)))?;
    terminal::say(&run(to, &asked, &["compact", "--keep", &keep.to_string()]).await?);
    Ok(Verdict::Good)
}

fn named(page: &Page, typed: &str) -> Result<String, Failure> {
    let name = args::member(&page.name, typed);
    let row = page.members.iter().find(|row| Some(&row.name) == name.as_ref());
    row.map(|row| row.name.clone()).ok_or_else(|| Failure::NotFound(format!("{} has no member {typed}", page.name)))
}

/// All members, the leader last. Where one does not serve none is made busy.
fn in_order(page: &Page) -> Result<Vec<String>, Failure> {
    let ill: Vec<&str> = page
        .members
        .iter()
        .filter(|row| row.wanted && row.ready != Answer::True)
        .map(|row| row.name.as_str())
        .collect();
    if !ill.is_empty() {
        return Err(Failure::Refused(format!(
            "refused: {} of {} does not serve; --member names one all the same",
            ill.join(", "),
            page.name
        )));
    }
    let mut rows: Vec<&Row> = serving(page).collect();
    rows.sort_by_key(|row| row.role.as_deref() == Some("Leader"));
    if rows.is_empty() {
        Err(Failure::Failed(nobody(page)))
    } else {
        Ok(rows.iter().map(|row| row.name.clone()).collect())
    }
}

fn serving(page: &Page) -> impl Iterator<Item = &Row> {
    page.members.iter().filter(|row| row.ready == Answer::True)
}

fn nobody(page: &Page) -> String {
    format!("no member of {0} serves: kubectl etcd diagnose {0} says why", page.name)
}

/// Runs a verb of a member's agent to its end; returns what it says.
async fn run(to: &Connection, member: &str, words: &[&str]) -> Result<String, Failure> {
    let params = AttachParams {
        container: Some(CONTAINER_AGENT.to_owned()),
        stdin: false,
        stdout: true,
        stderr: true,
        ..AttachParams::default()
    };
    let command: Vec<&str> = [&["/etcd-agent"], words].concat();
    let late = || Failure::TimedOut(format!("{member} has not answered in time"));
    let pods = to.api::<Pod>();
    let started = timeout(BEGINS, pods.exec(member, command, &params)).await.map_err(|_| late())?;
    let mut process = started.map_err(|error| Failure::writing(&format!("run a command in pod {member}"), &error))?;
    let ended = process.take_status();
    let (Some(out), Some(err)) = (process.stdout(), process.stderr()) else {
        return Err(Failure::Failed(format!("pod {member} has no output to read")));
    };
    let said = timeout(ENDS, async { tokio::join!(text(out), text(err)) }).await.map_err(|_| late())?;
    let status = match ended {
        Some(ended) => timeout(BEGINS, ended).await.ok().flatten(),
        None => None,
    };
    judge(member, said, status.as_ref())
}

async fn text(mut from: impl AsyncRead + Unpin) -> String {
    let mut bytes = vec![];
    // What broke off says how far it came; the command's end says whether it went well.
    let _ = from.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// Without kubelet's word on how it ended nobody knows.
fn judge(member: &str, (out, err): (String, String), status: Option<&Status>) -> Result<String, Failure> {
    match status {
        Some(status) if status.status.as_deref() == Some("Success") => Ok(out),
        Some(status) => {
            let kubelet = status.message.clone().unwrap_or_default();
            let why = if err.is_empty() { kubelet } else { err };
            Err(Failure::Failed(format!("{member}: {}", line(&why))))
        }
        None => Err(Failure::Failed(format!("the connection to {member} broke off: it may go on all the same"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::page::tests::sources;

    #[test]
    fn all_are_done_with_the_leader_last_and_none_while_one_does_not_serve() {
        let mut page = Page::of(&sources(3));
        let leader = page.members.iter().find(|row| row.role.as_deref() == Some("Leader")).unwrap().name.clone();
        let order = in_order(&page).unwrap();
        assert_eq!((order.len(), order.last()), (3, Some(&leader)));
        page.members[1].ready = Answer::False;
        let refused = in_order(&page).unwrap_err();
        assert_eq!(refused.verdict(), Verdict::Refused);
        assert!(refused.to_string().contains("demo-1"), "{refused}");
        assert_eq!(named(&page, "1").unwrap(), "demo-1");
        assert_eq!(named(&page, "7").unwrap_err().verdict(), Verdict::NotFound);
    }

    #[test]
    fn what_the_agent_says_counts_and_without_an_end_nobody_knows() {
        let ended =
            |how: &str| Status { status: Some(how.into()), message: Some("exit code 1".into()), ..Status::default() };
        let said = |out: &str, err: &str| (out.to_owned(), err.to_owned());
        assert_eq!(judge("demo-0", said("done", ""), Some(&ended("Success"))), Ok("done".into()));
        let failed = judge("demo-0", said("", "etcd-agent: not now"), Some(&ended("Failure"))).unwrap_err();
        assert_eq!(failed.to_string(), "demo-0: etcd-agent: not now");
        let silent = judge("demo-0", said("", ""), Some(&ended("Failure"))).unwrap_err();
        assert_eq!(silent.to_string(), "demo-0: exit code 1");
        assert!(judge("demo-0", said("half", ""), None).is_err());
    }
}
