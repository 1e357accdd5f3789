//! Checks how databases are to be kept small.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Invalid, bytes, range, time};
use crate::{
    api::cluster::{Defragmentation, Maintenance, Window},
    schedule::Rhythm,
};

/// Where nobody says: a database that wastes less gains little from a second in which its member answers nothing.
const WASTE_PERCENT: u8 = 45;
const MINIMUM_WASTE: u64 = 100 << 20;
/// A hash stops what its member applies: it is reckoned seldom.
const COMPARE: Duration = Duration::from_secs(300);
const SHORTEST: Duration = Duration::from_secs(10);

/// How databases are to be kept small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upkeep {
    /// When members are defragmented that are not full; `None` where that rests.
    pub defragmentation: Option<Waste>,
    /// Whether old revisions may be forgotten where nothing else makes room.
    pub emergency_compaction: bool,
    /// How often members are compared.
    pub compare_every: Duration,
}

/// What is too much waste, and when something is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waste {
    /// 10 to 90.
    pub percent: u8,
    /// Bytes.
    pub minimum: u64,
    /// `None`: at any time.
    pub window: Option<Opening>,
}

/// A time that comes again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    rhythm: Rhythm,
    duration: Duration,
}

impl Opening {
    /// Whether it is open at a time.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        let Ok(duration) = SignedDuration::try_from(self.duration) else { return true };
        self.rhythm.last(at).is_some_and(|opened| at.duration_since(opened) < duration)
    }
}

impl Default for Upkeep {
    fn default() -> Self {
        let waste = Waste { percent: WASTE_PERCENT, minimum: MINIMUM_WASTE, window: None };
        Self { defragmentation: Some(waste), emergency_compaction: true, compare_every: COMPARE }
    }
}

/// What a cluster says of it.
///
/// # Errors
/// When a number, a size or a time is none.
pub fn maintenance(raw: Option<&Maintenance>) -> Result<Upkeep, Invalid> {
    let Maintenance { defragmentation, emergency_compaction, compare_every } = raw.cloned().unwrap_or_default();
    let Defragmentation { suspend, waste_percent, minimum_waste, window } = defragmentation.unwrap_or_default();
    let percent = match waste_percent {
        None => WASTE_PERCENT,
        Some(percent) => u8::try_from(percent).ok().filter(|p| (10..=90).contains(p)).ok_or(Invalid::Waste(percent))?,
    };
    let minimum = match minimum_waste {
        None => MINIMUM_WASTE,
        Some(amount) => {
            let minimum = bytes("maintenance.defragmentation.minimumWaste", &amount.0)?;
            range("maintenance.defragmentation.minimumWaste", minimum, (1 << 20, "1Mi"), (100 << 30, "100Gi"))?;
            minimum
        }
    };
    let window = window.as_ref().map(opening).transpose()?;
    let compare_every = match compare_every {
        None => COMPARE,
        Some(text) => time("maintenance.compareEvery", &text, &["h", "m", "s"])?,
    };
    if compare_every < SHORTEST {
        return Err(Invalid::TooShort { field: "maintenance.compareEvery", least: SHORTEST });
    }
    Ok(Upkeep {
        defragmentation: (!suspend).then_some(Waste { percent, minimum, window }),
        emergency_compaction: emergency_compaction.unwrap_or(true),
        compare_every,
    })
}

fn opening(raw: &Window) -> Result<Opening, Invalid> {
    let Window { cron, duration, time_zone } = raw;
    let rhythm = Rhythm::parse(cron, time_zone.as_deref())
        .map_err(|wrong| Invalid::Window { field: if wrong.is_time_zone() { "timeZone" } else { "cron" }, wrong })?;
    let duration = time("maintenance.defragmentation.window.duration", duration, &["h", "m", "s"])?;
    Ok(Opening { rhythm, duration })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(raw: serde_json::Value) -> Result<Upkeep, Invalid> {
        maintenance(Some(&serde_json::from_value(raw).unwrap()))
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(maintenance(None), Ok(Upkeep::default()));
        assert_eq!(read(json!({"defragmentation": {}})), Ok(Upkeep::default()));
    }

    #[test]
    fn what_is_said_replaces_it() {
        let said = read(json!({
            "defragmentation": {"wastePercent": 20, "minimumWaste": 8_388_608},
            "emergencyCompaction": false,
        }))
        .unwrap();
        assert_eq!(said.defragmentation, Some(Waste { percent: 20, minimum: 8 << 20, window: None }));
        assert!(!said.emergency_compaction);
        assert_eq!(read(json!({"defragmentation": {"suspend": true}})).unwrap().defragmentation, None);
    }

    #[test]
    fn each_mistake_is_named_by_its_field() {
        let window = |cron: &str, duration: &str, zone: &str| json!({"defragmentation": {"window": {"cron": cron, "duration": duration, "timeZone": zone}}});
        for (field, raw) in [
            ("wastePercent", json!({"defragmentation": {"wastePercent": 9}})),
            ("wastePercent", json!({"defragmentation": {"wastePercent": -300}})),
            ("minimumWaste", json!({"defragmentation": {"minimumWaste": "1Ki"}})),
            ("minimumWaste", json!({"defragmentation": {"minimumWaste": "much"}})),
            ("compareEvery", json!({"compareEvery": "9s"})),
            ("compareEvery", json!({"compareEvery": "often"})),
            ("window.cron", window("0 3 * *", "2h", "UTC")),
            ("window.duration", window("0 3 * * *", "2", "UTC")),
            ("window.timeZone", window("0 3 * * *", "2h", "Europe/Nowhere")),
        ] {
            let sentence = read(raw).unwrap_err().to_string();
            assert!(sentence.contains(field), "{sentence}");
        }
    }

    #[test]
    fn a_window_is_open_for_its_time_and_in_its_zone() {
        let raw = json!({"cron": "0 3 * * *", "duration": "1h30m", "timeZone": "Europe/Berlin"});
        let opening = opening(&serde_json::from_value(raw).unwrap()).unwrap();
        let at = |time: &str| opening.is_open(format!("2026-11-27T{time}Z").parse().unwrap());
        assert!(!at("01:59:59") && at("02:00:00") && at("03:29:59") && !at("03:30:00"));
    }
}
