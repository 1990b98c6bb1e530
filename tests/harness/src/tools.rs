//! Where the tools are that `make setup` and `make wasm` provide.
//!
//! Each function panics with the command to run when its tool is missing: a test that cannot run
//! must not look like one that passed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// The root of the source tree.
#[must_use]
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        folder.canonicalize().unwrap_or(folder)
    })
}

/// The filter: `EDGE_CLAIMS_WASM`, or what `make wasm` left in `target/`.
#[must_use]
pub fn module() -> PathBuf {
    let path = std::env::var_os("EDGE_CLAIMS_WASM")
        .map_or_else(|| root().join("target/edge_claims.wasm"), PathBuf::from);
    assert!(
        path.is_file(),
        "there is no module at {}: run `make wasm`",
        path.display()
    );
    path
}

/// The plugin that puts test vectors to the host, which `make e2e` leaves in `target/`.
#[must_use]
pub fn vectors_module() -> PathBuf {
    let path = root().join("target/edge_claims_vectors.wasm");
    assert!(
        path.is_file(),
        "there is no module at {}: run `make vectors`",
        path.display()
    );
    path
}

/// The Envoy binary: `EDGE_CLAIMS_ENVOY`, or the one that `make setup` installed. It was run once.
#[must_use]
pub fn envoy() -> &'static Path {
    static ENVOY: OnceLock<PathBuf> = OnceLock::new();
    ENVOY.get_or_init(|| {
        let path =
            std::env::var_os("EDGE_CLAIMS_ENVOY").map_or_else(|| installed("envoy"), PathBuf::from);
        let works = Command::new(&path).arg("--version").output();
        assert!(
            works.is_ok_and(|output| output.status.success()),
            "there is no working Envoy at {}: run `make setup`",
            path.display()
        );
        path
    })
}

/// The Prometheus server: on the `PATH`, or what `make setup` got.
#[must_use]
pub fn prometheus() -> &'static Path {
    static PROMETHEUS: OnceLock<PathBuf> = OnceLock::new();
    PROMETHEUS.get_or_init(|| of_prometheus("prometheus"))
}

/// The tool that checks and tests Prometheus' rules.
#[must_use]
pub fn promtool() -> &'static Path {
    static PROMTOOL: OnceLock<PathBuf> = OnceLock::new();
    PROMTOOL.get_or_init(|| of_prometheus("promtool"))
}

fn of_prometheus(name: &str) -> PathBuf {
    let path = installed(name);
    let works = Command::new(&path).arg("--version").output();
    assert!(
        works.is_ok_and(|output| output.status.success()),
        "there is no working {name} at {}: run `make setup`, or `sudo apt-get install -y prometheus`",
        path.display()
    );
    path
}

/// The Python that has the libraries of `tests/tokens/requirements.txt`.
#[must_use]
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let path = installed("python");
        let works = Command::new(&path)
            .args(["-c", "import jwt, joserfc"])
            .output();
        assert!(
            works.is_ok_and(|output| output.status.success()),
            "there are no token libraries at {}: run `make setup`",
            path.display()
        );
        path
    })
}

/// The folder that has the packages of `tests/oidc/package-lock.json`.
#[must_use]
pub fn oidc() -> &'static Path {
    static OIDC: OnceLock<PathBuf> = OnceLock::new();
    OIDC.get_or_init(|| {
        let path = installed("oidc");
        let works = Command::new("node")
            .args(["--input-type=module", "--eval", "import 'oidc-provider'"])
            .current_dir(&path)
            .output();
        assert!(
            works.is_ok_and(|output| output.status.success()),
            "there is no OpenID provider at {}, or no Node 20: run `make setup`",
            path.display()
        );
        path
    })
}

/// Asks the set-up, which alone knows its places.
fn installed(name: &str) -> PathBuf {
    let output = Command::new(root().join("scripts/setup"))
        .args(["path", name])
        .output()
        .unwrap_or_else(|error| panic!("scripts/setup does not run: {error}"));
    assert!(
        output.status.success(),
        "scripts/setup path {name}: {output:?}"
    );
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// A port on loopback that was free just now. Below the range from which the kernel takes ports for
/// outgoing connections, so that none of those can be in the way a moment later.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 11_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at once start at different places.
    let start = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(COUNT)).unwrap_or(0);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}
