//! The command that boots, loads and removes the testbed; some of its daemons are this program too.

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use testbed::toolchain::ETCD_VERSIONS;
use testbed::{Layout, Progress, Testbed, storage};
use tokio::signal::unix::{SignalKind, signal};

/// A real Kubernetes on this machine.
#[derive(Parser)]
#[command(name = "testbed", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boot it, unless it runs as asked.
    Up {
        /// How many nodes.
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        /// A release of etcd whose image every node gets; may be given several times. Left out: all that there are.
        #[arg(long = "etcd", value_name = "RELEASE")]
        releases: Vec<String>,
    },
    /// Remove it, or what is left of it.
    Down,
    /// Say what runs; fails unless all is well.
    Status,
    /// Undo every fault that a killed test left.
    Heal,
    /// Bring image archives to every node: of the testbed, or of the cluster that KUBECONFIG names.
    Load { archives: Vec<PathBuf> },
    /// Try every part of it on a real etcd; boots it if needed.
    Check,
    /// The controller that makes volumes (a daemon of the testbed).
    #[command(hide = true)]
    Provisioner,
    /// The FlexVolume driver (called by kubelet and the controller manager).
    #[command(hide = true)]
    Driver {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match perform(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testbed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn perform(command: Command) -> Result<()> {
    let progress = Progress::start();
    match command {
        Command::Up { nodes, releases } => {
            drop(tokio::spawn(heed_signals()));
            let releases: Vec<&str> = releases.iter().map(String::as_str).collect();
            let releases = if releases.is_empty() { &ETCD_VERSIONS[..] } else { &releases };
            let testbed = Testbed::up(nodes, releases, progress).await?;
            let environment = testbed.write_environment()?;
            progress.say(format!("up: {nodes} nodes; . {}", environment.display()));
        }
        Command::Down => {
            Testbed::down(progress).await?;
            progress.say("down");
        }
        Command::Status => println!("{}", Testbed::attach()?.status().await?),
        Command::Heal => {
            let testbed = Testbed::attach()?;
            testbed::Faults::new(&testbed, testbed.client().await?).heal_all().await?;
            progress.say("healed");
        }
        Command::Load { archives } => {
            let cluster = testbed::Cluster::connect().await?;
            for archive in archives {
                let name = cluster.load_image(&archive, &image_name(&archive)).await?;
                progress.say(format!("loaded {name}"));
            }
        }
        Command::Check => {
            let testbed = Testbed::up(3, &ETCD_VERSIONS, progress).await?;
            testbed::check::check(&testbed, progress).await?;
            progress.say("all is well");
        }
        Command::Provisioner => {
            let layout = Layout::from_env()?;
            storage::provisioner::run(testbed::admin(&layout).await?, layout).await;
        }
        Command::Driver { arguments } => println!("{}", storage::driver::answer(&Layout::from_env()?, &arguments)),
    }
    Ok(())
}

/// The image in an archive, as images/build.sh names both: `agent.tar` holds etcd-operator/agent:dev, `agent-crash.tar` etcd-operator/agent:crash.
fn image_name(archive: &Path) -> String {
    let stem = archive.file_stem().unwrap_or_default().to_string_lossy();
    let (name, tag) = stem.split_once('-').unwrap_or((&stem, "dev"));
    format!("etcd-operator/{name}:{tag}")
}

/// The boot sees the first and cleans up; the second ends the program, and the next `up` or `down` finds the remains.
async fn heed_signals() -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    for _ in 0..2 {
        // Both arms only wait: a signal that the loser misses is the same signal.
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if testbed::interrupt() {
            std::process::exit(130);
        }
    }
    Ok(())
}
