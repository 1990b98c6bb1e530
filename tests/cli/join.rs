//! `edge-claims join`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const COMMAND: &str = env!("CARGO_BIN_EXE_edge-claims");

/// A folder with an edge log and a mesh log.
struct Logs(TempDir);

impl Logs {
    fn new(edge: &str, mesh: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("edge.log"), edge).unwrap();
        std::fs::write(folder.path().join("mesh.log"), mesh).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn join(&self, arguments: &[&str]) -> Output {
        run(Command::new(COMMAND)
            .arg("join")
            .arg(self.path("edge.log"))
            .arg(self.path("mesh.log"))
            .args(arguments))
    }
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    text(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

/// A small run of every kind.
fn mixed() -> Logs {
    let edge = [
        r#"{"time":"2026-11-21T08:00:00.000Z","correlation_id":"joined-1","outcome":"forwarded","status":200,"method":"GET","path":"/orders"}"#,
        r#"edge_log :: {"time":"2026-11-21T08:00:01.000Z","correlation_id":"denied-1","outcome":"forwarded","status":403,"method":"POST","path":"/orders","duration_ms":9}"#,
        r#"{"time":"2026-11-21T08:00:02.000Z","correlation_id":"login-1","outcome":"redirected","reason":"session_missing","status":302}"#,
        r#"{"time":"2026-11-21T08:00:03.000Z","correlation_id":"lost-1","outcome":"forwarded","status":200}"#,
        "",
        r#"{"time":"2026-11-21T08:00:03.000Z","correlation_id":"cut o"#,
        r#"{"time":"2026-11-21T08:00:04.000Z","outcome":"forwarded"}"#,
        r#"{"time":"2026-11-21T08:00:05.000Z","correlation_id":"twice-1","outcome":"forwarded","status":200}"#,
        r#"{"time":"2026-11-21T08:00:06.000Z","correlation_id":"shadow-1","outcome":"forwarded","status":200}"#,
        r#"{"time":"2026-11-21T08:00:07.000Z","correlation_id":"down-1","outcome":"forwarded","status":503}"#,
    ];
    let mesh = [
        r#"{"start_time":"2026-11-21T08:00:00.004Z","correlation_id":"joined-1","verdict":"allow/orders","status":200,"details":"via_upstream"}"#,
        r#"{"start_time":"2026-11-21T08:00:01.004Z","correlation_id":"denied-1","verdict":"deny/role/orders-write","status":403,"details":"edge_claims_denied{role}{orders-write}","method":"POST","path":"/orders","duration_ms":1,"request_id":"r-1"}"#,
        r#"{"start_time":"2026-11-21T08:00:04.004Z","correlation_id":"direct-1","verdict":"deny/claims_missing/-","status":401}"#,
        r#"{"start_time":"2026-11-21T08:00:05.004Z","correlation_id":"twice-1","verdict":"allow/orders","status":200,"details":"via_upstream"}"#,
        r#"{"start_time":"2026-11-21T08:00:05.104Z","correlation_id":"twice-1","verdict":"allow/orders","status":200,"details":"via_upstream"}"#,
        r#"{"start_time":"2026-11-21T08:00:06.004Z","correlation_id":"shadow-1","verdict":"shadow/scope/orders","status":200,"details":"via_upstream"}"#,
        r#"{"start_time":"2026-11-21T08:00:07.004Z","correlation_id":"down-1","verdict":"allow/orders","status":503,"details":"upstream_reset_before_response_started{connection_failure}"}"#,
        r#"{"start_time":"2026-11-21T08:00:08.004Z","correlation_id":null,"verdict":null,"status":400,"details":"http1.codec_error"}"#,
        "plain text",
    ];
    Logs::new(&edge.join("\n"), &mesh.join("\r\n"))
}

#[test]
fn the_summary_counts_every_request_once() {
    let output = mixed().join(&["--format", "jsonl"]);
    assert_eq!(output.status.code(), Some(0));
    let lines = lines(&output);
    assert_eq!(
        of_kind(&lines, "input"),
        [
            &json!({"kind": "input", "log": "edge", "lines": 9, "with_id": 7, "without_id": 1, "broken": 1,
                "first_broken": [{"line": 6, "why": "not JSON"}]}),
            &json!({"kind": "input", "log": "mesh", "lines": 9, "with_id": 7, "without_id": 1, "broken": 1,
                "first_broken": [{"line": 9, "why": "no JSON object"}]}),
        ]
    );
    assert_eq!(
        of_kind(&lines, "requests"),
        [
            &json!({"kind": "requests", "total": 8, "joined": 4, "edge": 1, "lost": 1, "mesh_only": 1,
            "repeated": 1, "adds_up": false})
        ]
    );
    let ends: Vec<_> = of_kind(&lines, "end")
        .iter()
        .map(|end| format!("{} {} {}", end["place"], end["reason"], end["requests"]))
        .collect();
    assert_eq!(
        ends,
        [
            r#""answered" "2xx" 3"#,
            r#""edge" "redirected/session_missing" 1"#,
            r#""between" "forwarded, not in the mesh's log" 1"#,
            r#""filter" "claims_missing" 1"#,
            r#""filter" "role" 1"#,
            r#""upstream" "upstream_reset_before_response_started" 1"#,
        ]
    );
    assert_eq!(
        of_kind(&lines, "shadow"),
        [&json!({"kind": "shadow", "reason": "scope", "requests": 1})]
    );
}

#[test]
fn the_table_says_the_same() {
    let shown = text(&mixed().join(&[]));
    for line in [
        "9 lines, 7 with an ID, 1 without, 1 broken",
        "      line 6: not JSON",
        "  in both logs                                  4",
        "  forwarded, not in the mesh's log              1",
        "filter     role                                                      1",
        "shadow     scope                                                     1",
    ] {
        assert!(shown.contains(line), "{line}\nis not in\n{shown}");
    }
}

#[test]
fn an_id_shows_its_timeline() {
    let logs = mixed();
    let output = logs.join(&["--id", "denied-1"]);
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output);
    let at = |text: &str| {
        shown
            .find(text)
            .unwrap_or_else(|| panic!("{text}\nis not in\n{shown}"))
    };
    assert!(at("edge 403 forwarded") < at("mesh 403 deny/role/orders-write"));
    at("+4 ms");
    at("edge_claims_denied{role}{orders-write} · 1 ms · line 2");

    let output = logs.join(&["--id", "denied-1", "--format", "jsonl"]);
    let lines = lines(&output);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["log"], "edge");
    assert_eq!(lines[1]["record"]["request_id"], "r-1");
}

#[test]
fn an_id_in_neither_log_is_a_no() {
    let output = mixed().join(&["--id", "nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output), "nowhere: in neither log\n");
    let output = mixed().join(&["--id", "nowhere", "--format", "jsonl"]);
    assert_eq!(
        (output.status.code(), text(&output)),
        (Some(1), String::new())
    );
}

#[test]
fn requests_of_one_kind_are_listed() {
    let logs = mixed();
    for (kind, id, end) in [
        (
            "lost",
            "lost-1",
            "between: forwarded, not in the mesh's log",
        ),
        ("mesh-only", "direct-1", "filter: claims_missing"),
        ("repeated", "twice-1", "answered: 2xx"),
        ("edge", "login-1", "edge: redirected/session_missing"),
    ] {
        let output = logs.join(&["--list", kind, "--format", "jsonl"]);
        let lines = lines(&output);
        assert_eq!(lines.len(), 1, "{kind}");
        assert_eq!(lines[0]["correlation_id"], id);
        assert_eq!(lines[0]["end"], end);
    }
    assert_eq!(
        lines(&logs.join(&["--list", "all", "--format", "jsonl"])).len(),
        8
    );
}

#[test]
fn strict_says_no_to_logs_that_do_not_add_up() {
    assert_eq!(mixed().join(&["--strict"]).status.code(), Some(1));
    let good = Logs::new(
        r#"{"correlation_id":"a","outcome":"forwarded"}"#,
        r#"{"correlation_id":"a","verdict":"allow/x","status":200}"#,
    );
    assert_eq!(good.join(&["--strict"]).status.code(), Some(0));
}

#[test]
fn one_log_may_be_stdin() {
    let logs = mixed();
    for (edge, mesh, stdin) in [
        (logs.path("edge.log"), PathBuf::from("-"), "mesh.log"),
        (PathBuf::from("-"), logs.path("mesh.log"), "edge.log"),
    ] {
        let output = Command::new(COMMAND)
            .args([Path::new("join"), &edge, &mesh])
            .args(["--format", "jsonl"])
            .stdin(File::open(logs.path(stdin)).unwrap())
            .output()
            .unwrap();
        assert_eq!(output.stdout, logs.join(&["--format", "jsonl"]).stdout);
    }
}

#[test]
fn fields_of_other_logs_are_named_by_option() {
    let logs = Logs::new(
        r#"{"labels":{"cid":"a"},"action":"pass"}"#,
        r#"{"cid":"a","policy":"deny/peer/x"}"#,
    );
    let output = logs.join(&[
        "--edge-id",
        "labels.cid",
        "--edge-outcome",
        "action",
        "--edge-forwarded",
        "pass",
        "--mesh-id",
        "cid",
        "--mesh-verdict",
        "policy",
        "--format",
        "jsonl",
        "--strict",
    ]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        of_kind(&lines(&output), "end"),
        [&json!({"kind": "end", "place": "filter", "reason": "peer", "requests": 1})]
    );
}

#[test]
fn what_a_log_holds_is_never_obeyed_by_a_terminal() {
    let hostile = r#"{"correlation_id":"a\u001b[2J","outcome":"x\u001b]0;y\u0007","reason":"\u202e","path":"/\n{}"}"#;
    let logs = Logs::new(hostile, "");
    for arguments in [&["--id", "a\u{1b}[2J"][..], &["--list", "all"], &[]] {
        let shown = text(&logs.join(arguments));
        let bad = |character: char| {
            (character.is_control() && character != '\n') || character == '\u{202e}'
        };
        assert!(!shown.chars().any(bad), "{shown:?}");
        assert!(
            arguments.is_empty() || shown.contains("a\\u{1b}[2J"),
            "{shown:?}"
        );
    }
}

#[test]
fn wrong_usage_and_unreadable_files_are_2() {
    let logs = mixed();
    let edge = logs.path("edge.log");
    let cases: [(&[&std::ffi::OsStr], &str); 6] = [
        (&["join".as_ref()], "required arguments"),
        (
            &["join".as_ref(), edge.as_ref(), "missing.log".as_ref()],
            "missing.log: No such file",
        ),
        (&["join".as_ref(), edge.as_ref(), "/".as_ref()], "/: "),
        (
            &["join".as_ref(), "-".as_ref(), "-".as_ref()],
            "only one of the two logs",
        ),
        (
            &[
                "join".as_ref(),
                edge.as_ref(),
                edge.as_ref(),
                "--format".as_ref(),
                "xml".as_ref(),
            ],
            "possible values: table, jsonl",
        ),
        (&["unite".as_ref()], "unrecognized subcommand"),
    ];
    for (arguments, message) in cases {
        let output = run(Command::new(COMMAND).args(arguments));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn temporary_files_need_a_folder_only_when_there_are_many() {
    let nowhere = ["--temp-dir", "/nonexistent/folder"];
    assert_eq!(mixed().join(&nowhere).status.code(), Some(0));
    let many = generate(50_000);
    let output = many.join(&nowhere);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--temp-dir"));
}

#[test]
fn help_names_the_exit_codes() {
    let output = run(Command::new(COMMAND).args(["join", "--help"]));
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output);
    for word in [
        "Exit codes",
        "--edge-id",
        "--mesh-verdict",
        "[default: correlation_id]",
        "--strict",
    ] {
        assert!(help.contains(word), "{word}");
    }
}

/// Logs of `count` requests: a tenth ends at the edge, a tenth is denied, the rest is answered.
fn generate(count: u32) -> Logs {
    let logs = Logs::new("", "");
    let file = |name| BufWriter::new(File::create(logs.path(name)).unwrap());
    let (mut edge, mut mesh) = (file("edge.log"), file("mesh.log"));
    for number in 0..count {
        let id = format!("01986f3c-3b1a-7c55-9f0e-{number:012x}");
        let outcome = if number % 10 == 0 {
            "redirected"
        } else {
            "forwarded"
        };
        writeln!(
            edge,
            r#"{{"time":"2026-11-21T08:00:00.000Z","correlation_id":"{id}","outcome":"{outcome}","status":200,"method":"GET","host":"shop.example.com","path":"/tenants/acme/orders/{number}"}}"#
        )
        .unwrap();
        let verdict = match number % 10 {
            0 => continue,
            1 => "deny/role/orders-write",
            _ => "allow/orders-read",
        };
        writeln!(
            mesh,
            r#"{{"start_time":"2026-11-21T08:00:00.001Z","correlation_id":"{id}","verdict":"{verdict}","status":200,"details":"via_upstream","path":"/tenants/acme/orders/{number}"}}"#
        )
        .unwrap();
    }
    edge.flush().unwrap();
    mesh.flush().unwrap();
    logs
}

/// A million requests in less memory than their IDs alone would take: 36 bytes each, and what a map needs
/// to hold them, are more than the 48 MB that the command gets, its own code included.
#[test]
fn a_million_requests_are_joined_in_bounded_memory() {
    let count: u32 = 1_000_000;
    let logs = generate(count);
    let output = run(Command::new("bash")
        .args([
            "-c",
            r#"ulimit -v 49152 && exec "$0" "$@""#,
            COMMAND,
            "join",
        ])
        .arg(logs.path("edge.log"))
        .arg(logs.path("mesh.log"))
        .args(["--format", "jsonl", "--strict", "--temp-dir"])
        .arg(logs.0.path()));
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    let lines = lines(&output);
    let requests = of_kind(&lines, "requests")[0];
    assert_eq!(requests["total"], count);
    assert_eq!(requests["joined"], count / 10 * 9);
    assert_eq!(requests["edge"], count / 10);
    assert_eq!(
        std::fs::read_dir(logs.0.path()).unwrap().count(),
        2,
        "nothing is left behind"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let logs = generate(20_000);
    let output = run(Command::new("bash")
        .args([
            "-o",
            "pipefail",
            "-c",
            r#""$0" "$@" | head -n 1"#,
            COMMAND,
            "join",
        ])
        .arg(logs.path("edge.log"))
        .arg(logs.path("mesh.log"))
        .args(["--list", "all"]));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output).lines().count(), 1);
}
