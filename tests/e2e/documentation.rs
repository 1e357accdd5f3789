//! Promise: what the documentation tells people to type works, and prints what it says. The stories are in `../docs/stories.rs`; what a
//! page leaves to the reader (`<!-- yours -->`) is said here.

use crate::harness::plugin;
use crate::harness::store::BUCKET;
use crate::harness::{Bucket, Manner, Stage, play, until};
use anyhow::{Context, Result, bail, ensure};
use docs::pages::{self, Block, Page};
use docs::stories::{BACKUPS, CHANGES, ENCRYPTION, FIRST_CLUSTER, RECOVERY, Story};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use testbed::storage;
use testbed::store::Traffic;
use tokio::process::Command;
use tokio::time::timeout;

/// A block waits for several members on a busy machine.
const BLOCK: Duration = Duration::from_secs(300);
/// What is run again until it prints what it is to print.
const AGAIN: Duration = Duration::from_secs(180);

/// What readers have of their own, by the name under which a page exports it.
type Yours = BTreeMap<&'static str, String>;

#[test]
fn the_first_cluster_is_as_the_tutorial_says() {
    play("documentation_first", Manner::Beside, async |stage| tell(stage, FIRST_CLUSTER, &Yours::new()).await);
}

#[test]
fn a_cluster_is_backed_up_and_restored_as_the_pages_say() {
    play("documentation_backups", Manner::Beside, async |stage| {
        let Some(bucket) = Bucket::open(stage, Traffic::Plain).await? else { return Ok(()) };
        let (endpoint, keys) = (bucket.server.endpoint(), &bucket.server.keys);
        let yours = [
            ("ENDPOINT", endpoint),
            ("BUCKET", BUCKET.to_owned()),
            ("ACCESS_KEY", keys.access.clone()),
            ("SECRET_KEY", keys.secret.clone()),
            ("NAMESPACE", stage.namespace.clone()),
        ];
        tell(stage, BACKUPS, &yours.into()).await
    });
}

#[test]
fn an_application_is_let_into_an_encrypted_cluster_and_keys_move_in_as_the_pages_say() {
    play("documentation_encryption", Manner::Beside, async |stage| tell(stage, ENCRYPTION, &Yours::new()).await);
}

#[test]
fn a_cluster_is_looked_at_and_changed_as_the_pages_say() {
    play("documentation_changes", Manner::Beside, async |stage| {
        let yours = Yours::from([("CLASS", storage::GROWING.to_owned())]);
        tell(stage, CHANGES, &yours).await?;
        runbooks_look(stage).await
    });
}

#[test]
fn what_is_lost_is_recovered_as_the_pages_say() {
    play("documentation_recovery", Manner::Beside, async |stage| tell(stage, RECOVERY, &Yours::new()).await);
}

/// Plays a story.
async fn tell(stage: &Stage, story: Story, yours: &Yours) -> Result<()> {
    let reader = Reader::of(stage).await?;
    for example in story.begins_with {
        let apply = format!(
            "kubectl apply -f manifests/examples/{example}\nkubectl wait --for=condition=Ready etcdc --all --timeout=4m\n"
        );
        reader.types(&apply).await.with_context(|| format!("what {} begins with", story.name))?;
    }
    for name in story.pages {
        let page = pages::named(name)?;
        for block in page.blocks()? {
            reader.plays(&page, &block, yours).await.with_context(|| format!("{name}:{}", block.line))?;
        }
        stage.say(format!("{name} is as it says"));
    }
    Ok(())
}

/// Who reads the pages: a shell in a folder of its own with the manifests in it, kubectl and its plugin on the PATH, and the stage's
/// namespace as the present one.
struct Reader {
    folder: TempDir,
    programs: String,
}

impl Reader {
    async fn of(stage: &Stage) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let kubeconfig = stage.kubectl.kubeconfig.as_ref().context("kubectl has a kubeconfig")?;
        std::fs::copy(kubeconfig, folder.path().join("kubeconfig"))?;
        std::os::unix::fs::symlink(std::fs::canonicalize(docs::clone("manifests"))?, folder.path().join("manifests"))?;
        let plugin = plugin::program()?;
        let folders = [parent(&plugin), parent(&stage.kubectl.program), std::env::var("PATH")?];
        let reader = Self { folder, programs: folders.join(":") };
        reader.types(&format!("kubectl config set-context --current --namespace={}\n", stage.namespace)).await?;
        Ok(reader)
    }

    /// Types a block, and looks at what it prints.
    async fn plays(&self, page: &Page, block: &Block, yours: &Yours) -> Result<()> {
        let commands = match &block.manner {
            pages::Manner::Not(_) => return Ok(()),
            pages::Manner::Yours => own(&block.commands, yours)?,
            pages::Manner::Once | pages::Manner::Again => block.commands.clone(),
        };
        let look = async || {
            let printed = self.types(&commands).await?;
            block.prints.as_ref().map_or(Ok(()), |claimed| pages::holds(claimed, &printed))
        };
        if block.manner == pages::Manner::Again {
            return until(&format!("{}:{} prints what it says", page.name, block.line), AGAIN, look).await;
        }
        look().await
    }

    /// Types commands into the shell, which remembers what was exported and set before.
    async fn types(&self, commands: &str) -> Result<String> {
        let script = format!(
            "set -euo pipefail\n[ ! -e remembered ] || . ./remembered\nset -a\n{commands}export -p >remembered\n"
        );
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(script).current_dir(self.folder.path()).env("PATH", &self.programs);
        shell.env("KUBECONFIG", self.folder.path().join("kubeconfig"));
        shell.stdin(Stdio::null()).kill_on_drop(true);
        let Ok(output) = timeout(BLOCK, shell.output()).await else {
            bail!("it takes longer than {BLOCK:?}:\n{commands}")
        };
        let output = output.context("run bash")?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "it fails:\n{commands}{out}{err}");
        Ok(out.into_owned())
    }
}

/// The same lines with the reader's own values.
fn own(exports: &str, yours: &Yours) -> Result<String> {
    let line = |line: &str| {
        let name = line.strip_prefix("export ").and_then(|rest| rest.split_once('=')).map(|(name, _)| name);
        let name = name.with_context(|| format!("{line} exports something"))?;
        let value = yours.get(name).with_context(|| format!("the test says nothing of {name}"))?;
        Ok(format!("export {name}='{value}'\n"))
    };
    exports.lines().map(line).collect()
}

fn parent(program: &Path) -> String {
    program.parent().map(PathBuf::from).unwrap_or_default().display().to_string()
}

/// Commands of runbooks that find nothing here: an operator in the cluster, what Prometheus' operator or a metrics server bring, a store,
/// an agent that ended.
const NOT_HERE: [&str; 8] = [
    "deploy",
    "lease etcd-coordinator",
    "get podmonitors",
    "kubectl top",
    "etcd-agent snapshot list",
    "--previous",
    "etcd-agent defrag",
    "etcd-agent compact",
];

/// Where runbooks tell to look, there is something to see: each of their commands runs.
async fn runbooks_look(stage: &Stage) -> Result<()> {
    let reader = Reader::of(stage).await?;
    let mut commands = BTreeSet::new();
    for page in pages::all()?.into_iter().filter(|page| page.name.starts_with("how-to/runbooks/")) {
        let lines =
            page.text.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| line.starts_with("kubectl"));
        commands.extend(lines.filter(|line| !NOT_HERE.iter().any(|odd| line.contains(odd))).map(str::to_owned));
    }
    ensure!(commands.len() > 15, "runbooks have {commands:?}");
    for command in commands {
        let mine =
            command.replace("NAMESPACE", &stage.namespace).replace("CLUSTER", "demo").replace("MEMBER", "demo-0");
        reader.types(&format!("{mine}\n")).await?;
    }
    Ok(())
}
