//! `examples/log-sink`: a real OpenTelemetry Collector ships the logs of all hops to one file, in which one query finds
//! one request.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use edge_claims_harness::envoy::wait;
use edge_claims_harness::tools;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::chain::Chain;
use crate::logs::Logs;

fn example() -> PathBuf {
    tools::root().join("examples/log-sink")
}

/// A running collector with the example's configuration; it stops when it is dropped.
struct Collector {
    child: Child,
    folder: TempDir,
}

impl Collector {
    fn start(logs: &Path, otlp: u16) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let output = File::create(folder.path().join("log")).expect("the folder is ours");
        let program = Command::new(tools::root().join("scripts/go-tool"))
            .args(["path", "otelcol", "otelcol"])
            .output()
            .expect("scripts/go-tool runs");
        let program = String::from_utf8_lossy(&program.stdout).trim().to_owned();
        let child = Command::new(&program)
            .arg("--config")
            .arg(example().join("collector.yaml"))
            .env("LOGS", logs)
            .env("SINK", folder.path().join("sink.jsonl"))
            .env("OTLP_ADDRESS", format!("127.0.0.1:{otlp}"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{program}: {error}; run: scripts/go-tool build otelcol")
            });
        let collector = Self { child, folder };
        wait("the collector", || {
            TcpStream::connect(("127.0.0.1", otlp)).ok()
        })
        .unwrap_or_else(|problem| panic!("{problem}\n{}", collector.log()));
        collector
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What the example's query finds under an ID.
    fn find(&self, id: &str) -> Vec<Value> {
        let output = Command::new(example().join("find"))
            .arg(id)
            .arg(self.folder.path().join("sink.jsonl"))
            .output()
            .expect("jq is there");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        text.lines().map(parse).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("The collector wrote:\n{}", self.log());
        }
    }
}

/// The access log of the example, by OTLP to a cluster of that name.
fn otlp_access_log() -> Value {
    let path = example().join("envoy-access-log.yaml");
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut example: Value = serde_saphyr::from_str(&text).expect("YAML");
    example["access_log"][0].take()
}

fn otlp_cluster(port: u16) -> Value {
    let mut cluster = edge_claims_harness::setup::cluster("otel_collector", port);
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        },
    });
    cluster
}

#[test]
fn one_query_finds_one_request_in_the_logs_of_all_hops() {
    let otlp = tools::free_port();
    let chain = Chain::start(&[otlp_access_log()], &[otlp_cluster(otlp)]);
    let files = TempDir::new().expect("a temporary folder");
    // Envoy sends its log itself; the others write files.
    let collector = Collector::start(files.path(), otlp);

    let steps = Browser::new("alice").visit(&chain.edge, &chain.provider, "/me");
    let id = steps[2].header("x-correlation-id").expect("the ID");
    let stranger = chain.by_stranger("/me").send();
    let other = stranger.header("x-correlation-id").expect("HAProxy's ID");
    let second = Mutex::new(String::new());
    let complete = wait("all lines", || {
        let logs = Logs::of(&chain, &second.lock().expect("no panic"));
        let found = logs.join(&["--id", &id]);
        (found.iter().filter(|line| line["kind"] == "line").count() == 6).then_some(logs)
    });
    let logs = complete.unwrap_or_else(|problem| panic!("{problem}"));
    for name in ["edge.log", "haproxy.log", "app.log"] {
        let mut text = fs::read_to_string(logs.folder().join(name)).expect("a copy");
        // As Viceroy, syslog and container runtimes write it, and a line that is none.
        text = text
            .lines()
            .map(|line| format!("2026-11-21T08:00:00Z stdout F {line}\n"))
            .collect();
        fs::write(files.path().join(name), format!("no object\n{text}"))
            .expect("the folder is ours");
    }

    let found = wait("the records in the sink", || {
        Some(collector.find(&id)).filter(|found| found.len() >= 6)
    });
    let found = found.unwrap_or_else(|problem| panic!("{problem}: {:#?}", collector.find(&id)));
    let mut hops: Vec<&str> = found
        .iter()
        .filter_map(|line| line["hop"].as_str())
        .collect();
    hops.sort_unstable();
    assert_eq!(
        hops,
        ["app", "edge", "edge", "edge", "haproxy", "mesh"],
        "{found:#?}"
    );
    let of = |hop: &str| {
        found
            .iter()
            .rfind(|line| line["hop"] == hop)
            .expect("a line")
    };
    for hop in ["edge", "haproxy", "mesh", "app"] {
        let line = of(hop);
        assert_eq!(line["method"], "GET", "{line}");
        assert_eq!(line["path"], "/me", "{line}");
        assert_eq!(
            line["status"].to_string().trim_matches('"'),
            "200",
            "{line}"
        );
        assert!(
            line["time"]
                .as_str()
                .is_some_and(|time| time.ends_with('Z')),
            "{line}"
        );
    }
    assert_eq!(of("mesh")["verdict"], "allow/me");
    assert_eq!(
        of("mesh")["subject"],
        of("edge")["subject"],
        "one key, one hash"
    );
    let times: Vec<&str> = found
        .iter()
        .filter_map(|line| line["time"].as_str())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let others = collector.find(&other);
    assert_eq!(others.len(), 1, "{others:?}");
    assert_eq!(others[0]["hop"], "haproxy");
}
