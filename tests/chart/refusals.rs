//! Claim: what the chart cannot be is refused before anything is made, with a sentence that names the value.

use crate::render::rendered;
use anyhow::{Result, ensure};

const REFUSED: [(&[&str], &str); 22] = [
    (&["--set", "colour=blue"], "at '': additional properties 'colour' not allowed"),
    (&["--set", "log.level=debug"], "at '/log': additional properties 'level' not allowed"),
    (&["--set", "resources.cpu=1"], "at '/resources': additional properties 'cpu' not allowed"),
    (&["--set", "log.format=xml"], "at '/log/format': value must be one of 'json', 'text'"),
    (&["--set", "log=null"], "at '': missing property 'log'"),
    (&["--set", "podUser=root"], "at '/podUser': value must be one of 'fixed', 'platform'"),
    (&["--set", "replicas=-1"], "at '/replicas': minimum: got -1, want 0"),
    (&["--set", "replicas=two"], "at '/replicas': got string, want integer"),
    (&["--set", "maxRolling=-1"], "at '/maxRolling': minimum: got -1, want 0"),
    (&["--set", "rbac.create=yes"], "at '/rbac/create': got string, want boolean"),
    (&["--set", "protection=true"], "at '/protection': got boolean, want object"),
    (&["--set", "namespaces=a"], "at '/namespaces': got string, want array"),
    (&["--set", "namespaces={A}"], "at '/namespaces/0': 'A' does not match pattern"),
    (&["--set", "namespaces={a,a}"], "at '/namespaces': items at 0 and 1 are equal"),
    (&["--set", "images.agent="], "at '/images/agent': '' does not match pattern"),
    (&["--set", "images.pullSecrets={a}"], "at '/images/pullSecrets/0': got string, want object"),
    (&["--set-string", "listen=8080"], "at '/listen': '8080' does not match pattern"),
    (&["--set", "priorityClass.create=true"], "makes a class of the name priorityClass.name, which is empty"),
    (
        &["--set", r"podLabels.app\.kubernetes\.io/name=mine"],
        "podLabels cannot have app.kubernetes.io/name: the coordinator's pods are selected by it",
    ),
    (
        &["--kube-version", "1.28.15"],
        "this one is v1.28.15: apply manifests/crds/without-cel and set crds.install to false",
    ),
    (
        &["--kube-version", "1.28.15", "--set", "crds.install=false,leasePriority.enabled=true"],
        "leasePriority is for API servers from 1.29, and this one is v1.28.15",
    ),
    (
        &["--kube-version", "1.29.0", "--set", "protection.enabled=true"],
        "protection is for API servers from 1.30, and this one is v1.29.0",
    ),
];

#[tokio::test]
async fn what_it_cannot_be_is_refused_with_a_sentence() -> Result<()> {
    for (args, sentence) in REFUSED {
        let said = match rendered(args).await {
            Ok(_) => "nothing: it was taken".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        ensure!(said.contains(sentence), "{args:?} should say\n{sentence}\nand says\n{said}");
    }
    Ok(())
}

#[tokio::test]
async fn an_older_server_gets_all_but_the_kinds() -> Result<()> {
    let objects = rendered(&["--kube-version", "v1.28.3-gke.1", "--set", "crds.install=false"]).await?;
    ensure!(objects.len() == 14, "there are {:#?}", objects.keys());
    Ok(())
}
