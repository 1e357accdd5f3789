//! The schema and the coordinator's own validation judge alike, whatever is thrown at them.

use anyhow::Result;
use etcd_operator_shared::{
    api::{EtcdCluster, EtcdClusterSpec},
    validate,
};
use futures::{StreamExt, TryStreamExt, stream};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use crate::server::{Room, in_room};

const CASES: usize = 600;
/// Seeds that failed once are added here.
const SEEDS: [u64; 1] = [1];

fn pick<T: Clone>(rng: &mut StdRng, from: &[T]) -> T {
    from.choose(rng).cloned().expect("never empty")
}

/// Mostly a good value, else something that looks like one.
fn text(rng: &mut StdRng, good: &[&str], letters: &str) -> String {
    if rng.random_bool(0.9) {
        return pick(rng, good).to_owned();
    }
    let mut text: Vec<char> = pick(rng, good).chars().collect();
    let letters: Vec<char> = letters.chars().collect();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..=text.len());
        match rng.random_range(0..3) {
            0 => text.insert(at, pick(rng, &letters)),
            1 if at < text.len() => text[at] = pick(rng, &letters),
            _ if at < text.len() => drop(text.remove(at)),
            _ => {}
        }
    }
    text.into_iter().collect()
}

/// A spec within the schema's types and lengths: what remains is up to the rules.
fn any_spec(rng: &mut StdRng) -> Value {
    let bytes = ["8Gi", "64Gi", "80G", "8589934592", "9000Mi"];
    let quotas = ["1Gi", "512Mi", "1G", "1073741824", "3Gi"];
    let times = ["100ms", "1s", "5ms", "10s", "50s", "500ms"];
    let flags = [
        "max-txn-ops",
        "snapshot-count",
        "name",
        "data-dir",
        "experimental-enable-v2",
        "experimental-x",
        "auto-tls",
        "log-level",
    ];
    let mut spec = json!({
        "size": pick(rng, &[0, 1, 3, 5, 7, 3, 1, 2, 8, 9, -1]),
        "version": text(rng, &["v3.5.21", "3.6.0", "v3.7.3", "v3.5.99"], "0123456789v.-"),
        "storage": {"size": text(rng, &bytes, "0123456789KMGTik.")},
        "etcd": {
            "quotaBackend": text(rng, &quotas, "0123456789KMGTik."),
            "heartbeatInterval": text(rng, &times, "0123456789smh"),
            "electionTimeout": text(rng, &["1s", "5s", "50s", "1000ms"], "0123456789smh"),
        },
    });
    if rng.random_bool(0.5) {
        let retention = text(rng, &["1h", "30m", "1h30m", "10000", "5", "0"], "0123456789smh");
        spec["etcd"]["autoCompaction"] = json!({"mode": pick(rng, &["Periodic", "Revision"]), "retention": retention});
    }
    if rng.random_bool(0.3) {
        let flag = text(rng, &flags, "abz-_0A");
        spec["etcd"]["extraArgs"] = json!({ flag: "1" });
    }
    if rng.random_bool(0.3) {
        let kind = pick(rng, &["ClusterIP", "NodePort", "LoadBalancer"]);
        spec["service"] = json!({"type": kind, "nodePort": 30000});
    }
    if rng.random_bool(0.3) {
        spec["repository"] =
            json!(text(rng, &["quay.io/coreos/etcd", "r:5000/etcd", "[fd00::1]:5/a__b"], "aZ0.:/_-[]@ "));
    }
    if rng.random_bool(0.3) {
        let digest = format!("r.io/etcd@sha256:{}", "0a".repeat(32));
        spec["image"] = json!(text(rng, &["quay.io/coreos/etcd:v3.5.21", "r:5/etcd:a-b", &digest], "aZ0.:/_-[]@ "));
    }
    if rng.random_bool(0.3) {
        let kind = pick(rng, &["ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer"]);
        let range = text(rng, &["10.0.0.0/8", "fd00::/64"], "0123456789abg:./");
        let ranges = pick(rng, &[json!([range]), json!([]), Value::Null]);
        spec["service"] = json!({"type": kind, "loadBalancerSourceRanges": ranges});
        if rng.random_bool(0.3) {
            spec["service"]["externalTrafficPolicy"] = json!("Local");
        }
    }
    if rng.random_bool(0.3) {
        spec["etcd"]["quotaBackend"] = pick(rng, &[json!(null), json!(268_435_456), json!(1_073_741_824), json!(0)]);
    }
    if rng.random_bool(0.4) {
        let good = ["etcd.example.com", "*.example.com", "a", "10.0.0.1", "fd00::1", "::1", "1:2:3:4:5:6:7:8"];
        let names: Vec<String> = (0..rng.random_range(0..2)).map(|_| text(rng, &good, "aZ0.:*-_")).collect();
        let mode = pick(rng, &["Auto", "Plain"]);
        spec["security"] = json!({"peer": {"mode": mode}, "client": {"names": names}});
        if rng.random_bool(0.3) {
            spec["security"]["client"]["mode"] = json!(mode);
            spec["security"]["auth"] = json!(rng.random_bool(0.5));
        }
        if rng.random_bool(0.5) {
            let times = ["87600h", "1h", "60m", "3600s", "59m"];
            let leaf = text(rng, &["2160h", "10s", "1m", "9s"], "0123456789smh");
            spec["security"]["ca"] = json!({"duration": text(rng, &times, "0123456789smh"), "leafDuration": leaf});
        }
    }
    if rng.random_bool(0.4) {
        spec["backup"] = any_backup(rng);
    }
    if rng.random_bool(0.3) {
        spec["maintenance"] = any_maintenance(rng);
    }
    if rng.random_bool(0.3) {
        let grows = text(rng, &["64Gi", "100G", "9000Mi", "8Gi"], "0123456789KMGTik.");
        spec["storage"]["autoGrow"] = json!({"maxSize": grows, "maxQuota": text(rng, &quotas, "0123456789KMGTik.")});
    }
    // Fields that are too long are the schema's business, on old servers too.
    for (field, longest) in [
        ("/version", 16),
        ("/etcd/heartbeatInterval", 12),
        ("/etcd/electionTimeout", 12),
        ("/security/ca/duration", 12),
        ("/security/ca/leafDuration", 12),
    ] {
        if let Some(Value::String(text)) = spec.pointer_mut(field) {
            text.truncate(longest);
        }
    }
    spec
}

/// What times are is up to the coordinator alone.
fn any_maintenance(rng: &mut StdRng) -> Value {
    let waste = text(rng, &["100Mi", "8388608", "1Gi", "1Mi", "100Gi"], "0123456789KMGTik.");
    let duration = text(rng, &["2h", "1h30m", "90s"], "0123456789smh");
    let window = json!({"cron": "0 3 * * *", "duration": duration, "timeZone": "Europe/Berlin"});
    let percent = pick(rng, &[10, 45, 90]);
    json!({
        "emergencyCompaction": rng.random_bool(0.5),
        "compareEvery": text(rng, &["10s", "5m", "24h", "1m30s"], "0123456789smh"),
        "defragmentation": {"wastePercent": percent, "minimumWaste": waste, "window": window},
    })
}

fn any_backup(rng: &mut StdRng) -> Value {
    let buckets = ["backups", "b.c.d.e", "b-0-1-2"];
    let endpoints = ["https://s3.example.com", "http://10.0.0.1:9000/", "https://[fd00::1]:443"];
    let mut s3 = json!({"bucket": text(rng, &buckets, "aZ0.-/_")});
    if rng.random_bool(0.5) {
        s3["prefix"] = json!(text(rng, &["etcd", "a/b.c", "_-", "..."], "aZ0./-_ "));
    }
    if rng.random_bool(0.5) {
        s3["endpoint"] = json!(text(rng, &endpoints, "aZ0.:/[]-_@"));
    }
    let mut backup = json!({"store": {"s3": s3}});
    if rng.random_bool(0.5) {
        backup["secretName"] = json!(text(rng, &["demo-store", "a.b", "0"], "aZ0.-_/"));
    }
    if rng.random_bool(0.5) {
        let name = text(rng, &["hourly", "at-night", "a"], "aZ0-._");
        backup["schedules"] = json!([{"name": name, "cron": "0 * * * *"}]);
    }
    backup
}

fn any_name(rng: &mut StdRng) -> String {
    text(rng, &["demo", "a", "etcd-1"], "abz-0123")
}

#[tokio::test]
async fn the_coordinator_takes_what_the_api_server_takes_and_nothing_else() -> Result<()> {
    in_room(async |room| judges_alike(room).await).await
}

async fn judges_alike(room: &Room) -> Result<()> {
    let mut cases = Vec::new();
    for seed in SEEDS {
        let mut rng = StdRng::seed_from_u64(seed);
        cases.extend((0..CASES).map(|_| (any_name(&mut rng), any_spec(&mut rng))));
    }
    let judged: Vec<_> = stream::iter(cases)
        .map(async |(name, spec)| {
            let verdict = room.judge(&name, &spec).await?;
            anyhow::Ok((name, spec, verdict.err()))
        })
        .buffer_unordered(16)
        .try_collect()
        .await?;
    let taken = judged.iter().filter(|(_, _, refused)| refused.is_none()).count();
    for (name, spec, refused) in judged {
        // A name that is no DNS name is refused before any rule of ours is asked.
        let dns = !name.is_empty() && !name.starts_with('-') && !name.ends_with('-');
        let parsed: EtcdClusterSpec = serde_json::from_value(spec.clone())?;
        let ours = validate::cluster(&EtcdCluster::new(&name, parsed)).err();
        assert_eq!(refused.is_none(), dns && ours.is_none(), "{name} {spec}\n{refused:#?}\n{ours:?}");
    }
    assert!((CASES / 20..CASES * 19 / 20).contains(&taken), "{taken} of {CASES} taken: a dull generator");
    Ok(())
}
