//! Findings for a person: the gravest first, each with what to do below it.

use super::{Check, Finding, Outcome, Report};
use crate::print::paint::{Paint, Tone};

/// The text.
#[must_use]
pub fn print(report: &Report, paint: Paint) -> String {
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    // Checks stay in the order in which one asks.
    findings.sort_by_key(|finding| finding.outcome);
    let mut out = String::new();
    findings.iter().for_each(|finding| out += &lines(finding, paint));
    out + "\n" + &paint.put(tone_of(report), &verdict(report)) + "\n"
}

/// Wide enough for every word and every check.
const OUTCOME: usize = 9;
const CHECK: usize = 14;

fn lines(finding: &Finding, paint: Paint) -> String {
    let (word, tone) = match finding.outcome {
        Outcome::Fault => ("FAULT", Tone::Bad),
        Outcome::Note => ("note", Tone::Warning),
        Outcome::Unknown => ("unknown", Tone::Warning),
        Outcome::Fine => ("ok", Tone::Good),
    };
    let gap = " ".repeat(OUTCOME - word.len());
    let subject = finding.subject.as_ref().map(|subject| format!("{subject}: ")).unwrap_or_default();
    let first = format!("{}{gap}{:CHECK$}{subject}{}\n", paint.put(tone, word), name(finding.check), finding.message);
    match &finding.advice {
        Some(advice) => format!("{first}{:1$}→ {advice}\n", "", OUTCOME + CHECK),
        None => first,
    }
}

fn name(check: Check) -> &'static str {
    match check {
        Check::Ready => "ready",
        Check::Operator => "operator",
        Check::Spec => "spec",
        Check::Quorum => "quorum",
        Check::Pods => "pods",
        Check::Volumes => "volumes",
        Check::Nodes => "nodes",
        Check::Members => "members",
        Check::Links => "links",
        Check::Versions => "versions",
        Check::Space => "space",
        Check::Certificates => "certificates",
        Check::Backups => "backups",
        Check::Events => "events",
    }
}

fn verdict(report: &Report) -> String {
    let count = |outcome, one: &str, many: &str| match report.count(outcome) {
        0 => None,
        1 => Some(format!("one {one}")),
        some => Some(format!("{some} {many}")),
    };
    let parts = [
        count(Outcome::Fault, "fault", "faults"),
        count(Outcome::Note, "note", "notes"),
        count(Outcome::Unknown, "check that could not be made", "checks that could not be made"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let name = format!("{} in namespace {}", report.cluster, report.namespace);
    if parts.is_empty() { format!("{name}: nothing is wrong") } else { format!("{name}: {}", parts.join(", ")) }
}

fn tone_of(report: &Report) -> Tone {
    if report.count(Outcome::Fault) > 0 { Tone::Bad } else { Tone::Good }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        apiserver::lists::Known,
        diagnose::{
            diagnose,
            scene::tests::{of, read, warning, well},
        },
        verdict::Verdict,
        view::page::{
            Sources,
            tests::{pod, say, sources},
        },
    };

    #[test]
    fn a_cluster_that_is_well_is_told_check_by_check() {
        let report = diagnose(&well(3));
        insta::assert_snapshot!(print(&report, Paint::Plain));
        assert_eq!(report.verdict(), Verdict::Good);
    }

    #[test]
    fn faults_come_first_each_with_its_way_out_and_causes_are_told_once() {
        let mut ill = sources(3);
        say(&mut ill.cluster, "Ready", "False", "Unschedulable", "pod demo-2 finds no node");
        let mut pending = pod("demo-2", "False");
        pending.status = read(json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient cpu."}]}));
        pending.spec.as_mut().unwrap().node_name = None;
        let pods = Known::Read(vec![pod("demo-0", "True"), pod("demo-1", "True"), pending]);
        let mut scene = of(Sources { pods, ..ill });
        scene.nodes = Known::Unread("not allowed to read nodes".into());
        scene.events = Known::Read(vec![warning("Pod", "demo-2", "FailedScheduling", "0/3 nodes are available", 20)]);
        let report = diagnose(&scene);
        insta::assert_snapshot!(print(&report, Paint::Plain));
        assert_eq!(report.verdict(), Verdict::Unhealthy);
    }
}
