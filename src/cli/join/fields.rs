//! The fields of a log that the join reads, and the units of those that are durations.

use super::outcome::Log;

/// What a field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    Time,
    /// The outcome, or the filter's verdict.
    Outcome,
    /// The reason, or Envoy's response code details.
    Reason,
    Status,
    UpstreamStatus,
    Method,
    Path,
    Duration,
    /// The edge's own time, without its wait for the next hop.
    OwnTime,
    /// The wait of the edge or of HAProxy for the next hop.
    Wait,
    BeforeConnect,
    BeforeUpstream,
    Upstream,
    Response,
    Attempts,
    /// How long HAProxy waited for the request's headers.
    Request,
    /// How long the request was in HAProxy's queues.
    Queue,
    /// How long HAProxy's connection to its server took.
    Connect,
    /// How often HAProxy tried again.
    Retries,
    /// Who ended HAProxy's session.
    Termination,
    /// Which step of a login the edge's line is.
    Login,
}

/// The number of different fields.
pub(super) const FIELDS: usize = 22;

/// The fields of each log: the word for `--field`, and the name that docs/log-fields.md gives it.
const NAMES: [(Log, Field, &str, &str); 47] = [
    (Log::Edge, Field::Id, "id", "correlation_id"),
    (Log::Edge, Field::Time, "time", "time"),
    (Log::Edge, Field::Outcome, "outcome", "outcome"),
    (Log::Edge, Field::Reason, "reason", "reason"),
    (Log::Edge, Field::Status, "status", "status"),
    (Log::Edge, Field::Method, "method", "method"),
    (Log::Edge, Field::Path, "path", "path"),
    (Log::Edge, Field::Duration, "duration", "duration_ms"),
    (Log::Edge, Field::OwnTime, "own", "edge_us"),
    (Log::Edge, Field::Wait, "wait", "mesh_us"),
    (Log::Edge, Field::Login, "login", "login"),
    (Log::Haproxy, Field::Id, "id", "correlation_id"),
    (Log::Haproxy, Field::Time, "time", "time"),
    (Log::Haproxy, Field::Outcome, "outcome", "outcome"),
    (Log::Haproxy, Field::Reason, "reason", "reason"),
    (Log::Haproxy, Field::Status, "status", "status"),
    (Log::Haproxy, Field::Method, "method", "method"),
    (Log::Haproxy, Field::Path, "path", "path"),
    (Log::Haproxy, Field::Duration, "duration", "duration_ms"),
    (Log::Haproxy, Field::Request, "request", "request_ms"),
    (Log::Haproxy, Field::Queue, "queue", "queue_ms"),
    (Log::Haproxy, Field::Connect, "connect", "connect_ms"),
    (Log::Haproxy, Field::Wait, "wait", "upstream_ms"),
    (Log::Haproxy, Field::Retries, "retries", "retries"),
    (
        Log::Haproxy,
        Field::Termination,
        "termination",
        "termination",
    ),
    (Log::Mesh, Field::Id, "id", "correlation_id"),
    (Log::Mesh, Field::Time, "time", "time"),
    (Log::Mesh, Field::Outcome, "verdict", "verdict"),
    (Log::Mesh, Field::Reason, "details", "details"),
    (Log::Mesh, Field::Status, "status", "status"),
    (
        Log::Mesh,
        Field::UpstreamStatus,
        "upstream_status",
        "upstream_status",
    ),
    (Log::Mesh, Field::Method, "method", "method"),
    (Log::Mesh, Field::Path, "path", "path"),
    (Log::Mesh, Field::Duration, "duration", "duration_ms"),
    (
        Log::Mesh,
        Field::BeforeConnect,
        "before_connect",
        "before_connect_us",
    ),
    (
        Log::Mesh,
        Field::BeforeUpstream,
        "before_upstream",
        "before_upstream_us",
    ),
    (Log::Mesh, Field::Upstream, "upstream", "upstream_us"),
    (Log::Mesh, Field::Response, "response", "response_us"),
    (Log::Mesh, Field::Attempts, "attempts", "attempts"),
    (Log::App, Field::Id, "id", "correlation_id"),
    (Log::App, Field::Time, "time", "time"),
    (Log::App, Field::Outcome, "outcome", "outcome"),
    (Log::App, Field::Reason, "reason", "reason"),
    (Log::App, Field::Status, "status", "status"),
    (Log::App, Field::Method, "method", "method"),
    (Log::App, Field::Path, "path", "path"),
    (Log::App, Field::Duration, "duration", "duration_ms"),
];

/// What an access log of earlier versions called its time.
pub(super) const OLD_TIME: &str = "start_time";

/// Another name for a field of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Renamed {
    log: Log,
    field: Field,
    name: String,
}

impl Renamed {
    /// The time of the mesh's log, as earlier versions named it.
    pub(super) fn old_time() -> Self {
        Self {
            log: Log::Mesh,
            field: Field::Time,
            name: OLD_TIME.to_owned(),
        }
    }

    /// Parses `LOG.FIELD=NAME`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (place, name) = text.split_once('=').ok_or("write LOG.FIELD=NAME")?;
        let (log, word) = place.split_once('.').ok_or("write LOG.FIELD=NAME")?;
        let log = Log::parse(log)?;
        let of_log = NAMES.iter().filter(|(of, ..)| *of == log);
        let Some((_, field, ..)) = of_log.clone().find(|(_, _, known, _)| *known == word) else {
            let words: Vec<&str> = of_log.map(|(_, _, known, _)| *known).collect();
            let (log, words) = (log.name(), words.join(", "));
            return Err(format!("the fields of {log} are {words}"));
        };
        Ok(Self {
            log,
            field: *field,
            name: name.to_owned(),
        })
    }
}

/// The fields of one log that are read, with their names.
#[derive(Debug)]
pub(super) struct Fields(pub(super) Vec<Wanted>);

/// One field that is read.
#[derive(Debug)]
pub(super) struct Wanted {
    pub field: Field,
    pub name: String,
    /// For a name with dots: the part before the first one.
    pub root: Option<String>,
    unit: Unit,
}

/// The unit of a field with a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
}

impl Fields {
    /// The fields of a log, except for those that are not used. Of several new names for a field, the last counts.
    pub(super) fn of(log: Log, renamed: &[Renamed], is_used: impl Fn(Field) -> bool) -> Self {
        let of_log = NAMES.iter().filter(|(of, ..)| *of == log);
        let names = of_log.filter(|(_, field, ..)| is_used(*field));
        Self::new(names.map(|(_, field, _, default)| {
            let mut others = renamed.iter().rev();
            let other = others.find(|other| other.log == log && other.field == *field);
            (*field, other.map_or(*default, |other| &other.name))
        }))
    }

    /// The name of a field, if it is read.
    pub(super) fn name(&self, field: Field) -> Option<&str> {
        let mut fields = self.0.iter();
        let wanted = fields.find(|wanted| wanted.field == field)?;
        Some(&wanted.name)
    }

    pub(super) fn new<'a>(names: impl IntoIterator<Item = (Field, &'a str)>) -> Self {
        let wanted = names.into_iter().map(|(field, name)| Wanted {
            field,
            name: name.to_owned(),
            root: name.split_once('.').map(|(root, _)| root.to_owned()),
            unit: Unit::of(name),
        });
        Self(wanted.collect())
    }

    /// The unit of a field; milliseconds if the field is not read.
    pub(super) fn unit(&self, field: Field) -> Unit {
        let mut fields = self.0.iter();
        fields
            .find(|wanted| wanted.field == field)
            .map_or(Unit::Milliseconds, |wanted| wanted.unit)
    }
}

impl Unit {
    /// The unit that the end of a field's name tells; milliseconds, as Envoy's, if it tells none.
    fn of(name: &str) -> Self {
        match name.rsplit_once('_') {
            Some((_, "ns")) => Self::Nanoseconds,
            Some((_, "us")) => Self::Microseconds,
            Some((_, "s" | "seconds")) => Self::Seconds,
            _ => Self::Milliseconds,
        }
    }

    /// The unit in microseconds, rounded up.
    pub(super) const fn micros(self) -> u64 {
        match self {
            Self::Nanoseconds | Self::Microseconds => 1,
            Self::Milliseconds => 1000,
            Self::Seconds => 1_000_000,
        }
    }

    /// The unit in seconds.
    pub(super) const fn seconds(self) -> f64 {
        match self {
            Self::Nanoseconds => 1e-9,
            Self::Microseconds => 1e-6,
            Self::Milliseconds => 1e-3,
            Self::Seconds => 1.0,
        }
    }
}
