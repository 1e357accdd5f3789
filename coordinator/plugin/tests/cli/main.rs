//! The program as people start it, against an API server that says what the test wants: exit codes, and what is asked
//! for.

mod exec;
mod server;
mod websocket;

use std::process::{Command, Output};

use serde_json::{Value, json};
use server::{Server, failure, list};

const GROUP: &str = "/apis/etcd.etcd.io/v1alpha1/namespaces/ns";

fn cluster(name: &str, ready: &str) -> Value {
    json!({
        "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster",
        "metadata": {"name": name, "namespace": "ns", "uid": "u", "generation": 1, "resourceVersion": "7"},
        "spec": {"size": 1, "version": "v3.5.21"},
        "status": {"observedGeneration": 1, "phase": "Running", "ready": "1/1", "conditions": [
            {"type": "Ready", "status": ready, "reason": "R", "message": "m",
                "lastTransitionTime": "2026-11-27T11:00:00Z"}],
            "members": [{"name": format!("{name}-0"), "role": "Leader", "ready": ready}]},
    })
}

/// A server that knows one cluster, and lets nobody read anything else.
fn viewer(ready: &str) -> Server {
    let server = Server::start();
    server.answer(&format!("{GROUP}/etcdclusters/demo"), 200, cluster("demo", ready));
    server
}

fn kubectl_etcd(server: &Server, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-etcd"));
    command.args(words).arg("--kubeconfig").arg(server.kubeconfig()).env_remove("NO_COLOR");
    command.output().expect("the program was built")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn health_is_told_by_the_exit_code() {
    for (ready, wanted) in [("True", 0), ("False", 4), ("Unknown", 4)] {
        let server = viewer(ready);
        for words in [["status", "demo"], ["members", "demo"], ["health", "demo"]] {
            let output = kubectl_etcd(&server, &words);
            assert_eq!(code(&output), Some(wanted), "{words:?} of {ready}: {output:?}");
        }
    }
}

#[test]
fn who_may_read_clusters_alone_gets_the_page_and_is_told_what_is_missing() {
    let output = kubectl_etcd(&viewer("True"), &["status", "demo"]);
    let page = text(&output.stdout);
    for line in ["not allowed to read EtcdMembers", "not allowed to read pods", "demo-0   Leader"] {
        assert!(page.contains(line), "{line} is not in:\n{page}");
    }
    let output = kubectl_etcd(&viewer("True"), &["diagnose", "demo", "-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let unknown = report["findings"].as_array().expect("findings").iter().filter(|one| one["outcome"] == "Unknown");
    assert!(unknown.count() >= 5 && code(&output) == Some(0), "{report:#}");
}

#[test]
fn what_is_not_there_ends_with_3_and_what_makes_no_sense_with_2() {
    let server = viewer("True");
    server.answer(
        &format!("{GROUP}/etcdclusters/other"),
        404,
        failure(404, "etcdclusters \"other\" not found", "other"),
    );
    for words in [
        &["status", "other"][..],
        &["diagnose", "other"],
        &["hold", "demo", "demo-4", "--yes"],
        &["release", "demo", "0"],
    ] {
        let output = kubectl_etcd(&server, words);
        assert_eq!(code(&output), Some(3), "{words:?}: {output:?}");
    }
    for words in
        [&["upgrade", "demo", "v2"][..], &["status", "demo", "-A"], &["nonsense"], &["snapshot", "save", "demo", "-"]]
    {
        let output = kubectl_etcd(&server, words);
        assert_eq!(code(&output), Some(2), "{words:?}: {output:?}");
    }
    // Nobody is there to be asked.
    assert_eq!(code(&kubectl_etcd(&server, &["hold", "demo", "demo-0"])), Some(2));
}

#[test]
fn a_server_that_is_away_or_without_the_kinds_ends_with_1_and_says_so() {
    let server = Server::start();
    server.answer(&format!("{GROUP}/etcdclusters"), 404, Value::Null);
    let output = kubectl_etcd(&server, &["status"]);
    assert!(code(&output) == Some(1) && text(&output.stderr).contains("is the operator installed?"), "{output:?}");
    let output = kubectl_etcd(&Server::gone(), &["status"]);
    assert!(
        code(&output) == Some(1)
            && text(&output.stderr).contains("cannot read EtcdClusters: the API server cannot be reached: "),
        "{output:?}"
    );
}

#[test]
fn a_refusal_of_the_api_server_is_its_own_sentence_and_ends_with_6() {
    let server = viewer("True");
    let words = "EtcdCluster.etcd.etcd.io \"demo\" is invalid: spec.version: Invalid value: \"string\": not that one";
    server.answer_to("PATCH", &format!("{GROUP}/etcdclusters/demo"), 422, failure(422, words, "demo"));
    let output = kubectl_etcd(&server, &["upgrade", "demo", "v3.6.11"]);
    assert_eq!(code(&output), Some(6), "{output:?}");
    assert!(
        text(&output.stderr).contains("refused: spec.version: Invalid value: \"string\": not that one"),
        "{output:?}"
    );
    assert_eq!(code(&kubectl_etcd(&server, &["backup", "demo"])), Some(6), "it has no store");
}

#[test]
fn what_does_not_come_in_time_ends_with_5() {
    let server = viewer("True");
    server.answer_to("PATCH", &format!("{GROUP}/etcdclusters/demo"), 200, cluster("demo", "True"));
    let output = kubectl_etcd(&server, &["upgrade", "demo", "v3.6.11", "--wait", "--timeout", "1s"]);
    assert_eq!(code(&output), Some(5), "{output:?}");
    assert!(text(&output.stderr).contains("demo does not run v3.6.11 within 1 s"), "{output:?}");
}

#[test]
fn a_thousand_clusters_are_two_requests() {
    let server = Server::start();
    let page = |from: usize, next: Option<&str>| {
        let items = (from..from + 500).map(|k| cluster(&format!("c{k:04}"), "True"));
        list("EtcdClusterList", &items.collect::<Vec<_>>(), next)
    };
    let path = "/apis/etcd.etcd.io/v1alpha1/etcdclusters";
    server.answer(&format!("{path}?limit=500"), 200, page(0, Some("more")));
    server.answer(&format!("{path}?limit=500&continue=more"), 200, page(500, None));
    let output = kubectl_etcd(&server, &["status", "-A"]);
    assert_eq!((code(&output), text(&output.stdout).lines().count()), (Some(0), 1001), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("all 1000 clusters are Ready"));
    assert_eq!(server.asked().len(), 2, "{:?}", server.asked());
}

#[test]
fn a_cluster_that_cannot_be_read_hides_no_other() {
    let server = Server::start();
    let mut strange = cluster("strange", "True");
    strange["spec"]["size"] = "three".into();
    let items = vec![strange, cluster("demo", "True")];
    server.answer(&format!("{GROUP}/etcdclusters"), 200, list("EtcdClusterList", &items, None));
    let output = kubectl_etcd(&server, &["status"]);
    assert!(text(&output.stdout).contains("demo"), "{output:?}");
    assert!(text(&output.stderr).contains("EtcdCluster strange in ns cannot be read"), "{output:?}");
    assert_eq!(code(&output), Some(4));
}

#[test]
fn a_dry_run_asks_and_changes_nothing() {
    let server = viewer("True");
    server.answer_to("PATCH", &format!("{GROUP}/etcdclusters/demo"), 200, cluster("demo", "True"));
    for words in [
        &["pause", "demo", "--dry-run"][..],
        &["hold", "demo", "0", "--dry-run"],
        &["upgrade", "demo", "v3.5.26", "--dry-run"],
    ] {
        let output = kubectl_etcd(&server, words);
        assert!(
            code(&output) == Some(0) && text(&output.stdout).contains("nothing was changed"),
            "{words:?}: {output:?}"
        );
    }
    let writes: Vec<String> = server.asked().into_iter().filter(|asked| asked.starts_with("PATCH")).collect();
    assert!(writes.len() == 3 && writes.iter().all(|asked| asked.contains("dryRun=All")), "{writes:?}");
}

#[test]
fn logs_of_all_members_are_in_the_order_of_their_times() {
    let server = viewer("True");
    let pod =
        |name: &str| json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "agent"}, {"name": "etcd"}]}});
    let pods = "/api/v1/namespaces/ns/pods";
    server.answer(pods, 200, list("PodList", &[pod("demo-0"), pod("demo-1")], None));
    let log = |pod: &str, container: &str, text: &str| {
        server.answer(&format!("{pods}/{pod}/log?container={container}&timestamps=true"), 200, text.into());
    };
    log("demo-0", "etcd", "2026-11-27T12:00:01.5Z one\n2026-11-27T12:00:03Z three\n");
    log("demo-1", "etcd", "2026-11-27T12:00:02Z two\n");
    log("demo-1", "agent", "");
    let output = kubectl_etcd(&server, &["logs", "demo"]);
    assert_eq!(text(&output.stdout), "demo-0 etcd  | one\ndemo-1 etcd  | two\ndemo-0 etcd  | three\n");
    let missing = "not allowed to read the log of demo-0, container agent";
    assert!(code(&output) == Some(0) && text(&output.stderr).contains(missing), "{output:?}");
    assert_eq!(code(&kubectl_etcd(&server, &["logs", "demo", "-c", "nginx"])), Some(3));
}

#[test]
fn a_report_is_written_by_who_may_read_little_and_says_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("demo.zip");
    let output = kubectl_etcd(&viewer("True"), &["report", "demo", "--out", file.to_str().expect("letters")]);
    assert_eq!(code(&output), Some(0), "{output:?}");
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&file).expect("it is there")).expect("a zip");
    let mut read = |name: &str| std::io::read_to_string(zip.by_name(name).expect(name)).expect("text");
    assert!(read("demo/status.txt").contains("demo-0   Leader"));
    assert!(read("demo/missing.txt").contains("objects/pods.yaml: not allowed to read pods"));
}

#[test]
fn output_for_programs_is_json_and_without_colours() {
    let output = kubectl_etcd(&viewer("True"), &["status", "demo", "-o", "json"]);
    let page: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&page["name"], &page["members"][0]["ready"]), (&json!("demo"), &json!("True")));
    let output = kubectl_etcd(&viewer("False"), &["status", "demo"]);
    assert!(!text(&output.stdout).contains('\x1b'), "a pipe gets no colours");
}
