//! `report`: one zip file with what somebody needs who helps: objects, events, logs, and what this program makes of
//! them. No Secrets, no data of etcd; values of environment variables are left out ([`redact`]).

mod redact;

use std::{io::Write, path::Path};

use etcd_operator_shared::{
    api::{EtcdBackup, EtcdCluster, EtcdMember, EtcdRestore, EtcdUser},
    names,
};
use jiff::{Timestamp, tz::TimeZone};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod, Service},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, LogParams},
    core::NamespaceResourceScope,
};
use serde_json::Value;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::diagnose::scene;
use crate::{
    apiserver::{
        connection::{Connection, read},
        lists::pages,
    },
    diagnose::{diagnose, print},
    failure::Failure,
    part::Part,
    print::{fleet::Width, page, paint::Paint, structured},
    terminal,
    verdict::Verdict,
};

/// Of each container's log the end.
const LINES: i64 = 20_000;
const BYTES: i64 = 8 << 20;

pub async fn run(to: &Connection, name: &str, out: &Path) -> Result<Verdict, Failure> {
    tokio::select! {
        written = write(to, name, out) => written?,
        // Dropping it is safe: what was written goes with the part.
        failure = terminal::interrupted() => return Err(failure),
    }
    let words = "no Secrets, no data; look it through before you give it away";
    terminal::say(&format!("{} holds what is known of {name}: {words}", out.display()));
    Ok(Verdict::Good)
}

async fn write(to: &Connection, name: &str, out: &Path) -> Result<(), Failure> {
    let scene = scene(to, name).await?;
    let mut bundle = Bundle { zip: ZipWriter::new(Part::create(out)?), folder: name.to_owned(), missing: vec![] };
    bundle.put("status.txt", &page::print(&scene.page, Width::Wide, Paint::Plain, Timestamp::now()))?;
    bundle.put("diagnose.txt", &print(&diagnose(&scene), Paint::Plain))?;
    objects(to, name, &mut bundle).await?;
    let nodes = scene.nodes.read().map(|nodes| nodes.iter().map(redact::node).collect::<Vec<_>>());
    bundle.put_or_miss(
        "objects/nodes.yaml",
        nodes.as_ref().map(structured::yaml).ok_or_else(|| scene.nodes.caveat().unwrap_or_default().to_owned()),
    )?;
    for pod in scene.pods() {
        logs(to, pod, &mut bundle).await?;
    }
    bundle.finish()
}

/// The file that is written, and what could not be read for it.
struct Bundle {
    zip: ZipWriter<Part>,
    folder: String,
    missing: Vec<String>,
}

impl Bundle {
    fn put(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        let failed = |error: &dyn std::error::Error| Failure::Failed(format!("cannot write the report: {error}"));
        let options = SimpleFileOptions::default().last_modified_time(now());
        self.zip.start_file(format!("{}/{name}", self.folder), options).map_err(|error| failed(&error))?;
        self.zip.write_all(text.as_bytes()).map_err(|error| failed(&error))
    }

    /// What could not be read is noted, and ends nothing.
    fn put_or_miss(&mut self, name: &str, text: Result<Result<String, Failure>, String>) -> Result<(), Failure> {
        match text {
            Ok(text) => self.put(name, &text?),
            Err(why) => {
                terminal::remark(&why);
                self.missing.push(format!("{name}: {why}\n"));
                Ok(())
            }
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        let missing = self.missing.concat();
        if !missing.is_empty() {
            self.put("missing.txt", &missing)?;
        }
        let part = self.zip.finish().map_err(|error| Failure::Failed(format!("cannot write the report: {error}")))?;
        part.finish()
    }
}

/// As zip says it: UTC, since a zip does not know of zones. Years that it cannot say are its first one.
fn now() -> zip::DateTime {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let small = |number: i8| u8::try_from(number).unwrap_or_default();
    let year = u16::try_from(now.year()).unwrap_or_default();
    let (month, day) = (small(now.month()), small(now.day()));
    zip::DateTime::from_date_and_time(year, month, day, small(now.hour()), small(now.minute()), small(now.second()))
        .unwrap_or_default()
}

async fn objects(to: &Connection, name: &str, bundle: &mut Bundle) -> Result<(), Failure> {
    let mine = format!("{}={name}", names::LABEL_CLUSTER);
    let labelled = ListParams::default().labels(&mine);
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    let all = ListParams::default();
    let of_cluster = |object: &Value| object["spec"]["cluster"] == name;
    put::<EtcdCluster>(to, bundle, "etcdclusters", named, |_| true).await?;
    put::<EtcdMember>(to, bundle, "etcdmembers", labelled.clone(), |_| true).await?;
    put::<EtcdBackup>(to, bundle, "etcdbackups", all.clone(), of_cluster).await?;
    put::<EtcdRestore>(to, bundle, "etcdrestores", all.clone(), of_cluster).await?;
    put::<EtcdUser>(to, bundle, "etcdusers", all.clone(), of_cluster).await?;
    put::<StatefulSet>(to, bundle, "statefulsets", labelled.clone(), |_| true).await?;
    put::<Pod>(to, bundle, "pods", labelled.clone(), |_| true).await?;
    put::<PersistentVolumeClaim>(to, bundle, "persistentvolumeclaims", labelled.clone(), |_| true).await?;
    put::<Service>(to, bundle, "services", labelled.clone(), |_| true).await?;
    put::<PodDisruptionBudget>(to, bundle, "poddisruptionbudgets", labelled.clone(), |_| true).await?;
    put::<ConfigMap>(to, bundle, "configmaps", labelled, |_| true).await?;
    put::<Event>(to, bundle, "events", all, |event| is_about(event, name)).await
}

/// Throw-away pods and claims bear the cluster's name before something else.
fn is_about(event: &Value, cluster: &str) -> bool {
    let object = event["involvedObject"]["name"].as_str().unwrap_or_default();
    let object = object.strip_prefix(&names::volume_claim("")).unwrap_or(object);
    object == cluster || object.strip_prefix(cluster).is_some_and(|rest| rest.starts_with('-'))
}

/// Objects as they are, also what this program does not know of them.
async fn put<K>(
    to: &Connection,
    bundle: &mut Bundle,
    plural: &str,
    params: ListParams,
    wanted: impl Fn(&Value) -> bool,
) -> Result<(), Failure>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    let kind = ApiResource::erase::<K>(&K::DynamicType::default());
    let api: Api<DynamicObject> = Api::namespaced_with(to.client.clone(), &to.namespace, &kind);
    let text = match pages(&api, params, plural).await {
        Ok(found) => {
            let values = found.iter().filter_map(|object| serde_json::to_value(object).ok());
            let values: Vec<Value> = values.filter(|value| wanted(value)).map(redact::object).collect();
            Ok(structured::yaml(&values))
        }
        Err(failure) => Err(failure.to_string()),
    };
    bundle.put_or_miss(&format!("objects/{plural}.yaml"), text)
}

/// Of each container what it prints, and what it printed before it last ended, where there is that.
async fn logs(to: &Connection, pod: &Pod, bundle: &mut Bundle) -> Result<(), Failure> {
    let (name, api) = (pod.name_any(), to.api::<Pod>());
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let ended = |container: &str| statuses.clone().any(|status| status.name == container && status.restart_count > 0);
    for container in pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| container.name.as_str()) {
        for previous in [false, true] {
            if previous && !ended(container) {
                continue;
            }
            let params = LogParams {
                container: Some(container.to_owned()),
                previous,
                timestamps: true,
                tail_lines: Some(LINES),
                limit_bytes: Some(BYTES),
                ..LogParams::default()
            };
            let (before, what) = if previous { (".previous", "the former log") } else { ("", "the log") };
            let text = read(&format!("{what} of {name}, container {container}"), api.logs(&name, &params)).await;
            bundle.put_or_miss(
                &format!("logs/{name}.{container}{before}.log"),
                text.map(Ok).map_err(|failure| failure.to_string()),
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_of_a_cluster_are_those_of_what_bears_its_name() {
        let about = |name: &str| is_about(&json!({"involvedObject": {"name": name}}), "demo");
        for ours in ["demo", "demo-1", "data-demo-1", "demo-proof-ab12"] {
            assert!(about(ours), "{ours}");
        }
        assert!(!about("demolition") && !about("other"));
    }

    #[test]
    fn a_report_is_there_once_it_is_whole_and_says_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("demo.zip");
        let mut bundle =
            Bundle { zip: ZipWriter::new(Part::create(&out).unwrap()), folder: "demo".into(), missing: vec![] };
        bundle.put("status.txt", "well").unwrap();
        bundle.put_or_miss("objects/pods.yaml", Err("not allowed to read pods".into())).unwrap();
        assert!(!out.exists());
        bundle.finish().unwrap();
        let mut zip = zip::ZipArchive::new(std::fs::File::open(&out).unwrap()).unwrap();
        let missing = std::io::read_to_string(zip.by_name("demo/missing.txt").unwrap()).unwrap();
        assert_eq!(missing, "objects/pods.yaml: not allowed to read pods\n");
        assert_eq!(std::io::read_to_string(zip.by_name("demo/status.txt").unwrap()).unwrap(), "well");
    }
}
