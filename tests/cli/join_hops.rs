//! `edge-claims join` with the logs of more than two hops, and with logs of earlier versions.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::COMMAND;

/// A folder with logs, and the options that name them.
struct Logs {
    folder: TempDir,
    options: Vec<String>,
}

impl Logs {
    /// Each log with its hop and its lines.
    fn new(logs: &[(&str, &[&str])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Vec::new();
        for (number, (hop, lines)) in logs.iter().enumerate() {
            let path = folder.path().join(format!("{number}.log"));
            std::fs::write(&path, lines.join("\n")).unwrap();
            options.extend(["--log".to_owned(), format!("{hop}={}", path.display())]);
        }
        Self { folder, options }
    }

    fn path(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("{number}.log"))
    }

    fn join(&self, arguments: &[&str]) -> Output {
        run(Command::new(COMMAND)
            .arg("join")
            .args(&self.options)
            .args(arguments))
    }
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn text(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn lines(output: &Output) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    text(output).lines().map(parse).collect()
}

/// One request through all hops, one that HAProxy denied, one that the app denied, one that Envoy tried twice, one
/// that the app never logged, one that came to HAProxy directly, and a redirect.
const EDGE: [&str; 6] = [
    r#"{"time":"2026-11-21T08:00:00.000Z","correlation_id":"all-1","outcome":"forwarded","status":200,"method":"GET","path":"/orders","duration_ms":12,"edge_us":300,"mesh_us":12000}"#,
    r#"{"time":"2026-11-21T08:00:01.000Z","correlation_id":"limited-1","outcome":"forwarded","status":429}"#,
    r#"{"time":"2026-11-21T08:00:02.000Z","correlation_id":"scope-1","outcome":"forwarded","status":403}"#,
    r#"{"time":"2026-11-21T08:00:03.000Z","correlation_id":"retried-1","outcome":"forwarded","status":200}"#,
    r#"{"time":"2026-11-21T08:00:04.000Z","correlation_id":"unlogged-1","outcome":"forwarded","status":200}"#,
    r#"{"time":"2026-11-21T08:00:05.000Z","correlation_id":"login-1","outcome":"redirected","reason":"session_missing","status":302}"#,
];
const HAPROXY: [&str; 6] = [
    r#"<134>Nov 21 08:00:00 haproxy[7]: {"time":"2026-11-21T08:00:00.001Z","correlation_id":"all-1","status":200,"method":"GET","path":"/orders","reason":"","termination":"----","duration_ms":11,"request_ms":0,"queue_ms":1,"connect_ms":0,"upstream_ms":10,"retries":0}"#,
    r#"{"time":"2026-11-21T08:00:01.001Z","correlation_id":"limited-1","status":429,"reason":"requests","termination":"LR--","duration_ms":0,"request_ms":0,"queue_ms":-1,"connect_ms":-1,"upstream_ms":-1}"#,
    r#"{"time":"2026-11-21T08:00:02.001Z","correlation_id":"scope-1","status":403,"termination":"----"}"#,
    r#"{"time":"2026-11-21T08:00:03.001Z","correlation_id":"retried-1","status":200,"termination":"----"}"#,
    r#"{"time":"2026-11-21T08:00:04.001Z","correlation_id":"unlogged-1","status":200,"termination":"----"}"#,
    r#"{"time":"2026-11-21T08:00:06.001Z","correlation_id":"direct-1","status":401,"termination":"----"}"#,
];
const MESH: [&str; 5] = [
    r#"{"time":"2026-11-21T08:00:00.002Z","correlation_id":"all-1","verdict":"allow/orders","status":200,"details":"via_upstream","method":"GET","path":"/orders","before_connect_us":null,"before_upstream_us":250,"upstream_us":9000,"response_us":9400,"attempts":1}"#,
    r#"{"time":"2026-11-21T08:00:02.002Z","correlation_id":"scope-1","verdict":"allow/orders","status":403,"details":"via_upstream","attempts":1}"#,
    r#"{"time":"2026-11-21T08:00:03.002Z","correlation_id":"retried-1","verdict":"allow/orders","status":200,"details":"via_upstream","attempts":2}"#,
    r#"{"time":"2026-11-21T08:00:04.002Z","correlation_id":"unlogged-1","verdict":"allow/orders","status":200,"details":"via_upstream","attempts":1}"#,
    r#"{"time":"2026-11-21T08:00:06.002Z","correlation_id":"direct-1","verdict":"deny/claims_missing/orders","status":401,"details":"edge_claims_denied{claims_missing}{orders}"}"#,
];
const APP: [&str; 6] = [
    r#"{"time":"2026-11-21T08:00:00.000Z","event":"started","level":"info"}"#,
    r#"{"time":"2026-11-21T08:00:00.003Z","event":"order_read","correlation_id":"all-1","order":7}"#,
    r#"{"time":"2026-11-21T08:00:00.004Z","event":"request","correlation_id":"all-1","status":200,"method":"GET","path":"/orders","duration_ms":8.25}"#,
    r#"{"time":"2026-11-21T08:00:02.003Z","event":"request","correlation_id":"scope-1","status":403,"outcome":"denied","reason":"scope"}"#,
    r#"{"time":"2026-11-21T08:00:03.003Z","event":"request","correlation_id":"retried-1","status":503}"#,
    r#"{"time":"2026-11-21T08:00:03.004Z","event":"request","correlation_id":"retried-1","status":200}"#,
];

fn chain() -> Logs {
    // In any order, and the mesh's lines in two files.
    Logs::new(&[
        ("app", &APP),
        ("mesh", &MESH[..2]),
        ("edge", &EDGE),
        ("mesh", &MESH[2..]),
        ("haproxy", &HAPROXY),
    ])
}

#[test]
fn every_line_of_all_hops_is_accounted_for() {
    let logs = chain();
    let found = lines(&logs.join(&["--format", "jsonl"]));
    let of_kind = |kind: &str| {
        let of_kind = found.iter().filter(|line| line["kind"] == kind);
        of_kind.cloned().collect::<Vec<_>>()
    };
    let inputs: Vec<_> = of_kind("input")
        .iter()
        .map(|it| {
            json!([
                it["log"],
                it["lines"],
                it["with_id"],
                it["other"],
                it["broken"]
            ])
        })
        .collect();
    assert_eq!(
        inputs,
        [
            json!(["edge", 6, 6, 0, 0]),
            json!(["haproxy", 6, 6, 0, 0]),
            json!(["mesh", 2, 2, 0, 0]),
            json!(["mesh", 3, 3, 0, 0]),
            json!(["app", 6, 4, 2, 0]),
        ]
    );
    assert_eq!(
        of_kind("requests"),
        [
            json!({"kind": "requests", "total": 7, "joined": 4, "edge": 1, "lost": 1, "mesh_only": 1, "repeated": 0,
            "adds_up": false})
        ]
    );
    let missing: Vec<_> = of_kind("missing")
        .iter()
        .map(|it| json!([it["log"], it["requests"]]))
        .collect();
    let expected = [("edge", 1), ("haproxy", 0), ("mesh", 0), ("app", 1)];
    assert_eq!(
        missing,
        expected.map(|(log, requests)| json!([log, requests]))
    );
    let ends: Vec<_> = of_kind("end")
        .iter()
        .map(|it| json!([it["place"], it["reason"], it["requests"]]))
        .collect();
    assert_eq!(
        ends,
        [
            json!(["answered", "2xx", 3]),
            json!(["edge", "redirected/session_missing", 1]),
            json!(["haproxy", "requests", 1]),
            json!(["filter", "claims_missing", 1]),
            json!(["app", "denied/scope", 1]),
        ]
    );
    let time = |part: &str| {
        let times = of_kind("time");
        let found = times.iter().find(|it| it["part"] == part).cloned();
        found.map(|it| it["max_us"].as_u64())
    };
    for (part, micros) in [
        ("edge", 300),
        ("network", 1000),
        ("haproxy", 1000),
        ("haproxy_network", 600),
        ("mesh", 9400),
        ("app_network", 750),
        ("app", 8250),
    ] {
        assert_eq!(time(part), Some(Some(micros)), "{part}");
    }
}

#[test]
fn the_table_names_the_hop_that_lacks_a_request() {
    let logs = chain();
    let shown = text(&logs.join(&[]));
    for line in [
        "app:     ",
        "6 lines, 4 with an ID, 0 without, 2 of other things, 0 broken",
        "  in the log of each hop reached                4",
        "  a hop behind the first lacks it               1",
        "  not in the app's log                          1",
        "  the edge lacks it                             1",
        "haproxy    requests",
        "haproxy to mesh",
        "    mesh to app",
    ] {
        assert!(shown.contains(line), "{line}\nis not in\n{shown}");
    }
    let shown = text(&logs.join(&["--list", "lost"]));
    assert!(
        shown.ends_with("answered: 2xx, not in the log of app\n"),
        "{shown}"
    );
    let list = |kind| lines(&logs.join(&["--list", kind, "--format", "jsonl"]));
    let lost = list("lost");
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0]["correlation_id"], "unlogged-1");
    assert_eq!(lost[0]["missing"], json!(["app"]));
    let direct = list("mesh-only");
    assert_eq!(direct[0]["correlation_id"], "direct-1");
    assert_eq!(direct[0]["missing"], json!(["edge"]));
}

#[test]
fn the_page_shows_this_summary() {
    let logs = Logs::new(&[
        ("edge", &EDGE),
        ("haproxy", &HAPROXY),
        ("mesh", &MESH),
        ("app", &APP),
    ]);
    let mut shown = text(&logs.join(&[]));
    for (number, name) in ["edge.log", "haproxy.log", "mesh.log", "app.log"]
        .iter()
        .enumerate()
    {
        shown = shown.replace(&logs.path(number).display().to_string(), name);
    }
    let (shown, _) = shown.split_once("\n\n       histogram").unwrap();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/command/join.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(shown), "{shown}");
}

#[test]
fn a_timeline_has_the_lines_of_all_hops() {
    let logs = chain();
    let shown = text(&logs.join(&["--id", "all-1"]));
    let places: Vec<usize> = [
        "edge    200",
        "haproxy 200",
        "mesh    200",
        "app     ",
        "app     200",
    ]
    .iter()
    .map(|line| {
        shown
            .find(line)
            .unwrap_or_else(|| panic!("{line}\nis not in\n{shown}"))
    })
    .collect();
    assert!(places.is_sorted(), "{shown}");
    assert!(
        shown.contains(&format!("line 1 of {}", logs.path(1).display())),
        "{shown}"
    );
    for line in [
        "    haproxy              1.00 ms\n",
        "    haproxy to mesh       600 µs\n",
        "        mesh to app       750 µs\n",
        "        app              8.25 ms\n",
    ] {
        assert!(shown.contains(line), "{line}\nis not in\n{shown}");
    }
    let found = lines(&logs.join(&["--id", "all-1", "--format", "jsonl"]));
    let places: Vec<_> = found
        .iter()
        .map(|it| json!([it["log"], it["line"]]))
        .collect();
    let expected = [
        ("edge", 1),
        ("haproxy", 1),
        ("mesh", 1),
        ("app", 2),
        ("app", 3),
    ];
    let mut expected: Vec<_> = expected.map(|(log, line)| json!([log, line])).into();
    expected.push(json!([null, null]));
    assert_eq!(places, expected);
    assert_eq!(found[5]["app_us"], 8250);
}

#[test]
fn strict_needs_every_hop() {
    assert_eq!(chain().join(&["--strict"]).status.code(), Some(1));
    let good = Logs::new(&[
        ("edge", &[EDGE[0], EDGE[1], EDGE[2], EDGE[3], EDGE[5]]),
        ("haproxy", &HAPROXY[..4]),
        ("mesh", &MESH[..3]),
        ("app", &APP),
    ]);
    let output = good.join(&["--strict"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    // The app has one line more than Envoy tried.
    let twice = Logs::new(&[("mesh", &MESH[..1]), ("app", &[APP[2], APP[2]])]);
    assert_eq!(twice.join(&["--strict"]).status.code(), Some(1));
    let without_edge = Logs::new(&[("mesh", &MESH[..1]), ("app", &[APP[2]])]);
    assert_eq!(without_edge.join(&["--strict"]).status.code(), Some(0));
}

#[test]
fn wrong_logs_are_wrong_usage() {
    for (arguments, message) in [
        (&["--log", "mesh=a"][..], "the logs of two hops at least"),
        (
            &["--log", "mesh=a", "--log", "mesh=b"],
            "the logs of two hops at least",
        ),
        (
            &["--log", "edge=-", "--log", "mesh=-"],
            "only one of the logs can be `-`",
        ),
        (
            &["--log", "proxy=a"],
            "the hops are edge, haproxy, mesh and app",
        ),
        (&["--log", "a.log"], "write HOP=FILE"),
        (&["--log", "edge="], "write HOP=FILE"),
        (&["a", "b", "--log", "app=c"], "cannot be used with"),
        (&["a"], "required arguments"),
        (
            &["a", "b", "--field", "mesh.outcome=x"],
            "the fields of mesh are id, time, verdict, details",
        ),
        (&["a", "b", "--field", "verdict=x"], "write LOG.FIELD=NAME"),
    ] {
        let output = run(Command::new(COMMAND).arg("join").args(arguments));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
}

#[test]
fn a_log_of_an_earlier_version_is_told_with_the_option_that_reads_it() {
    let old = MESH.map(|line| line.replace("\"time\"", "\"start_time\""));
    let old: Vec<&str> = old.iter().map(String::as_str).collect();
    let logs = Logs::new(&[("edge", &EDGE), ("mesh", &old)]);
    for arguments in [&["--id", "all-1"][..], &[]] {
        let output = logs.join(arguments);
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8_lossy(&output.stderr);
        let says = "line 1 has no `time`, but `start_time`, as access logs of earlier versions; add --fields old";
        assert!(error.contains(says), "{error}");
        assert!(output.stdout.is_empty());
    }
    let shown = text(&logs.join(&["--id", "all-1", "--fields", "old"]));
    assert!(
        shown.contains("  2026-11-21T08:00:00.002Z     +2 ms  mesh 200"),
        "{shown}"
    );
    let shown = text(&logs.join(&["--id", "all-1", "--field", "mesh.time=start_time"]));
    assert!(shown.contains("+2 ms"), "{shown}");
}

/// Four logs, of which each needs its temporary file, with the memory that two need.
#[test]
fn four_logs_are_joined_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let count = 200_000;
    let mut command = Command::new("bash");
    command.args([
        "-c",
        r#"ulimit -v 98304 -n 32 && exec "$0" "$@""#,
        COMMAND,
        "join",
    ]);
    for (hop, end) in [
        ("edge", r#""outcome":"forwarded""#),
        ("haproxy", r#""termination":"----""#),
        ("mesh", r#""verdict":"allow/a","details":"via_upstream""#),
        ("app", r#""event":"request""#),
    ] {
        let line = |number: u32| {
            format!(
                "{{\"correlation_id\":\"01986f3c-3b1a-7c55-9f0e-{number:012x}\",\"status\":200,{end}}}\n"
            )
        };
        let path = folder.path().join(hop);
        std::fs::write(&path, (0..count).map(line).collect::<String>()).unwrap();
        command
            .arg("--log")
            .arg(format!("{hop}={}", path.display()));
    }
    command
        .args(["--strict", "--format", "jsonl", "--temp-dir"])
        .arg(folder.path());
    let output = run(&mut command);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    let lines = lines(&output);
    let requests = lines
        .iter()
        .find(|line| line["kind"] == "requests")
        .unwrap();
    assert_eq!(
        (&requests["total"], &requests["joined"]),
        (&json!(count), &json!(count))
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        4,
        "nothing is left behind"
    );
}
