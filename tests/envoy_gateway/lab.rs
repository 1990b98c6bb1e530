//! Envoy Gateway with its Envoy, as processes on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use edge_claims_harness::{Client, Envoy, Request, Upstream, tools};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::manifests;

/// How long Envoy Gateway may take to make something of a changed file. It reads the schemas of all kinds again.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The port of the gateway's listener, as the example has it.
pub const PORT: u16 = 80;

/// The port of the listener that every Envoy of Envoy Gateway has, for readiness probes.
const READY_PORT: u16 = 19003;

/// Envoy Gateway, the Envoy that it configures, and an upstream. All end when it is dropped.
pub struct Lab {
    pub upstream: Upstream,
    envoy: Option<Envoy>,
    gateway: Child,
    folder: TempDir,
}

impl Lab {
    /// Starts Envoy Gateway with these resources, and Envoy.
    pub fn start(resources: &[Value]) -> Self {
        let mut lab = Self::controller(resources);
        lab.envoy = Some(lab.start_envoy());
        lab
    }

    /// Starts Envoy Gateway alone.
    fn controller(resources: &[Value]) -> Self {
        assert!(
            std::env::var_os("EDGE_CLAIMS_ISOLATED").is_some(),
            "these tests need a network of their own; run: make test-envoy-gateway"
        );
        let folder = TempDir::new().expect("a temporary folder");
        for name in ["resources", "home"] {
            fs::create_dir(folder.path().join(name)).expect("the folder is ours");
        }
        let upstream = Upstream::start();
        let certificates = folder.path().join("home/config");
        let made = Command::new(program("envoy-gateway"))
            .args(["certgen", "--local", "--config-home"])
            .arg(&certificates)
            .output()
            .expect("Envoy Gateway runs");
        assert!(made.status.success(), "{made:?}");
        write(&folder.path().join("gateway.yaml"), &settings(&folder));
        record_arguments(&folder);
        let lab = |gateway| Self {
            upstream,
            envoy: None,
            gateway,
            folder,
        };
        // The resources are there before Envoy Gateway starts.
        let mut lab = lab(Command::new("true").spawn().expect("a process"));
        lab.apply(
            "shared",
            &manifests::shared(lab.folder(), lab.upstream.port()),
        );
        lab.apply("test", resources);
        lab.gateway = lab.spawn_controller();
        lab
    }

    fn spawn_controller(&self) -> Child {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder().join("gateway.log"))
            .expect("the folder is ours");
        Command::new(program("envoy-gateway"))
            .args(["server", "--config-path"])
            .arg(self.folder().join("gateway.yaml"))
            // Where it keeps modules.
            .env("HOME", self.folder().join("home"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("Envoy Gateway starts")
    }

    /// Starts Envoy as Envoy Gateway asked for it, but with a port for its admin interface that is known here.
    fn start_envoy(&self) -> Envoy {
        self.start_envoy_on(PORT)
    }

    /// The same, and waits until it listens on that port.
    fn start_envoy_on(&self, port: u16) -> Envoy {
        let file = self.folder().join("arguments");
        let arguments = wait("Envoy Gateway to start Envoy", || fs::read(&file).ok())
            .unwrap_or_else(|problem| panic!("{problem}\n{}", self.gateway_log()));
        let admin = tools::free_port();
        let mut arguments: Vec<String> = arguments
            .split(|byte| *byte == 0)
            .map(|argument| String::from_utf8_lossy(argument).into_owned())
            .take_while(|argument| argument != "--")
            .collect();
        let bootstrap = arguments
            .iter()
            .position(|argument| argument == "--config-yaml")
            .and_then(|place| arguments.get_mut(place + 1))
            .expect("Envoy Gateway passes a bootstrap");
        let mut config: Value = serde_saphyr::from_str(bootstrap).expect("it is YAML");
        config["admin"]["address"]["socket_address"]["port_value"] = json!(admin);
        *bootstrap = config.to_string();
        arguments.extend(["--file-flush-interval-msec".to_owned(), "10".to_owned()]);
        arguments.push("--disable-hot-restart".to_owned());
        Envoy::run_arguments(&arguments, &[], port, admin)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the resources of the test.
    pub fn change(&self, resources: &[Value]) {
        self.apply("test", resources);
    }

    /// Replaces a file of resources, all at once.
    fn apply(&self, name: &str, resources: &[Value]) {
        let documents: Vec<String> = resources.iter().map(Value::to_string).collect();
        let file = self.folder().join("resources").join(format!("{name}.yaml"));
        // Envoy Gateway ignores hidden files.
        let fresh = file.with_file_name(format!(".{name}"));
        write(&fresh, &documents.join("\n---\n"));
        fs::rename(&fresh, &file).expect("the folder is ours");
    }

    /// Ends Envoy Gateway, changes something and starts it again. Envoy goes on.
    pub fn restart_controller(&mut self, between: impl FnOnce()) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
        between();
        self.gateway = self.spawn_controller();
    }

    pub fn envoy(&mut self) -> &mut Envoy {
        self.envoy.as_mut().expect("it runs")
    }

    fn running(&self) -> &Envoy {
        self.envoy.as_ref().expect("it runs")
    }

    /// Replaces Envoy by a new one.
    pub fn restart_envoy(&mut self) {
        drop(self.envoy.take());
        self.envoy = Some(self.start_envoy());
    }

    /// The same for an Envoy that may not get a listener that works.
    pub fn restart_envoy_without_listener(&mut self) {
        if let Some(envoy) = self.envoy.take() {
            envoy.abandon();
        }
        self.envoy = Some(self.start_envoy_on(READY_PORT));
    }

    /// Stops Envoy without looking for VMs that failed, for a test that wants one to fail.
    pub fn abandon(mut self) {
        if let Some(envoy) = self.envoy.take() {
            envoy.abandon();
        }
    }

    pub fn client(&self) -> Client {
        Client::new(PORT)
    }

    pub fn get(&self, path: &str) -> Request {
        self.client().get(path)
    }

    /// Sends a request until its response has that status.
    pub fn until(&self, status: u16, request: &Request) {
        let mut last = 0;
        wait(&format!("status {status}"), || {
            last = request.clone().send().status;
            (last == status).then_some(())
        })
        .unwrap_or_else(|problem| {
            panic!(
                "{problem}; it is {last}\n{}\n{}",
                tail(&self.gateway_log()),
                tail(&self.running().log())
            )
        });
    }

    /// What Envoy Gateway has logged: statuses of resources too.
    pub fn gateway_log(&self) -> String {
        fs::read_to_string(self.folder().join("gateway.log")).unwrap_or_default()
    }

    /// Waits until Envoy Gateway has logged this.
    pub fn wait_for_gateway_log(&self, text: &str) {
        wait(
            &format!("a log line of Envoy Gateway with {text:?}"),
            || self.gateway_log().contains(text).then_some(()),
        )
        .unwrap_or_else(|problem| panic!("{problem}\n{}", tail(&self.gateway_log())));
    }

    /// Waits for the record of the access log that has this value.
    pub fn access(&self, field: &str, value: &str) -> Value {
        wait("a record in the access log", || {
            let log = self.running().log();
            let records = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            records.into_iter().find(|record| record[field] == value)
        })
        .unwrap_or_else(|problem| {
            panic!(
                "{problem}: {field} {value}\n{}",
                tail(&self.running().log())
            )
        })
    }

    /// The Wasm filters of the listener, by name, as Envoy has them.
    pub fn filters(&self) -> Vec<Value> {
        let dump = self
            .running()
            .admin("/config_dump?resource=dynamic_listeners");
        let dump: Value = serde_json::from_str(&dump).expect("JSON");
        let mut found = Vec::new();
        collect(&dump, &mut found);
        found
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Envoy first: its check needs a running Envoy.
        let envoy = self.envoy.take();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(envoy)));
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
        if thread::panicking() {
            eprintln!(
                "Envoy Gateway's log ended with:\n{}",
                tail(&self.gateway_log())
            );
        } else if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Asks repeatedly until there is an answer or the time is up.
///
/// # Errors
/// What was waited for.
pub fn wait<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T, String> {
    let end = Instant::now() + TIMEOUT;
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if Instant::now() > end {
            return Err(format!("waited {TIMEOUT:?} for {what}"));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A program that `tests/envoy_gateway/setup` builds.
pub fn program(name: &str) -> PathBuf {
    let output = Command::new(tools::root().join("tests/envoy_gateway/setup"))
        .args(["path", name])
        .output()
        .expect("bash runs");
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    assert!(
        path.is_file(),
        "{name} is missing at {}; run: make test-envoy-gateway",
        path.display()
    );
    path
}

/// The config of Envoy Gateway itself.
fn settings(folder: &TempDir) -> String {
    let home = |name: &str| folder.path().join("home").join(name);
    json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyGateway",
        "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        "provider": {"type": "Custom", "custom": {
            "resource": {"type": "File", "file": {"paths": [folder.path().join("resources")]}},
            "infrastructure": {"type": "Host", "host": {
                "configHome": home("config"), "dataHome": home("data"),
                "stateHome": home("state"), "runtimeDir": home("run"),
            }},
        }},
        "extensionApis": {"enableBackend": true, "enableEnvoyPatchPolicy": true},
        "logging": {"level": {"default": "info"}},
    })
    .to_string()
}

/// Puts a program where Envoy Gateway looks for its Envoy. It writes its arguments to a file and waits.
fn record_arguments(folder: &TempDir) {
    let file = folder.path().join("arguments");
    let program = folder.path().join(format!(
        "home/data/envoy-versions/{}/bin/envoy",
        manifests::ENVOY
    ));
    let script = format!(
        "#!/bin/sh\nprintf '%s\\0' \"$@\" > {0}.new && mv {0}.new {0}\nexec sleep infinity\n",
        file.display()
    );
    write(&program, &script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).expect("the file is ours");
}

fn collect(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(members) => {
            if members.get("typed_config").is_some_and(|config| {
                config["@type"] == "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"
            }) {
                found.push(value.clone());
            }
            members.values().for_each(|value| collect(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap_or(path)).expect("the folder is ours");
    fs::write(path, text).expect("the folder is ours");
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
