//! What a line says about a request: whether it went on, and where it ended.

use super::fields::{Broken, Field, Record};
use super::options::Options;

/// The longest correlation ID that is joined, in bytes. Ours have at most 128.
const MAX_ID: usize = 256;

/// Which log a line is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Side {
    Edge,
    Mesh,
}

/// Where a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// The upstream answered, with a status below 500.
    Answered,
    /// The edge answered itself.
    Edge,
    /// The edge sent it on, and the mesh has no line of it.
    Between,
    /// Envoy, before the filter gave a verdict.
    Envoy,
    /// The filter denied it.
    Filter,
    /// The filter let it pass, and the upstream failed, or could not be reached.
    Upstream,
    /// The filter let it pass, and the client went away.
    Client,
    /// It passed without any verdict: the filter was not on its way.
    Unfiltered,
}

/// What a line says about the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// The correlation ID.
    pub id: String,
    /// Whether the request went on behind this line's writer.
    pub passage: Passage,
    /// Where it ended, as far as this line knows.
    pub place: Place,
    /// How.
    pub reason: String,
    /// The deny reason of shadow mode, which let it pass.
    pub shadow: Option<String>,
}

/// Whether a request went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// The edge sent it to the mesh; every line of the mesh has this too.
    Forwarded,
    /// It ended at the edge.
    Ended,
    /// The edge's log does not say.
    Unknown,
}

/// Makes events of lines.
pub(super) struct Reader {
    edge: EdgeFields,
    mesh: MeshFields,
    forwarded: String,
}

struct EdgeFields {
    id: Field,
    outcome: Field,
    reason: Field,
    status: Field,
}

struct MeshFields {
    id: Field,
    verdict: Field,
    details: Field,
    status: Field,
    upstream_status: Field,
}

impl Side {
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

impl Reader {
    pub(super) fn new(options: &Options) -> Self {
        let (edge, mesh) = (&options.edge_fields, &options.mesh_fields);
        Self {
            edge: EdgeFields {
                id: Field::new(&edge.edge_id),
                outcome: Field::new(&edge.edge_outcome),
                reason: Field::new(&edge.edge_reason),
                status: Field::new(&edge.edge_status),
            },
            mesh: MeshFields {
                id: Field::new(&mesh.mesh_id),
                verdict: Field::new(&mesh.mesh_verdict),
                details: Field::new(&mesh.mesh_details),
                status: Field::new(&mesh.mesh_status),
                upstream_status: Field::new(&mesh.mesh_upstream_status),
            },
            forwarded: edge.edge_forwarded.clone(),
        }
    }

    /// What a line says; `None` where it has no correlation ID.
    pub(super) fn read(&self, side: Side, record: Record<'_>) -> Result<Option<Event>, Broken> {
        let field = match side {
            Side::Edge => &self.edge.id,
            Side::Mesh => &self.mesh.id,
        };
        let Some(id) = record.get(field) else {
            return Ok(None);
        };
        if id.len() > MAX_ID {
            return Err(Broken::IdTooLong);
        }
        let id = id.into_owned();
        Ok(Some(match side {
            Side::Edge => self.edge(id, &record),
            Side::Mesh => self.mesh(id, &record),
        }))
    }

    fn edge(&self, id: String, record: &Record<'_>) -> Event {
        let outcome = record.get(&self.edge.outcome);
        let passage = match &outcome {
            Some(outcome) if *outcome == self.forwarded => Passage::Forwarded,
            Some(_) => Passage::Ended,
            None => Passage::Unknown,
        };
        let why = record.get(&self.edge.reason);
        let reason = match (outcome, why) {
            _ if passage == Passage::Forwarded => "forwarded, not in the mesh's log".to_owned(),
            (Some(outcome), Some(why)) => format!("{outcome}/{why}"),
            (Some(text), None) | (None, Some(text)) => text.into_owned(),
            (None, None) => record
                .status(&self.edge.status)
                .map_or_else(|| "unknown".to_owned(), |status| format!("status {status}")),
        };
        let place = match passage {
            Passage::Forwarded => Place::Between,
            Passage::Ended | Passage::Unknown => Place::Edge,
        };
        Event {
            id,
            passage,
            place,
            reason,
            shadow: None,
        }
    }

    fn mesh(&self, id: String, record: &Record<'_>) -> Event {
        let status = record.status(&self.mesh.status);
        let details = record.get(&self.mesh.details);
        let details = details.as_deref();
        let verdict = record.get(&self.mesh.verdict);
        let mut verdict = verdict.as_deref().unwrap_or_default().splitn(3, '/');
        let (word, why) = (verdict.next().unwrap_or_default(), verdict.next());
        let denied = details.and_then(denied_by_details);
        let upstream = record.status(&self.mesh.upstream_status).or_else(|| {
            status.filter(|_| details.is_some_and(|details| details.starts_with("via_upstream")))
        });
        let (place, reason) = match (word, denied) {
            ("deny", _) => (Place::Filter, why.unwrap_or("unknown").to_owned()),
            ("allow" | "shadow", _) => passed(status, upstream, details),
            (_, Some(reason)) => (Place::Filter, reason.to_owned()),
            _ => unjudged(status, upstream, details),
        };
        Event {
            id,
            passage: Passage::Forwarded,
            place,
            reason,
            shadow: (word == "shadow").then(|| why.unwrap_or("unknown").to_owned()),
        }
    }
}

/// The reason in `edge_claims_denied{<reason>}{<route>}`, for logs without the verdict.
fn denied_by_details(details: &str) -> Option<&str> {
    let (_, rest) = details.split_once("edge_claims_denied{")?;
    Some(rest.split_once('}')?.0)
}

fn passed(status: Option<u16>, upstream: Option<u16>, details: Option<&str>) -> (Place, String) {
    match (upstream, status) {
        (Some(upstream @ 500..), _) => (Place::Upstream, format!("status {upstream}")),
        (Some(upstream @ 1..), _) => (Place::Answered, class(upstream)),
        (_, Some(0)) => (
            Place::Client,
            base(details).unwrap_or("no answer").to_owned(),
        ),
        (_, Some(status @ 400..)) => (
            Place::Upstream,
            base(details).map_or_else(|| format!("status {status}"), str::to_owned),
        ),
        (_, Some(status)) => (Place::Answered, class(status)),
        (_, None) => (Place::Answered, "no status".to_owned()),
    }
}

/// A line without a verdict: either Envoy refused the request before the filter saw it, or the filter is
/// not where it should be.
fn unjudged(status: Option<u16>, upstream: Option<u16>, details: Option<&str>) -> (Place, String) {
    match (upstream, status) {
        (None | Some(0), Some(status @ (0 | 400..))) => (
            Place::Envoy,
            base(details).map_or_else(|| format!("status {status}"), str::to_owned),
        ),
        (Some(status @ 1..), _) | (_, Some(status)) => (Place::Unfiltered, class(status)),
        (_, None) => (Place::Unfiltered, "no status".to_owned()),
    }
}

fn class(status: u16) -> String {
    format!("{}xx", status / 100)
}

/// Response code details without what differs from request to request: `a{b}` is `a`.
fn base(details: Option<&str>) -> Option<&str> {
    details?.split('{').next().filter(|base| !base.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn event(side: Side, line: &str) -> Option<Event> {
        event_with(side, line, &[])
    }

    fn event_with(side: Side, line: &str, arguments: &[&str]) -> Option<Event> {
        let all = ["x", "edge", "mesh"].iter().chain(arguments);
        let reader = Reader::new(&Line::try_parse_from(all).unwrap().options);
        let record = Record::parse(line.as_bytes()).unwrap();
        reader.read(side, record).unwrap()
    }

    fn end(side: Side, line: &str) -> (Place, String) {
        let event = event(side, line).unwrap();
        (event.place, event.reason)
    }

    fn mesh(rest: &str) -> (Place, String) {
        end(Side::Mesh, &format!(r#"{{"correlation_id": "c", {rest}}}"#))
    }

    fn is(place: Place, reason: &str) -> (Place, String) {
        (place, reason.to_owned())
    }

    #[test]
    fn the_edge_says_whether_a_request_went_on() {
        let line = |rest: &str| format!(r#"{{"correlation_id": "c", {rest}}}"#);
        let forwarded = event(Side::Edge, &line(r#""outcome": "forwarded""#)).unwrap();
        assert_eq!(forwarded.passage, Passage::Forwarded);
        assert_eq!(forwarded.place, Place::Between);
        let redirected = event(
            Side::Edge,
            &line(r#""outcome": "redirected", "reason": "session_missing""#),
        )
        .unwrap();
        assert_eq!(redirected.passage, Passage::Ended);
        assert_eq!(redirected.reason, "redirected/session_missing");
        let unknown = event(Side::Edge, &line(r#""status": 403"#)).unwrap();
        assert_eq!(unknown.passage, Passage::Unknown);
        assert_eq!(unknown.reason, "status 403");
    }

    #[test]
    fn a_deny_is_the_filters_with_its_reason() {
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
    fn what_passed_ended_upstream_or_was_answered() {
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
    fn shadow_passes_and_keeps_its_reason() {
        let line = r#"{"correlation_id": "c", "verdict": "shadow/role/orders", "status": 200, "details": "via_upstream"}"#;
        let event = event(Side::Mesh, line).unwrap();
        assert_eq!(event.place, Place::Answered);
        assert_eq!(event.shadow.as_deref(), Some("role"));
    }

    #[test]
    fn no_verdict_is_envoys_own_or_a_hole() {
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
    fn fields_have_other_names_by_option() {
        let event = event_with(
            Side::Mesh,
            r#"{"labels": {"cid": "c"}, "v": "deny/peer/x"}"#,
            &["--mesh-id", "labels.cid", "--mesh-verdict", "v"],
        )
        .unwrap();
        assert_eq!((event.id.as_str(), event.reason.as_str()), ("c", "peer"));
    }

    #[test]
    fn lines_without_an_id_say_nothing_and_long_ids_are_broken() {
        assert_eq!(event(Side::Edge, r#"{"correlation_id": "-"}"#), None);
        assert_eq!(event(Side::Mesh, "{}"), None);
        let long = format!(r#"{{"correlation_id": "{}"}}"#, "a".repeat(MAX_ID + 1));
        let reader = Reader::new(&Line::try_parse_from(["x", "e", "m"]).unwrap().options);
        let record = Record::parse(long.as_bytes()).unwrap();
        assert_eq!(reader.read(Side::Edge, record), Err(Broken::IdTooLong));
    }
}
