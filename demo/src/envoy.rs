//! A real Envoy with the filter, on loopback.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A running Envoy. It stops on [`Envoy::stop`], not when it is dropped.
pub struct Envoy {
    pub port: u16,
    folder: PathBuf,
    child: Mutex<Child>,
}

/// The fields of the access log, in the order in which the demo prints them.
pub const ACCESS_FIELDS: [(&str, &str); 6] = [
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("status", "%RESPONSE_CODE%"),
    ("verdict", "%FILTER_STATE(wasm.edge_claims.verdict:PLAIN)%"),
    ("details", "%RESPONSE_CODE_DETAILS%"),
    (
        "correlation_id",
        "%FILTER_STATE(wasm.edge_claims.correlation_id:PLAIN)%",
    ),
];

impl Envoy {
    /// Starts Envoy in front of the upstream. Configuration and logs go to the folder.
    ///
    /// # Errors
    /// What is missing, with the command that provides it, or the end of Envoy's log.
    pub fn start(folder: &Path, plugin: &Value, upstream: u16) -> Result<Self, String> {
        let module = root().join("target/edge_claims.wasm");
        if !module.is_file() {
            return Err(format!("{} is missing; run: make wasm", module.display()));
        }
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
        };
        let port = free_port().map_err(|error| format!("no free port on 127.0.0.1: {error}"))?;
        let config = bootstrap(port, upstream, &module, plugin, &folder.join("access.log"));
        write("envoy.json", &format!("{config:#}\n"))?;
        write("access.log", "")?;
        let child = launch(folder)
            .map_err(|error| format!("Envoy does not start: {error}; run: make setup"))?;
        let envoy = Self {
            port,
            folder: folder.to_owned(),
            child: Mutex::new(child),
        };
        envoy.wait_until_ready()?;
        Ok(envoy)
    }

    /// Waits for the access record with that correlation ID.
    pub fn access_record(&self, id: &str) -> Option<Value> {
        wait(|| {
            let log = fs::read_to_string(self.folder.join("access.log")).unwrap_or_default();
            let records = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            records
                .into_iter()
                .find(|record| record["correlation_id"] == id)
        })
    }

    pub fn stop(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // An error means that it ended already: Ctrl-C reaches Envoy, too.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Envoy listens once the filter has accepted its config.
    fn wait_until_ready(&self) -> Result<(), String> {
        let ended = || {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            child.try_wait().ok().flatten()
        };
        let ready = wait(|| {
            let connected = TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            (connected || ended().is_some()).then_some(connected)
        });
        if ready == Some(true) {
            return Ok(());
        }
        self.stop();
        let log = fs::read_to_string(self.folder.join("envoy.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines
            .get(lines.len().saturating_sub(20)..)
            .unwrap_or_default();
        Err(format!("Envoy does not serve:\n{}", last.join("\n")))
    }
}

/// The root of the source tree.
pub fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

fn launch(folder: &Path) -> io::Result<Child> {
    let output = Command::new(root().join("scripts/setup"))
        .args(["path", "envoy"])
        .output()?;
    let envoy = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let log = File::create(folder.join("envoy.log"))?;
    Command::new(envoy)
        .arg("--config-path")
        .arg(folder.join("envoy.json"))
        .args(["--concurrency", "1", "--file-flush-interval-msec", "10"])
        .args([
            "--component-log-level",
            "main:warning",
            "--disable-hot-restart",
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

fn bootstrap(port: u16, upstream: u16, module: &Path, plugin: &Value, access_log: &Path) -> Value {
    let address =
        |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let access_fields: serde_json::Map<String, Value> = ACCESS_FIELDS
        .iter()
        .map(|(name, format)| ((*name).to_owned(), json!(format)))
        .collect();
    json!({"static_resources": {
        "listeners": [{
            "name": "ingress",
            "address": address(port),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "ingress",
                    "access_log": [{
                        "name": "envoy.access_loggers.file",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                            "path": access_log,
                            "log_format": {"json_format": access_fields},
                        },
                    }],
                    "route_config": {"virtual_hosts": [{
                        "name": "all",
                        "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
                    }]},
                    "http_filters": [
                        {
                            "name": "edge_claims",
                            "typed_config": {
                                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                                "config": {
                                    "name": "edge_claims",
                                    "failure_policy": "FAIL_RELOAD",
                                    "vm_config": {
                                        "runtime": "envoy.wasm.runtime.v8",
                                        "code": {"local": {"filename": module}},
                                    },
                                    "configuration": {
                                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                                        "value": plugin.to_string(),
                                    },
                                },
                            },
                        },
                        {
                            "name": "envoy.filters.http.router",
                            "typed_config": {
                                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                            },
                        },
                    ],
                },
            }]}],
        }],
        "clusters": [{
            "name": "upstream",
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": "upstream",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}],
            },
        }],
    }})
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Asks until there is an answer; `None` if there is none in time.
fn wait<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + TIMEOUT;
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() > end {
            return answer;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
