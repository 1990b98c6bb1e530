//! What a release consists of, held to what `docs/release.md` says: `make test-release` builds one and runs this.

mod artifacts;
mod package;
mod reproducible;
mod workflows;

use std::path::{Path, PathBuf};
use std::process::Command;

use edge_claims_harness::tools::root;

/// What a command prints.
///
/// # Panics
/// With all that it printed, if it fails.
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A command that runs in the root of the tree.
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The version of the crate.
fn version() -> String {
    let manifest = read(root().join("Cargo.toml"));
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "));
    line.expect("a version").trim_matches('"').to_owned()
}

/// A file of the release.
fn dist(name: &str) -> PathBuf {
    let path = root().join("target/dist").join(name);
    assert!(
        path.is_file(),
        "{} is missing; run: make release",
        path.display()
    );
    path
}
