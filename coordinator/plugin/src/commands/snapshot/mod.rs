//! `snapshot save`: a member's agent streams etcd's snapshot through pods/exec into a file here.
//!
//! ```text
//!   etcd ─▶ etcd-agent snapshot save - ─▶ pods/exec ─▶ FILE.part ─▶ whole? right? fsync ─▶ FILE
//! ```
//! FILE is there only once it is whole: etcd's own trailer is right, and the digest is the one that the agent has told
//! on its standard error. What was there under its name is replaced then, in one step.

mod content;
mod stream;

use std::path::Path;

use super::status::sources;
use crate::{
    apiserver::connection::Connection,
    args,
    failure::Failure,
    part::Part,
    print::units::bytes,
    terminal,
    verdict::Verdict,
    view::{answer::Answer, page::Page, row::Row},
};
use content::Whole;

pub async fn save(to: &Connection, name: &str, file: &Path, typed: Option<&str>) -> Result<Verdict, Failure> {
    if file.as_os_str() == "-" {
        return Err(Failure::Usage(
            "a snapshot goes into a file: its bytes are checked before it gets its name".to_owned(),
        ));
    }
    let page = Page::of(&sources(to, name).await?);
    let member = chosen(&page, typed)?;
    let mut part = Part::create(file)?;
    terminal::remark(&format!("{} sends its snapshot", member.name));
    let streamed = tokio::select! {
        streamed = stream::stream(to, &member.name, member.db_size, &mut part) => streamed,
        // Dropping the stream is safe: what was written goes with the part.
        failure = terminal::interrupted() => Err(failure),
    };
    let Whole { digest, bytes: count } = streamed?;
    part.finish()?;
    terminal::say(&format!(
        "{} holds {} ({count} bytes), SHA-256 {digest}",
        file.display(),
        bytes(i64::try_from(count).unwrap_or_default())
    ));
    Ok(Verdict::Good)
}

/// The member that is named, or the one that has the least to do: one that follows and has caught up.
fn chosen<'a>(page: &'a Page, typed: Option<&str>) -> Result<&'a Row, Failure> {
    if let Some(typed) = typed {
        let name = args::member(&page.name, typed);
        let row = page.members.iter().find(|row| Some(&row.name) == name.as_ref());
        return row.ok_or_else(|| Failure::NotFound(format!("{} has no member {typed}", page.name)));
    }
    let serves =
        || page.members.iter().filter(|row| row.ready == Answer::True && row.role.as_deref() != Some("Learner"));
    let follows = serves().filter(|row| row.role.as_deref() == Some("Follower"));
    let best = follows.max_by_key(|row| row.caught_up == Some(true)).or_else(|| serves().next());
    best.ok_or_else(|| {
        Failure::Failed(format!(
            "no member of {} serves: kubectl etcd diagnose {} says why; --member names one all the same",
            page.name, page.name
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::page::tests::sources;

    #[test]
    fn one_that_follows_is_asked_rather_than_the_leader() {
        let page = Page::of(&sources(3));
        assert_ne!(chosen(&page, None).unwrap().name, "demo-0");
        assert_eq!(chosen(&page, Some("0")).unwrap().name, "demo-0");
        assert_eq!(chosen(&page, Some("demo-9")).unwrap_err().verdict(), Verdict::NotFound);
        assert_eq!(chosen(&Page::of(&sources(1)), None).unwrap().name, "demo-0");
    }

    #[test]
    fn where_nobody_serves_somebody_must_be_named() {
        let mut page = Page::of(&sources(1));
        page.members[0].ready = Answer::False;
        assert_eq!(chosen(&page, None).unwrap_err().verdict(), Verdict::Failed);
        assert!(chosen(&page, Some("demo-0")).is_ok());
    }
}
