//! `etcd-agent status`: the member as its own agent sees it.

use std::{fmt::Write, time::Duration};

use etcd_operator_shared::names::PORT_AGENT;
use serde_json::Value;
use tokio::time::timeout;

use crate::{args::Output, http};

/// Prints the status; fails when the agent does not answer, not when the member is unwell.
pub fn run(output: Output) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let authority = format!("127.0.0.1:{PORT_AGENT}");
    let asked = async { timeout(Duration::from_secs(5), http::get(&authority, "/status", http::PAGE)).await };
    let body = runtime.block_on(asked).map_err(|_| anyhow::anyhow!("the agent did not answer within 5 s"))??;
    match output {
        Output::Json => print!("{}", String::from_utf8_lossy(&body)),
        Output::Human => print!("{}", human(&serde_json::from_slice(&body)?)),
    }
    Ok(())
}

fn human(page: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{name:<12} {value}");
    };
    line("Member", format!("{} of {}", text(&page["member"]), text(&page["cluster"])));
    let etcd = &page["etcd"];
    line(
        "Ready",
        match page["ready"].as_bool() {
            Some(true) => "yes".into(),
            Some(false) | None => format!("no: {} ({})", text(&page["message"]), text(&page["reason"])),
        },
    );
    line("Phase", text(&page["phase"]));
    line("Role", text(&page["role"]));
    if etcd.is_object() {
        line("Version", text(&etcd["version"]));
        line("Member ID", text(&etcd["memberId"]));
        line("Cluster ID", text(&etcd["clusterId"]));
        line("Leader ID", text(&etcd["leaderId"]));
        line("Raft", format!("term {}, applied {} of {}", etcd["term"], etcd["raftAppliedIndex"], etcd["raftIndex"]));
        line("Revision", text(&etcd["revision"]));
        line(
            "Database",
            format!(
                "{} ({} in use), quota {}",
                mebibytes(&etcd["dbSizeBytes"]),
                mebibytes(&etcd["dbSizeInUseBytes"]),
                mebibytes(&etcd["dbQuotaBytes"])
            ),
        );
        line("Members", format!("{}, connected to {}", etcd["members"], text(&etcd["connectedPeers"])));
    }
    line("Restarts", text(&page["process"]["restarts"]));
    if let Some(exit) = page["process"]["lastExit"].as_object() {
        line("Last exit", format!("{}: {}", text(&exit["class"]), text(&exit["line"])));
    }
    line(
        "API server",
        if page["apiServer"]["connected"] == true { "answers".into() } else { "does not answer".into() },
    );
    if page["certificates"].is_object() {
        line("Encrypted", format!("its certificates end at {}", text(&page["certificates"]["notAfter"])));
    }
    for check in ["checks", "notices"].iter().filter_map(|list| page[*list].as_array()).flatten() {
        let mark = if check["ok"] == true { "ok".to_owned() } else { format!("FAILED: {}", text(&check["reason"])) };
        line(&format!("  {}", text(&check["name"])), mark);
    }
    out
}

fn mebibytes(bytes: &Value) -> String {
    bytes.as_i64().map_or("-".into(), |bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn an_unwell_member_says_why() {
        let page = json!({"member": "demo-0", "cluster": "ns/demo", "ready": false, "reason": "NoQuorum", "message": "no leader",
            "checks": [{"name": "answering", "ok": false, "reason": "no leader"}]});
        let said = super::human(&page);
        assert!(said.contains("no: no leader (NoQuorum)"), "{said}");
        assert!(said.contains("FAILED: no leader"), "{said}");
    }
}
