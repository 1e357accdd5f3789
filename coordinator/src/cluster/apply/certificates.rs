//! Signs what members ask for, and tells them what was revoked. One that cannot be answered keeps nobody else from it.

use std::{collections::BTreeMap, sync::Arc};

use etcd_operator_shared::{
    api::{
        EtcdMember,
        cluster::Encrypted,
        member::{ClientCertificates, Issued, PeerCertificate, RevocationList},
    },
    certificates::ROOT,
    names,
};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};
use tracing::info;

use crate::{
    apiserver::{Cause, Failed},
    cluster::{
        build::Blueprint,
        context::Context,
        decide::{
            Care,
            certificates::{Answer, Due, Key},
        },
        facts::Facts,
    },
    pki::{Leaf, Pair, PkiError, PublicKey, Side, Usage},
};

/// Certificates by the member's ordinal.
pub type Answers = BTreeMap<u32, Answered>;

/// What one EtcdMember, by UID, is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub uid: String,
    /// To be merged into what it was told of certificates before.
    pub certificates: Value,
}

/// Signs for all that wait.
pub async fn answer(ctx: &Context, plan: &Blueprint<'_>, facts: &Facts, care: &Care) -> (Answers, Vec<Failed>) {
    let (mut answers, mut failed) = (Answers::new(), vec![]);
    let Due { answers: due, lists, nonsense: _ } = &care.certificates;
    if due.is_empty() && lists.is_empty() {
        return (answers, failed);
    }
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let pair = match whole(ctx, &plan.life(), &namespace, facts).await {
        Ok(Some(pair)) => pair,
        // Gone within this moment: the next turn finds that out.
        Ok(None) => return (answers, failed),
        Err(error) => return (answers, vec![error]),
    };
    match revoked(&pair, Timestamp::now()) {
        Ok(list) => {
            let told = |uid: &String| Answered { uid: uid.clone(), certificates: json!({"client": {"revoked": list}}) };
            answers.extend(lists.iter().map(|(ordinal, uid)| (*ordinal, told(uid))));
        }
        Err(error) => failed.push(unable("the list of revoked certificates", &error)),
    }
    for one in due {
        match answer_one(ctx, plan, &pair, one).await {
            Ok(Some(issued)) => {
                let answered = Answered { uid: one.uid.clone(), certificates: json!(issued) };
                drop(answers.insert(one.ordinal, answered));
            }
            Ok(None) => {}
            Err(error) => failed.push(error),
        }
    }
    (answers, failed)
}

/// A cluster's authorities. Where their Secret is a copy of before, they take what has been revoked since from the
/// members first: no member is told less than it knows.
pub async fn whole(ctx: &Context, life: &str, namespace: &str, facts: &Facts) -> Result<Option<Arc<Pair>>, Failed> {
    let Some(pair) = ctx.authorities.of(&ctx.api, life).await? else { return Ok(None) };
    let Some((number, member)) = facts.latest_revoked().filter(|(number, _)| *number > pair.revoked.number) else {
        return Ok(Some(pair));
    };
    let there = ctx.api.get::<EtcdMember>(namespace, member).await?.and_then(|there| there.spec.certificates);
    match there.and_then(|issued| issued.client?.revoked) {
        Some(told) if told.number >= number => ctx.authorities.catch_up(&ctx.api, life, told.number, &told.list).await,
        // The cache is behind: what is told in this turn is not older than that.
        Some(_) | None => Ok(Some(pair)),
    }
}

fn revoked(pair: &Pair, now: Timestamp) -> Result<RevocationList, PkiError> {
    let list = pair.client.sign_list(&pair.revoked, now)?;
    Ok(RevocationList { number: pair.revoked.number, list })
}

fn unable(what: &str, error: &PkiError) -> Failed {
    Failed { attempt: format!("sign {what}"), cause: Cause::Unavailable(error.to_string()) }
}

async fn answer_one(ctx: &Context, plan: &Blueprint<'_>, pair: &Pair, due: &Answer) -> Result<Option<Issued>, Failed> {
    let member = names::member(&plan.name(), due.ordinal);
    let key = match &due.key {
        Key::Asked(key) => key.clone(),
        Key::Answered => match answered(ctx, plan, &member, &due.uid).await? {
            Some(key) => key,
            None => return Ok(None),
        },
    };
    let issued = issue(plan, pair, &member, due, &key, Timestamp::now());
    let issued = issued.map_err(|error| unable(&format!("certificates for {member}"), &error))?;
    info!(namespace = plan.cluster.namespace(), member, key = issued.key, "certificates signed");
    Ok(Some(issued))
}

/// The key of the certificates that a member has: what is kept of it holds none.
async fn answered(ctx: &Context, plan: &Blueprint<'_>, member: &str, uid: &str) -> Result<Option<PublicKey>, Failed> {
    let namespace = plan.cluster.namespace().unwrap_or_default();
    let there = ctx.api.get::<EtcdMember>(&namespace, member).await?;
    let issued = there.filter(|there| there.uid().as_deref() == Some(uid)).and_then(|there| there.spec.certificates);
    let chain = issued.and_then(|Issued { peer, client, .. }| {
        peer.map(|peer| peer.chain).or_else(|| client.map(|client| client.server))
    });
    Ok(chain.and_then(|chain| PublicKey::certified(&chain).ok()))
}

/// All certificates of one member, for one key.
fn issue(
    plan: &Blueprint<'_>,
    pair: &Pair,
    member: &str,
    due: &Answer,
    key: &PublicKey,
    now: Timestamp,
) -> Result<Issued, PkiError> {
    let Encrypted { peer: among, client: with_clients } = plan.incarnation.encrypted;
    let life = plan.wanted.encryption.leaf;
    let Answer { names, .. } = due;
    let both = |names| Leaf { common: member, names, usage: Usage::Both };
    let root = Leaf { common: ROOT, names: &[], usage: Usage::Client };
    let sign = |side, leaf| pair.sign(side, leaf, key, life, now).map(|signed| signed.chain);
    let trust = |side| pair.trust(side).to_owned();
    let names_print = names.print(pair.history.generation);
    let mut issued = Issued { key: key.digest(), names: names_print, peer: None, client: None };
    if among {
        let chain = sign(Side::Peer, both(&names.peer))?;
        issued.peer = Some(PeerCertificate { chain, trust: trust(Side::Peer) });
    }
    if with_clients {
        let (server, root) = (sign(Side::Client, both(&names.server))?, sign(Side::Client, root)?);
        let revoked = Some(revoked(pair, now)?);
        issued.client = Some(ClientCertificates { server, root, trust: trust(Side::Client), revoked });
    }
    Ok(issued)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{
        cluster::{build::tests::plan, decide::certificates::Names, facts::certificates::Certificates},
        pki::PrivateKey,
        print,
    };

    #[test]
    fn a_member_gets_what_is_encrypted_and_is_then_known_to_have_it() {
        for (peer, client) in [(true, true), (true, false), (false, true)] {
            let mode = |on: bool| if on { "Auto" } else { "Plain" };
            let plan = plan(json!({"security": {"peer": {"mode": mode(peer)}, "client": {"mode": mode(client)}}}));
            let (plan, now) = (plan.blueprint(), Timestamp::from_second(1_800_000_000).unwrap());
            let pair = Pair::make(("demo", "ns"), Duration::from_secs(7200), 1, now).unwrap();
            let key = PrivateKey::make().unwrap().public();
            let names = Names::of(plan.cluster, "demo-1", &[]);
            let due = Answer { ordinal: 1, uid: "m".into(), key: Key::Asked(key.clone()), names: names.clone() };
            let issued = issue(&plan, &pair, "demo-1", &due, &key, now).unwrap();
            assert_eq!((issued.peer.is_some(), issued.client.is_some()), (peer, client));
            let kept = Certificates::of(Some(&issued), None).unwrap().answered.unwrap();
            assert_eq!((&*kept.key, &*kept.names), (key.digest().as_str(), names.print(1).as_str()));
            assert_eq!(kept.client, client.then(|| print::of(pair.client.certificate())));
            assert_eq!(kept.revoked, client.then_some(1), "none lets clients in without a list of who is revoked");
            let chains = [issued.peer.map(|peer| peer.chain), issued.client.map(|client| client.root)];
            assert!(chains.iter().flatten().all(|chain| PublicKey::certified(chain).as_ref() == Ok(&key)));
        }
    }
}
