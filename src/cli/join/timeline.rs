//! The lines of all logs about one request, in the order of time.

use std::time::{Duration, UNIX_EPOCH};

use super::fields::{Field, Fields};
use super::outcome::{HOPS, Hop, Log, Outcome, Passed};
use super::parts::{Parts, Resolution};
use super::record::Record;
use super::times::Times;

/// The maximum number of lines of one ID in the logs of one hop; further ones are only counted.
const MAX_LINES: usize = 1000;

/// The lines of one ID.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub id: String,
    pub lines: Vec<Line>,
    /// The number of lines that were not kept.
    pub more: u64,
}

/// One line. Missing fields are empty.
#[derive(Debug)]
pub(super) struct Line {
    pub log: Log,
    /// Which of the hop's logs it is from.
    pub file: usize,
    /// The line's number in its log, from 1.
    pub number: u64,
    /// The time since 1970, if it can be parsed.
    pub since_epoch: Option<Duration>,
    pub time: String,
    /// The outcome, or the filter's verdict.
    pub outcome: String,
    /// The reason, or Envoy's response code details.
    pub reason: String,
    pub status: String,
    pub method: String,
    pub path: String,
    /// In microseconds.
    pub duration: Option<u64>,
    /// What the line tells about the whole request; `None` for other lines of the app.
    pub request: Option<(Passed, Times)>,
    /// The line is a step of a login, before the request with the same ID.
    pub step: bool,
    /// The line's JSON object, as logged.
    pub text: String,
}

impl Timeline {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..Self::default()
        }
    }

    /// Keeps the line, of which the log and the number are given, if it has this ID.
    pub(super) fn add(
        &mut self,
        hop: &Hop,
        (file, number): (usize, u64),
        record: &Record<'_>,
        fields: &Fields,
    ) {
        if record.get(Field::Id).as_deref() != Some(&self.id) {
            return;
        }
        if self.lines.len() >= MAX_LINES {
            self.more = self.more.saturating_add(1);
            return;
        }
        let Ok(Some((_, outcome))) = Outcome::read(hop, record) else {
            return;
        };
        let text = |field| record.get(field).unwrap_or_default().into_owned();
        let time = text(Field::Time);
        let times = Times::read(hop.log, record, fields, &outcome);
        self.lines.push(Line {
            log: hop.log,
            file,
            number,
            since_epoch: since_epoch(&time),
            time,
            outcome: text(Field::Outcome),
            reason: text(Field::Reason),
            status: text(Field::Status),
            method: text(Field::Method),
            path: text(Field::Path),
            duration: record.micros(Field::Duration, fields),
            step: outcome.step,
            request: hop
                .log
                .is_request(record)
                .then_some((outcome.passed, times)),
            text: record.text.to_owned(),
        });
    }

    /// How long the request took in each part of its way. A hop with several lines tells nothing.
    pub(super) fn parts(&self, resolution: Resolution) -> Parts {
        let lines: [Option<(Passed, Times)>; HOPS] = std::array::from_fn(|hop| {
            let of_hop = || self.lines.iter().filter(|line| line.log as usize == hop);
            let only_steps = of_hop().all(|line| line.step);
            let counted = of_hop().filter(|line| line.step == only_steps);
            let mut requests = counted.filter_map(|line| line.request);
            requests.next().filter(|_| requests.next().is_none())
        });
        Parts::of(&lines, resolution)
    }

    /// The lines of both timelines of one ID, sorted by time. Lines of the same time stay in the order of a
    /// request's way; lines whose time cannot be parsed come last.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.more = self.more.saturating_add(other.more);
        self.lines.extend(other.lines);
        self.lines
            .sort_by_key(|line| line.since_epoch.unwrap_or(Duration::MAX));
        self
    }
}

/// RFC 3339 in UTC, or seconds since 1970.
fn since_epoch(time: &str) -> Option<Duration> {
    if let Ok(time) = humantime::parse_rfc3339_weak(time) {
        return time.duration_since(UNIX_EPOCH).ok();
    }
    let seconds: f64 = time.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_times_and_seconds_since_1970_are_parsed() {
        let at = |time| since_epoch(time).map(|since| since.as_millis());
        assert_eq!(at("2027-01-15T08:00:00.007Z"), Some(1_800_000_000_007));
        assert_eq!(at("2027-01-15T08:00:00Z"), Some(1_800_000_000_000));
        assert_eq!(at("1800000000.5"), Some(1_800_000_000_500));
        for time in ["", "soon", "-1", "NaN", "1e300"] {
            assert_eq!(at(time), None, "{time}");
        }
    }
}
