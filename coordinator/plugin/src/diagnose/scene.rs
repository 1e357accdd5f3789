//! Everything that is looked at, as it was read at one moment.

use etcd_operator_shared::{
    api::{EtcdMember, cluster::Phase},
    names,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Event, Node, PersistentVolumeClaim, Pod},
    storage::v1::StorageClass,
};

use crate::{
    apiserver::lists::Known,
    view::{
        answer::Answer,
        page::{Page, Sources},
        pod_trouble::{self, Trouble},
        row::Row,
    },
};

/// One cluster and what it stands on.
pub struct Scene {
    pub page: Page,
    pub sources: Sources,
    pub claims: Known<Vec<PersistentVolumeClaim>>,
    /// Those that the members' pods are on.
    pub nodes: Known<Vec<Node>>,
    /// Warnings of the namespace.
    pub events: Known<Vec<Event>>,
    pub classes: Known<Vec<StorageClass>>,
    /// Of the installation that acts on the cluster: none where no status names one.
    pub lease: Option<Known<Option<Lease>>>,
    pub now: Timestamp,
}

impl Scene {
    /// Members that the size asks for.
    pub fn wanted(&self) -> impl Iterator<Item = &Row> {
        self.page.members.iter().filter(|row| row.wanted)
    }

    #[must_use]
    pub fn pods(&self) -> &[Pod] {
        self.sources.pods.read().map(Vec::as_slice).unwrap_or_default()
    }

    #[must_use]
    pub fn members(&self) -> &[EtcdMember] {
        self.sources.members.read().map(|listed| listed.items.as_slice()).unwrap_or_default()
    }

    #[must_use]
    pub fn pod(&self, member: &str) -> Option<&Pod> {
        self.pods().iter().find(|pod| pod.metadata.name.as_deref() == Some(member))
    }

    #[must_use]
    pub fn claim(&self, member: &str) -> Option<&PersistentVolumeClaim> {
        let name = names::volume_claim(member);
        self.claims.read()?.iter().find(|claim| claim.metadata.name.as_ref() == Some(&name))
    }

    /// What keeps a member's pod from coming up.
    #[must_use]
    pub fn trouble(&self, member: &str) -> Option<Trouble> {
        self.pod(member).and_then(pod_trouble::of)
    }

    /// Whether it was well a moment ago: what is missing may be on its way.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        const MOMENT: SignedDuration = SignedDuration::from_secs(30);
        let ready = self.page.condition("Ready");
        ready.is_some_and(|said| said.status == Answer::True || self.now.duration_since(said.since) < MOMENT)
    }

    /// Whether it is not Ready because something planned is under way, such as a roll, and for no longer than that takes.
    #[must_use]
    pub fn is_being_changed(&self) -> bool {
        const LONG: SignedDuration = SignedDuration::from_mins(5);
        let ready = self.page.condition("Ready");
        is_planned(self.page.phase)
            && ready.is_some_and(|said| said.status != Answer::True && self.now.duration_since(said.since) < LONG)
    }

    /// The newest warning about an object, in its own words.
    #[must_use]
    pub fn warning(&self, kind: &str, name: &str) -> Option<&Event> {
        let about = |event: &&Event| {
            let object = &event.involved_object;
            object.kind.as_deref() == Some(kind) && object.name.as_deref() == Some(name)
        };
        self.events.read()?.iter().filter(about).max_by_key(|event| last(event))
    }
}

fn is_planned(phase: Option<Phase>) -> bool {
    match phase {
        Some(Phase::Creating | Phase::Scaling | Phase::Upgrading | Phase::Deleting) => true,
        Some(
            Phase::Running | Phase::Degraded | Phase::Unavailable | Phase::Stopped | Phase::Stalled | Phase::Paused,
        )
        | None => false,
    }
}

/// When an event was last seen.
#[must_use]
pub fn last(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let seen = series.or(event.last_timestamp.as_ref().map(|time| time.0));
    let made = event.event_time.as_ref().map(|time| time.0);
    seen.or(made).or(event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::page::tests::{at, sources};

    /// A cluster that is well, on a node for each member.
    pub fn well(size: u32) -> Scene {
        of(sources(size))
    }

    /// What a cluster of these sources stands on, all well.
    pub fn of(sources: Sources) -> Scene {
        let page = Page::of(&sources);
        let members: Vec<String> = page.members.iter().map(|row| row.name.clone()).collect();
        let claim = |member: &String| -> PersistentVolumeClaim {
            read(json!({
            "metadata": {"name": format!("data-{member}"), "namespace": "ns"},
            "spec": {"storageClassName": "fast"}, "status": {"phase": "Bound"}}))
        };
        let node = |member: &String| -> Node {
            read(json!({
            "metadata": {"name": format!("node-of-{member}")},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}}))
        };
        Scene {
            claims: Known::Read(members.iter().map(claim).collect()),
            nodes: Known::Read(members.iter().map(node).collect()),
            events: Known::Read(vec![]),
            classes: Known::Read(vec![read(json!({"metadata": {"name": "fast"}, "provisioner": "p"}))]),
            lease: Some(Known::Read(Some(read(json!({"metadata": {"name": "etcd-coordinator"},
                "spec": {"renewTime": "2026-11-27T11:59:55.000000Z"}}))))),
            now: at(),
            page,
            sources,
        }
    }

    pub fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    /// A warning about an object, so many seconds ago.
    pub fn warning(kind: &str, name: &str, reason: &str, message: &str, ago: i64) -> Event {
        read(json!({
            "metadata": {"name": "e", "namespace": "ns"}, "type": "Warning", "reason": reason, "message": message,
            "count": 3,
            "involvedObject": {"kind": kind, "name": name},
            "lastTimestamp": Timestamp::from_second(at().as_second() - ago).unwrap().to_string()}))
    }
}
