//! The service, running.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use edge_claims_harness::envoy::wait;
use edge_claims_harness::{Client, tools};
use serde_json::Value;
use tempfile::TempDir;

/// What Envoy and the service share.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A running service; it stops when it is dropped.
pub struct Service {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Service {
    /// With the shared secret, and these settings more.
    pub fn with_secret(settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let secret = folder.path().join("secret");
        fs::write(&secret, SECRET).expect("the folder is ours");
        let secret = secret.display().to_string();
        let mut all = vec![("ORDERS_PROOF", "secret"), ("ORDERS_SECRET_FILE", &secret)];
        all.extend(settings);
        Self::start(folder, &all)
    }

    /// With these settings, whose files may be in the folder.
    pub fn start(folder: TempDir, settings: &[(&str, &str)]) -> Self {
        let port = tools::free_port();
        let log = File::create(folder.path().join("log")).expect("the folder is ours");
        let child = command()
            .env("ORDERS_PORT", port.to_string())
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("Python starts");
        let service = Self {
            child,
            port,
            folder,
        };
        wait("the service to listen", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .unwrap_or_else(|problem| panic!("{problem}\n{}", service.text()));
        service
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A client that goes to the service itself.
    pub const fn client(&self) -> Client {
        Client::new(self.port)
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The log: all of its lines are JSON objects.
    pub fn records(&self) -> Vec<Value> {
        let text = self.text();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }

    /// Waits for the line of the request with that correlation ID.
    pub fn record(&self, id: &str) -> Value {
        wait("a line in the service's log", || {
            self.records()
                .into_iter()
                .find(|line| line["correlation_id"] == id && line["event"] == "request")
        })
        .unwrap_or_else(|problem| panic!("{problem}; there are\n{}", self.text()))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("The service wrote:\n{}", self.text());
        }
    }
}

/// `python -m orders`, without any settings.
pub fn command() -> Command {
    let mut command = Command::new(python());
    command
        .args(["-m", "orders"])
        .current_dir(example())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

pub fn example() -> PathBuf {
    tools::root().join("examples/fastapi")
}

/// The Python that has the example's packages.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output = Command::new(tools::root().join("tests/fastapi/setup"))
            .args(["path", "python"])
            .output()
            .expect("tests/fastapi/setup runs");
        let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        assert!(
            path.is_file(),
            "{} is missing; run: tests/fastapi/setup",
            path.display()
        );
        path
    })
}
