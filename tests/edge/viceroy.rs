//! The edge under Viceroy, with stores of the test's own.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use edge_claims_harness::envoy::wait;
use edge_claims_harness::{Client, tools};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the edge's stores hold. A member that is `None` is not there at all.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    pub settings: Option<Value>,
    pub session_jwks: Option<Value>,
    pub signing_key: Option<String>,
    pub log_key: Option<String>,
    pub login_key: Option<String>,
    pub client_secret: Option<String>,
    /// The provider's port on loopback: the backends `login` and `login_keys`.
    pub provider: Option<u16>,
    /// The host that the backend is asked for instead of the client's.
    pub override_host: Option<String>,
    /// The mesh speaks TLS: a folder with the authority `ca.pem` and the edge's `edge.crt` and `edge.key`.
    pub mesh_certificates: Option<PathBuf>,
}

/// A running edge; it stops when it is dropped.
pub struct Viceroy {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Viceroy {
    /// Starts the edge in front of the mesh on that port of loopback.
    ///
    /// # Panics
    /// Where Viceroy or the edge is missing, or does not come up.
    pub fn start(stores: &Stores, mesh: u16) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let config = folder.path().join("fastly.toml");
        fs::write(&config, manifest(&folder, stores, mesh)).expect("the folder is ours");
        let output = File::create(folder.path().join("log")).expect("the folder is ours");
        let port = tools::free_port();
        let child = Command::new(path("viceroy"))
            // With -v it says which requests it handles, as an operator who looks for a problem would have it.
            .arg("-v")
            .args(["--addr", &format!("127.0.0.1:{port}"), "--config"])
            .arg(&config)
            .arg(path("edge"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .expect("Viceroy runs");
        let mut edge = Self {
            child,
            port,
            folder,
        };
        let mut up = || {
            wait("the edge", || {
                let ended = edge.child.try_wait().ok().flatten();
                assert!(ended.is_none(), "Viceroy ended: {}", edge.output());
                TcpStream::connect(("127.0.0.1", port)).ok()
            })
        };
        // It compiles the edge first, which takes a second of CPU: long on a busy machine.
        let is_up = (0..6).any(|_| up().is_ok());
        assert!(is_up, "the edge does not come up\n{}", edge.output());
        edge
    }

    pub const fn client(&self) -> Client {
        Client::new(self.port)
    }

    /// Everything that Viceroy and the edge wrote.
    pub fn output(&self) -> String {
        let bytes = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The edge's log: the lines of its log endpoint, parsed.
    pub fn log(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        self.log_text().lines().map(parse).collect()
    }

    /// The edge's log, as its endpoint receives it.
    pub fn log_text(&self) -> String {
        let mut text = String::new();
        for line in self.output().lines() {
            if let Some(line) = line.strip_prefix("edge_log :: ") {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }

    /// Waits for the log line with this correlation ID.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn record(&self, id: &str) -> Value {
        wait("a line in the edge's log", || {
            let mut lines = self.log().into_iter();
            lines.find(|line| line["correlation_id"] == id)
        })
        .unwrap_or_else(|problem| panic!("{problem}\n{}", self.output()))
    }
}

impl Drop for Viceroy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn manifest(folder: &TempDir, stores: &Stores, mesh: u16) -> String {
    let mut config = json!({});
    for (name, value) in [
        ("settings", &stores.settings),
        ("session_jwks", &stores.session_jwks),
    ] {
        if let Some(value) = value {
            config[name] = json!(value.to_string());
        }
    }
    let mut secrets = json!({});
    for (name, value) in [
        ("signing_key", &stores.signing_key),
        ("log_key", &stores.log_key),
        ("login_key", &stores.login_key),
        ("client_secret", &stores.client_secret),
    ] {
        if let Some(value) = value {
            secrets[name] = json!(value);
        }
    }
    let store = |name: &str, content: &Value| {
        let file = folder.path().join(name);
        fs::write(&file, content.to_string()).expect("the folder is ours");
        format!(
            "file = {:?}\nformat = \"json\"\n",
            file.display().to_string()
        )
    };
    let (config, secrets) = (
        store("config.json", &config),
        store("secrets.json", &secrets),
    );
    let host = stores.override_host.as_ref();
    let mut host = host.map_or_else(String::new, |host| format!("override_host = {host:?}\n"));
    let scheme = if let Some(folder) = &stores.mesh_certificates {
        let file = |name| folder.join(name).display().to_string();
        host.push_str(&format!(
            "cert_host = \"shop.example.com\"\nca_certificate = {{file = {:?}}}\n\
             client_certificate = {{certificate_file = {:?}, key_file = {:?}}}\n",
            file("ca.pem"),
            file("edge.crt"),
            file("edge.key")
        ));
        "https"
    } else {
        "http"
    };
    let login = stores.provider.map_or_else(String::new, |port| {
        format!(
            "[local_server.backends.login]\nurl = \"http://127.0.0.1:{port}\"\n\
             [local_server.backends.login_keys]\nurl = \"http://127.0.0.1:{port}\"\n"
        )
    });
    format!(
        "manifest_version = 3\nlanguage = \"rust\"\nname = \"edge\"\n\
         [local_server.backends.mesh]\nurl = \"{scheme}://127.0.0.1:{mesh}\"\n{host}\
         [local_server.backends.mesh_grpc]\nurl = \"{scheme}://127.0.0.1:{mesh}\"\ngrpc = true\n{host}{login}\
         [local_server.config_stores.edge_config]\n{config}\
         [local_server.secret_stores.edge_secrets]\n{secrets}"
    )
}

/// The operator's command.
pub fn command() -> PathBuf {
    path("command")
}

/// Asks `tests/edge/setup`, which alone knows where it builds.
fn path(name: &str) -> PathBuf {
    let output = Command::new(tools::root().join("tests/edge/setup"))
        .args(["path", name])
        .output()
        .expect("tests/edge/setup runs");
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    assert!(
        path.is_file(),
        "{} is missing; run: make test-edge",
        path.display()
    );
    path
}
