use clap::Parser;

use super::*;
use crate::cli::join::options::Options;
use crate::cli::join::outcome::Outcome;
use crate::cli::join::record::Record;

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

fn read(log: Log, line: &str) -> (Passed, Times) {
    let options = options();
    let fields = options.fields(log);
    let line = format!(r#"{{"correlation_id": "c", {line}}}"#);
    let record = Record::parse(line.as_bytes(), &fields).unwrap();
    let hop = options.hop(log, None);
    let (_, outcome) = Outcome::read(&hop, &record).unwrap().unwrap();
    let times = Times::read(log, &record, &fields, &outcome);
    (outcome.passed, times)
}

/// The known parts of a request, from its lines in the logs of these hops.
fn parts_of(lines: [&str; HOPS]) -> Vec<(&'static str, u64)> {
    let mut read_lines = Log::ALL.into_iter().zip(lines);
    let lines = std::array::from_fn(|_| {
        let (log, line) = read_lines.next()?;
        (!line.is_empty()).then(|| read(log, line))
    });
    let parts = Parts::of(&lines, Resolution::new(&options()));
    let known = parts
        .iter()
        .filter_map(|(part, time)| Some((part.name(), time?)));
    known.collect()
}

fn parts(edge: &str, mesh: &str) -> Vec<(&'static str, u64)> {
    parts_of([edge, "", mesh, ""])
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
    let connected = ANSWERED.replace("\"before_connect_us\": null", "\"before_connect_us\": 200");
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

const THROUGH_HAPROXY: &str = r#""outcome": "forwarded", "duration_ms": 13, "request_ms": 0, "queue_ms": 1,
    "connect_ms": 0, "upstream_ms": 10, "retries": 0"#;

#[test]
fn four_logs_tell_each_hop_and_what_is_between_them() {
    let app = r#""status": 200, "duration_ms": 8.25"#;
    let whole = [
        ("total", 12_300),
        ("edge", 300),
        ("network", 1000),
        ("haproxy", 1000),
        ("haproxy_network", 600),
        ("mesh", 9400),
        ("filter", 250),
        ("upstream", 9000),
        ("app_network", 750),
        ("app", 8250),
    ];
    assert_eq!(parts_of([FORWARDED, THROUGH_HAPROXY, ANSWERED, app]), whole);
}

#[test]
fn what_haproxy_did_not_reach_is_unknown() {
    let denied = r#""reason": "requests", "status": 429, "duration_ms": 2, "request_ms": 0, "queue_ms": -1,
        "connect_ms": -1, "upstream_ms": -1"#;
    let known = [("total", 12_300), ("edge", 300), ("haproxy", 2000)];
    assert_eq!(parts_of([FORWARDED, denied, "", ""]), known);
    // HAProxy's own time needs all of its four times.
    let short = THROUGH_HAPROXY.replace("\"queue_ms\": 1,", "");
    let parts = parts_of(["", &short, ANSWERED, ""]);
    assert!(
        !parts.iter().any(|(part, _)| *part == "haproxy"),
        "{parts:?}"
    );
    assert!(parts.contains(&("haproxy_network", 600)), "{parts:?}");
}
