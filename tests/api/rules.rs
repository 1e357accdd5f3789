//! Each mistake is refused with one clear sentence.

use anyhow::Result;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::server::{Room, cluster, in_room, user, verdict};

/// A spec that is fine but for these fields.
fn spec(fields: &Value) -> Value {
    let mut spec = json!({"version": "v3.5.21"});
    if let (Some(spec), Some(fields)) = (spec.as_object_mut(), fields.as_object()) {
        spec.extend(fields.clone());
    }
    spec
}

async fn assert_refused(room: &Room, name: &str, fields: &Value, sentence: &str) -> Result<()> {
    let refused = room.judge(name, &spec(fields)).await?.expect_err(&format!("{name} {fields} is taken"));
    assert_eq!(refused.len(), 1, "one sentence for {fields}: {refused:#?}");
    assert!(refused[0].contains(sentence), "{fields}: {}", refused[0]);
    Ok(())
}

#[tokio::test]
async fn each_mistake_is_refused_with_one_sentence() -> Result<()> {
    in_room(async |room| {
        for (fields, sentence) in [
            (json!({"size": 4}), "size must be 1, 3, 5 or 7, or 0 to stop the cluster"),
            (json!({"size": 9}), "size must be 1, 3, 5 or 7"),
            (json!({"size": 2147483647}), "size must be 1, 3, 5 or 7"),
            (json!({"version": "3.5"}), "version must be v3.5.x, v3.6.x or v3.7.x"),
            (json!({"version": "latest"}), "version must be v3.5.x"),
            (json!({"version": "v3.4.30"}), "version must be v3.5.x"),
            (json!({"repository": ""}), "repository"),
            (json!({"storage": {"size": "abc"}}), "storage.size must be a whole number of bytes"),
            (json!({"storage": {"size": "1.5Gi"}}), "storage.size must be a whole number of bytes"),
            (json!({"storage": {"size": "-1Gi"}}), "storage.size must be a whole number of bytes"),
            (json!({"storage": {"medium": "Memory"}}), "medium"),
            (json!({"storage": {"autoGrow": {}}}), "storage.autoGrow.maxSize"),
            (
                json!({"storage": {"autoGrow": {"maxSize": "lots"}}}),
                "storage.autoGrow.maxSize must be a whole number of bytes",
            ),
            (
                json!({"storage": {"autoGrow": {"maxSize": "4Gi"}}}),
                "storage.autoGrow.maxSize may not be less than storage.size",
            ),
            (
                json!({"storage": {"autoGrow": {"maxSize": "16Gi", "maxQuota": "1Mi"}}}),
                "storage.autoGrow.maxQuota must be a whole number of bytes from 16Mi to 100Gi",
            ),
            (json!({"storage": {"retention": {"whenScaled": "Maybe"}}}), "storage.retention.whenScaled"),
            (json!({"storage": {"retention": {"whenStopped": ""}}}), "storage.retention.whenStopped"),
            (json!({"hold": [""]}), "hold"),
            (json!({"hold": ["a", "b", "c", "d", "e", "f", "g", "h"]}), "hold"),
            (json!({"hold": ["demo-1", "demo-1"]}), "hold"),
            (json!({"paused": "yes"}), "paused"),
            (json!({"recovery": {"abandonIncarnation": 0}}), "recovery.abandonIncarnation"),
            (json!({"recovery": {"abandonIncarnation": -1}}), "recovery.abandonIncarnation"),
            (json!({"recovery": {}}), "recovery.abandonIncarnation"),
            (json!({"etcd": {"quotaBackend": "lots"}}), "etcd.quotaBackend must be a whole number of bytes"),
            (
                json!({"etcd": {"quotaBackend": "9000000Ti"}}),
                "etcd.quotaBackend must be a whole number of bytes from 16Mi",
            ),
            (json!({"etcd": {"quotaBackend": 1}}), "etcd.quotaBackend must be a whole number of bytes from 16Mi"),
            (json!({"etcd": {"quotaBackend": "4Gi"}}), "etcd.quotaBackend is too much for storage.size"),
            (
                json!({"storage": {"size": "9000000Ti"}}),
                "storage.size must be a whole number of bytes from 64Mi to 64Ti",
            ),
            (json!({"etcd": {"extraArgs": {"auto-tls": "true"}}}), "may not hold a flag that does nothing here"),
            (
                json!({"pod": {"topologySpreadConstraints": [
                    {"maxSkew": 3_000_000_000_i64, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
                ]}}),
                "pod.topologySpreadConstraints[0].maxSkew",
            ),
            (
                json!({"etcd": {"heartbeatInterval": "1ms"}}),
                "etcd.heartbeatInterval must be a duration between 5ms and 10s",
            ),
            (json!({"etcd": {"heartbeatInterval": "soon"}}), "etcd.heartbeatInterval must be a duration"),
            (json!({"etcd": {"electionTimeout": "200ms"}}), "etcd.electionTimeout must be at least five times"),
            (json!({"etcd": {"electionTimeout": "51s"}}), "etcd.electionTimeout must be a duration of at most 50s"),
            (
                json!({"etcd": {"autoCompaction": {"retention": "1000"}}}),
                "must be a duration such as 1h for mode Periodic",
            ),
            (json!({"etcd": {"autoCompaction": {"mode": "Revision"}}}), "a number of revisions such as 10000"),
            (json!({"etcd": {"extraArgs": {"--name": "x"}}}), "takes names of flags without the leading dashes"),
            (
                json!({"etcd": {"extraArgs": {"force-new-cluster": "true"}}}),
                "may not hold a flag that the agent sets itself",
            ),
            (json!({"etcd": {"extraArgs": {"unsafe-no-fsync": "true"}}}), "or that endangers data"),
            (json!({"service": {"nodePort": 30000}}), "service.nodePort needs service.type NodePort or LoadBalancer"),
            (json!({"service": {"type": "NodePort", "nodePort": 70000}}), "nodePort"),
            (json!({"security": {"peer": {"mode": "On"}}}), "security.peer.mode"),
            (json!({"security": {"client": {"names": ["A.example.com"]}}}), "security.client.names takes DNS names"),
            (json!({"security": {"client": {"names": ["10.0.0.256"]}}}), "security.client.names takes DNS names"),
            (json!({"security": {"client": {"names": ["fd00::1::2"]}}}), "security.client.names takes DNS names"),
            (json!({"security": {"client": {"names": ["a.example.com", "a.example.com"]}}}), "security.client.names"),
            (
                json!({"security": {"ca": {"duration": "59m"}}}),
                "security.ca.duration must be a duration of at least 1h",
            ),
            (
                json!({"security": {"ca": {"leafDuration": "9s"}}}),
                "security.ca.leafDuration must be a duration of at least 10s",
            ),
            (json!({"security": {"ca": {"leafDuration": "90d"}}}), "security.ca.leafDuration must be a duration"),
        ] {
            assert_refused(room, "demo", &fields, sentence).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_people_type_is_taken() -> Result<()> {
    in_room(async |room| {
        for fields in [
            json!({"version": "3.5.21"}),
            json!({"storage": {"storageClassName": ""}}),
            json!({"storage": {"autoGrow": {"maxSize": "8Gi"}}}),
            json!({"storage": {"size": "1Gi", "autoGrow": {"maxSize": "64Gi", "maxQuota": 2_147_483_648_i64}}}),
            json!({"etcd": {"quotaBackend": 1_073_741_824}}),
            json!({"etcd": {"autoCompaction": {"retention": 0}}}),
            json!({"etcd": {"autoCompaction": {"retention": "0"}}}),
            json!({"etcd": {"autoCompaction": {"mode": "Revision", "retention": 10000}}}),
            json!({"storage": {"size": "1Gi"}, "etcd": {"quotaBackend": "256Mi"}}),
            json!({"security": {"peer": {"mode": "Auto"}, "client": {"mode": "Plain"}}}),
            json!({"security": {"client": {"names": ["etcd.example.com", "*.example.com", "10.0.0.1", "fd00::1", "::1"]}}}),
            json!({"security": {"ca": {"duration": "1h", "leafDuration": "10s"}}}),
        ] {
            let mut whole = spec(&json!({}));
            whole
                .as_object_mut()
                .into_iter()
                .for_each(|whole| whole.extend(fields.as_object().cloned().unwrap_or_default()));
            assert_eq!(room.judge("demo", &whole).await?.err(), None, "{fields}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_quota_of_before_stays_and_no_other_that_does_not_fit_is_taken() -> Result<()> {
    in_room(async |room| {
        let object =
            cluster("demo", &spec(&json!({"size": 0, "storage": {"size": "8Gi"}, "etcd": {"quotaBackend": "3Gi"}})));
        room.clusters().create(&PostParams::default(), &object).await?;
        let begun = json!({"status": {"incarnation": {"number": 1, "token": "t", "initialMembers": []}}});
        room.clusters().patch_status("demo", &PatchParams::default(), &Patch::Merge(&begun)).await?;
        assert!(edit(room, &json!({"pod": {"labels": {"a": "b"}}})).await?.is_ok());
        let refused = edit(room, &json!({"etcd": {"quotaBackend": "4Gi"}})).await?.unwrap_err();
        assert!(refused.len() == 1 && refused[0].contains("etcd.quotaBackend is too much"), "{refused:#?}");
        assert!(edit(room, &json!({"etcd": {"quotaBackend": null}})).await?.is_ok());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_negative_size_is_refused_by_the_scale_subresource_too() -> Result<()> {
    in_room(async |room| {
        let refused = room.judge("demo", &spec(&json!({"size": -1}))).await?.unwrap_err();
        assert!(refused.iter().any(|s| s.contains("size must be 1, 3, 5 or 7, or 0")), "{refused:#?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn names_that_cannot_become_names_of_pods_are_refused() -> Result<()> {
    in_room(async |room| {
        let none = json!({});
        assert_refused(room, &"a".repeat(53), &none, "metadata.name must have at most 52 characters").await?;
        assert_refused(room, "1demo", &none, "metadata.name must begin with a letter").await?;
        assert_refused(room, "demo.eu", &none, "metadata.name must begin with a letter").await?;
        assert!(room.judge(&"a".repeat(52), &spec(&none)).await?.is_ok());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_refused_and_not_dropped() -> Result<()> {
    in_room(async |room| {
        let strict = room
            .server
            .client
            .request_text(post(room, "?dryRun=All&fieldValidation=Strict", &json!({"sizee": 3}))?)
            .await;
        assert!(strict.unwrap_err().to_string().contains("unknown field \"spec.sizee\""));
        Ok(())
    })
    .await
}

fn post(room: &Room, query: &str, fields: &Value) -> Result<http::Request<Vec<u8>>> {
    let path = format!("/apis/etcd.etcd.io/v1alpha1/namespaces/{}/etcdclusters{query}", room.name);
    let body = serde_json::to_vec(&cluster("demo", &spec(fields)))?;
    Ok(http::Request::post(path).header("content-type", "application/json").body(body)?)
}

/// A stopped cluster, so that nothing runs.
async fn stopped(room: &Room, storage: Value) -> Result<()> {
    let object = cluster("demo", &spec(&json!({"size": 0, "storage": storage})));
    room.clusters().create(&PostParams::default(), &object).await?;
    Ok(())
}

async fn edit(room: &Room, fields: &Value) -> Result<std::result::Result<Value, Vec<String>>> {
    let patch = json!({ "spec": fields });
    let clusters = room.clusters();
    let edited: kube::Result<DynamicObject> =
        clusters.patch("demo", &PatchParams::default(), &Patch::Merge(&patch)).await;
    verdict(edited)
}

#[tokio::test]
async fn volumes_may_be_wanted_larger_and_smaller() -> Result<()> {
    in_room(async |room| {
        stopped(room, json!({"size": "3Gi"})).await?;
        let status = Patch::Merge(json!({"status": {"volumeSize": "3Gi"}}));
        room.clusters().patch_status("demo", &PatchParams::default(), &status).await?;
        for size in ["4Gi", "3072Mi", "1Gi"] {
            assert!(edit(room, &json!({"storage": {"size": size}})).await?.is_ok(), "{size}");
        }
        let refused = edit(room, &json!({"storage": {"size": "abc"}})).await?.unwrap_err();
        assert_eq!(refused.len(), 1, "a nonsensical size is one mistake, not two: {refused:#?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_class_of_volumes_can_be_changed_and_once_the_cluster_is_founded_not_be_taken_away() -> Result<()> {
    in_room(async |room| {
        stopped(room, json!({"storageClassName": "tpyo"})).await?;
        let class = |name: &str| json!({"storage": {"storageClassName": name}});
        assert!(edit(room, &class("typo")).await?.is_ok());
        let founded = json!({"status": {"incarnation": {"number": 1, "token": "t", "initialMembers": []}}});
        let clusters = room.clusters();
        clusters.patch_status("demo", &PatchParams::default(), &Patch::Merge(&founded)).await?;
        assert!(edit(room, &class("other")).await?.is_ok());
        for none in [json!({"storage": {"storageClassName": ""}}), json!({"storage": {"storageClassName": null}})] {
            let refused = edit(room, &none).await?.unwrap_err();
            assert!(refused.len() == 1 && refused[0].contains("and not be taken away"), "{refused:#?}");
        }
        assert!(edit(room, &json!({"storage": {"size": "9Gi"}})).await?.is_ok());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_encrypted_stays_as_it_began_until_the_data_is_over_or_given_up() -> Result<()> {
    in_room(async |room| {
        stopped(room, json!({})).await?;
        let (clusters, mode) = (room.clusters(), |peer: &str| json!({"security": {"peer": {"mode": peer}}}));
        let latch = async |incarnation: Value| {
            let status = Patch::Merge(json!({"status": {"incarnation": incarnation}}));
            verdict(clusters.patch_status("demo", &PatchParams::default(), &status).await)
        };
        assert!(edit(room, &mode("Plain")).await?.is_ok(), "it has not begun");
        let begun = json!({"number": 1, "token": "t", "initialMembers": [], "encrypted": {"peer": true}});
        assert!(latch(begun).await?.is_ok());
        assert!(edit(room, &json!({"paused": true})).await?.is_ok(), "a mode that was said before is no change");
        assert!(edit(room, &mode("Auto")).await?.is_ok(), "it says what is");
        let refused = edit(room, &mode("Plain")).await?.unwrap_err();
        assert!(refused.len() == 1 && refused[0].contains("security.peer.mode cannot be changed"), "{refused:#?}");
        assert!(edit(room, &json!({"security": {"peer": null}})).await?.is_ok(), "nothing said is as it began");
        let refused = edit(room, &json!({"security": {"client": {"mode": "Auto"}}})).await?.unwrap_err();
        assert!(refused.len() == 1 && refused[0].contains("security.client.mode cannot be changed"), "{refused:#?}");
        let taken_back = latch(json!({"encrypted": null})).await?.unwrap_err();
        assert!(
            taken_back.iter().any(|s| s.contains("keeps its token, initialMembers, encrypted and restored")),
            "{taken_back:#?}"
        );
        let given_up = json!({"recovery": {"abandonIncarnation": 1}, "security": {"peer": {"mode": "Plain"}}});
        assert!(edit(room, &given_up).await?.is_ok());
        assert!(latch(json!({"ended": "Abandoned"})).await?.is_ok());
        assert!(edit(room, &mode("Auto")).await?.is_ok());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_user_is_not_root_and_names_a_secret_that_can_be() -> Result<()> {
    in_room(async |room| {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let judge = async |name: &str, spec: Value| verdict(room.users().create(&dry, &user(name, &spec)).await);
        assert!(judge("app", json!({"cluster": "demo"})).await?.is_ok());
        assert!(judge("app", json!({"cluster": "demo", "secretName": "app.etcd-1"})).await?.is_ok());
        for (name, spec, sentence) in [
            ("root", json!({"cluster": "demo"}), "metadata.name root is etcd's own"),
            (&"a".repeat(65), json!({"cluster": "demo"}), "metadata.name must have at most 64 characters"),
            ("app", json!({}), "cluster"),
            ("app", json!({"cluster": ""}), "cluster"),
            ("app", json!({"cluster": "demo", "secretName": "A_b"}), "secretName must be the name of a Secret"),
        ] {
            let refused = judge(name, spec.clone()).await?.expect_err(&format!("{name} {spec} is taken"));
            assert!(refused.len() == 1 && refused[0].contains(sentence), "{refused:#?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_decision_to_recover_can_be_made_changed_and_taken_back() -> Result<()> {
    in_room(async |room| {
        stopped(room, json!({})).await?;
        for recovery in [json!({"abandonIncarnation": 1}), json!({"abandonIncarnation": 2}), Value::Null] {
            let edited = edit(room, &json!({ "recovery": recovery })).await?;
            let made = edited.map_err(|sentences| anyhow::anyhow!("{sentences:?}"))?;
            assert_eq!(made["spec"].get("recovery").cloned().unwrap_or(Value::Null), recovery);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_becomes_of_volumes_can_be_changed_at_any_time() -> Result<()> {
    in_room(async |room| {
        stopped(room, json!({})).await?;
        for when in ["whenScaled", "whenStopped", "whenDeleted"] {
            for keep in ["Retain", "Delete"] {
                let edited = edit(room, &json!({"storage": {"retention": {when: keep}}})).await?;
                assert!(edited.is_ok(), "{when} {keep}: {edited:?}");
            }
            // Back: with size 0 nobody should give volumes up here.
            assert!(edit(room, &json!({"storage": {"retention": {when: "Retain"}}})).await?.is_ok());
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn scaling_by_the_scale_subresource_obeys_the_same_rule() -> Result<()> {
    in_room(async |room| {
        stopped(room, json!({})).await?;
        let clusters = room.clusters();
        let scale = async |n: i32| {
            let patch = json!({"spec": {"replicas": n}});
            clusters
                .patch_scale("demo", &PatchParams { dry_run: true, ..PatchParams::default() }, &Patch::Merge(&patch))
                .await
        };
        assert_eq!(scale(5).await?.spec.and_then(|s| s.replicas), Some(5));
        let refused = scale(4).await.unwrap_err().to_string();
        assert!(refused.contains("size must be 1, 3, 5 or 7"), "{refused}");
        Ok(())
    })
    .await
}
