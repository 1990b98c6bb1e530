//! A running HAProxy.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use edge_claims_harness::envoy::wait;
use edge_claims_harness::tools;
use serde_json::Value;
use tempfile::TempDir;

/// A running HAProxy; it stops when it is dropped.
pub struct HaProxy {
    child: Child,
    log: PathBuf,
    _folder: TempDir,
}

impl HaProxy {
    /// Runs these files with this environment, and waits until a connection to the port is possible.
    pub fn start(files: &[&Path], environment: &[(&str, &str)], port: u16) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let log = folder.path().join("log");
        let output = File::create(&log).expect("the folder is ours");
        let child = Command::new(tools::haproxy())
            .args(arguments(files))
            .arg("-db")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("HAProxy does not start: {error}"));
        let haproxy = Self {
            child,
            log,
            _folder: folder,
        };
        wait("HAProxy to listen", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .unwrap_or_else(|problem| panic!("{problem}\n{}", haproxy.text()));
        haproxy
    }

    /// Everything that it wrote.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The log: one JSON object per request. Every line that begins as JSON must be one of docs/log-fields.md.
    pub fn records(&self) -> Vec<Value> {
        let text = self.text();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| parse("haproxy", line))
            .collect()
    }

    /// Waits for the record that satisfies the predicate.
    pub fn wait_for(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        wait("a line in HAProxy's log", || {
            self.records().into_iter().find(&wanted)
        })
        .unwrap_or_else(|problem| panic!("{problem}; there are\n{}", self.text()))
    }

    /// Waits for the record with that correlation ID.
    pub fn record(&self, id: &str) -> Value {
        self.wait_for(|record| record["correlation_id"] == id)
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("HAProxy wrote:\n{}", self.text());
        }
    }
}

/// A line of that hop's log, which must have the fields of docs/log.schema.json.
pub fn parse(hop: &str, line: &str) -> Value {
    static SCHEMAS: LazyLock<jsonschema::ValidatorMap> = LazyLock::new(|| {
        let path = tools::root().join("docs/log.schema.json");
        let text = fs::read_to_string(path).expect("the schema");
        let schema = serde_json::from_str(&text).expect("it is JSON");
        jsonschema::validator_map_for(&schema).expect("the schema is one")
    });
    let record = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let validator = SCHEMAS.get(&format!("#/$defs/{hop}")).expect("the hop");
    if let Some(error) = validator.iter_errors(&record).next() {
        panic!("{error} at {}: {line}", error.instance_path());
    }
    record
}

/// What HAProxy says about these files, which it does not run: an error if it has a warning, too.
pub fn check(files: &[&Path], environment: &[(&str, &str)]) -> Result<(), String> {
    let output = Command::new(tools::haproxy())
        .arg("-c")
        .args(arguments(files))
        .envs(environment.iter().copied())
        .output()
        .expect("HAProxy starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() && !said.contains("[WARNING]") && !said.contains("[ALERT]") {
        Ok(())
    } else {
        Err(said)
    }
}

fn arguments<'a>(files: &[&'a Path]) -> Vec<&'a std::ffi::OsStr> {
    files
        .iter()
        .flat_map(|file| ["-f".as_ref(), file.as_os_str()])
        .collect()
}
