//! How long a request took in each part of its way, from the durations of its lines.
//!
//! Only durations are used, each measured by one clock: the edge's clock and the mesh's may differ. A part that
//! the lines do not tell is unknown.

use super::fields::{Field, Fields};
use super::options::Options;
use super::outcome::{Log, Outcome, Place, Source};
use super::record::Record;

/// The durations of one line, in microseconds. Those of the other log are `None`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// At the edge: from the request to the response's headers.
    pub total: Option<u64>,
    /// At the edge: without its wait for the mesh.
    pub edge: Option<u64>,
    /// At the edge: its wait for the mesh.
    pub wait: Option<u64>,
    /// In the mesh: from the request's first byte to the response's.
    pub mesh: Option<u64>,
    /// In the mesh: until a connection was looked for, or until the response of a request that was denied.
    pub filter: Option<u64>,
    /// In the mesh: until a new connection to the upstream could be used.
    pub connect: Option<u64>,
    /// In the mesh: until the upstream's response.
    pub upstream: Option<u64>,
}

/// A part of a request's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Total,
    Edge,
    Network,
    /// The two above, if the edge's log does not tell them apart.
    EdgeAndNetwork,
    Mesh,
    Filter,
    Connect,
    Upstream,
}

/// The number of parts.
pub(super) const PARTS: usize = 8;

/// The time of each part, in microseconds; `None` if it is unknown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts(pub [Option<u64>; PARTS]);

/// The resolution of the edge's durations, in microseconds: what was cut off may make a duration smaller than
/// a part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolution {
    total: u64,
    wait: u64,
}

impl Times {
    /// The number of durations.
    pub(super) const COUNT: usize = 7;

    /// The durations of one line.
    pub(super) fn read(log: Log, record: &Record<'_>, fields: &Fields, outcome: &Outcome) -> Self {
        let micros = |field| record.micros(field, fields);
        match log {
            Log::Edge => Self {
                total: micros(Field::Duration),
                edge: micros(Field::OwnTime),
                wait: micros(Field::Wait),
                ..Self::default()
            },
            Log::Mesh => {
                let (mesh, sent) = (micros(Field::Response), micros(Field::BeforeUpstream));
                let times = Self {
                    mesh,
                    ..Self::default()
                };
                if outcome.place == Place::Filter {
                    return Self {
                        filter: mesh,
                        ..times
                    };
                }
                // After a retry, Envoy's times are those of the last attempt.
                if record.integer(Field::Attempts) != Some(1) {
                    return times;
                }
                let connecting = micros(Field::BeforeConnect);
                let upstream = micros(Field::Upstream).or_else(|| {
                    // The upstream did not respond, and Envoy did after waiting for it.
                    let waited = outcome.place == Place::Upstream;
                    waited.then_some(mesh?.checked_sub(sent?)).flatten()
                });
                Self {
                    filter: connecting.or(sent),
                    connect: sent
                        .zip(connecting)
                        .and_then(|(sent, connecting)| sent.checked_sub(connecting)),
                    upstream,
                    ..times
                }
            }
        }
    }

    pub(super) const fn to_array(self) -> [Option<u64>; Self::COUNT] {
        let Self {
            total,
            edge,
            wait,
            mesh,
            filter,
            connect,
            upstream,
        } = self;
        [total, edge, wait, mesh, filter, connect, upstream]
    }

    pub(super) const fn from_array(times: [Option<u64>; Self::COUNT]) -> Self {
        let [total, edge, wait, mesh, filter, connect, upstream] = times;
        Self {
            total,
            edge,
            wait,
            mesh,
            filter,
            connect,
            upstream,
        }
    }
}

impl Part {
    pub(super) const ALL: [Self; PARTS] = [
        Self::Total,
        Self::Edge,
        Self::Network,
        Self::EdgeAndNetwork,
        Self::Mesh,
        Self::Filter,
        Self::Connect,
        Self::Upstream,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Edge => "edge",
            Self::Network => "network",
            Self::EdgeAndNetwork => "edge_and_network",
            Self::Mesh => "mesh",
            Self::Filter => "filter",
            Self::Connect => "connect",
            Self::Upstream => "upstream",
        }
    }
}

impl Parts {
    /// The parts of a request from its line in each log.
    pub(super) fn of(
        edge: Option<(Source, Times)>,
        mesh: Option<Times>,
        resolution: Resolution,
    ) -> Self {
        let (source, edge) = edge.map_or((Source::EdgeUnknown, Times::default()), |edge| edge);
        let mesh = mesh.unwrap_or_default();
        let own = edge.edge.or_else(|| match edge.wait {
            Some(wait) => minus(edge.total?, wait, resolution.total),
            None if source == Source::EdgeEnded => edge.total,
            None => None,
        });
        // The sum of its parts has the finer resolution.
        let total = match (edge.edge, edge.wait) {
            (Some(own), Some(wait)) => own.checked_add(wait),
            (Some(own), None) if source == Source::EdgeEnded => Some(own),
            _ => edge.total,
        };
        let between = |whole: Option<u64>, resolution| minus(whole?, mesh.mesh?, resolution);
        let mut parts = Self::default();
        for (part, time) in [
            (Part::Total, total),
            (Part::Edge, own),
            (Part::Network, between(edge.wait, resolution.wait)),
            (
                Part::EdgeAndNetwork,
                between(edge.total, resolution.total).filter(|_| own.is_none()),
            ),
            (Part::Mesh, mesh.mesh),
            (Part::Filter, mesh.filter),
            (Part::Connect, mesh.connect),
            (Part::Upstream, mesh.upstream),
        ] {
            if let Some(slot) = parts.0.get_mut(part as usize) {
                *slot = time;
            }
        }
        parts
    }

    /// The time of a part.
    pub(super) fn get(&self, part: Part) -> Option<u64> {
        *self.0.get(part as usize)?
    }

    /// Each part with its time.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Part, Option<u64>)> {
        Part::ALL.into_iter().zip(self.0)
    }
}

impl Resolution {
    #[cfg(test)]
    pub(super) const EXACT: Self = Self { total: 1, wait: 1 };

    pub(super) fn new(options: &Options) -> Self {
        let fields = options.fields(Log::Edge);
        Self {
            total: fields.unit(Field::Duration).micros(),
            wait: fields.unit(Field::Wait).micros(),
        }
    }
}

/// `whole - part`. If the difference is negative only because `whole` was cut to its resolution, it is 0; else
/// the durations contradict each other, and it is unknown.
fn minus(whole: u64, part: u64, resolution: u64) -> Option<u64> {
    match whole.checked_sub(part) {
        Some(rest) => Some(rest),
        None if part.saturating_sub(whole) < resolution => Some(0),
        None => None,
    }
}

/// A duration for a person, with three digits.
pub(super) fn human(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..999_500 => format!("{} ms", three_digits(micros)),
        _ => format!("{} s", three_digits(micros / 1000)),
    }
}

fn three_digits(thousandths: u64) -> String {
    match thousandths {
        0..9_995 => {
            let hundredths = thousandths.saturating_add(5) / 10;
            format!("{}.{:02}", hundredths / 100, hundredths % 100)
        }
        9_995..99_950 => {
            let tenths = thousandths.saturating_add(50) / 100;
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        _ => (thousandths.saturating_add(500) / 1000).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: Options,
    }

    fn options() -> Options {
        CommandLine::try_parse_from(["x", "edge", "mesh"])
            .unwrap()
            .options
    }

    fn read(log: Log, line: &str) -> (Source, Times) {
        let options = options();
        let fields = options.fields(log);
        let line = format!(r#"{{"correlation_id": "c", {line}}}"#);
        let record = Record::parse(line.as_bytes(), &fields).unwrap();
        let (_, outcome) = Outcome::read(log, &record, "forwarded").unwrap().unwrap();
        let times = Times::read(log, &record, &fields, &outcome);
        (outcome.source, times)
    }

    /// The known parts of a request.
    fn parts(edge: &str, mesh: &str) -> Vec<(&'static str, u64)> {
        let edge = (!edge.is_empty()).then(|| read(Log::Edge, edge));
        let mesh = (!mesh.is_empty()).then(|| read(Log::Mesh, mesh).1);
        let parts = Parts::of(edge, mesh, Resolution::new(&options()));
        let known = parts
            .iter()
            .filter_map(|(part, time)| Some((part.name(), time?)));
        known.collect()
    }

    const FORWARDED: &str =
        r#""outcome": "forwarded", "duration_ms": 12, "edge_us": 300, "mesh_us": 12000"#;
    const ANSWERED: &str = r#""verdict": "allow/orders", "status": 200, "details": "via_upstream",
        "before_connect_us": null, "before_upstream_us": 250, "upstream_us": 9000, "response_us": 9400, "attempts": 1"#;

    #[test]
    fn a_request_is_divided_where_the_logs_measured_it() {
        let whole = [
            ("total", 12_300),
            ("edge", 300),
            ("network", 2600),
            ("mesh", 9400),
            ("filter", 250),
            ("upstream", 9000),
        ];
        assert_eq!(parts(FORWARDED, ANSWERED), whole);
    }

    #[test]
    fn the_wait_for_a_new_connection_is_not_the_filters() {
        let connected =
            ANSWERED.replace("\"before_connect_us\": null", "\"before_connect_us\": 200");
        let parts = parts("", &connected);
        assert!(parts.contains(&("filter", 200)), "{parts:?}");
        assert!(parts.contains(&("connect", 50)), "{parts:?}");
    }

    #[test]
    fn a_denied_request_spent_its_time_in_the_filter() {
        let denied = r#""verdict": "deny/role/orders", "status": 403, "before_upstream_us": null, "response_us": 240,
            "attempts": 0"#;
        assert_eq!(parts("", denied), [("mesh", 240), ("filter", 240)]);
    }

    #[test]
    fn an_upstream_that_did_not_respond_took_the_rest() {
        let timeout = r#""verdict": "allow/orders", "status": 504, "details": "response_timeout",
            "before_upstream_us": 227, "upstream_us": null, "response_us": 999381, "attempts": 1"#;
        let known = [("mesh", 999_381), ("filter", 227), ("upstream", 999_154)];
        assert_eq!(parts("", timeout), known);
    }

    #[test]
    fn after_a_retry_filter_and_upstream_are_unknown() {
        for attempts in ["\"attempts\": 3", "\"attempts\": null"] {
            let retried = ANSWERED.replace("\"attempts\": 1", attempts);
            assert_eq!(parts("", &retried), [("mesh", 9400)]);
        }
    }

    #[test]
    fn an_edge_that_logs_only_its_duration_is_known_with_the_network() {
        let edge = r#""outcome": "forwarded", "duration_ms": 12"#;
        assert!(parts(edge, ANSWERED).contains(&("edge_and_network", 2600)));
        assert_eq!(parts(edge, ""), [("total", 12_000)]);
        let ended = r#""outcome": "redirected", "duration_ms": 2"#;
        assert_eq!(parts(ended, ""), [("total", 2000), ("edge", 2000)]);
    }

    #[test]
    fn durations_that_contradict_each_other_tell_nothing() {
        let edge = |duration| format!(r#""outcome": "forwarded", "duration_ms": {duration}"#);
        // 9 ms, cut from 9.4 or more.
        assert!(parts(&edge(9), ANSWERED).contains(&("edge_and_network", 0)));
        let shorter = parts(&edge(8), ANSWERED);
        assert!(!shorter.iter().any(|(part, _)| *part == "edge_and_network"));
    }

    #[test]
    fn durations_are_shown_with_three_digits() {
        for (micros, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1000, "1.00 ms"),
            (9994, "9.99 ms"),
            (12_345, "12.3 ms"),
            (123_456, "123 ms"),
            (1_005_000, "1.01 s"),
            (3_600_000_000, "3600 s"),
        ] {
            assert_eq!(human(micros), text);
        }
    }
}
