//! Claim: what the chart says after an install can be typed, and names what will not be as it was asked for.

use crate::render::{NAMESPACE, helm};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::EtcdCluster;
use testbed::helm::CHART;

#[tokio::test]
async fn the_cluster_that_it_proposes_is_one() -> Result<()> {
    let notes = notes(&["--set", "namespaces={team}"]).await?;
    ensure!(notes.contains("looks after team.") && notes.contains("kubectl -n team apply -f - <<'YAML'"), "{notes}");
    let yaml = notes.split("<<'YAML'\n").nth(1).and_then(|rest| rest.split("\nYAML\n").next());
    let cluster: EtcdCluster = serde_yaml::from_str(yaml.with_context(|| format!("no cluster in {notes}"))?)?;
    ensure!(cluster.spec.size == 3, "it has {:?}", cluster.spec);
    Ok(())
}

#[tokio::test]
async fn what_will_not_be_as_asked_is_said() -> Result<()> {
    let plain = notes(&[]).await?;
    for (set, said) in [
        ("replicas=0", "replicas is 0: nothing is done about clusters"),
        ("crds.install=false", "The kinds are not of this release"),
        ("podMonitor.enabled=true", "the API server knows no monitoring.coreos.com/v1 PodMonitor: none was made"),
    ] {
        let notes = notes(&["--set", set]).await?;
        ensure!(notes.contains(said), "with {set} it says {notes}");
        ensure!(!plain.contains(said), "it says always that {said}");
    }
    Ok(())
}

async fn notes(args: &[&str]) -> Result<String> {
    let install = ["install", "etcd-operator", CHART, "--namespace", NAMESPACE, "--dry-run=client"];
    let said = helm().await?.run(&[&install, args].concat()).await?;
    Ok(said.split("\nNOTES:\n").nth(1).context("it has notes")?.to_owned())
}
