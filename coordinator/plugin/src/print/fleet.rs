//! All clusters, a line each.

use jiff::Timestamp;

use super::{
    paint::{Paint, Tone},
    table::{Cell, Table, or_dash},
    units::age,
};
use crate::{
    apiserver::lists::Scope,
    view::{
        answer::Answer,
        fleet::{Fleet, Line},
    },
};

/// How much of each cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    Usual,
    Wide,
}

/// The table.
#[must_use]
pub fn print(fleet: &Fleet, scope: Scope, width: Width, paint: Paint, now: Timestamp) -> String {
    let mut heads = match scope {
        Scope::All => vec!["NAMESPACE"],
        Scope::Namespace => vec![],
    };
    heads.extend(["NAME", "PHASE", "SERVING", "VERSION", "LEADER", "DB", "BACKUP", "AGE", "REASON"]);
    heads.extend((width == Width::Wide).then_some("MESSAGE"));
    let mut table = Table::new(&heads);
    for line in &fleet.clusters {
        table.row(cells(line, scope, width, now));
    }
    table.print(paint, "")
}

fn cells(line: &Line, scope: Scope, width: Width, now: Timestamp) -> Vec<Cell> {
    let since = |time: Option<Timestamp>| or_dash(time.map(|time| age(time, now)));
    let mut cells = match scope {
        Scope::All => vec![line.namespace.clone().into()],
        Scope::Namespace => vec![],
    };
    cells.extend([
        line.name.clone().into(),
        line.phase
            .map_or_else(|| Cell::new("-", Tone::Dim), |phase| Cell::new(format!("{phase:?}"), line.ready.into())),
        or_dash(line.serving.clone()),
        or_dash(line.version.clone()),
        or_dash(line.leader.clone()),
        or_dash(line.db_size.clone()),
        since(line.last_verified_backup),
        since(line.created),
        reason(line),
    ]);
    cells.extend((width == Width::Wide).then(|| line.message.clone().into()));
    cells
}

/// Of a cluster that is as it should be there is nothing to say.
fn reason(line: &Line) -> Cell {
    match line.ready {
        Answer::True if line.reason == "AllMembersServe" => Cell::new("-", Tone::Dim),
        Answer::True => line.reason.clone().into(),
        Answer::False | Answer::Unknown => Cell::new(line.reason.clone(), line.ready.into()),
    }
}

/// How many of how many: said beside the table, where no script reads it.
#[must_use]
pub fn summary(fleet: &Fleet) -> Option<String> {
    let (ready, all) = fleet.count();
    match all {
        0 | 1 => None,
        _ if ready == all => Some(format!("all {all} clusters are Ready")),
        _ => Some(format!("{ready} of {all} clusters are Ready")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apiserver::lists::Listed,
        view::page::tests::{at, cluster, say},
    };

    fn fleet() -> Fleet {
        let mut ill = cluster(3);
        ill.metadata.name = Some("orders".into());
        say(&mut ill, "Ready", "False", "VolumePending", "pod orders-2 finds no node");
        Fleet::of(Listed { items: vec![ill, cluster(3)], unreadable: vec![] })
    }

    #[test]
    fn each_cluster_has_a_line_and_an_ill_one_its_reason() {
        insta::assert_snapshot!(print(&fleet(), Scope::All, Width::Usual, Paint::Plain, at()));
        insta::assert_snapshot!(print(&fleet(), Scope::Namespace, Width::Wide, Paint::Plain, at()));
    }

    #[test]
    fn the_sum_is_said_where_there_is_one() {
        assert_eq!(summary(&fleet()).as_deref(), Some("1 of 2 clusters are Ready"));
        assert_eq!(summary(&Fleet { clusters: vec![], remarks: vec![] }), None);
    }
}
