//! Promise: a member whose etcd was forced to be a cluster of its own is stopped at once: the others go on and have all that they
//! acknowledged, nothing is set aside because of it, and the member says what happened.
//!
//! What a client that is connected to that very member writes until its agent has asked, some tens of milliseconds, is not
//! promised: no client is, here.

use crate::harness::demo::spec_with;
use crate::harness::{Demo, Manner, PATIENCE, Part, http, play, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::names::PORT_AGENT;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use testbed::command::call;
use tokio::process::Command;

/// The release of the testbed's own etcd, which does the forcing.
const VERSION: &str = "v3.6.16";
/// Written through each member that is not forced.
const KEYS: usize = 50;

#[test]
fn a_member_that_was_forced_to_be_alone_is_stopped_and_the_others_keep_everything() {
    play("forced", Manner::Beside, async |stage| {
        let Some(faults) = stage.faults_or_skip() else { return Ok(()) };
        let testbed = stage.cluster().testbed().context("there are fault handles")?;
        let program = testbed.layout().bin().join("etcd");
        let (demo, _) = Demo::up(stage, "demo", spec_with(3, json!({"version": VERSION}))).await?;
        let id = demo.all_vote().await?;
        let victim = demo.follower().await?;
        write(&demo, victim, "before").await?;

        let launcher = demo.process(faults, victim, Part::Launcher).await?;
        let etcd = demo.process(faults, victim, Part::Etcd).await?;
        launcher.signal(Signal::SIGSTOP);
        etcd.signal(Signal::SIGKILL);
        until("etcd has ended", PATIENCE, async || {
            ensure!(!etcd.is_alive(), "it runs");
            Ok(())
        })
        .await?;
        let disk = demo.volume(faults, victim).await?;
        let forced = force(&program, &disk.join("data")).await;
        launcher.signal(Signal::SIGCONT);
        forced?;

        let told = until("the member says that it is not itself", PATIENCE, async || said(&demo, victim).await).await?;
        stage.say(told);
        until("the others go on", PATIENCE, async || others_go_on(&demo, victim).await).await?;
        let others: Vec<u32> = (0..3).filter(|ordinal| *ordinal != victim).collect();
        has_all(&demo, victim, &others, "before").await?;
        write(&demo, victim, "meanwhile").await?;
        let asides: Vec<String> = demo.set_aside(faults, victim).await?;
        ensure!(asides.is_empty(), "{asides:?} was set aside");
        let sentence = demo.says("Stalled", "True", "MemberHeld").await?;
        ensure!(sentence.contains("--force-new-cluster"), "it says {sentence}");

        // What a person does: the others hold the cluster, so this disk may go.
        demo.lose(faults, victim, crate::harness::Loss::Claim).await?;
        demo.ready().await?;
        ensure!(demo.all_vote().await? == id, "the cluster ID changed");
        for word in ["before", "meanwhile"] {
            has_all(&demo, victim, &[0, 1, 2], word).await?;
        }
        Ok(())
    });
}

/// Has keys acknowledged, through members other than this one.
async fn write(demo: &Demo<'_>, but: u32, word: &str) -> Result<()> {
    for ordinal in (0..3).filter(|ordinal| *ordinal != but) {
        let etcd = demo.etcd(ordinal).await?;
        for number in 0..KEYS {
            etcd.put(&format!("{word}-{ordinal}-{number}"), word).await?;
        }
    }
    Ok(())
}

/// Each of these members has every key that was acknowledged through the others of the victim.
async fn has_all(demo: &Demo<'_>, victim: u32, readers: &[u32], word: &str) -> Result<()> {
    for reader in readers {
        let etcd = demo.etcd(*reader).await?;
        for writer in (0..3).filter(|ordinal| *ordinal != victim) {
            for number in 0..KEYS {
                let found = etcd.get(&format!("{word}-{writer}-{number}")).await?;
                ensure!(found.as_deref() == Some(word), "member {reader} has lost {word}-{writer}-{number}");
            }
        }
    }
    Ok(())
}

/// Each of the others serves, and all three are members.
async fn others_go_on(demo: &Demo<'_>, victim: u32) -> Result<()> {
    for ordinal in (0..3).filter(|ordinal| *ordinal != victim) {
        let etcd = demo.etcd(ordinal).await?;
        etcd.serves().await?;
        let members = etcd.members().await?;
        ensure!(members.len() == 3, "member {ordinal} lists {members:?}");
    }
    Ok(())
}

/// The member's agent holds it, with the reason.
async fn said(demo: &Demo<'_>, ordinal: u32) -> Result<String> {
    let page = http::get(&demo.ip(ordinal).await?, PORT_AGENT, "/status").await?;
    let page: Value = serde_json::from_str(&page.body)?;
    let said = format!("{}: {}, {}", page["phase"], page["reason"], page["message"]);
    ensure!(page["phase"] == "Held" && page["reason"] == "NotItself", "it says {said}");
    Ok(said)
}

/// Makes the data a cluster of one, as a person would who follows old advice, and gives the files back to their owner.
async fn force(program: &Path, data: &Path) -> Result<()> {
    let (client, peer) = (free_url()?, free_url()?);
    let flag = |name: &str, value: &str| format!("--{name}={value}");
    let mut etcd = Command::new(program)
        .args(["--force-new-cluster", &flag("name", "alone"), &flag("data-dir", &data.display().to_string())])
        .args([flag("listen-client-urls", &client), flag("advertise-client-urls", &client)])
        .args([flag("listen-peer-urls", &peer), flag("initial-advertise-peer-urls", &peer)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let port: u16 = client.rsplit(':').next().unwrap_or_default().parse()?;
    until("it serves alone", PATIENCE, async || {
        let reply = http::get("127.0.0.1", port, "/health").await?;
        ensure!(reply.body.contains("true"), "it says {}", reply.body);
        Ok(())
    })
    .await?;
    let pid = Pid::from_raw(i32::try_from(etcd.id().context("it has ended by itself")?)?);
    kill(pid, Signal::SIGTERM)?;
    etcd.wait().await?;
    owned_again(data)
}

fn owned_again(data: &Path) -> Result<()> {
    let owner = std::fs::metadata(data)?;
    call(&format!("chown -R {}:{} {}", owner.uid(), owner.gid(), data.display())).map(drop)
}

fn free_url() -> Result<String> {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    Ok(format!("http://127.0.0.1:{port}"))
}
