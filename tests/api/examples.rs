//! The examples are what the API server and the coordinator take: every field is known, no rule is broken.

use anyhow::{Context, Result};
use etcd_operator_shared::{api::EtcdCluster, validate};
use serde_json::Value;
use std::{fs, path::Path};

use crate::server::in_room;

#[tokio::test]
async fn every_example_is_taken() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/examples");
    in_room(async |room| {
        let mut tried = 0;
        for entry in fs::read_dir(&folder)? {
            let file = entry?.path();
            let text = fs::read_to_string(&file)?;
            for document in text.split("\n---\n") {
                let object: Value = serde_yaml::from_str(document).with_context(|| file.display().to_string())?;
                let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
                let group = match object["apiVersion"].as_str().unwrap_or_default() {
                    core @ "v1" => format!("/api/{core}"),
                    named => format!("/apis/{named}"),
                };
                let path = format!("{group}/namespaces/{}/{kind}s", room.name);
                let request = http::Request::post(format!("{path}?dryRun=All&fieldValidation=Strict"))
                    .header("content-type", "application/json")
                    .body(serde_json::to_vec(&object)?)?;
                let taken: Value =
                    room.server.client.request(request).await.with_context(|| file.display().to_string())?;
                tried += 1;
                if kind == "etcdcluster" {
                    let taken: EtcdCluster = serde_json::from_value(taken)?;
                    validate::cluster(&taken).with_context(|| file.display().to_string())?;
                }
            }
        }
        assert!(tried >= 14, "{tried} examples in {}", folder.display());
        Ok(())
    })
    .await
}
