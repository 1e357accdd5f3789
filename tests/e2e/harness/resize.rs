//! A cluster that changes its size.

use super::pods;
use super::{Demo, until};
use anyhow::{Context, Result, ensure};
use etcd_operator_shared::api::cluster::Phase;
use etcd_operator_shared::api::member::Role;
use etcd_operator_shared::api::{EtcdCluster, EtcdMember};
use etcd_operator_shared::names;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A step of any size, on a busy machine, with etcd waiting five seconds before each addition.
pub const STEP: Duration = Duration::from_secs(180);

impl<'a> Demo<'a> {
    /// Asks for another size and returns the cluster as it is to be.
    pub async fn resize(&self, size: u32) -> Result<Demo<'a>> {
        self.patch_spec(json!({ "size": size })).await?;
        Ok(Demo { size, ..self.clone() })
    }

    /// Asks for another size, waits until everything is as wanted, and says how long that took.
    pub async fn scale(&self, size: u32) -> Result<Demo<'a>> {
        let started = Instant::now();
        let scaled = self.resize(size).await?;
        scaled.settles(STEP).await.with_context(|| format!("from {} to {size} members", self.size))?;
        self.stage.say(format!("{} → {size} after {:.2} s", self.size, started.elapsed().as_secs_f64()));
        Ok(scaled)
    }

    /// Waits until membership, pods, EtcdMembers and conditions are those of its size.
    pub async fn settles(&self, within: Duration) -> Result<()> {
        let what = format!("EtcdCluster {} has settled at size {}", self.name, self.size);
        until(&what, within, async || {
            if self.size == 0 {
                return self.is_stopped().await;
            }
            self.is_ready().await?;
            self.all_vote().await?;
            let members = self.objects().await?;
            ensure!(members == self.members().collect::<Vec<_>>(), "the EtcdMembers are {members:?}");
            Ok(())
        })
        .await
    }

    /// Fails while it is not Stopped, or has a pod.
    pub async fn is_stopped(&self) -> Result<()> {
        let cluster: EtcdCluster = self.get().await?;
        let status = cluster.status.as_ref().context("it has a status")?;
        ensure!(status.phase == Some(Phase::Stopped), "its phase is {:?}", status.phase);
        ensure!(status.observed_generation == cluster.metadata.generation, "its status is of an older spec");
        let pods = self.pods().await?;
        ensure!(pods.is_empty(), "{} pods are there", pods.len());
        Ok(())
    }

    /// Names of its EtcdMembers.
    pub async fn objects(&self) -> Result<Vec<String>> {
        let all = self.stage.api::<EtcdMember>().list(&ListParams::default().labels(&self.selector())).await?;
        let mut found: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
        found.sort();
        Ok(found)
    }

    /// UIDs of its volume claims by ordinal, without those that are being deleted.
    pub async fn claims(&self) -> Result<BTreeMap<u32, String>> {
        let all = self.stage.api::<PersistentVolumeClaim>().list(&ListParams::default()).await?;
        let ours = all.iter().filter(|one| one.metadata.deletion_timestamp.is_none());
        let ordinal = |claim: &PersistentVolumeClaim| {
            let member = claim.name_any();
            let member = member.strip_prefix(names::VOLUME_DATA)?.strip_prefix('-')?;
            names::ordinal(&self.name, member)
        };
        Ok(ours.filter_map(|one| Some((ordinal(one)?, one.uid()?))).collect())
    }

    /// Waits until exactly the first `count` ordinals have a claim.
    pub async fn has_claims(&self, count: u32) -> Result<()> {
        until(&format!("{count} volume claims are left"), STEP, async || {
            let found: Vec<u32> = self.claims().await?.into_keys().collect();
            ensure!(found == (0..count).collect::<Vec<_>>(), "claims of the ordinals {found:?} are there");
            Ok(())
        })
        .await
    }

    /// Lets this member lead, and waits until its agent has noticed.
    pub async fn lead(&self, ordinal: u32) -> Result<()> {
        until(&format!("member {ordinal} leads"), STEP, async || {
            let leader = self.leader().await?;
            if leader == ordinal {
                let object = self.stage.api::<EtcdMember>().get(&self.member(ordinal)).await?;
                let role = object.status.and_then(|status| status.role);
                ensure!(role == Some(Role::Leader), "its agent says {role:?}");
                return Ok(());
            }
            let successor = self.etcd(ordinal).await?.said().await?.member_id;
            self.etcd(leader).await?.hand_over(successor).await?;
            ensure!(self.leader().await? == ordinal, "member {leader} led");
            Ok(())
        })
        .await
    }

    /// The ID of a member by its name, as member 0 knows it.
    pub async fn id(&self, ordinal: u32) -> Result<u64> {
        let members = self.etcd(self.someone(ordinal)).await?.members().await?;
        let name = self.member(ordinal);
        let mine = members.iter().find(|one| one.name == name);
        Ok(mine.with_context(|| format!("no member is named {name}"))?.id)
    }

    /// An ordinal other than this one, or this one where it is alone.
    #[must_use]
    pub fn someone(&self, but: u32) -> u32 {
        (0..self.size).find(|one| *one != but).unwrap_or(but)
    }

    /// Names of the pods that are Ready.
    pub async fn ready_pods(&self) -> Result<Vec<String>> {
        Ok(self.pods().await?.iter().filter(|pod| pods::is_ready(pod)).map(ResourceExt::name_any).collect())
    }
}
