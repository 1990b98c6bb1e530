//! The lines of both logs about one request, in the order of time.

use std::time::{Duration, UNIX_EPOCH};

use super::fields::Record;
use super::options::Options;
use super::outcome::Log;

/// The maximum number of lines of one ID; further ones are only counted.
const MAX_LINES: usize = 1000;

/// The lines of one ID.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub id: String,
    /// In the order of time once [`Timeline::sort`] was called.
    pub lines: Vec<Line>,
    /// The number of lines that were not kept.
    pub more: u64,
}

/// One line. Missing fields are empty.
#[derive(Debug)]
pub(super) struct Line {
    pub log: Log,
    /// The line's number in its log, from 1.
    pub number: u64,
    /// The time since 1970, if it can be parsed.
    pub since_epoch: Option<Duration>,
    pub time: String,
    /// The edge's outcome, or the filter's verdict.
    pub outcome: String,
    /// The edge's reason, or Envoy's response code details.
    pub reason: String,
    pub status: String,
    pub method: String,
    pub path: String,
    pub duration_ms: String,
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

    /// Keeps the line if it has this ID.
    pub(super) fn add(&mut self, log: Log, number: u64, record: &Record<'_>, options: &Options) {
        let (edge, mesh) = (&options.edge_fields, &options.mesh_fields);
        let [id, time, outcome, reason, status, method, path, duration] = match log {
            Log::Edge => [
                &edge.edge_id,
                &edge.edge_time,
                &edge.edge_outcome,
                &edge.edge_reason,
                &edge.edge_status,
                &edge.edge_method,
                &edge.edge_path,
                &edge.edge_duration,
            ],
            Log::Mesh => [
                &mesh.mesh_id,
                &mesh.mesh_time,
                &mesh.mesh_verdict,
                &mesh.mesh_details,
                &mesh.mesh_status,
                &mesh.mesh_method,
                &mesh.mesh_path,
                &mesh.mesh_duration,
            ],
        };
        if record.get(id).as_deref() != Some(&self.id) {
            return;
        }
        if self.lines.len() >= MAX_LINES {
            self.more = self.more.saturating_add(1);
            return;
        }
        let text = |field| record.get(field).unwrap_or_default().into_owned();
        let time = text(time);
        self.lines.push(Line {
            log,
            number,
            since_epoch: since_epoch(&time),
            time,
            outcome: text(outcome),
            reason: text(reason),
            status: text(status),
            method: text(method),
            path: text(path),
            duration_ms: text(duration),
            text: record.text.to_owned(),
        });
    }

    /// Sorts the lines by time. Lines of the same time stay in the order edge, mesh; lines whose time
    /// cannot be parsed come last.
    pub(super) fn sort(&mut self) {
        self.lines
            .sort_by_key(|line| line.since_epoch.unwrap_or(Duration::MAX));
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
