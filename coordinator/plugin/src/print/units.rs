//! Times and bytes as people read them.

use jiff::Timestamp;

/// How long ago, as kubectl says it: `5s`, `12m`, `3h`, `8d`. A clock that is behind makes it `0s`.
#[must_use]
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 != 0 => format!("{minutes}m{}s", seconds % 60),
        120..10_800 => format!("{minutes}m"),
        10_800..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

/// How long until then, in the same words; `None` where it is over.
#[must_use]
pub fn until(end: Timestamp, now: Timestamp) -> Option<String> {
    (end > now).then(|| age(now, end))
}

/// As Kubernetes writes them, with a digit behind the point where that says anything: `20Mi`, `1.5Gi`.
#[must_use]
pub fn bytes(count: i64) -> String {
    const UNITS: [&str; 5] = ["", "Ki", "Mi", "Gi", "Ti"];
    let mut value = count as f64;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    let text = if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") };
    format!("{}{unit}", text.trim_end_matches(".0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_as_kubectl_says_them() {
        let now: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
        let ago = |seconds: i64| age(Timestamp::from_second(now.as_second() - seconds).unwrap(), now);
        let all = [(-5, "0s"), (119, "119s"), (150, "2m30s"), (600, "10m"), (10_800, "3h"), (172_800, "2d")];
        for (seconds, words) in all {
            assert_eq!(ago(seconds), words, "{seconds}");
        }
        assert_eq!(until(now, now), None);
    }

    #[test]
    fn bytes_have_three_digits_at_most() {
        let all = [(0, "0"), (1023, "1023"), (1536, "1.5Ki"), (1 << 20, "1Mi"), (20_971_520, "20Mi"), (5 << 30, "5Gi")];
        for (count, words) in all {
            assert_eq!(bytes(count), words);
        }
    }
}
