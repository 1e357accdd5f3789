//! One cluster on one page.

use etcd_operator_shared::api::cluster::Encrypted;
use jiff::Timestamp;

use super::{
    fleet::Width,
    members,
    paint::{Paint, Tone},
    table::{Cell, Table},
    units::age,
};
use crate::{
    failure::cut,
    view::{
        answer::Answer,
        page::{Page, Said},
    },
};

/// As many letters of a condition: all of them are on a wide page.
const WORDS: usize = 200;

/// The page.
#[must_use]
pub fn print(page: &Page, width: Width, paint: Paint, now: Timestamp) -> String {
    let created = page.created.map(|time| format!(", {} old", age(time, now))).unwrap_or_default();
    let title = format!("{} in namespace {}{created}", page.name, page.namespace);
    let mut out = paint.put(Tone::Strong, &title) + "\n\n";
    out += &facts(page, now).print(paint, "  ");
    if !page.conditions.is_empty() {
        out += &heading("Conditions", paint);
        out += &conditions(page, width, now).print(paint, "  ");
    }
    if !page.members.is_empty() {
        out += &heading("Members", paint);
        out += &members::print(&page.members, width, paint, "  ");
    }
    if !page.remarks.is_empty() {
        out += &heading("Remarks", paint);
        page.remarks.iter().for_each(|remark| out += &format!("  {}\n", paint.put(Tone::Warning, remark)));
    }
    out
}

fn heading(text: &str, paint: Paint) -> String {
    format!("\n{}\n", paint.put(Tone::Strong, text))
}

fn facts(page: &Page, now: Timestamp) -> Table {
    let mut table = Table::new(&[]);
    let mut fact = |name: &str, value: Cell| table.row(vec![name.into(), value]);
    let ready = page.condition("Ready");
    let tone = ready.map_or(Tone::Warning, |said| said.status.into());
    let phase = page.phase.map_or_else(|| "-".to_owned(), |phase| format!("{phase:?}"));
    let serving = page.serving.as_ref().map(|count| format!(", {count} members serve")).unwrap_or_default();
    fact("Phase", Cell::new(phase + &serving, tone));
    fact("Leader", page.leader.clone().unwrap_or_else(|| "none".into()).into());
    fact("Version", version(page).into());
    if let Some(roll) = &page.version.roll {
        fact("Roll", Cell::new(format!("from {} to {}", roll.from.version, roll.to.version), Tone::Warning));
    }
    fact("Database", database(page).into());
    fact("Encrypted", encrypted(page.encrypted).into());
    if let Some(said) = page.condition("CertificatesReady") {
        fact("Certificates", spoken(said));
    }
    fact("Backups", backups(page, now));
    if let Some(chore) = page.chores.first() {
        let ago = chore.time.parse().ok().map(|time| format!("{} ago: ", age(time, now))).unwrap_or_default();
        fact("Upkeep", format!("{ago}{}", chore.message).into());
    }
    let cluster_id = page.cluster_id.as_ref().map(|id| format!(", cluster ID {id}")).unwrap_or_default();
    fact(
        "Incarnation",
        page.incarnation.map_or_else(|| "not begun".to_owned(), |number| format!("{number}{cluster_id}")).into(),
    );
    table
}

fn encrypted(traffic: Encrypted) -> &'static str {
    match (traffic.peer, traffic.client) {
        (true, true) => "traffic between members and with clients",
        (true, false) => "traffic between members",
        (false, true) => "traffic with clients",
        (false, false) => "no traffic",
    }
}

fn version(page: &Page) -> String {
    let running = page.version.running.as_deref().unwrap_or("none");
    let agreed =
        page.version.cluster.as_ref().map(|version| format!(", cluster version {version}")).unwrap_or_default();
    let wanted = page.version.wanted.trim_start_matches('v');
    let other = (running.trim_start_matches('v') != wanted).then(|| format!(", wanted {}", page.version.wanted));
    format!("{running} runs{agreed}{}", other.unwrap_or_default())
}

fn database(page: &Page) -> String {
    let size = page.db_size.as_deref().unwrap_or("-");
    page.volume_size.as_ref().map_or_else(|| size.to_owned(), |volume| format!("{size}, on volumes of {volume}"))
}

fn backups(page: &Page, now: Timestamp) -> Cell {
    let backups = &page.backups;
    if !backups.has_store {
        return Cell::new("none: spec.backup names no store", Tone::Dim);
    }
    let mut parts = vec![match (&backups.last_verified, backups.last_verified_time) {
        (Some(name), Some(time)) => format!("{name} is verified, taken {} ago", age(time, now)),
        (Some(name), None) => format!("{name} is verified"),
        (None, _) => "none is verified yet".to_owned(),
    }];
    parts.extend(backups.under_way.iter().cloned());
    parts.push(match backups.schedules {
        0 => "no schedule".to_owned(),
        1 => "one schedule".to_owned(),
        count => format!("{count} schedules"),
    });
    parts.join("; ").into()
}

fn spoken(said: &Said) -> Cell {
    let tone = match said.status {
        Answer::True => Tone::Plain,
        Answer::False => Tone::Bad,
        Answer::Unknown => Tone::Warning,
    };
    Cell::new(said.message.clone(), tone)
}

/// Those that matter: Ready always, the others where they are not as usual. All of them on a wide page.
fn conditions(page: &Page, width: Width, now: Timestamp) -> Table {
    let mut table = Table::new(&[]);
    for said in page.conditions.iter().filter(|said| width == Width::Wide || matters(said)) {
        let status = Cell::new(said.status.as_str(), if matters(said) { tone(said) } else { Tone::Dim });
        let words = format!("{}: {}", said.reason, said.message);
        let words = if width == Width::Wide { words } else { cut(&words, WORDS) };
        table.row(vec![said.kind.clone().into(), status, age(said.since, now).into(), words.into()]);
    }
    table
}

/// A condition is good news when it is True, unless it names a trouble or something that is under way.
fn is_usual(said: &Said) -> bool {
    let usual = match said.kind.as_str() {
        "Reconciling" | "Stalled" | "Paused" => Answer::False,
        _ => Answer::True,
    };
    said.status == usual
}

fn matters(said: &Said) -> bool {
    said.kind == "Ready" || !is_usual(said)
}

fn tone(said: &Said) -> Tone {
    match (said.kind.as_str(), said.status) {
        (_, Answer::Unknown) | ("Reconciling" | "Paused", Answer::True) => Tone::Warning,
        _ if is_usual(said) => Tone::Good,
        _ => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        apiserver::lists::Known,
        view::page::{
            Sources,
            tests::{at, pod, say, sources},
        },
    };

    #[test]
    fn a_cluster_that_is_well_fits_on_half_a_page() {
        insta::assert_snapshot!(print(&Page::of(&sources(3)), Width::Usual, Paint::Plain, at()));
    }

    #[test]
    fn what_is_wrong_is_on_the_page_with_its_reason() {
        let mut ill = sources(3);
        let status = ill.cluster.status.as_mut().unwrap();
        status.roll = serde_json::from_value(json!({
            "from": {"version": "v3.5.26", "image": "i:v3.5.26"}, "to": {"version": "v3.6.11", "image": "i:v3.6.11"}}))
        .unwrap();
        status.backup =
            serde_json::from_value(json!({"lastVerified": "demo-h-11", "lastVerifiedTime": "2026-11-27T11:00:20Z"}))
                .unwrap();
        let chore =
            json!({"action": "Defragmented", "time": "2026-11-27T11:30:00Z", "message": "demo-1: 20Mi, now 10Mi"});
        status.chores = vec![serde_json::from_value(chore).unwrap()];
        ill.cluster.spec.version = "v3.6.11".into();
        ill.cluster.spec.backup = serde_json::from_value(
            json!({"store": {"s3": {"bucket": "bucket"}}, "schedules": [{"name": "h", "cron": "0 * * * *"}]}),
        )
        .unwrap();
        say(&mut ill.cluster, "Ready", "False", "MembersMissing", "2/3 members serve");
        say(&mut ill.cluster, "Reconciling", "True", "ReplacingPods", "replacing demo-2");
        say(
            &mut ill.cluster,
            "BackupHealthy",
            "False",
            "Overdue",
            "nothing was stored by schedule h for 2026-11-27T12:00:00Z",
        );
        let pods = vec![pod("demo-0", "True"), pod("demo-1", "True")];
        let backups = Known::Unread("not allowed to read EtcdBackups".to_owned());
        let page = Page::of(&Sources { pods: Known::Read(pods), backups, ..ill });
        insta::assert_snapshot!(print(&page, Width::Usual, Paint::Plain, at()));
        insta::assert_snapshot!(print(&page, Width::Wide, Paint::Plain, at()));
    }
}
