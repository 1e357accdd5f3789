//! The commands: read, decide, act, print.

mod backup;
mod change;
mod databases;
mod diagnose;
mod hold;
mod logs;
mod members;
mod pause;
mod report;
mod snapshot;
mod status;
mod upgrade;
mod wait;

use crate::{
    apiserver::connection::Connection,
    args::{self, Args, Command, Snapshot},
    failure::Failure,
    print::paint::Paint,
    terminal,
    verdict::Verdict,
};

/// Performs one command.
///
/// # Errors
/// With a sentence.
pub async fn perform(args: Args) -> Result<Verdict, Failure> {
    let paint = Paint::of_terminal(args.global.no_color);
    if let Command::Completion { shell } = args.command {
        let _ = terminal::print(&String::from_utf8_lossy(&args::completion(shell)));
        return Ok(Verdict::Good);
    }
    let to = Connection::open(&args.global).await?;
    match args.command {
        Command::Status(asked) => status::run(&to, &asked, paint).await,
        Command::Members { name, print } => members::list(&to, &name, print.output, paint).await,
        Command::Health { name } => members::health(&to, &name, paint).await,
        Command::Diagnose { name, output } => diagnose::run(&to, &name, output.into(), paint).await,
        Command::Hold { name, member, yes, dry } => hold::hold(&to, &name, &member, yes, dry).await,
        Command::Release { name, member, dry } => hold::release(&to, &name, &member, dry).await,
        Command::Pause { name, dry } => pause::pause(&to, &name, dry).await,
        Command::Resume { name, dry } => pause::resume(&to, &name, dry).await,
        Command::Upgrade { name, version, wait, dry } => upgrade::run(&to, &name, version, wait, dry).await,
        Command::Backup { name, wait, dry } => backup::run(&to, &name, wait, dry).await,
        Command::Snapshot { verb: Snapshot::Save { name, file, member } } => {
            snapshot::save(&to, &name, &file, member.as_deref()).await
        }
        Command::Defrag { name, member, force } => databases::defrag(&to, &name, member.as_deref(), force).await,
        Command::Compact { name, keep } => databases::compact(&to, &name, keep).await,
        Command::Logs(asked) => logs::run(&to, &asked).await,
        Command::Report { name, out } => report::run(&to, &name, &out).await,
        Command::Completion { .. } => Ok(Verdict::Good),
    }
}
