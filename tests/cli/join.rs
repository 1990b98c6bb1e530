//! `edge-claims join`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::COMMAND;

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
        r#"{"time":"2026-11-21T08:00:00.004Z","correlation_id":"joined-1","verdict":"allow/orders","status":200,"details":"via_upstream"}"#,
        r#"{"time":"2026-11-21T08:00:01.004Z","correlation_id":"denied-1","verdict":"deny/role/orders-write","status":403,"details":"edge_claims_denied{role}{orders-write}","method":"POST","path":"/orders","duration_ms":1,"request_id":"r-1"}"#,
        r#"{"time":"2026-11-21T08:00:04.004Z","correlation_id":"direct-1","verdict":"deny/claims_missing/-","status":401}"#,
        r#"{"time":"2026-11-21T08:00:05.004Z","correlation_id":"twice-1","verdict":"allow/orders","status":200,"details":"via_upstream"}"#,
        r#"{"time":"2026-11-21T08:00:05.104Z","correlation_id":"twice-1","verdict":"allow/orders","status":200,"details":"via_upstream"}"#,
        r#"{"time":"2026-11-21T08:00:06.004Z","correlation_id":"shadow-1","verdict":"shadow/scope/orders","status":200,"details":"via_upstream"}"#,
        r#"{"time":"2026-11-21T08:00:07.004Z","correlation_id":"down-1","verdict":"allow/orders","status":503,"details":"upstream_reset_before_response_started{connection_failure}"}"#,
        r#"{"time":"2026-11-21T08:00:08.004Z","correlation_id":null,"verdict":null,"status":400,"details":"http1.codec_error"}"#,
        "plain text",
    ];
    Logs::new(&edge.join("\n"), &mesh.join("\r\n"))
}

#[test]
fn the_summary_counts_every_request_once() {
    let logs = mixed();
    let output = logs.join(&["--format", "jsonl"]);
    assert_eq!(output.status.code(), Some(0));
    let lines = lines(&output);
    let input = |log: &str, broken: Value| {
        let file = logs.path(&format!("{log}.log")).display().to_string();
        json!({"kind": "input", "log": log, "file": file, "lines": 9, "with_id": 7, "without_id": 1, "other": 0,
            "broken": 1, "first_broken": [broken]})
    };
    let edge = input("edge", json!({"line": 6, "why": "not JSON"}));
    let mesh = input("mesh", json!({"line": 9, "why": "no JSON object"}));
    assert_eq!(of_kind(&lines, "input"), [&edge, &mesh]);
    let missing =
        |log: &str, requests| json!({"kind": "missing", "log": log, "requests": requests});
    assert_eq!(
        of_kind(&lines, "missing"),
        [&missing("edge", 1), &missing("mesh", 1)]
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
    at("edge_claims_denied{role}{orders-write} · 1.00 ms · line 2");

    let output = logs.join(&["--id", "denied-1", "--format", "jsonl"]);
    let lines = lines(&output);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["log"], "edge");
    assert_eq!(lines[1]["record"]["request_id"], "r-1");
}

/// One request that both logs measured in detail, and one that the filter denied.
fn timed() -> Logs {
    Logs::new(
        r#"{"correlation_id":"a","outcome":"forwarded","duration_ms":12,"edge_us":300,"mesh_us":12000}
{"correlation_id":"b","outcome":"forwarded","duration_ms":3,"edge_us":200,"mesh_us":2000}"#,
        r#"{"correlation_id":"a","verdict":"allow/orders","status":200,"details":"via_upstream","before_connect_us":250,"before_upstream_us":300,"upstream_us":9000,"response_us":9400,"attempts":1}
{"correlation_id":"b","verdict":"deny/role/orders","status":403,"before_connect_us":null,"before_upstream_us":null,"upstream_us":null,"response_us":240,"attempts":0}"#,
    )
}

#[test]
fn the_summary_says_where_the_time_goes() {
    let logs = timed();
    let shown = text(&logs.join(&[]));
    for line in [
        "time                       requests       p50       p90       p99       max",
        "network                           2   1.77 ms   2.60 ms   2.60 ms   2.60 ms",
        "  filter                          2    240 µs    250 µs    250 µs    250 µs",
        "  connect                         1     50 µs     50 µs     50 µs     50 µs",
        "  upstream                        1   9.00 ms   9.00 ms   9.00 ms   9.00 ms",
        "       histogram  total      edge       network    filter     connect    upstream",
        "         < 10 ms                                                         ██████████",
    ] {
        assert!(shown.contains(line), "{line}\nis not in\n{shown}");
    }
    let lines = lines(&logs.join(&["--format", "jsonl"]));
    let filter = |kind| {
        let of_kind = of_kind(&lines, kind);
        let filter = of_kind.into_iter().filter(|line| line["part"] == "filter");
        filter.cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        filter("time"),
        [
            json!({"kind": "time", "part": "filter", "requests": 2, "p50_us": 240, "p90_us": 250,
            "p99_us": 250, "max_us": 250})
        ]
    );
    assert_eq!(
        filter("histogram"),
        [
            json!({"kind": "histogram", "part": "filter", "from_us": 200, "below_us": 500, "requests": 2})
        ]
    );
}

#[test]
fn a_request_shows_its_times_and_what_is_unknown() {
    let logs = timed();
    let shown = text(&logs.join(&["--id", "b"]));
    for line in [
        "    edge                  200 µs\n",
        "    network              1.76 ms\n",
        "      filter              240 µs\n",
        "      connect                  -\n",
        "      upstream                 -\n",
    ] {
        assert!(shown.contains(line), "{line}\nis not in\n{shown}");
    }
    let times = json!({"total_us": 2200, "edge_us": 200, "network_us": 1760, "edge_and_network_us": null,
        "mesh_us": 240, "filter_us": 240, "connect_us": null, "upstream_us": null});
    for arguments in [&["--id", "b"][..], &["--list", "all"]] {
        let lines = lines(&logs.join(&[arguments, &["--format", "jsonl"]].concat()));
        let found = lines.iter().find(|line| {
            line["kind"] == "times" || line["correlation_id"] == "b" && line["end"] != Value::Null
        });
        let found = found.unwrap().as_object().unwrap();
        for (name, time) in times.as_object().unwrap() {
            assert_eq!(found[name], *time, "{name}");
        }
    }
}

#[test]
fn an_id_in_no_log_is_a_no() {
    let output = mixed().join(&["--id", "nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output), "nowhere: in no log\n");
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
        let path = logs.path(stdin).display().to_string();
        let expected = text(&logs.join(&["--format", "jsonl"])).replace(&path, "-");
        assert_eq!(text(&output), expected);
    }
}

#[test]
fn fields_of_other_logs_are_named_by_option() {
    let logs = Logs::new(
        r#"{"labels":{"cid":"a"},"action":"pass"}"#,
        r#"{"cid":"a","policy":"deny/peer/x"}"#,
    );
    let output = logs.join(&[
        "--field",
        "edge.id=labels.cid",
        "--field",
        "edge.outcome=action",
        "--forwarded",
        "pass",
        "--field",
        "mesh.id=cid",
        "--field",
        "mesh.verdict=policy",
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
            "only one of the logs",
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

/// What a log may be that is none, and what the command says.
#[test]
fn hostile_logs_are_refused_or_counted_as_broken() {
    let good = r#"{"correlation_id":"a","outcome":"forwarded"}"#;
    let broken = |log: &[u8]| {
        let logs = Logs::new("", "");
        std::fs::write(logs.path("edge.log"), log).unwrap();
        let output = logs.join(&["--format", "jsonl", "--max-line-kib", "1"]);
        assert_eq!(output.status.code(), Some(0));
        let input = lines(&output)[0].clone();
        let why = input["first_broken"][0]["why"].as_str().map(str::to_owned);
        (input["with_id"].as_u64().unwrap(), why)
    };
    let says = |why: &str| Some(why.to_owned());
    assert_eq!(broken(b""), (0, None));
    let cut = format!("{good}\n{}", &good[..30]);
    assert_eq!(broken(cut.as_bytes()), (1, says("not JSON")));
    let latin1 = [good.as_bytes(), b"\n{\"correlation_id\":\"\xe9\"}"].concat();
    assert_eq!(broken(&latin1), (1, says("not UTF-8")));
    assert_eq!(broken(&[0; 1000]), (0, says("no JSON object")));
    let long = format!("{}\n{good}", "x".repeat(5000));
    assert_eq!(
        broken(long.as_bytes()),
        (1, says("longer than --max-line-kib"))
    );
    let compressed = [b"\x1f\x8b\x08\x00".as_slice(), &[0xa7; 500], b"\n"].concat();
    assert_eq!(broken(&compressed), (0, says("not UTF-8")));
}

#[test]
fn a_device_without_content_is_an_empty_log() {
    let output = run(Command::new(COMMAND).args(["join", "/dev/null", "/dev/null", "--strict"]));
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output).contains("edge: /dev/null: 0 lines"));
}

/// Nothing is printed, so that nobody takes half a result for a whole.
#[test]
fn a_log_that_cannot_be_read_is_told_before_the_other_is_read() {
    let logs = mixed();
    let folder = logs.0.path().display().to_string();
    for (edge, mesh, message) in [
        (
            "missing.log".to_owned(),
            "-".to_owned(),
            "missing.log: No such file",
        ),
        (
            "-".to_owned(),
            "missing.log".to_owned(),
            "missing.log: No such file",
        ),
        (folder.clone(), "-".to_owned(), "is a directory"),
        ("-".to_owned(), folder, "is a directory"),
    ] {
        // A stdin that never ends.
        let mut child = Command::new(COMMAND)
            .args(["join", &edge, &mesh])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(message), "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_log_without_permission_is_refused() {
    let logs = mixed();
    let path = logs.path("mesh.log");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(&path).is_ok() {
        // For root, no permission is missing: become nobody, who has none.
        let folder = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(logs.0.path(), folder).unwrap();
    }
    let mut command = Command::new(COMMAND);
    command.arg("join").arg(logs.path("edge.log")).arg(&path);
    if File::open(&path).is_ok() {
        command.uid(65534);
    }
    let output = run(&mut command);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("mesh.log: Permission denied"), "{error}");
    assert!(output.stdout.is_empty());
}

/// A gigabyte without a line feed: the command gets 64 MB.
#[test]
fn a_line_of_a_gigabyte_needs_no_memory() {
    let logs = Logs::new("", r#"{"correlation_id":"a","verdict":"allow/x"}"#);
    let edge = File::create(logs.path("edge.log")).unwrap();
    edge.set_len(1 << 30).unwrap();
    let output = limited(&logs, &["--format", "jsonl"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    let lines = lines(&output);
    assert_eq!(
        (&lines[0]["lines"], &lines[0]["broken"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(lines[1]["with_id"], 1);
}

/// `script` (util-linux) runs a command on a terminal of its own.
#[test]
fn the_progress_of_large_logs_is_shown_on_a_terminal() {
    let logs = generate(50_000);
    let on_terminal = |logs: &Logs| {
        let [edge, mesh] = ["edge.log", "mesh.log"].map(|name| logs.path(name));
        let (edge, mesh) = (edge.display(), mesh.display());
        let line = format!("'{COMMAND}' join '{edge}' '{mesh}' > /dev/null");
        let mut command = Command::new("script");
        let output = run(command
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm"));
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = on_terminal(&logs);
    assert!(shown.contains(" MiB, "), "{shown:?}");
    // In the end, its line is cleared.
    assert!(shown.ends_with("\r\u{1b}[2K"), "{shown:?}");
    assert_eq!(on_terminal(&mixed()), "");
}

/// Ctrl-C, or even a kill that no program can handle.
#[test]
fn a_command_that_is_killed_leaves_no_files_behind() {
    let logs = generate(100_000);
    let folder = logs.0.path().join("temp");
    std::fs::create_dir(&folder).unwrap();
    let mut child = Command::new(COMMAND)
        .args(["join", "-"])
        .arg(logs.path("mesh.log"))
        .arg("--temp-dir")
        .arg(&folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // It waits for the rest of stdin; the mesh's log alone fills temporary files.
    let open = format!("/proc/{}/fd", child.id());
    let in_use = || {
        let files = std::fs::read_dir(&open).unwrap();
        let targets = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        targets.filter(|target| target.starts_with(&folder)).count()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while in_use() == 0 {
        assert!(Instant::now() < deadline, "no temporary file was opened");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
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
        "--log <HOP=FILE>",
        "--field <HOP.FIELD=NAME>",
        "[default: current]",
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
            r#"{{"time":"2026-11-21T08:00:00.001Z","correlation_id":"{id}","verdict":"{verdict}","status":200,"details":"via_upstream","path":"/tenants/acme/orders/{number}"}}"#
        )
        .unwrap();
    }
    edge.flush().unwrap();
    mesh.flush().unwrap();
    logs
}

/// Joins with 64 MB of memory, the command's own code and stacks included.
fn limited(logs: &Logs, arguments: &[&str]) -> Output {
    run(Command::new("bash")
        .args([
            "-c",
            r#"ulimit -v 65536 && exec "$0" "$@""#,
            COMMAND,
            "join",
        ])
        .arg(logs.path("edge.log"))
        .arg(logs.path("mesh.log"))
        .args(arguments)
        .arg("--temp-dir")
        .arg(logs.0.path()))
}

/// A million requests in less memory than their IDs alone would take: 36 bytes each, and what a map needs
/// to hold them, are more than the command gets.
#[test]
fn a_million_requests_are_joined_in_bounded_memory() {
    let count: u32 = 1_000_000;
    let logs = generate(count);
    let output = limited(&logs, &["--format", "jsonl", "--strict"]);
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
