//! The command as users run it: `cargo test --features cli --test cli`.

use std::io::Write;
use std::process::{Command, Stdio};

use tempfile::TempDir;

mod check;
mod diff;
mod explain;
mod import;
mod init;
mod join;
mod join_hops;
mod keys;
#[path = "../manual/manifests.rs"]
mod manifests;
mod matrix;
mod pages;
mod schema;
mod shell;
mod test;
mod tokens;

const COMMAND: &str = env!("CARGO_BIN_EXE_edge-claims");

/// The result of the command.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Runs the command in a folder.
fn run(folder: &TempDir, arguments: &[&str], stdin: &str) -> Run {
    let mut child = Command::new(COMMAND)
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read it closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
