//! The outcome of a request according to one line: whether the hop passed it on, and where it ended.

use std::borrow::Cow;

use smol_str::{SmolStr, format_smolstr};

use super::fields::Field;
use super::record::{Broken, Record};

/// The maximum length of a correlation ID, in bytes. The filter's have at most 128.
const MAX_ID: usize = 256;

/// The hop that a log is of, in the order of a request's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Log {
    Edge,
    Haproxy,
    Mesh,
    App,
}

/// The number of hops.
pub(super) const HOPS: usize = 4;

/// What the outcome of a line depends on, beside the line.
#[derive(Debug)]
pub(super) struct Hop {
    pub log: Log,
    /// The outcome of a request that the edge or HAProxy forwarded.
    forwarded: String,
    /// The reason of a request that was forwarded, as long as no later hop is known to have it.
    lost: SmolStr,
}

/// Where a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// The upstream answered, with a status below 500.
    Answered,
    /// The edge answered.
    Edge,
    /// HAProxy answered.
    Haproxy,
    /// A hop forwarded it, but it is not in the next hop's log.
    Between,
    /// Envoy ended it before the filter decided.
    Envoy,
    /// The filter denied it.
    Filter,
    /// The application denied it.
    App,
    /// The filter allowed it, and the upstream failed or could not be reached.
    Upstream,
    /// The client disconnected.
    Client,
    /// It was answered without a verdict: it did not pass through the filter.
    Unfiltered,
}

/// The outcome of a request according to one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Outcome {
    pub passed: Passed,
    pub place: Place,
    pub reason: SmolStr,
    /// The reason for which it would have been denied without shadow mode.
    pub shadow: Option<SmolStr>,
    /// The line is a step of a login, after which the same ID comes again: the redirect to the login, or the
    /// return from it.
    pub step: bool,
}

/// Whether a hop passed a request on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Passed {
    /// It did: the next hop has a line of it.
    On,
    /// The hop answered the request itself.
    Not,
    /// The line does not say.
    Unknown,
}

impl Log {
    pub(super) const ALL: [Self; HOPS] = [Self::Edge, Self::Haproxy, Self::Mesh, Self::App];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Haproxy => "haproxy",
            Self::Mesh => "mesh",
            Self::App => "app",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        let known = all.find(|log| log.name() == name);
        known.ok_or_else(|| "the hops are edge, haproxy, mesh and app".to_owned())
    }

    /// Whether a line is about a whole request. An application logs other things, too.
    pub(super) fn is_request(self, record: &Record<'_>) -> bool {
        self != Self::App || record.status(Field::Status).is_some()
    }
}

impl Hop {
    pub(super) fn new(log: Log, next: Option<Log>, forwarded: &str) -> Self {
        let lost = match (log, next) {
            (_, None) => "forwarded".into(),
            (Log::Edge, Some(next)) => {
                format_smolstr!("forwarded, not in the {}'s log", next.name())
            }
            (_, Some(next)) => {
                format_smolstr!(
                    "forwarded by {}, not in the {}'s log",
                    log.name(),
                    next.name()
                )
            }
        };
        Self {
            log,
            forwarded: forwarded.to_owned(),
            lost,
        }
    }
}

impl Place {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Edge => "edge",
            Self::Haproxy => "haproxy",
            Self::Between => "between",
            Self::Envoy => "envoy",
            Self::Filter => "filter",
            Self::App => "app",
            Self::Upstream => "upstream",
            Self::Client => "client",
            Self::Unfiltered => "unfiltered",
        }
    }
}

impl Outcome {
    /// The correlation ID and the outcome of a line; `None` if it has no ID.
    pub(super) fn read<'a>(
        hop: &Hop,
        record: &'a Record<'_>,
    ) -> Result<Option<(Cow<'a, str>, Self)>, Broken> {
        let Some(id) = record.get(Field::Id) else {
            return Ok(None);
        };
        if id.len() > MAX_ID {
            return Err(Broken::IdTooLong);
        }
        let outcome = match hop.log {
            Log::Edge => Self::of_edge(hop, record),
            Log::Haproxy => Self::of_haproxy(hop, record),
            Log::Mesh => Self::of_mesh(record),
            Log::App => Self::of_app(record),
        };
        Ok(Some((id, outcome)))
    }

    fn new(passed: Passed, place: Place, reason: SmolStr) -> Self {
        Self {
            passed,
            place,
            reason,
            shadow: None,
            step: false,
        }
    }

    fn of_edge(hop: &Hop, record: &Record<'_>) -> Self {
        let passed = match record.get(Field::Outcome) {
            Some(outcome) if outcome == hop.forwarded => {
                return Self::new(Passed::On, Place::Between, hop.lost.clone());
            }
            Some(_) => Passed::Not,
            None => Passed::Unknown,
        };
        let login = record.get(Field::Login);
        Self {
            step: matches!(login.as_deref(), Some("start" | "callback")),
            ..Self::new(passed, Place::Edge, own_reason(record))
        }
    }

    /// HAProxy's outcome, or else what its termination state tells: `--` nothing went wrong, `P` and `L` it
    /// answered itself, `S` and `s` its server failed or was too slow, and others are not sure.
    fn of_haproxy(hop: &Hop, record: &Record<'_>) -> Self {
        let outcome = record.get(Field::Outcome);
        let forwarded = match outcome {
            Some(outcome) if outcome == hop.forwarded => Passed::On,
            Some(_) => Passed::Not,
            None if record.get(Field::Reason).is_some() => Passed::Not,
            None => match record
                .get(Field::Termination)
                .unwrap_or_default()
                .bytes()
                .next()
            {
                Some(b'-') => Passed::On,
                Some(b'P' | b'L' | b'S' | b's') => Passed::Not,
                _ => Passed::Unknown,
            },
        };
        match forwarded {
            Passed::On => Self::new(Passed::On, Place::Between, hop.lost.clone()),
            passed => Self::new(passed, Place::Haproxy, own_reason(record)),
        }
    }

    /// The app's reason of a request that it denied or could not do; else what its status tells.
    fn of_app(record: &Record<'_>) -> Self {
        if record.get(Field::Reason).is_some() {
            return Self::new(Passed::Not, Place::App, own_reason(record));
        }
        let (place, reason) = allowed(None, record.status(Field::Status), None);
        Self::new(Passed::Not, place, reason)
    }

    fn of_mesh(record: &Record<'_>) -> Self {
        let status = record.status(Field::Status);
        let details = record.get(Field::Reason);
        let details = details.as_deref();
        // `allow/<route>`, `deny/<reason>/<route>` or `shadow/<reason>/<route>`
        let verdict = record.get(Field::Outcome).unwrap_or_default();
        let mut verdict = verdict.splitn(3, '/');
        let (decision, reason) = (verdict.next().unwrap_or_default(), verdict.next());
        let reason = SmolStr::new(reason.unwrap_or("unknown"));
        let upstream = record.status(Field::UpstreamStatus).or_else(|| {
            status.filter(|_| details.is_some_and(|details| details.starts_with("via_upstream")))
        });
        let passed = |place| match place {
            Place::Filter | Place::Envoy => Passed::Not,
            // The status is the upstream's own.
            Place::Answered | Place::Upstream if upstream.is_some_and(|status| status > 0) => {
                Passed::On
            }
            _ => Passed::Unknown,
        };
        let mut shadow = None;
        let (place, reason) = match (decision, details.and_then(denied_by_details)) {
            ("deny", _) => (Place::Filter, reason),
            ("allow", _) => allowed(status, upstream, details),
            ("shadow", _) => {
                shadow = Some(reason);
                allowed(status, upstream, details)
            }
            (_, Some(reason)) => (Place::Filter, reason.into()),
            (_, None) => without_verdict(status, upstream, details),
        };
        Self {
            passed: passed(place),
            place,
            reason,
            shadow,
            step: false,
        }
    }
}

/// `outcome/reason`, one of them, or else the status.
fn own_reason(record: &Record<'_>) -> SmolStr {
    match (record.get(Field::Outcome), record.get(Field::Reason)) {
        (Some(outcome), Some(reason)) => format_smolstr!("{outcome}/{reason}"),
        (Some(text), None) | (None, Some(text)) => text.into(),
        (None, None) => {
            let status = record.status(Field::Status);
            status.map_or_else(
                || "unknown".into(),
                |status| format_smolstr!("status {status}"),
            )
        }
    }
}

/// The reason in `edge_claims_denied{<reason>}{<route>}`, for logs without the verdict.
fn denied_by_details(details: &str) -> Option<&str> {
    let (_, rest) = details.split_once("edge_claims_denied{")?;
    Some(rest.split_once('}')?.0)
}

/// The end of a request that the filter allowed.
fn allowed(status: Option<u16>, upstream: Option<u16>, details: Option<&str>) -> (Place, SmolStr) {
    match (upstream, status) {
        (Some(upstream @ 500..), _) => (Place::Upstream, format_smolstr!("status {upstream}")),
        (Some(upstream @ 1..), _) => (Place::Answered, status_class(upstream)),
        (_, Some(0)) => (
            Place::Client,
            without_arguments(details).unwrap_or("no answer").into(),
        ),
        (_, Some(status @ 400..)) => (
            Place::Upstream,
            without_arguments(details)
                .map_or_else(|| format_smolstr!("status {status}"), SmolStr::new),
        ),
        (_, Some(status)) => (Place::Answered, status_class(status)),
        (_, None) => (Place::Answered, "no status".into()),
    }
}

/// The end of a request without a verdict: either Envoy ended it before the filter, or it did not pass
/// through the filter.
fn without_verdict(
    status: Option<u16>,
    upstream: Option<u16>,
    details: Option<&str>,
) -> (Place, SmolStr) {
    match (upstream, status) {
        (None | Some(0), Some(status @ (0 | 400..))) => (
            Place::Envoy,
            without_arguments(details)
                .map_or_else(|| format_smolstr!("status {status}"), SmolStr::new),
        ),
        (Some(status @ 1..), _) | (_, Some(status)) => (Place::Unfiltered, status_class(status)),
        (_, None) => (Place::Unfiltered, "no status".into()),
    }
}

fn status_class(status: u16) -> SmolStr {
    format_smolstr!("{}xx", status / 100)
}

/// Response code details without their arguments: `a` of `a{b}`.
fn without_arguments(details: Option<&str>) -> Option<&str> {
    details?
        .split('{')
        .next()
        .filter(|details| !details.is_empty())
}

#[cfg(test)]
mod tests;
