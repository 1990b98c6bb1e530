//! The fields of a log that the join reads, and the units of those that are durations.

/// What a field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    Time,
    /// The edge's outcome, or the filter's verdict.
    Outcome,
    /// The edge's reason, or Envoy's response code details.
    Reason,
    Status,
    UpstreamStatus,
    Method,
    Path,
    Duration,
    /// The edge's own time, without its wait for the mesh.
    OwnTime,
    /// The edge's wait for the mesh.
    Wait,
    BeforeConnect,
    BeforeUpstream,
    Upstream,
    Response,
    Attempts,
}

/// The number of different fields.
pub(super) const FIELDS: usize = 16;

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
