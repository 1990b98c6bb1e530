//! Where the tools are that `make setup-tests` and `make wasm` provide.
//!
//! If its tool is missing, each function panics with the command to run: a test that cannot run must
//! not look like one that passed.

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

/// The filter: `EDGE_CLAIMS_WASM`, or what `make wasm` built.
#[must_use]
pub fn module() -> PathBuf {
    let path = std::env::var_os("EDGE_CLAIMS_WASM")
        .map_or_else(|| root().join("target/edge_claims.wasm"), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing; run: make wasm",
        path.display()
    );
    path
}

/// The plugin that passes test vectors to the host, which `make vectors` built.
#[must_use]
pub fn vectors_module() -> PathBuf {
    let path = root().join("target/edge_claims_vectors.wasm");
    assert!(
        path.is_file(),
        "{} is missing; run: make vectors",
        path.display()
    );
    path
}

/// The Envoy binary: `EDGE_CLAIMS_ENVOY`, or the one that `make setup` installed. It is run once to
/// see that it works.
#[must_use]
pub fn envoy() -> &'static Path {
    static ENVOY: OnceLock<PathBuf> = OnceLock::new();
    ENVOY.get_or_init(|| {
        let path =
            std::env::var_os("EDGE_CLAIMS_ENVOY").map_or_else(|| installed("envoy"), PathBuf::from);
        let works = Command::new(&path).arg("--version").output();
        assert!(
            works.is_ok_and(|output| output.status.success()),
            "no working Envoy at {}; run: make setup",
            path.display()
        );
        path
    })
}

/// The Prometheus server: on the `PATH`, or the one that `make setup-tests` installed.
#[must_use]
pub fn prometheus() -> &'static Path {
    static PROMETHEUS: OnceLock<PathBuf> = OnceLock::new();
    PROMETHEUS.get_or_init(|| prometheus_tool("prometheus"))
}

/// The tool that checks and tests Prometheus rules.
#[must_use]
pub fn promtool() -> &'static Path {
    static PROMTOOL: OnceLock<PathBuf> = OnceLock::new();
    PROMTOOL.get_or_init(|| prometheus_tool("promtool"))
}

fn prometheus_tool(name: &str) -> PathBuf {
    let path = installed(name);
    let works = Command::new(&path).arg("--version").output();
    assert!(
        works.is_ok_and(|output| output.status.success()),
        "no working {name} at {}; run: make setup-tests, or sudo apt-get install -y prometheus",
        path.display()
    );
    path
}

/// HAProxy: on the `PATH`, or the one that `make test-haproxy` installed.
#[must_use]
pub fn haproxy() -> &'static Path {
    static HAPROXY: OnceLock<PathBuf> = OnceLock::new();
    HAPROXY.get_or_init(|| {
        let path = installed("haproxy");
        let works = Command::new(&path).arg("-v").output();
        assert!(
            works.is_ok_and(|output| output.status.success()),
            "no working HAProxy at {}; run: scripts/setup haproxy",
            path.display()
        );
        path
    })
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
            "no token libraries at {}; run: make setup-tests",
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
            "no OpenID provider at {}, or no Node 20; run: make setup-tests",
            path.display()
        );
        path
    })
}

/// Chromium: `EDGE_CLAIMS_CHROMIUM`, or the one on the `PATH`.
#[must_use]
pub fn chromium() -> &'static Path {
    static CHROMIUM: OnceLock<PathBuf> = OnceLock::new();
    CHROMIUM.get_or_init(|| {
        let path = std::env::var_os("EDGE_CLAIMS_CHROMIUM")
            .map_or_else(|| PathBuf::from("chromium"), PathBuf::from);
        let works = Command::new(&path).arg("--version").output();
        assert!(
            works.is_ok_and(|output| output.status.success()),
            "no working Chromium at {}; run: scripts/setup chromium",
            path.display()
        );
        path
    })
}

/// The command, which `make test-browser` builds beside the test.
#[must_use]
pub fn command() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test.parent().and_then(Path::parent);
    let path = folder.map_or_else(PathBuf::new, |folder| folder.join("edge-claims"));
    assert!(
        path.is_file(),
        "{} is missing; run: cargo build --features cli --bin edge-claims",
        path.display()
    );
    path
}

/// Asks `scripts/setup`, which alone knows where it installs tools.
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

/// A free port on loopback. It is below the range from which the kernel takes ports for outgoing
/// connections, so that no such connection takes it before the caller does.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 11_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at the same time start at different ports.
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
