//! Real web frameworks and servers behind Envoy: Flask, Django and FastAPI (see
//! `tests/frameworks/serve.py`), and CGI under lighttpd.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::envoy::wait;
use crate::setup::cluster;
use crate::tools;

/// A running backend; it ends when it is dropped.
pub struct Backend {
    name: &'static str,
    child: Child,
    port: u16,
    _folder: Option<TempDir>,
}

impl Backend {
    /// Flask under Werkzeug's server.
    #[must_use]
    pub fn flask() -> Self {
        Self::python("flask")
    }

    /// Django under the server of Python's standard library.
    #[must_use]
    pub fn django() -> Self {
        Self::python("django")
    }

    /// `FastAPI` under uvicorn.
    #[must_use]
    pub fn uvicorn() -> Self {
        Self::python("uvicorn")
    }

    /// `FastAPI` under Hypercorn.
    #[must_use]
    pub fn hypercorn() -> Self {
        Self::python("hypercorn")
    }

    fn python(name: &'static str) -> Self {
        let python = installed("python");
        let mut child = Command::new(&python)
            .arg(tools::root().join("tests/frameworks/serve.py"))
            .arg(name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; {SET_UP}", python.display()));
        let mut port = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        let _ = BufReader::new(stdout).read_line(&mut port);
        let port = port.trim().parse();
        let port = port.unwrap_or_else(|_| panic!("{name} did not start; {SET_UP}"));
        Self {
            name,
            child,
            port,
            _folder: None,
        }
        .when_it_listens()
    }

    /// lighttpd with the CGI programs of `tests/frameworks/cgi`.
    ///
    /// # Panics
    /// Where lighttpd is missing.
    #[must_use]
    pub fn cgi() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let port = tools::free_port();
        let programs = tools::root().join("tests/frameworks/cgi");
        let config = format!(
            "server.modules = (\"mod_cgi\")\nserver.bind = \"127.0.0.1\"\nserver.port = {port}\n\
             server.document-root = \"{}\"\ncgi.assign = (\".cgi\" => \"\")\n",
            programs.display()
        );
        let file = folder.path().join("lighttpd.conf");
        fs::write(&file, config).expect("the folder is ours");
        let lighttpd = installed("lighttpd");
        let child = Command::new(&lighttpd)
            .arg("-D")
            .arg("-f")
            .arg(&file)
            .arg("-m")
            .arg(installed("lighttpd-modules"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; {SET_UP}", lighttpd.display()));
        Self {
            name: "cgi",
            child,
            port,
            _folder: Some(folder),
        }
        .when_it_listens()
    }

    fn when_it_listens(self) -> Self {
        let listens = || TcpStream::connect(("127.0.0.1", self.port)).ok();
        wait(self.name, listens)
            .unwrap_or_else(|problem| panic!("{} does not listen: {problem}; {SET_UP}", self.name));
        self
    }

    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The backend as a cluster of Envoy, under its name.
    #[must_use]
    pub fn cluster(&self) -> Value {
        cluster(self.name, self.port)
    }

    /// A client that asks the backend itself, without Envoy.
    #[must_use]
    pub const fn client(&self) -> Client {
        Client::new(self.port)
    }

    /// The handlers of `tests/frameworks/serve.py` that have run since the last call.
    ///
    /// # Panics
    /// Where the backend has none.
    #[must_use]
    pub fn handlers(&self) -> Vec<String> {
        let response = self
            .client()
            .get("/handlers")
            .header("connection", "close")
            .send();
        serde_json::from_slice(&response.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {response:?}", self.name))
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SET_UP: &str = "run: tests/frameworks/setup";

/// Asks `tests/frameworks/setup`, which alone knows where it installs them.
fn installed(name: &str) -> PathBuf {
    let output = Command::new(tools::root().join("tests/frameworks/setup"))
        .args(["path", name])
        .output()
        .unwrap_or_else(|error| panic!("tests/frameworks/setup does not run: {error}"));
    assert!(
        output.status.success(),
        "tests/frameworks/setup path {name}: {output:?}"
    );
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
