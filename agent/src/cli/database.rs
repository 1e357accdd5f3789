//! `etcd-agent defrag` and `etcd-agent compact`: what the leader's agent does by itself when it is due, at a time
//! that a
//! person chooses.

use std::time::{Duration, Instant};

use anyhow::bail;
use etcd_operator_shared::names::PORT_AGENT;
use serde_json::Value;
use tokio::time::timeout;

use super::snapshot::local;
use crate::{
    args::{Compact, Defrag},
    etcd::{
        data::is_compacted,
        member::{Member, Status},
    },
    http,
    plan::upkeep::has_room,
    volume::Store,
};

/// How long the agent may take to say how the member is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes this member's database file anew, without what it does not use.
pub fn defrag(args: &Defrag) -> anyhow::Result<()> {
    super::block_on(async {
        let member = local(&args.whose)?;
        let before = member.status().await?;
        if !args.force {
            may_be_missed(&member_page().await?)?;
        }
        let (room, in_use) = (Store::new(args.whose.volume.clone()).room()?.free, before.db_size_in_use.unsigned_abs());
        if !has_room(Some(room), in_use) {
            bail!("the volume has no room for a second copy: {} are in use, {} are free", size(in_use), size(room));
        }
        hand_over(&member, &before).await?;
        let began = Instant::now();
        member.defragment().await?;
        let (took, after) = (began.elapsed().as_secs_f64(), member.status().await?);
        let bytes = |said: &Status| size(said.db_size.unsigned_abs());
        println!(
            "the database of {} went from {} to {} in {took:.1} s",
            args.whose.member,
            bytes(&before),
            bytes(&after)
        );
        Ok(())
    })
}

/// Forgets old revisions, in all members.
pub fn compact(args: &Compact) -> anyhow::Result<()> {
    super::block_on(async {
        let member = local(&args.whose)?;
        let newest = member.revision().await?;
        let revision = newest - i64::try_from(args.keep)?;
        if revision <= 1 {
            bail!("there is nothing to forget: the newest revision is {newest}");
        }
        match member.compact(revision).await {
            Err(error) if is_compacted(&error) => println!("what was before revision {revision} was forgotten before"),
            outcome => {
                outcome?;
                println!("what was before revision {revision} is forgotten; `etcd-agent defrag` gives its room back");
            }
        }
        Ok(())
    })
}

async fn member_page() -> anyhow::Result<Value> {
    let authority = format!("127.0.0.1:{PORT_AGENT}");
    let asked = timeout(PATIENCE, http::get(&authority, "/status", http::PAGE)).await;
    let body = asked.map_err(|_| anyhow::anyhow!("the agent did not answer within {} s", PATIENCE.as_secs()))??;
    Ok(serde_json::from_slice(&body)?)
}

/// Whether the member is well, so that a person may have it busy for a while.
fn may_be_missed(page: &Value) -> anyhow::Result<()> {
    if page["settled"] == true {
        return Ok(());
    }
    let why = page["message"].as_str().filter(|why| !why.is_empty());
    let why = why.unwrap_or("it is behind, or does not reach every other voter");
    bail!("not now: {why}; --force does it all the same");
}

/// The leader lets another one lead: who waits for it while it is busy is everybody.
async fn hand_over(member: &Member, said: &Status) -> anyhow::Result<()> {
    if said.leader_id.as_ref() != Some(&said.member_id) {
        return Ok(());
    }
    let voters = member.members().await?.members.into_iter().filter(|entry| !entry.learner);
    let others: Vec<_> = voters.filter(|entry| entry.id != said.member_id).collect();
    for other in &others {
        match member.move_leader(&other.id).await {
            Ok(()) => {
                println!("{} leads now", other.member);
                return Ok(());
            }
            Err(error) => eprintln!("cannot hand leadership to {}: {error}", other.member),
        }
    }
    if others.is_empty() { Ok(()) } else { bail!("no other member takes leadership over") }
}

fn size(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_that_is_not_well_is_left_alone_and_says_why() {
        assert!(may_be_missed(&json!({"settled": true})).is_ok());
        let refused = may_be_missed(&json!({"settled": false, "message": "the member is a learner"})).unwrap_err();
        assert!(refused.to_string().contains("a learner") && refused.to_string().contains("--force"));
        assert!(may_be_missed(&json!({"settled": false, "message": ""})).is_err());
    }
}
