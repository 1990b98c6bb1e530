//! The outcome of a request according to one line: whether the edge forwarded it, and where it ended.

use std::borrow::Cow;

use smol_str::{SmolStr, format_smolstr};

use super::fields::Field;
use super::record::{Broken, Record};

/// The maximum length of a correlation ID, in bytes. The filter's have at most 128.
const MAX_ID: usize = 256;

/// Which log a line is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Log {
    Edge,
    Mesh,
}

/// Where a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// The upstream answered, with a status below 500.
    Answered,
    /// The edge answered.
    Edge,
    /// The edge forwarded it, but it is not in the mesh's log.
    Between,
    /// Envoy ended it before the filter decided.
    Envoy,
    /// The filter denied it.
    Filter,
    /// The filter allowed it, and the upstream failed or could not be reached.
    Upstream,
    /// The filter allowed it, and the client disconnected.
    Client,
    /// It was answered without a verdict: it did not pass through the filter.
    Unfiltered,
}

/// The outcome of a request according to one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Outcome {
    pub source: Source,
    pub place: Place,
    pub reason: SmolStr,
    /// The reason for which it would have been denied without shadow mode.
    pub shadow: Option<SmolStr>,
}

/// The log of a line, and whether the edge forwarded the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// The edge forwarded the request to the mesh.
    EdgeForwarded,
    /// The edge did not forward it.
    EdgeEnded,
    /// The edge's line does not say whether it forwarded the request.
    EdgeUnknown,
    Mesh,
}

impl Log {
    pub(super) const BOTH: [Self; 2] = [Self::Edge, Self::Mesh];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Mesh => "mesh",
        }
    }
}

impl Place {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Edge => "edge",
            Self::Between => "between",
            Self::Envoy => "envoy",
            Self::Filter => "filter",
            Self::Upstream => "upstream",
            Self::Client => "client",
            Self::Unfiltered => "unfiltered",
        }
    }
}

impl Outcome {
    /// The correlation ID and the outcome of a line; `None` if it has no ID. `forwarded` is the edge's outcome
    /// of a request that it forwarded.
    pub(super) fn read<'a>(
        log: Log,
        record: &'a Record<'_>,
        forwarded: &str,
    ) -> Result<Option<(Cow<'a, str>, Self)>, Broken> {
        let Some(id) = record.get(Field::Id) else {
            return Ok(None);
        };
        if id.len() > MAX_ID {
            return Err(Broken::IdTooLong);
        }
        let outcome = match log {
            Log::Edge => Self::of_edge(record, forwarded),
            Log::Mesh => Self::of_mesh(record),
        };
        Ok(Some((id, outcome)))
    }

    fn of_edge(record: &Record<'_>, forwarded: &str) -> Self {
        let (outcome, reason) = (record.get(Field::Outcome), record.get(Field::Reason));
        let source = match &outcome {
            Some(outcome) if outcome == forwarded => {
                return Self {
                    source: Source::EdgeForwarded,
                    place: Place::Between,
                    reason: "forwarded, not in the mesh's log".into(),
                    shadow: None,
                };
            }
            Some(_) => Source::EdgeEnded,
            None => Source::EdgeUnknown,
        };
        let reason = match (outcome, reason) {
            (Some(outcome), Some(reason)) => format_smolstr!("{outcome}/{reason}"),
            (Some(text), None) | (None, Some(text)) => text.into(),
            (None, None) => record.status(Field::Status).map_or_else(
                || "unknown".into(),
                |status| format_smolstr!("status {status}"),
            ),
        };
        Self {
            source,
            place: Place::Edge,
            reason,
            shadow: None,
        }
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
            source: Source::Mesh,
            place,
            reason,
            shadow,
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
mod tests {
    use clap::Parser;

    use super::super::options::Options;
    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: Options,
    }

    fn read(log: Log, line: &str, arguments: &[&str]) -> Result<Option<(String, Outcome)>, Broken> {
        let arguments = ["x", "edge", "mesh"].iter().chain(arguments);
        let options = CommandLine::try_parse_from(arguments).unwrap().options;
        let record = Record::parse(line.as_bytes(), &options.fields(log)).unwrap();
        let read = Outcome::read(log, &record, &options.edge_fields.edge_forwarded)?;
        Ok(read.map(|(id, outcome)| (id.into_owned(), outcome)))
    }

    fn outcome(log: Log, fields: &str) -> Outcome {
        let line = format!(r#"{{"correlation_id": "c", {fields}}}"#);
        read(log, &line, &[]).unwrap().unwrap().1
    }

    fn mesh(fields: &str) -> (Place, SmolStr) {
        let outcome = outcome(Log::Mesh, fields);
        (outcome.place, outcome.reason)
    }

    fn is(place: Place, reason: &str) -> (Place, SmolStr) {
        (place, reason.into())
    }

    #[test]
    fn the_edges_outcome_says_whether_it_forwarded_the_request() {
        let forwarded = outcome(Log::Edge, r#""outcome": "forwarded""#);
        assert_eq!(forwarded.source, Source::EdgeForwarded);
        assert_eq!(forwarded.place, Place::Between);
        let redirected = outcome(
            Log::Edge,
            r#""outcome": "redirected", "reason": "session_missing""#,
        );
        assert_eq!(redirected.source, Source::EdgeEnded);
        assert_eq!(redirected.reason, "redirected/session_missing");
        let unknown = outcome(Log::Edge, r#""status": 403"#);
        assert_eq!(unknown.source, Source::EdgeUnknown);
        assert_eq!(unknown.reason, "status 403");
    }

    #[test]
    fn a_denied_request_ends_at_the_filter_with_its_reason() {
        assert_eq!(
            mesh(r#""verdict": "deny/role/orders-write", "status": 403"#),
            is(Place::Filter, "role")
        );
        assert_eq!(
            mesh(r#""verdict": "deny/route_unknown/-""#),
            is(Place::Filter, "route_unknown")
        );
        assert_eq!(
            mesh(r#""details": "edge_claims_denied{expired}{orders}", "status": 401"#),
            is(Place::Filter, "expired")
        );
    }

    #[test]
    fn an_allowed_request_is_answered_or_fails_upstream() {
        let allow = |rest: &str| mesh(&format!(r#""verdict": "allow/orders", {rest}"#));
        let answered = is(Place::Answered, "2xx");
        assert_eq!(
            allow(r#""status": 200, "details": "via_upstream""#),
            answered
        );
        assert_eq!(
            allow(r#""status": "200", "upstream_status": "204""#),
            answered
        );
        assert_eq!(
            allow(r#""status": 404, "details": "via_upstream""#),
            is(Place::Answered, "4xx")
        );
        assert_eq!(
            allow(r#""status": 503, "details": "via_upstream""#),
            is(Place::Upstream, "status 503")
        );
        assert_eq!(
            allow(
                r#""status": 503, "details": "upstream_reset_before_response_started{connection_termination}""#
            ),
            is(Place::Upstream, "upstream_reset_before_response_started")
        );
        assert_eq!(
            allow(r#""status": 0, "details": "downstream_remote_disconnect""#),
            is(Place::Client, "downstream_remote_disconnect")
        );
    }

    #[test]
    fn a_request_of_shadow_mode_ends_upstream_and_keeps_its_reason() {
        let shadow = outcome(
            Log::Mesh,
            r#""verdict": "shadow/role/orders", "status": 200, "details": "via_upstream""#,
        );
        assert_eq!(shadow.place, Place::Answered);
        assert_eq!(shadow.shadow.as_deref(), Some("role"));
    }

    #[test]
    fn a_request_without_verdict_ended_in_envoy_or_was_unfiltered() {
        assert_eq!(
            mesh(r#""status": 400, "details": "http1.codec_error""#),
            is(Place::Envoy, "http1.codec_error")
        );
        assert_eq!(
            mesh(r#""status": 200, "details": "via_upstream""#),
            is(Place::Unfiltered, "2xx")
        );
        assert_eq!(
            mesh(r#""status": 500, "details": "via_upstream""#),
            is(Place::Unfiltered, "5xx")
        );
    }

    #[test]
    fn options_name_the_fields() {
        let line = r#"{"labels": {"cid": "c"}, "v": "deny/peer/x"}"#;
        let arguments = ["--mesh-id", "labels.cid", "--mesh-verdict", "v"];
        let (id, outcome) = read(Log::Mesh, line, &arguments).unwrap().unwrap();
        assert_eq!((id.as_str(), outcome.reason.as_str()), ("c", "peer"));
    }

    #[test]
    fn a_line_without_an_id_has_no_outcome() {
        assert_eq!(read(Log::Edge, r#"{"correlation_id": "-"}"#, &[]), Ok(None));
        assert_eq!(read(Log::Mesh, "{}", &[]), Ok(None));
    }

    #[test]
    fn a_line_with_a_long_id_is_broken() {
        let line = format!(r#"{{"correlation_id": "{}"}}"#, "a".repeat(MAX_ID + 1));
        assert_eq!(read(Log::Edge, &line, &[]), Err(Broken::IdTooLong));
    }
}
