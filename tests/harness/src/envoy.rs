//! A running Envoy: requests to it, reloads, its logs and statistics, and the check at its end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Client, Request, Response};
use crate::setup::Setup;
use crate::tools;

/// How long Envoy may take to start, to reload, to write a log line.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The same where Envoy gets its listener, and the filter's module, from a control plane.
const CONTROL_PLANE_TIMEOUT: Duration = Duration::from_secs(120);

/// What Envoy logs when a VM traps or a plugin is not configured on some worker, and what it says
/// about the requests that come after.
const FAILURES: [&str; 5] = [
    "Function: proxy_",
    "Uncaught RuntimeError",
    "panicked at",
    "Wasm VM failed",
    "wasm_fail_stream",
];

/// A config that the main thread refuses takes no effect anywhere: that is no failure.
const REFUSED: &str = "Failed to configure base Wasm plugin";

/// A running Envoy.
///
/// When it is dropped, it is stopped, and the test fails if a VM has failed. So every test is checked
/// for traps.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    client: Client,
    admin: Client,
    port: u16,
    setup: Option<Setup>,
    folder: TempDir,
    checked: bool,
}

/// What Envoy did with a new listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    Accepted,
    /// With what Envoy says about it.
    Rejected(String),
}

impl Envoy {
    pub(crate) fn start(mut setup: Setup) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let (port, admin) = (tools::free_port(), tools::free_port());
        let listeners = setup.listeners(port, &access_log(&folder));
        write(&listener_file(&folder), &listeners.to_string());
        let bootstrap = setup
            .to_bootstrap(admin, &listener_file(&folder))
            .to_string();
        let config = folder.path().join("envoy.json");
        write(&config, &bootstrap);
        let client = match &setup.client_tls {
            Some(tls) => Client::with_tls(port, tls.clone()),
            None => Client::new(port),
        };
        let child = launch(&config, &setup, &[], &folder);
        let admin = Client::new(admin);
        let setup = Some(setup);
        Self {
            child,
            client,
            admin,
            port,
            setup,
            folder,
            checked: false,
        }
        .wait_until_it_serves(TIMEOUT)
    }

    /// Runs a configuration file with substitutions: pairs of a text and its replacement. `port` and
    /// `admin` are the ports that it listens on after them.
    ///
    /// # Panics
    /// Where Envoy does not come up, with its log; or where there is nothing to substitute.
    #[must_use]
    pub fn run_file(
        path: &Path,
        substitutions: &[(&str, &str)],
        environment: &[(&str, &str)],
        port: u16,
        admin: u16,
    ) -> Self {
        let mut text =
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (from, to) in substitutions {
            assert!(text.contains(from), "{} has no {from:?}", path.display());
            text = text.replace(from, to);
        }
        let folder = TempDir::new().expect("a temporary folder");
        let config = folder.path().join("envoy.yaml");
        write(&config, &text);
        let defaults = Setup::empty();
        let child = launch(&config, &defaults, environment, &folder);
        Self::without_setup(child, port, admin, folder)
            .wait_until_it_serves(TIMEOUT)
            .unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// An Envoy whose config is not the harness's own.
    fn without_setup(child: Child, port: u16, admin: u16, folder: TempDir) -> Self {
        Self {
            child,
            client: Client::new(port),
            admin: Client::new(admin),
            port,
            setup: None,
            folder,
            checked: false,
        }
    }

    /// Runs Envoy with the arguments that a control plane starts it with, and no others. `port` and `admin` are
    /// the ports that it listens on then.
    ///
    /// # Panics
    /// Where Envoy does not come up, with its log.
    #[must_use]
    pub fn run_arguments(
        arguments: &[String],
        environment: &[(&str, &str)],
        port: u16,
        admin: u16,
    ) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let child = spawn(
            Command::new(tools::envoy()).args(arguments),
            environment,
            &folder,
        );
        Self::without_setup(child, port, admin, folder)
            .wait_until_it_serves(CONTROL_PLANE_TIMEOUT)
            .unwrap_or_else(|problem| panic!("{problem}"))
    }

    fn wait_until_it_serves(mut self, timeout: Duration) -> Result<Self, String> {
        let dynamic = self.setup.is_some();
        let end = Instant::now() + timeout;
        let problem = loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                break format!("Envoy ended: {status}");
            }
            if self.admin.get("/ready").send().status == 200 {
                let stats = self.stats();
                if dynamic && stats.of("listener_manager.lds.update_rejected") > 0 {
                    break "Envoy refused the listener".to_owned();
                }
                let settled = !dynamic
                    || (stats.of("listener_manager.lds.update_success") > 0
                        && stats.of("listener_manager.total_listeners_warming") == 0);
                if settled && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                    return Ok(self);
                }
            }
            if Instant::now() > end {
                break format!("Envoy did not serve within {timeout:?}");
            }
            thread::sleep(Duration::from_millis(10));
        };
        // The caller decides whether a failed start is an error.
        self.checked = true;
        Err(format!("{problem}\n{}", tail(&self.log())))
    }

    /// The port of the listener on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The port of Envoy's admin interface on loopback.
    #[must_use]
    pub const fn admin_port(&self) -> u16 {
        self.admin.port()
    }

    /// The process, as the system numbers it: for CPU time and memory.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// A client of the listener; cheap to clone, for threads of a test.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    pub fn get(&self, path: impl AsRef<[u8]>) -> Request {
        self.client.get(path)
    }

    pub fn request(&self, method: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Request {
        self.client.request(method, path)
    }

    /// A gRPC call with one message.
    pub fn grpc(&self, method: &str, message: &[u8]) -> Request {
        self.client.grpc(method, message)
    }

    /// Sends bytes as they are and reads one response.
    #[must_use]
    pub fn raw(&self, bytes: &[u8]) -> Response {
        self.client.raw(bytes)
    }

    /// The body of a page of Envoy's admin interface.
    #[must_use]
    pub fn admin(&self, path: &str) -> String {
        self.admin.get(path).send().text()
    }

    /// A `POST` to Envoy's admin interface.
    #[must_use]
    pub fn admin_post(&self, path: &str) -> String {
        self.admin
            .request("POST", path)
            .header("content-length", "0")
            .send()
            .text()
    }

    /// Counters and gauges by name, as they are now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let text = self.admin("/stats");
        let pair = |line: &str| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Stats(text.lines().filter_map(pair).collect())
    }

    /// What Envoy, and with it the filter, has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(envoy_log(&self.folder)).unwrap_or_default()).into_owned()
    }

    /// Waits until the log has a line with that text, and returns the line.
    ///
    /// # Panics
    /// If none comes in time.
    #[must_use]
    pub fn wait_for_log(&self, text: &str) -> String {
        wait(&format!("a log line with {text:?}"), || {
            let log = self.log();
            log.lines()
                .find(|line| line.contains(text))
                .map(str::to_owned)
        })
        .unwrap_or_else(|problem| panic!("{problem}\n{}", tail(&self.log())))
    }

    /// The access log so far: one JSON object a request.
    #[must_use]
    pub fn access_log(&self) -> Vec<Value> {
        let text = fs::read_to_string(access_log(&self.folder)).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits until the access log has a record that satisfies the predicate, and returns it.
    ///
    /// # Panics
    /// If none comes in time.
    #[must_use]
    pub fn wait_for_access(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        wait("a record in the access log", || {
            self.access_log().into_iter().find(&wanted)
        })
        .unwrap_or_else(|problem| panic!("{problem}; there are {:#?}", self.access_log()))
    }

    /// Waits for the access record of the request that carried this `x-test` header.
    ///
    /// # Panics
    /// If none comes in time.
    #[must_use]
    pub fn access_of(&self, test: &str) -> Value {
        self.wait_for_access(|record| record["test"] == test)
    }

    /// Replaces the listener by file-based dynamic configuration, and waits for what comes of it.
    ///
    /// # Panics
    /// Where Envoy was not started from a [`Setup`], or does not react.
    #[must_use]
    pub fn reload(&mut self, change: impl FnOnce(Setup) -> Setup) -> Reload {
        let before = self.stats();
        let kept = self
            .setup
            .take()
            .expect("only an Envoy started from a setup can be reloaded");
        let mut setup = change(kept);
        let listeners = setup.listeners(self.port, &access_log(&self.folder));
        self.setup = Some(setup);
        let file = listener_file(&self.folder);
        // Envoy watches for a file that is moved into the folder.
        let fresh = file.with_extension("new");
        write(&fresh, &listeners.to_string());
        let log_before = self.log().len();
        fs::rename(&fresh, &file).expect("the folder is ours");
        let changed = |name: &str, now: &Stats| now.of(name) > before.of(name);
        let result = wait("a reaction to the new listener", || {
            let now = self.stats();
            if changed("listener_manager.lds.update_rejected", &now) {
                let log = self.log();
                return Some(Reload::Rejected(
                    log.get(log_before..).unwrap_or(&log).to_owned(),
                ));
            }
            let settled = now.of("listener_manager.total_listeners_warming") == 0;
            (settled && changed("listener_manager.lds.update_success", &now))
                .then_some(Reload::Accepted)
        });
        result.unwrap_or_else(|problem| panic!("{problem}\n{}", tail(&self.log())))
    }

    /// Signs that a VM has failed: statistics and log lines. Empty if none has failed.
    #[must_use]
    pub fn vm_failures(&mut self) -> Vec<String> {
        let mut signs = Vec::new();
        if let Ok(Some(status)) = self.child.try_wait() {
            signs.push(format!("Envoy ended: {status}"));
        } else {
            for (name, value) in self.stats().0 {
                // What begins with `wasmcustom.` are the filter's own metrics, with `cluster.` those of the server
                // from which Envoy fetches modules.
                let failure = name.contains("wasm")
                    && !name.starts_with("wasmcustom.")
                    && !name.starts_with("cluster.")
                    && (name.contains("fail") || name.contains("crash") || name.contains("reload"));
                if failure && value > 0 {
                    signs.push(format!("{name}: {value}"));
                }
            }
        }
        let log = self.log() + &fs::read_to_string(access_log(&self.folder)).unwrap_or_default();
        let suspicious = log.lines().filter(|line| {
            FAILURES.iter().any(|sign| line.contains(sign)) && !line.contains(REFUSED)
        });
        signs.extend(suspicious.take(20).map(str::to_owned));
        signs
    }

    /// Stops Envoy and fails the test if a VM has failed. Dropping does the same; this makes it explicit.
    pub fn finish(mut self) {
        self.check();
    }

    /// Stops Envoy without the check, for a test that wants a VM to fail.
    pub fn abandon(mut self) {
        self.checked = true;
    }

    fn check(&mut self) {
        if std::mem::replace(&mut self.checked, true) {
            return;
        }
        let signs = self.vm_failures();
        if signs.is_empty() {
            return;
        }
        let mut report = "a VM failed:\n".to_owned();
        for sign in signs {
            let _ = writeln!(report, "  {sign}");
        }
        let _ = write!(report, "{}", tail(&self.log()));
        if thread::panicking() {
            eprintln!("{report}");
        } else {
            panic!("{report}");
        }
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Stopped first, whatever the check finds; but the check asks it for its statistics.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.check()));
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
        if thread::panicking() {
            eprintln!("Envoy's log ended with:\n{}", tail(&self.log()));
        }
    }
}

/// Counters and gauges by name.
#[derive(Debug, Clone)]
pub struct Stats(pub BTreeMap<String, u64>);

impl Stats {
    /// A value; 0 where there is none of that name.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
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
        thread::sleep(Duration::from_millis(5));
    }
}

fn launch(config: &Path, setup: &Setup, environment: &[(&str, &str)], folder: &TempDir) -> Child {
    let mut command = Command::new(tools::envoy());
    command
        .arg("--config-path")
        .arg(config)
        .args(["--concurrency", &setup.concurrency.to_string()])
        .args(["--log-level", &setup.log_level])
        .args(["--component-log-level", &setup.component_log_level])
        .args(setup.yaml.iter().flat_map(|yaml| ["--config-yaml", yaml]))
        .args(["--file-flush-interval-msec", "10"])
        .args(["--drain-time-s", "1", "--parent-shutdown-time-s", "2"])
        .arg("--disable-hot-restart");
    spawn(&mut command, environment, folder)
}

fn spawn(command: &mut Command, environment: &[(&str, &str)], folder: &TempDir) -> Child {
    let log = File::create(envoy_log(folder)).expect("the folder is ours");
    let output = log.try_clone().expect("a second handle");
    command
        .envs(environment.iter().copied())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("Envoy does not start: {error}; run: make setup"))
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap_or(path)).expect("the folder is ours");
    fs::write(path, text).expect("the folder is ours");
}

fn listener_file(folder: &TempDir) -> PathBuf {
    folder.path().join("listeners/listeners.json")
}

fn access_log(folder: &TempDir) -> PathBuf {
    folder.path().join("access.log")
}

fn envoy_log(folder: &TempDir) -> PathBuf {
    folder.path().join("envoy.log")
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
