//! What became of a pod in which another etcd opens a snapshot. It is read from the pod itself, so nothing need be
//! remembered.

use etcd_operator_shared::backup::{PORT, Proof};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodStatus};

use super::pod_trouble::{self, shorten};

/// Names the EtcdBackup or EtcdRestore for whose sake the pod is made, by UID.
pub const LABEL: &str = "etcd.etcd.io/proof-for";
/// The container that opens the snapshot.
pub const PROVE: &str = "prove";
/// The one that serves it afterwards.
pub const SERVE: &str = "serve";

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There is no such pod.
    Absent,
    /// It is on its way out: another one is made when it is gone.
    Going,
    /// It is at work; or waits, for this reason.
    UnderWay(Option<String>),
    /// It has said this.
    Said(Proof),
    /// It was cut short, for this reason, and says nothing of the snapshot.
    Lost(String),
}

/// What is seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub name: String,
    pub uid: String,
    pub state: State,
    /// Where it serves the bytes, once it does.
    pub serves: Option<String>,
    /// When it ended, or began where it does not say.
    pub since: Option<Timestamp>,
}

impl Seen {
    /// Of a pod by this name, or of none. `uid`: that of the EtcdBackup or EtcdRestore; another one's is on its way
    /// out.
    #[must_use]
    pub fn of(name: String, uid: &str, pod: Option<&Pod>) -> Self {
        let ours =
            |pod: &&Pod| pod.metadata.labels.as_ref().is_some_and(|all| all.get(LABEL).is_some_and(|of| of == uid));
        let state = match pod {
            None => State::Absent,
            Some(pod) if !ours(&pod) || pod.metadata.deletion_timestamp.is_some() => State::Going,
            Some(pod) => pod.status.as_ref().map_or(State::UnderWay(None), |status| read(pod, status)),
        };
        let serves = pod.filter(ours).and_then(|pod| pod.status.as_ref()).and_then(serves);
        let uid = pod.and_then(|pod| pod.metadata.uid.clone()).unwrap_or_default();
        Self { name, uid, state, serves, since: pod.and_then(since) }
    }

    /// Whether there is a pod of ours that has not been told to go.
    #[must_use]
    pub fn is_there(&self) -> bool {
        match self.state {
            State::Absent | State::Going => false,
            State::UnderWay(_) | State::Said(_) | State::Lost(_) => true,
        }
    }
}

fn since(pod: &Pod) -> Option<Timestamp> {
    let ended = pod.status.as_ref().and_then(|status| {
        let ends = containers(status).filter_map(|one| one.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
        ends.map(|time| time.0).max()
    });
    ended.or_else(|| pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

fn containers(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.init_container_statuses.iter().chain(&status.container_statuses).flatten()
}

fn state<'a>(status: &'a PodStatus, name: &str) -> Option<&'a ContainerState> {
    containers(status).find(|container| container.name == name)?.state.as_ref()
}

fn read(pod: &Pod, status: &PodStatus) -> State {
    let ended = state(status, PROVE).and_then(|state| state.terminated.as_ref());
    let over = state(status, SERVE).and_then(|state| state.terminated.as_ref());
    let failed = status.phase.as_deref() == Some("Failed");
    let message = |words: Option<&String>| shorten(words.map(String::as_str).unwrap_or_default());
    match (ended, over) {
        // What it served is gone with it.
        (_, Some(over)) => State::Lost(format!("the pod that served it ended: {}", message(over.message.as_ref()))),
        (Some(ended), None) => {
            let said = ended.message.as_deref().unwrap_or_default();
            match serde_json::from_str(said) {
                Ok(proof) if !(failed && over.is_some()) => State::Said(proof),
                Ok(_) => State::Lost("it was cut short".into()),
                Err(_) if ended.reason.as_deref() == Some("OOMKilled") => {
                    State::Lost("it reached its memory limit, which is that of etcd: raise it".into())
                }
                Err(_) => State::Lost(format!("exit code {}: {}", ended.exit_code, shorten(said))),
            }
        }
        (None, None) if failed => State::Lost(reason(status)),
        (None, None) => State::UnderWay(pod_trouble::of(pod).map(|trouble| trouble.message)),
    }
}

/// Why a pod failed in which nothing was said: evicted, its node gone, out of time, or the container before has failed.
fn reason(status: &PodStatus) -> String {
    let failed =
        containers(status).find_map(|one| one.state.as_ref()?.terminated.as_ref().filter(|end| end.exit_code != 0));
    let words = failed.and_then(|end| end.message.clone()).or_else(|| status.message.clone());
    words.or_else(|| status.reason.clone()).map_or_else(|| "the pod failed".into(), |words| shorten(&words))
}

/// Address and port, once the container that serves is ready.
fn serves(status: &PodStatus) -> Option<String> {
    let ready = status.container_statuses.iter().flatten().any(|one| one.name == SERVE && one.ready);
    let ip = status.pod_ip.as_ref().filter(|ip| ready && !ip.is_empty())?;
    Some(at(ip))
}

/// Address and port at which a pod with this address serves.
#[must_use]
pub fn at(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{PORT}") } else { format!("{ip}:{PORT}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn seen(status: &Value) -> Seen {
        let pod = json!({"metadata": {"name": "p", "uid": "1", "labels": {LABEL: "u"}}, "status": status});
        Seen::of("p".into(), "u", Some(&serde_json::from_value(pod).unwrap()))
    }

    fn container(name: &str, state: &Value) -> Value {
        json!({"name": name, "image": "i", "imageID": "", "ready": state.get("running").is_some(), "restartCount": 0,
               "state": state})
    }

    fn good() -> Value {
        let said = Proof::Good {
            location: "a/b".into(),
            name: "n".into(),
            digest: "d".into(),
            bytes: 3,
            revision: 7,
            version: "v3.5.21".into(),
            log: None,
        };
        json!({"terminated": {"exitCode": 0, "message": serde_json::to_string(&said).unwrap()}})
    }

    #[test]
    fn a_pod_of_another_object_of_that_name_makes_room_first() {
        let pod = json!({"metadata": {"name": "p", "uid": "1", "labels": {LABEL: "former"}}});
        let seen = Seen::of("p".into(), "u", Some(&serde_json::from_value(pod).unwrap()));
        assert_eq!(seen.state, State::Going);
        assert_eq!(Seen::of("p".into(), "u", None).state, State::Absent);
    }

    #[test]
    fn what_it_says_counts_and_what_cut_it_short_says_nothing_of_the_snapshot() {
        let proved = json!({"phase": "Succeeded", "containerStatuses": [container(PROVE, &good())]});
        assert!(matches!(seen(&proved).state, State::Said(Proof::Good { revision: 7, .. })));
        for ended in [
            json!({"phase": "Failed", "reason": "Evicted", "message": "low on disk"}),
            json!({"phase": "Failed", "containerStatuses": [
                container(PROVE, &json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}))]}),
            json!({"phase": "Failed", "containerStatuses": [
                container(PROVE, &json!({"terminated": {"exitCode": 2, "message": "no such command"}}))]}),
        ] {
            assert!(matches!(seen(&ended).state, State::Lost(_)), "{ended}");
        }
        assert_eq!(seen(&json!({"phase": "Pending"})).state, State::UnderWay(None));
    }

    #[test]
    fn bytes_are_served_once_the_container_is_ready_and_lost_with_it() {
        let serving = |state: &Value| {
            seen(&json!({"phase": "Running", "podIP": "10.1.2.3", "initContainerStatuses": [container(PROVE, &good())],
                         "containerStatuses": [container(SERVE, state)]}))
        };
        let waits = serving(&json!({"waiting": {"reason": "PodInitializing"}}));
        assert!(matches!(waits.state, State::Said(_)) && waits.serves.is_none());
        let runs = serving(&json!({"running": {}}));
        assert_eq!(runs.serves.as_deref(), Some("10.1.2.3:2383"));
        let over = serving(&json!({"terminated": {"exitCode": 1}}));
        assert!(matches!(over.state, State::Lost(_)));
    }
}
