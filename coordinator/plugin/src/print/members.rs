//! The members of one cluster, a line each.

use super::{
    fleet::Width,
    paint::{Paint, Tone},
    table::{Cell, Table, or_dash},
    units::bytes,
};
use crate::{
    failure::cut,
    view::{answer::Answer, row::Row},
};

/// As many letters of a reason fit beside the other columns.
const WORDS: usize = 120;

/// The table.
#[must_use]
pub fn print(rows: &[Row], width: Width, paint: Paint, indent: &str) -> String {
    let mut heads = vec!["NAME", "ROLE", "READY", "PHASE", "VERSION", "DB", "IN USE", "CAUGHT UP", "RESTARTS"];
    if width == Width::Wide {
        heads.extend(["ID", "ADDRESS", "NODE", "AGENT"]);
    }
    heads.push("REASON");
    let mut table = Table::new(&heads);
    rows.iter().for_each(|row| table.row(cells(row, width)));
    table.print(paint, indent)
}

fn cells(row: &Row, width: Width) -> Vec<Cell> {
    let ready = Cell::new(row.ready.as_str(), if row.wanted { row.ready.into() } else { Tone::Dim });
    let caught_up = row.caught_up.map(|yes| if yes { "yes" } else { "no" });
    let mut cells = vec![
        row.name.clone().into(),
        or_dash(row.role.clone()),
        ready,
        or_dash(row.phase.map(|phase| format!("{phase:?}"))),
        or_dash(row.version.clone()),
        or_dash(row.db_size.map(bytes)),
        or_dash(row.db_size_in_use.map(bytes)),
        or_dash(caught_up),
        or_dash(row.restarts.map(|count| count.to_string())),
    ];
    if width == Width::Wide {
        let all = [&row.id, &row.address, &row.node, &row.agent];
        cells.extend(all.map(|text| or_dash(text.clone())));
    }
    // The page of one member's words would hide the others; all of them are on a wide one.
    let words = why(row).map(|words| if width == Width::Wide { words } else { cut(&words, WORDS) });
    cells.push(or_dash(words));
    cells
}

/// Why it does not serve, or what to know of it while it does.
#[must_use]
pub fn why(row: &Row) -> Option<String> {
    let reason = match (&row.reason, &row.message) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (Some(reason), None) => Some(reason.clone()),
        (None, message) => message.clone(),
    };
    let notices = (!row.notices.is_empty()).then(|| row.notices.join("; "));
    match (reason, notices) {
        (Some(reason), Some(notices)) => Some(format!("{reason}; {notices}")),
        (reason, notices) => reason.or(notices),
    }
}

/// A line a member: whether it serves and why not, and how many do.
#[must_use]
pub fn health(rows: &[Row], paint: Paint) -> String {
    let mut table = Table::new(&[]);
    for row in rows {
        let (word, tone) = match row.ready {
            _ if !row.wanted => ("leaving", Tone::Dim),
            Answer::True if row.notices.is_empty() => ("healthy", Tone::Good),
            Answer::True => ("healthy", Tone::Warning),
            Answer::False => ("unhealthy", Tone::Bad),
            Answer::Unknown => ("unknown", Tone::Warning),
        };
        let words = why(row).or_else(|| row.role.clone()).unwrap_or_default();
        table.row(vec![row.name.clone().into(), Cell::new(word, tone), words.into()]);
    }
    table.print(paint, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::lists::{Known, Listed};
    use crate::view::page::{
        Page, Sources,
        tests::{member, pod, sources},
    };

    /// One leads, one has an agent that says no, one has no pod.
    fn rows() -> Vec<Row> {
        let items = vec![member("demo-0", true), member("demo-1", false), member("demo-2", true)];
        let pods = vec![pod("demo-0", "True"), pod("demo-1", "False")];
        let members = Known::Read(Listed { items, unreadable: vec![] });
        Page::of(&Sources { members, pods: Known::Read(pods), ..sources(3) }).members
    }

    #[test]
    fn who_does_not_serve_says_why() {
        insta::assert_snapshot!(print(&rows(), Width::Usual, Paint::Plain, ""));
        insta::assert_snapshot!(print(&rows(), Width::Wide, Paint::Plain, ""));
        insta::assert_snapshot!(health(&rows(), Paint::Plain));
    }
}
