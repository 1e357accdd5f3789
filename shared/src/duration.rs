//! Durations as users write them, such as `100ms`, `1h` or `1h30m`.

use std::time::Duration;
use thiserror::Error;

/// Why a text is no duration.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{0:?} is not a duration: write numbers with units, such as 100ms, 5s or 1h30m")]
pub struct DurationError(pub(crate) String);

/// Parses Go's notation restricted to whole numbers of h, m, s and ms.
/// Source: <https://pkg.go.dev/time#ParseDuration>.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let wrong = || DurationError(text.to_owned());
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let seconds = |unit: u64| number.checked_mul(unit).map(Duration::from_secs);
        let part = match &rest[..letters] {
            "ms" => Some(Duration::from_millis(number)),
            "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3600),
            _ => None,
        };
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        rest = &rest[letters..];
    }
    Ok(total)
}

/// Whole seconds in the largest unit that they fill, as [`parse`] reads them.
#[must_use]
pub fn text(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds > 0 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(parse("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for written in ["10s", "90s", "5m", "1h", "2160h"] {
            assert_eq!(parse(written).map(text).as_deref(), Ok(written));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "1", "s", "1d", "1.5s", "-1s", "1s ", "99999999999999999999h", "18446744073709551615h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
