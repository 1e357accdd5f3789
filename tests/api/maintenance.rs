//! What may be said of how databases are kept small.

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use crate::server::in_room;

fn cluster(maintenance: &Value) -> Value {
    json!({"version": "v3.5.21", "maintenance": maintenance})
}

#[tokio::test]
async fn each_mistake_is_refused_with_one_sentence_and_nothing_is_added_to_what_is_right() -> Result<()> {
    let (waste, duration) = (
        "maintenance.defragmentation.minimumWaste must be a whole number of bytes from 1Mi to 100Gi",
        "maintenance.defragmentation.window.duration must be a duration",
    );
    let window = |cron: &str, duration: &str| json!({"window": {"cron": cron, "duration": duration}});
    in_room(async |room| {
        for (defragmentation, sentence) in [
            (json!({"wastePercent": 9}), "wastePercent"),
            (json!({"wastePercent": 91}), "wastePercent"),
            (json!({"minimumWaste": "1Ki"}), waste),
            (json!({"minimumWaste": 1024}), waste),
            (json!({"minimumWaste": "101Gi"}), waste),
            (window("0 3 * * *", "2"), duration),
            (window("0 3 * * *", "1d"), duration),
            (window("", "2h"), "cron"),
            (json!({"window": {"cron": "0 3 * * *"}}), "duration"),
        ] {
            let raw = json!({ "defragmentation": defragmentation });
            let refused = room.judge("demo", &cluster(&raw)).await?.expect_err(&format!("{raw} is taken"));
            assert_eq!(refused.len(), 1, "one sentence for {raw}: {refused:#?}");
            assert!(refused[0].contains(sentence), "{raw}: {}", refused[0]);
        }
        for raw in [
            json!({}),
            json!({"emergencyCompaction": false}),
            json!({"defragmentation": {"suspend": true}}),
            json!({"defragmentation": {"wastePercent": 10, "minimumWaste": 8_388_608}}),
            json!({"defragmentation": {"window": {"cron": "@daily", "duration": "1h30m", "timeZone": "Europe/Berlin"}}}),
        ] {
            let made = room.judge("demo", &cluster(&raw)).await?.map_err(|said| anyhow!("{raw}: {said:?}"))?;
            assert_eq!(made["spec"]["maintenance"], raw, "nothing is added");
        }
        Ok(())
    })
    .await
}
