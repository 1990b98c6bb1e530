//! Times and durations in words.

use crate::cli::clock;

/// `3 minutes ago`, `in 2 hours 5 minutes`, `now`.
pub(super) fn relative(now: u64, time: u64) -> String {
    match time.checked_sub(now) {
        Some(0) => "now".to_owned(),
        Some(ahead) => format!("in {}", span(ahead)),
        None => format!("{} ago", span(now.saturating_sub(time))),
    }
}

/// A duration by its two largest units: `1 hour 5 minutes`.
pub(super) fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (length, name) in UNITS {
        let count = rest.checked_div(length).unwrap_or_default();
        rest = rest.checked_rem(length).unwrap_or_default();
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            parts.push(format!("{count} {name}{plural}"));
        }
        // Two neighbouring units are exact enough for people.
        if parts.len() == 2 || (parts.len() == 1 && count == 0) {
            break;
        }
    }
    if parts.is_empty() {
        "0 seconds".to_owned()
    } else {
        parts.join(" ")
    }
}

/// RFC 3339, in UTC.
pub(super) fn rfc3339(time: u64) -> String {
    clock::show(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_words() {
        for (seconds, words) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "1 minute"),
            (61, "1 minute 1 second"),
            (3_600, "1 hour"),
            (3_605, "1 hour"),
            (7_500, "2 hours 5 minutes"),
            (90_061, "1 day 1 hour"),
        ] {
            assert_eq!(span(seconds), words);
        }
        assert_eq!(relative(100, 100), "now");
        assert_eq!(relative(100, 40), "1 minute ago");
        assert_eq!(relative(100, 220), "in 2 minutes");
        assert_eq!(rfc3339(1_800_000_000), "2027-01-15T08:00:00Z");
    }
}
