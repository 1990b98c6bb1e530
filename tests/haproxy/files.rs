//! A copy of `examples/haproxy` with certificates that its own script made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use edge_claims_harness::tls::{ClientTls, Identity};
use edge_claims_harness::tools;
use tempfile::TempDir;

/// A copy of the example.
pub struct Files(TempDir);

impl Files {
    /// The copy that all tests share.
    pub fn shared() -> &'static Self {
        static FILES: OnceLock<Files> = OnceLock::new();
        FILES.get_or_init(Self::new)
    }

    /// A copy with an authority of its own.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let example = tools::root().join("examples/haproxy");
        for entry in fs::read_dir(&example).expect("the example") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().expect("a name");
                fs::copy(&path, folder.path().join(name)).expect("a copy");
            }
        }
        let output = Command::new(folder.path().join("certificates")).output();
        let output = output.expect("the script runs");
        assert!(output.status.success(), "{output:?}");
        Self(folder)
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Another version of a file, beside it: each pair is a text and its replacement.
    pub fn changed(&self, name: &str, new: &str, changes: &[(&str, &str)]) -> PathBuf {
        let mut text = self.read(name);
        for (from, to) in changes {
            assert!(text.contains(from), "{name} has no {from:?}");
            text = text.replace(from, to);
        }
        let path = self.path(new);
        fs::write(&path, text).expect("the folder is ours");
        path
    }

    /// The certificate of a hop.
    pub fn identity(&self, name: &str) -> Identity {
        Identity {
            certificate: self.read(&format!("certs/{name}.crt")),
            key: self.read(&format!("certs/{name}.key")),
        }
    }

    /// TLS to the hop of that name, with that certificate or none.
    pub fn tls(&self, server: &str, identity: Option<&Identity>) -> ClientTls {
        ClientTls::from_pem(&self.read("certs/ca.pem"), identity).server(server)
    }
}
