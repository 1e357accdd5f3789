//! What may be said of stores, schedules, backups and restores: what is kept, and what is refused in one sentence.

use anyhow::{Result, anyhow};
use etcd_operator_shared::api::{EtcdBackup, EtcdRestore};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::server::{Room, in_room, object, verdict};

type Verdict = std::result::Result<Value, Vec<String>>;

fn cluster(backup: &Value) -> Value {
    json!({"version": "v3.5.21", "backup": backup})
}

/// A policy that is fine but for these fields of its bucket.
fn bucket(fields: Value) -> Value {
    let mut s3 = json!({"bucket": "backups"});
    if let (Some(s3), Value::Object(fields)) = (s3.as_object_mut(), fields) {
        s3.extend(fields);
    }
    json!({"store": {"s3": s3}})
}

/// A policy that is fine but for this schedule.
fn schedule(schedule: &Value) -> Value {
    json!({"store": {"s3": {"bucket": "backups"}}, "schedules": [schedule]})
}

fn is_one(verdict: Verdict, of: &Value, sentence: &str) {
    let refused = verdict.expect_err(&format!("{of} is taken"));
    assert_eq!(refused.len(), 1, "one sentence for {of}: {refused:#?}");
    assert!(refused[0].contains(sentence), "{of}: {}", refused[0]);
}

#[tokio::test]
async fn each_mistake_about_a_store_is_refused_with_one_sentence() -> Result<()> {
    let (name, prefix) =
        ("backup.store.s3.bucket must be the name of a bucket", "backup.store.s3.prefix takes letters");
    let endpoint = "backup.store.s3.endpoint must be a URL without a path";
    in_room(async |room| {
        for (backup, sentence) in [
            (json!({}), "backup.store"),
            (json!({"store": {}}), "backup.store.s3"),
            (json!({"store": {"s3": {}}}), "backup.store.s3.bucket"),
            (bucket(json!({"bucket": "ab"})), "backup.store.s3.bucket"),
            (bucket(json!({"bucket": "a".repeat(64)})), "backup.store.s3.bucket"),
            (bucket(json!({"bucket": "Backups"})), name),
            (bucket(json!({"bucket": "back_ups"})), name),
            (bucket(json!({"bucket": "-backups"})), name),
            (bucket(json!({"prefix": ""})), prefix),
            (bucket(json!({"prefix": "/etcd"})), prefix),
            (bucket(json!({"prefix": "etcd/"})), prefix),
            (bucket(json!({"prefix": "etcd//a"})), prefix),
            (bucket(json!({"prefix": "etcd/../a"})), prefix),
            (bucket(json!({"prefix": "."})), prefix),
            (bucket(json!({"prefix": "a b"})), prefix),
            (bucket(json!({"endpoint": ""})), endpoint),
            (bucket(json!({"endpoint": "s3.example.com"})), endpoint),
            (bucket(json!({"endpoint": "ftp://s3.example.com"})), endpoint),
            (bucket(json!({"endpoint": "https://s3.example.com/backups"})), endpoint),
            (bucket(json!({"endpoint": "https://user@s3.example.com"})), endpoint),
            (bucket(json!({"region": ""})), "backup.store.s3.region"),
        ] {
            is_one(room.judge("demo", &cluster(&backup)).await?, &backup, sentence);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn each_mistake_about_schedules_and_what_is_kept_is_refused_with_one_sentence() -> Result<()> {
    let name = "backup.schedules.name must begin with a letter";
    let mut many = bucket(json!({}));
    many["schedules"] = (0..9).map(|at| json!({"name": format!("s{at}"), "cron": "@daily"})).collect();
    let mut twice = bucket(json!({}));
    twice["schedules"] = json!([{"name": "a", "cron": "@daily"}, {"name": "a", "cron": "@hourly"}]);
    let mut secret = bucket(json!({}));
    secret["secretName"] = json!("Demo_store");
    let mut none = bucket(json!({}));
    none["keepVerified"] = json!(0);
    in_room(async |room| {
        for (backup, sentence) in [
            (schedule(&json!({"cron": "@daily"})), "name"),
            (schedule(&json!({"name": "daily"})), "cron"),
            (schedule(&json!({"name": "daily", "cron": ""})), "cron"),
            (schedule(&json!({"name": "", "cron": "@daily"})), name),
            (schedule(&json!({"name": "Daily", "cron": "@daily"})), name),
            (schedule(&json!({"name": "1st", "cron": "@daily"})), name),
            (schedule(&json!({"name": "daily-", "cron": "@daily"})), name),
            (schedule(&json!({"name": "a".repeat(33), "cron": "@daily"})), "name"),
            (schedule(&json!({"name": "daily", "cron": "@daily", "keep": 0})), "keep"),
            (schedule(&json!({"name": "daily", "cron": "@daily", "keep": 10001})), "keep"),
            (schedule(&json!({"name": "daily", "cron": "@daily", "timeZone": ""})), "timeZone"),
            (many, "backup.schedules"),
            (twice, "backup.schedules"),
            (secret, "backup.secretName must be the name of a Secret"),
            (none, "backup.keepVerified"),
        ] {
            is_one(room.judge("demo", &cluster(&backup)).await?, &backup, sentence);
        }
        let spec = json!({"version": "v3.5.21", "bootstrap": {"restore": ""}});
        is_one(room.judge("demo", &spec).await?, &spec, "bootstrap.restore");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_said_of_backups_is_kept_whole_and_can_be_changed_at_any_time() -> Result<()> {
    in_room(async |room| {
        for endpoint in ["http://10.0.0.1:9000", "https://s3.example.com/", "https://[fd00::1]:9000", "https://[::1]"] {
            let backup = bucket(json!({"endpoint": endpoint, "prefix": "a/b.c/_d-E", "region": "eu-central-1"}));
            let made = room.judge("demo", &cluster(&backup)).await?.map_err(|said| anyhow!("{backup}: {said:?}"))?;
            assert_eq!(made["spec"]["backup"], backup, "nothing is added");
        }
        let mut stopped = cluster(&bucket(json!({})));
        stopped["size"] = json!(0);
        room.clusters().create(&PostParams::default(), &crate::server::cluster("demo", &stopped)).await?;
        let schedules = json!([
            {"name": "hourly", "cron": "0 * * * *", "timeZone": "Europe/Berlin", "keep": 24},
            {"name": "weekly", "cron": "@weekly", "suspend": true},
        ]);
        for spec in [
            json!({"backup": {"schedules": schedules, "keepVerified": 5, "secretName": "a.store-1"}}),
            json!({"backup": {"store": {"s3": {"bucket": "other.bucket-1"}}}}),
            json!({"bootstrap": {"restore": "a"}}),
            json!({"bootstrap": {"restore": "b"}}),
            json!({"backup": null, "bootstrap": null}),
        ] {
            let patch = Patch::Merge(json!({ "spec": spec }));
            let edited = verdict(room.clusters().patch("demo", &PatchParams::default(), &patch).await)?;
            assert!(edited.is_ok(), "{spec}: {edited:?}");
        }
        Ok(())
    })
    .await
}

/// What the API server makes of an object of another kind than EtcdCluster.
async fn judge(api: &Api<DynamicObject>, object: DynamicObject) -> Result<Verdict> {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    verdict(api.create(&dry, &object).await)
}

/// Makes an object, and changes this of it.
async fn edit(api: &Api<DynamicObject>, object: &DynamicObject, fields: &Value) -> Result<Verdict> {
    let name = object.metadata.name.clone().unwrap_or_default();
    if api.get_opt(&name).await?.is_none() {
        api.create(&PostParams::default(), object).await?;
    }
    verdict(api.patch(&name, &PatchParams::default(), &Patch::Merge(fields)).await)
}

#[tokio::test]
async fn a_backup_names_a_cluster_and_is_not_changed() -> Result<()> {
    in_room(async |room: &Room| {
        let api = room.api::<EtcdBackup>();
        let slot = json!({"cluster": "demo", "schedule": "hourly", "slot": "20261126T2300Z"});
        for spec in [json!({"cluster": "demo"}), slot] {
            assert_eq!(judge(&api, object::<EtcdBackup>("b", &spec)).await?.err(), None, "{spec}");
        }
        for (spec, sentence) in [
            (json!({}), "spec.cluster"),
            (json!({"cluster": ""}), "spec.cluster"),
            (json!({"cluster": "a".repeat(53)}), "spec.cluster"),
            (json!({"cluster": "demo", "schedule": "a".repeat(33)}), "spec.schedule"),
            (json!({"cluster": "demo", "slot": "a".repeat(17)}), "spec.slot"),
        ] {
            is_one(judge(&api, object::<EtcdBackup>("b", &spec)).await?, &spec, sentence);
        }
        let made = object::<EtcdBackup>("b", &json!({"cluster": "demo"}));
        for fields in [json!({"spec": {"cluster": "other"}}), json!({"spec": {"schedule": "hourly"}})] {
            is_one(edit(&api, &made, &fields).await?, &fields, "an EtcdBackup is not changed: make another one");
        }
        let labels = json!({"metadata": {"labels": {"a": "b"}}});
        assert!(edit(&api, &made, &labels).await?.is_ok(), "labels are nobody's business");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_restore_takes_one_source_and_is_not_changed() -> Result<()> {
    let stored = |fields: Value| {
        let mut stored = json!({"store": {"s3": {"bucket": "backups"}}, "secretName": "s", "cluster": "ns/demo"});
        if let (Some(stored), Value::Object(fields)) = (stored.as_object_mut(), fields) {
            stored.extend(fields);
        }
        json!({"cluster": "demo", "source": {"stored": stored}})
    };
    let (one, place) =
        ("source takes one of backup, stored and survivors", "source.stored.cluster must be namespace/name");
    in_room(async |room: &Room| {
        let api = room.api::<EtcdRestore>();
        let backup = json!({"cluster": "demo", "source": {"backup": "b"}});
        let by_uid = json!({"cluster": "ns/demo/0b1e", "snapshot": "hourly-20261126T2300Z"});
        let survivors = json!({"cluster": "demo", "source": {"survivors": {"lost": ["demo-1"]}}});
        let approved = |spec: &Value| {
            let mut spec = spec.clone();
            spec["replacesIncarnation"] = json!(3);
            spec
        };
        for spec in [
            backup.clone(),
            stored(json!({})),
            stored(by_uid),
            survivors.clone(),
            json!({"cluster": "demo", "source": {"survivors": {}}}),
            approved(&backup),
            approved(&survivors),
        ] {
            assert_eq!(judge(&api, object::<EtcdRestore>("r", &spec)).await?.err(), None, "{spec}");
        }
        let mut both = stored(json!({}));
        both["source"]["backup"] = json!("b");
        for (spec, sentence) in [
            (json!({"cluster": "demo"}), "spec.source"),
            (json!({"source": {"backup": "b"}}), "spec.cluster"),
            (json!({"cluster": "demo", "source": {}}), one),
            (json!({"cluster": "demo", "source": {"backup": ""}}), "spec.source.backup"),
            (both, one),
            (json!({"cluster": "demo", "source": {"backup": "b", "survivors": {}}}), one),
            (json!({"cluster": "demo", "source": {"survivors": {"lost": [""]}}}), "spec.source.survivors.lost"),
            (json!({"cluster": "demo", "source": {"survivors": {"lost": ["a", "a"]}}}), "spec.source.survivors.lost"),
            (json!({"cluster": "demo", "source": {"backup": "b"}, "replacesIncarnation": 0}), "replacesIncarnation"),
            (stored(json!({"cluster": ""})), place),
            (stored(json!({"cluster": "demo"})), place),
            (stored(json!({"cluster": "ns/demo/"})), place),
            (stored(json!({"cluster": "ns/demo/uid/more"})), place),
            (stored(json!({"cluster": "ns/.."})), place),
            (stored(json!({"secretName": ""})), "spec.source.stored.secretName"),
            (stored(json!({"secretName": null})), "spec.source.stored.secretName"),
            (stored(json!({"store": {"s3": {"bucket": "ab"}}})), "spec.source.stored.store.s3.bucket"),
            (stored(json!({"store": {"s3": {"bucket": "Backups"}}})), "must be the name of a bucket"),
        ] {
            is_one(judge(&api, object::<EtcdRestore>("r", &spec)).await?, &spec, sentence);
        }
        let made = object::<EtcdRestore>("r", &backup);
        let unchanged = "an EtcdRestore is not changed, but for one of survivors";
        for fields in [
            json!({"spec": {"cluster": "other"}}),
            json!({"spec": {"source": {"backup": "c"}}}),
            json!({"spec": {"replacesIncarnation": 1}}),
        ] {
            is_one(edit(&api, &made, &fields).await?, &fields, unchanged);
        }
        let (approval, lost) =
            (json!({"spec": {"replacesIncarnation": 4}}), json!({"spec": {"source": {"survivors": {"lost": []}}}}));
        let (asks, goes) = (object::<EtcdRestore>("s", &survivors), object::<EtcdRestore>("t", &approved(&survivors)));
        for fields in [lost, approval] {
            assert_eq!(edit(&api, &asks, &fields).await?.err(), None, "before it is approved: {fields}");
            is_one(edit(&api, &goes, &fields).await?, &fields, unchanged);
        }
        Ok(())
    })
    .await
}
