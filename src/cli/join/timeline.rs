//! What both logs say about one request, in the order of time.

use std::time::{Duration, UNIX_EPOCH};

use super::event::Side;
use super::fields::{Field, Record};
use super::options::Options;

/// How many lines of one ID are kept; more of one ID are counted only.
const MAX_EVENTS: usize = 1000;

/// Collects the lines of one ID.
pub(super) struct Timeline {
    id: String,
    names: [Names; 2],
    found: Found,
}

/// The lines of one ID.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub id: String,
    /// In the order of time; lines whose time cannot be read come last.
    pub events: Vec<Line>,
    /// Lines that were too many to keep.
    pub more: u64,
}

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    pub side: Side,
    /// The line's number in its log, from 1.
    pub number: u64,
    /// Since 1970, where it can be read.
    pub since_epoch: Option<Duration>,
    pub time: String,
    /// The edge's outcome, or the filter's verdict.
    pub what: String,
    /// The edge's reason, or Envoy's response code details.
    pub why: String,
    pub status: String,
    pub method: String,
    pub path: String,
    pub duration_ms: String,
    /// The line's JSON object as it was logged.
    pub text: String,
}

struct Names {
    id: Field,
    time: Field,
    what: Field,
    why: Field,
    status: Field,
    method: Field,
    path: Field,
    duration: Field,
}

impl Timeline {
    pub(super) fn new(id: &str, options: &Options) -> Self {
        let (edge, mesh) = (&options.edge_fields, &options.mesh_fields);
        let names = |names: [&String; 8]| {
            let [id, time, what, why, status, method, path, duration] =
                names.map(|name| Field::new(name));
            Names {
                id,
                time,
                what,
                why,
                status,
                method,
                path,
                duration,
            }
        };
        Self {
            id: id.to_owned(),
            names: [
                names([
                    &edge.edge_id,
                    &edge.edge_time,
                    &edge.edge_outcome,
                    &edge.edge_reason,
                    &edge.edge_status,
                    &edge.edge_method,
                    &edge.edge_path,
                    &edge.edge_duration,
                ]),
                names([
                    &mesh.mesh_id,
                    &mesh.mesh_time,
                    &mesh.mesh_verdict,
                    &mesh.mesh_details,
                    &mesh.mesh_status,
                    &mesh.mesh_method,
                    &mesh.mesh_path,
                    &mesh.mesh_duration,
                ]),
            ],
            found: Found {
                id: id.to_owned(),
                ..Found::default()
            },
        }
    }

    /// Keeps the line, if it is of this ID.
    pub(super) fn add(&mut self, side: Side, number: u64, record: &Record<'_>) {
        let [edge, mesh] = &self.names;
        let names = match side {
            Side::Edge => edge,
            Side::Mesh => mesh,
        };
        if record.get(&names.id).as_deref() != Some(&self.id) {
            return;
        }
        if self.found.events.len() >= MAX_EVENTS {
            self.found.more = self.found.more.saturating_add(1);
            return;
        }
        let text = |field| record.get(field).unwrap_or_default().into_owned();
        let time = text(&names.time);
        self.found.events.push(Line {
            side,
            number,
            since_epoch: since_epoch(&time),
            time,
            what: text(&names.what),
            why: text(&names.why),
            status: text(&names.status),
            method: text(&names.method),
            path: text(&names.path),
            duration_ms: text(&names.duration),
            text: record.text.to_owned(),
        });
    }

    pub(super) fn finish(mut self) -> Found {
        // Stable: lines of the same moment stay in the order edge, mesh.
        self.found
            .events
            .sort_by_key(|line| line.since_epoch.unwrap_or(Duration::MAX));
        self.found
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
    fn times_are_read_in_the_forms_that_logs_have() {
        let at = |time| since_epoch(time).map(|since| since.as_millis());
        assert_eq!(at("2027-01-15T08:00:00.007Z"), Some(1_800_000_000_007));
        assert_eq!(at("2027-01-15T08:00:00Z"), Some(1_800_000_000_000));
        assert_eq!(at("1800000000.5"), Some(1_800_000_000_500));
        for time in ["", "soon", "-1", "NaN", "1e300"] {
            assert_eq!(at(time), None, "{time}");
        }
    }
}
