//! What newer versions of Envoy do and older ones do not, where a test sees it.
//!
//! A test asserts what its Envoy does, on either side: so a version that does otherwise fails. `make test-matrix` lists
//! what the tests of each version asked for and did not have.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::sync::OnceLock;

use crate::tools;

/// Something that Envoy does from some version on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// It tells filters whether it has validated a client's certificate.
    PeerValidation,
    /// Its path normalization resolves `..` with a parameter behind it.
    DotsWithParameters,
}

impl Since {
    /// The first minor version of Envoy 1, and what older ones do instead, for `docs/compatibility.md`.
    const fn about(self) -> (u32, &'static str) {
        match self {
            Self::PeerValidation => (
                39,
                "does not report that it validated a client's certificate: \
                 with `rbac.peer_validation: reported`, the default, no client is a peer; `by_listener` works",
            ),
            Self::DotsWithParameters => (
                39,
                "`normalize_path` leaves `/..;/` as it is, and the filter refuses such a path",
            ),
        }
    }

    /// Whether the Envoy of this run does it.
    #[must_use]
    pub fn is_there(self) -> bool {
        let (since, otherwise) = self.about();
        let there = minor_version() >= since;
        if !there {
            report(otherwise);
        }
        there
    }
}

/// The 40 of Envoy 1.40.
fn minor_version() -> u32 {
    static VERSION: OnceLock<u32> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let output = Command::new(tools::envoy()).arg("--version").output();
        let text = String::from_utf8(output.expect("Envoy runs").stdout).expect("text");
        // FOLDER/envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL
        let version = text
            .split(" version: ")
            .nth(1)
            .and_then(|it| it.split('/').nth(1));
        let minor = version
            .and_then(|it| it.strip_prefix("1."))
            .and_then(|it| it.split('.').next());
        minor
            .and_then(|it| it.parse().ok())
            .unwrap_or_else(|| panic!("no version of Envoy 1: {text}"))
    })
}

/// Appends a line to the file that `make test-matrix` reads.
fn report(difference: &str) {
    if let Some(path) = std::env::var_os("EDGE_CLAIMS_DIFFERENCES") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let written =
            file.and_then(|mut file| file.write_all(format!("{difference}\n").as_bytes()));
        written.expect("EDGE_CLAIMS_DIFFERENCES can be written");
    }
}
