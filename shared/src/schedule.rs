//! Schedules: cron in a time zone, and the minutes that it names.
//!
//! A slot is such a minute in UTC, written `20261126T2300Z`: whoever takes a backup for it, and whenever, the slot is its name.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, Zoned, civil::DateTime, tz::TimeZone};
use thiserror::Error;

/// How a slot is written.
const SLOT: &str = "%Y%m%dT%H%MZ";

/// Where it is tried whether a schedule ever comes: the beginning of 2026.
const SOME_TIME: i64 = 1_767_225_600;

/// Why a schedule is none.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Wrong {
    #[error(
        "must be minute, hour, day of month, month and day of week, such as \"0 * * * *\", or @hourly, @daily, @weekly: {0}"
    )]
    Cron(String),
    #[error("names a time that never comes, such as the 30th of February")]
    Never,
    #[error("must be the name of a time zone, such as Europe/Berlin, not {0:?}")]
    TimeZone(String),
}

impl Wrong {
    /// Whether it is the time zone that is wrong.
    #[must_use]
    pub fn is_time_zone(&self) -> bool {
        match self {
            Self::TimeZone(_) => true,
            Self::Cron(_) | Self::Never => false,
        }
    }
}

/// When something is due, again and again.
#[derive(Debug, Clone)]
pub struct Rhythm {
    text: String,
    cron: Box<Cron>,
    zone: TimeZone,
}

impl PartialEq for Rhythm {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone == other.zone
    }
}

impl Eq for Rhythm {}

impl Rhythm {
    /// Reads it. Without a time zone it is meant in UTC.
    ///
    /// # Errors
    /// When it is none; the sentence lacks the name of the field.
    pub fn parse(cron: &str, zone: Option<&str>) -> Result<Self, Wrong> {
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| Wrong::TimeZone(name.to_owned()))?,
        };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let read =
            parser.parse(cron).map_err(|error| Wrong::Cron(error.to_string().trim_end_matches('.').to_owned()))?;
        let rhythm = Self { text: cron.trim().to_owned(), cron: Box::new(read), zone };
        // Any time does: what comes once comes again.
        let comes = Timestamp::from_second(SOME_TIME).ok().and_then(|time| rhythm.next(time));
        comes.map(|_| ()).ok_or(Wrong::Never)?;
        Ok(rhythm)
    }

    /// The newest minute at or before a time.
    #[must_use]
    pub fn last(&self, at: Timestamp) -> Option<Timestamp> {
        let minute = minute(at)?;
        self.cron.find_previous_occurrence(&self.zoned(minute), true).ok().map(|found| found.timestamp())
    }

    /// The first minute after a time.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.cron.find_next_occurrence(&self.zoned(after), false).ok().map(|found| found.timestamp())
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }
}

/// The beginning of a time's minute.
fn minute(at: Timestamp) -> Option<Timestamp> {
    let seconds = at.as_second().div_euclid(60) * 60;
    Timestamp::from_second(seconds).ok()
}

/// A time's slot.
#[must_use]
pub fn slot(at: Timestamp) -> String {
    at.strftime(SLOT).to_string()
}

/// The time of a slot; `None` where it is none.
#[must_use]
pub fn time(slot: &str) -> Option<Timestamp> {
    let read = DateTime::strptime(SLOT, slot).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (self::slot(read) == slot).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rhythm(cron: &str, zone: Option<&str>) -> Rhythm {
        Rhythm::parse(cron, zone).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_newest_slot_is_at_or_before_a_time_and_the_next_one_after_it() {
        let hourly = rhythm("0 * * * *", None);
        for (now, last, next) in [
            ("2026-11-26T23:00:00Z", "20261126T2300Z", "20261127T0000Z"),
            ("2026-11-26T23:59:59.9Z", "20261126T2300Z", "20261127T0000Z"),
            ("2026-11-26T22:59:59Z", "20261126T2200Z", "20261126T2300Z"),
        ] {
            assert_eq!(slot(hourly.last(at(now)).unwrap()), last, "{now}");
            assert_eq!(slot(hourly.next(at(now)).unwrap()), next, "{now}");
        }
        assert_eq!(slot(rhythm("@daily", None).last(at("2026-11-26T23:00:00Z")).unwrap()), "20261126T0000Z");
        assert_eq!(slot(rhythm("30 4 * * SUN", None).last(at("2026-11-26T23:00:00Z")).unwrap()), "20261122T0430Z");
    }

    #[test]
    fn a_time_zone_is_known_without_the_systems_files_and_its_summer_time_is_kept() {
        let daily = rhythm("0 4 * * *", Some("Europe/Berlin"));
        assert_eq!(slot(daily.last(at("2026-07-01T12:00:00Z")).unwrap()), "20260701T0200Z");
        assert_eq!(slot(daily.last(at("2026-12-01T12:00:00Z")).unwrap()), "20261201T0300Z");
        // 02:30 is left out in spring and comes twice in autumn: neither is missed, neither is taken twice.
        let night = rhythm("30 2 * * *", Some("Europe/Berlin"));
        let mut seen = Vec::new();
        let mut now = at("2026-03-27T12:00:00Z");
        while now < at("2026-03-31T12:00:00Z") {
            now = night.next(now).unwrap();
            seen.push(slot(now));
        }
        assert!(seen.len() == 5 || seen.len() == 4, "{seen:?}");
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (cron, zone, said) in [
            ("* * * *", None, "must be minute, hour"),
            ("0 0 * * * *", None, "must be minute, hour"),
            ("61 * * * *", None, "must be minute, hour"),
            ("every hour", None, "must be minute, hour"),
            ("@sometimes", None, "must be minute, hour"),
            ("0 0 30 2 *", None, "never comes"),
            ("0 * * * *", Some("Berlin"), "not \"Berlin\""),
        ] {
            let wrong = Rhythm::parse(cron, zone).unwrap_err();
            assert!(wrong.to_string().contains(said), "{cron}: {wrong}");
            assert_eq!(wrong.is_time_zone(), zone.is_some());
        }
    }

    #[test]
    fn a_slot_is_read_as_it_is_written_and_nothing_else_is_one() {
        assert_eq!(time("20261126T2300Z"), Some(at("2026-11-26T23:00:00Z")));
        for none in ["", "20261126T2300", "20261126T230000Z", "20261326T2300Z", "2026-11-26T23:00Z", "1b2c3d4e5f60"] {
            assert_eq!(time(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn the_slot_before_the_next_one_is_the_last_one(
            seconds in 1_700_000_000_i64..2_000_000_000,
            cron in prop::sample::select(vec!["*/5 * * * *", "0 * * * *", "17 3 * * *", "0 0 1 * *", "30 2 * * 0", "15 1,13 * * 1-5"]),
            zone in prop::sample::select(vec![None, Some("Europe/Berlin"), Some("America/St_Johns"), Some("Asia/Kolkata")]),
        ) {
            let (rhythm, now) = (rhythm(cron, zone), Timestamp::from_second(seconds).unwrap());
            let (last, next) = (rhythm.last(now).unwrap(), rhythm.next(now).unwrap());
            prop_assert!(last <= now && now < next);
            prop_assert_eq!(last.as_second() % 60, 0);
            prop_assert_eq!(rhythm.last(next).unwrap(), next);
            let between = next.as_second() - 1;
            prop_assert_eq!(rhythm.last(Timestamp::from_second(between).unwrap()).unwrap(), last);
        }
    }
}
