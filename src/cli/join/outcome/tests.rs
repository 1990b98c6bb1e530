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
    let read = Outcome::read(&options.hop(log, Some(Log::Mesh)), &record)?;
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
    assert_eq!(forwarded.passed, Passed::On);
    assert_eq!(forwarded.place, Place::Between);
    let redirected = outcome(
        Log::Edge,
        r#""outcome": "redirected", "reason": "session_missing""#,
    );
    assert_eq!(redirected.passed, Passed::Not);
    assert_eq!(redirected.reason, "redirected/session_missing");
    let unknown = outcome(Log::Edge, r#""status": 403"#);
    assert_eq!(unknown.passed, Passed::Unknown);
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
    let arguments = ["--field", "mesh.id=labels.cid", "--field", "mesh.verdict=v"];
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

#[test]
fn haproxy_tells_by_outcome_reason_or_termination() {
    let haproxy = |fields: &str| {
        let outcome = outcome(Log::Haproxy, fields);
        (outcome.passed, outcome.place, outcome.reason)
    };
    let lost = "forwarded by haproxy, not in the mesh's log";
    let forwarded = (Passed::On, Place::Between, lost.into());
    assert_eq!(
        haproxy(r#""outcome": "forwarded", "termination": "SH--""#),
        forwarded
    );
    assert_eq!(
        haproxy(r#""reason": "", "termination": "----", "status": 200"#),
        forwarded
    );
    let own = |passed, reason: &str| (passed, Place::Haproxy, reason.into());
    for (fields, expected) in [
        (
            r#""outcome": "denied", "reason": "requests""#,
            own(Passed::Not, "denied/requests"),
        ),
        (
            r#""reason": "not_from_edge", "termination": "LR--""#,
            own(Passed::Not, "not_from_edge"),
        ),
        (
            r#""termination": "PR--", "status": 400"#,
            own(Passed::Not, "status 400"),
        ),
        (
            r#""termination": "SC", "status": 503"#,
            own(Passed::Not, "status 503"),
        ),
        (
            r#""termination": "CH--", "status": -1"#,
            own(Passed::Unknown, "unknown"),
        ),
        (r#""status": 200"#, own(Passed::Unknown, "status 200")),
    ] {
        assert_eq!(haproxy(fields), expected, "{fields}");
    }
}

#[test]
fn the_app_tells_by_its_reason_or_status() {
    let app = |fields: &str| {
        let outcome = outcome(Log::App, fields);
        assert_eq!(outcome.passed, Passed::Not);
        (outcome.place, outcome.reason)
    };
    assert_eq!(app(r#""status": 200"#), is(Place::Answered, "2xx"));
    assert_eq!(
        app(r#""status": 404, "reason": null"#),
        is(Place::Answered, "4xx")
    );
    assert_eq!(app(r#""status": 500"#), is(Place::Upstream, "status 500"));
    let denied = r#""status": 403, "outcome": "denied", "reason": "scope""#;
    assert_eq!(app(denied), is(Place::App, "denied/scope"));
}

#[test]
fn the_mesh_passed_on_what_its_upstream_answered() {
    for (fields, passed) in [
        (
            r#""verdict": "allow/a", "status": 200, "details": "via_upstream""#,
            Passed::On,
        ),
        (
            r#""verdict": "allow/a", "status": 500, "details": "via_upstream""#,
            Passed::On,
        ),
        (
            r#""status": 200, "details": "via_upstream""#,
            Passed::Unknown,
        ),
        (r#""verdict": "deny/role/a", "status": 403"#, Passed::Not),
        (
            r#""status": 400, "details": "http1.codec_error""#,
            Passed::Not,
        ),
        (
            r#""verdict": "allow/a", "status": 503, "details": "upstream_reset_before_response_started{x}""#,
            Passed::Unknown,
        ),
        (
            r#""verdict": "allow/a", "status": 0, "details": "downstream_remote_disconnect""#,
            Passed::Unknown,
        ),
        (
            r#""verdict": "allow/a", "status": 200, "details": "direct_response""#,
            Passed::Unknown,
        ),
    ] {
        assert_eq!(outcome(Log::Mesh, fields).passed, passed, "{fields}");
    }
}
