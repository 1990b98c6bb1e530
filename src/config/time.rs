//! Durations and points in time.

use std::time::SystemTime;

use super::reader::Node;

const DURATION: &str = "a duration like \"30s\", \"5m\" or \"24h\"";
const TIME: &str = "a UTC time like 2027-01-01T00:00:00Z";

/// Units of durations and their length in milliseconds, longest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Node<'_> {
    /// A duration in milliseconds: digits and one unit of `ms`, `s`, `m`, `h`, `d`.
    pub(super) fn milliseconds(&self, least: u64, most: u64) -> Option<u64> {
        let Some(text) = self.json().as_str() else {
            return self.report_type(DURATION);
        };
        match parse_duration(text) {
            Some(value) if (least..=most).contains(&value) => Some(value),
            Some(_) => self.report_value(format!(
                "must be a duration from {} to {}",
                show_duration(least),
                show_duration(most)
            )),
            None => self.report_value(format!("must be {DURATION}")),
        }
    }

    /// A duration in whole seconds.
    pub(super) fn seconds(&self, least: u64, most: u64) -> Option<u64> {
        let value = self.milliseconds(least.saturating_mul(1_000), most.saturating_mul(1_000))?;
        match value.checked_rem(1_000) {
            Some(0) => value.checked_div(1_000),
            _ => self.report_value("must be a duration in whole seconds"),
        }
    }

    /// A point in time as seconds since 1970 (RFC 3339, UTC).
    pub(super) fn rfc3339(&self) -> Option<u64> {
        let Some(text) = self.json().as_str() else {
            return self.report_type(TIME);
        };
        // `humantime` accepts any text between two `Z`.
        let zone = text.get(19..).unwrap_or_default();
        let is_whole = matches!(zone, "Z" | "+00:00") || zone.starts_with('.');
        let time = humantime::parse_rfc3339(text).ok().filter(|_| is_whole);
        time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
            .map(|since| since.as_secs())
            .or_else(|| self.report_value(format!("must be {TIME}")))
    }
}

/// Milliseconds: digits and one unit of `ms`, `s`, `m`, `h`, `d`.
pub(crate) fn parse_duration(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    let unit = text.get(digits.len()..)?;
    let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    // `parse` alone would accept a leading plus sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse::<u64>().ok()?.checked_mul(factor))?
}

/// Milliseconds in the longest unit that fits.
pub(crate) fn show_duration(milliseconds: u64) -> String {
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let whole = |(_, factor): &(&str, u64)| milliseconds.checked_rem(*factor) == Some(0);
    let (unit, factor) = UNITS.into_iter().find(whole).unwrap_or(("ms", 1));
    let count = milliseconds.checked_div(factor).unwrap_or_default();
    format!("{count}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_digits_and_one_unit() {
        assert_eq!(parse_duration("30s"), Some(30_000));
        assert_eq!(parse_duration("5m"), Some(300_000));
        assert_eq!(parse_duration("24h"), Some(86_400_000));
        assert_eq!(parse_duration("250ms"), Some(250));
        for text in [
            "",
            "s",
            "5",
            "5 m",
            "-5s",
            "1.5s",
            "5M",
            "99999999999999999999s",
            "1h30m",
            "+5s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_shown_in_the_longest_unit_that_fits() {
        for (milliseconds, text) in [
            (0, "0s"),
            (10, "10ms"),
            (60_000, "1m"),
            (31_622_400_000, "366d"),
        ] {
            assert_eq!(show_duration(milliseconds), text);
        }
    }
}
