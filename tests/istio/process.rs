//! Processes of the mesh, each with a log of its own.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use edge_claims_harness::tools;

/// How long anything in the mesh may take. Long, for a machine that is busy; nothing waits longer than it must.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A running program, with all that it started; it ends when it is dropped.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program that writes to `NAME.log` in that folder.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        // Appending, because Envoy opens /dev/stdout once more.
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .expect("the folder is ours");
        let errors = output.try_clone().expect("a second handle");
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{name} does not start: {error}; run: tests/istio/setup")
            });
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits for an answer of the program.
    pub fn wait_for<T>(&mut self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let child = &mut self.child;
        let answer = try_wait(&format!("{}: {what}", self.name), || {
            match child.try_wait() {
                Ok(Some(status)) => Some(Err(format!("it ended: {status}"))),
                _ => ask().map(Ok),
            }
        });
        answer.and_then(|answer| answer).unwrap_or_else(|problem| {
            panic!(
                "{problem}\nThe log of {} ends with:\n{}",
                self.name,
                tail(&self.log())
            )
        })
    }

    /// Waits until it has logged a line with that text, and returns the line.
    pub fn wait_for_log(&mut self, text: &str) -> String {
        let log = self.log.clone();
        self.wait_for(&format!("a log line with {text:?}"), || {
            let log = fs::read(&log).unwrap_or_default();
            String::from_utf8_lossy(&log)
                .lines()
                .find(|line| line.contains(text))
                .map(str::to_owned)
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The whole group: pilot-agent has an Envoy.
        let group = format!("kill -KILL -{} 2> /dev/null", self.child.id());
        let _ = Command::new("sh").args(["-c", &group]).status();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!(
                "The log of {} ends with:\n{}\n",
                self.name,
                tail(&self.log())
            );
        }
    }
}

/// Asks repeatedly until there is an answer.
pub fn wait<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    try_wait(what, ask).unwrap_or_else(|problem| panic!("{problem}"))
}

/// The same, with an error where none comes in time.
fn try_wait<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T, String> {
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

/// Where `tests/istio/setup` has put a tool or a folder.
pub fn installed(name: &'static str) -> PathBuf {
    static KNOWN: OnceLock<std::sync::Mutex<std::collections::BTreeMap<&str, PathBuf>>> =
        OnceLock::new();
    let known = KNOWN.get_or_init(Default::default);
    let mut known = known
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = known.entry(name).or_insert_with(|| {
        let output = Command::new(tools::root().join("tests/istio/setup"))
            .args(["path", name])
            .output();
        let output =
            output.unwrap_or_else(|error| panic!("tests/istio/setup does not run: {error}"));
        assert!(
            output.status.success(),
            "tests/istio/setup path {name}: {output:?}"
        );
        PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
    });
    assert!(
        path.exists(),
        "{} is missing; run: tests/istio/setup",
        path.display()
    );
    path.clone()
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
