//! Hashes of all keys as members hold them, so that a proof has something to compare with.
//!
//! Another member is asked as well: one hash alone would bless its own corruption. Not the leader, while there is
//! another: whoever is asked applies nothing meanwhile.

use std::time::Duration;

use etcd_operator_shared::backup::Hash;
use futures::future::join_all;

use super::Failure;
use crate::{
    etcd::{
        data::{is_compacted, is_of_the_future},
        member::{EtcdError, Member, Status},
    },
    plan::list::Entry,
};

/// A follower that is connected has what a quorum has within milliseconds.
const CATCHES_UP: Duration = Duration::from_secs(5);

/// Another member that may be asked.
struct Other<'a> {
    member: &'a Member,
    status: Status,
    name: String,
}

/// The member's own hash, and one of another member if there is one that answers.
///
/// # Errors
/// When the member has none, or two members hold different keys.
pub async fn ask(
    own: &Member,
    status: &Status,
    list: &[Entry],
    others: &[Member],
    at: i64,
) -> Result<Vec<Hash>, Failure> {
    let name = name(list, &status.member_id);
    let mine = hash_of(own, &name, at).await.map_err(|error| {
        let reason = if is_compacted(&error) { "Compacted" } else { "NoHash" };
        Failure::failed(reason, format!("{name} has no hash of its keys at revision {at}: {error}"))
    })?;
    let mut hashes = vec![mine];
    for other in candidates(status, list, others).await {
        if let Ok(hash) = hash_of(other.member, &other.name, at).await {
            hashes.push(hash);
            break;
        }
    }
    alike(&hashes)?;
    Ok(hashes)
}

async fn hash_of(member: &Member, name: &str, at: i64) -> Result<Hash, EtcdError> {
    let began = tokio::time::Instant::now();
    loop {
        match member.hash(at).await {
            Ok(found) => {
                let (hash, compact_revision) = (found.hash, found.compact_revision);
                return Ok(Hash { member: name.to_owned(), hash, revision: at, compact_revision });
            }
            Err(error) if is_of_the_future(&error) && began.elapsed() < CATCHES_UP => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The other voters that answer, followers first.
async fn candidates<'a>(own: &Status, list: &[Entry], others: &'a [Member]) -> Vec<Other<'a>> {
    let said = join_all(others.iter().map(async |member| (member, member.status().await))).await;
    let mut candidates: Vec<Other<'a>> = said
        .into_iter()
        .filter_map(|(member, status)| Some((member, status.ok()?)))
        .filter(|(_, status)| {
            status.cluster_id == own.cluster_id && status.member_id != own.member_id && !status.is_learner
        })
        .map(|(member, status)| Other { member, name: name(list, &status.member_id), status })
        .collect();
    candidates.sort_by_key(|other| {
        (other.status.leader_id.as_ref() == Some(&other.status.member_id), other.status.member_id.clone())
    });
    candidates
}

fn name(list: &[Entry], id: &str) -> String {
    list.iter().find(|entry| entry.id == id).map_or_else(|| id.to_owned(), |entry| entry.member.clone())
}

/// Whether hashes that can be compared are the same.
fn alike(hashes: &[Hash]) -> Result<(), Failure> {
    for (i, a) in hashes.iter().enumerate() {
        let other = hashes[i + 1..].iter().find(|b| b.compact_revision == a.compact_revision && b.hash != a.hash);
        if let Some(b) = other {
            let message = format!(
                "{} and {} hold different keys at revision {}: one of them is corrupt, and nothing is stored of either",
                a.member, b.member, a.revision
            );
            return Err(Failure::integrity("MembersDiffer", message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(member: &str, hash: u32, compact_revision: i64) -> Hash {
        Hash { member: member.into(), hash, revision: 9, compact_revision }
    }

    #[test]
    fn members_that_hold_different_keys_are_told_and_what_cannot_be_compared_is_not() {
        assert!(alike(&[hash("demo-0", 1, 5), hash("demo-1", 1, 5)]).is_ok());
        assert!(alike(&[hash("demo-0", 1, 5), hash("demo-1", 2, 6)]).is_ok());
        let differ = alike(&[hash("demo-0", 1, 5), hash("demo-1", 2, 5)]).unwrap_err();
        assert!(differ.code() == 5 && differ.to_string().starts_with("demo-0 and demo-1"), "{differ}");
    }
}
