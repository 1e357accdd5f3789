//! A real Prometheus, Debian's, as a process of the test's own: it reads what people's would, once a second.

use super::coordinator::free_port;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use testbed::Progress;
use testbed::debian::PROMETHEUS;
use tokio::process::{Child, Command};

/// What is read, where, and the labels that a PodMonitor would give it. `job`: as `manifests/monitoring/podmonitors.yaml` names it.
#[derive(Clone, Debug)]
pub struct Target {
    pub job: &'static str,
    pub address: String,
    pub labels: Value,
}

/// A running Prometheus; killed when dropped.
pub struct Prometheus {
    _child: Child,
    _folder: TempDir,
    promtool: PathBuf,
    url: String,
}

impl Prometheus {
    /// Starts one. `rules`: as a file of rules has them.
    ///
    /// # Errors
    /// When there is none, or it does not start.
    pub async fn start(targets: &[Target], rules: &Value) -> Result<Self> {
        let programs = PROMETHEUS.ready(&Progress::start().follow(PROMETHEUS.name))?;
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let scrapes: Vec<Value> = targets.iter().enumerate().map(|(number, target)| scrape(number, target)).collect();
        let every = json!({"scrape_interval": "1s", "evaluation_interval": "1s"});
        // JSON is YAML.
        let config = json!({"global": every, "rule_files": ["rules.yaml"], "scrape_configs": scrapes});
        std::fs::write(folder.path().join("prometheus.yaml"), config.to_string())?;
        std::fs::write(folder.path().join("rules.yaml"), rules.to_string())?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(programs.join("prometheus")).current_dir(folder.path());
        command.args(["--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--log.level=warn"]);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("start prometheus")?;
        let url = format!("http://127.0.0.1:{port}");
        Ok(Self { _child: child, _folder: folder, promtool: programs.join("promtool"), url })
    }

    /// What an expression is now: series with their labels and values.
    ///
    /// # Errors
    /// With promtool's words.
    pub async fn now(&self, expression: &str) -> Result<Vec<Value>> {
        self.ask(&["instant"], &[expression]).await
    }

    /// What it was within the last seconds, `step` seconds apart.
    ///
    /// # Errors
    /// With promtool's words.
    pub async fn lately(&self, expression: &str, seconds: i64, step: u32) -> Result<Vec<Value>> {
        let now = jiff::Timestamp::now().as_second();
        let (start, end) = (format!("--start={}", now - seconds), format!("--end={now}"));
        self.ask(&["range", &start, &end, &format!("--step={step}s")], &[expression]).await
    }

    async fn ask(&self, how: &[&str], what: &[&str]) -> Result<Vec<Value>> {
        let mut command = Command::new(&self.promtool);
        command.args(["query", "-o", "json"]).args(how).arg(&self.url).args(what).kill_on_drop(true);
        let output = command.output().await.with_context(|| format!("run {}", self.promtool.display()))?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "promtool {what:?}: {words}{}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).with_context(|| format!("read what promtool prints for {what:?}"))
    }
}

fn scrape(number: usize, target: &Target) -> Value {
    let Target { job, address, labels } = target;
    json!({
        "job_name": format!("{job}-{number}"),
        "honor_labels": *job == "etcd-coordinator",
        "static_configs": [{"targets": [address], "labels": labels}],
        "relabel_configs": [{"target_label": "job", "replacement": job}],
    })
}

/// The rules of `manifests/monitoring/rules.yaml`, as Prometheus reads them, waiting no longer than this.
///
/// # Errors
/// When the file is not what it should be.
pub fn rules(waits: &str) -> Result<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/monitoring/rules.yaml");
    let object: Value = serde_yaml::from_str(&std::fs::read_to_string(file)?)?;
    let mut groups = object["spec"]["groups"].as_array().cloned().context("it has groups")?;
    for rule in groups.iter_mut().filter_map(|group| group["rules"].as_array_mut()).flatten() {
        rule["for"] = json!(waits);
    }
    Ok(json!({ "groups": groups }))
}
