//! Runs the programs of the tests.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use edge_claims_harness::tools;
use serde_json::Value;

/// A program that `tests/manifests/setup` built.
pub fn installed(name: &str) -> PathBuf {
    let output = Command::new(tools::root().join("tests/manifests/setup"))
        .args(["path", name])
        .output()
        .expect("the script runs");
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    assert!(
        path.is_file(),
        "{} is missing; run: tests/manifests/setup",
        path.display()
    );
    path
}

/// What a program printed; it must succeed.
#[track_caller]
pub fn printed(command: &mut Command) -> String {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{command:?}: {}", both(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// All that a program printed.
pub fn both(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

/// The documents of a YAML text.
pub fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).expect("YAML");
    documents.into_iter().filter(|it| !it.is_null()).collect()
}

/// The documents of that kind.
pub fn of_kind<'d>(documents: &'d [Value], kind: &str) -> Vec<&'d Value> {
    documents.iter().filter(|it| it["kind"] == kind).collect()
}

/// `edge-claims check` finds no error in these resources, and that many configs.
#[track_caller]
pub fn checked(text: &str, configs: usize) {
    let mut command = Command::new(tools::command())
        .args(["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let mut input = command.stdin.take().expect("it is piped");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = command.wait_with_output().expect("it ends");
    let report = both(&output);
    assert!(output.status.success(), "{report}");
    let plural = if configs == 1 { "" } else { "s" };
    assert!(
        report.contains(&format!("{configs} config{plural} checked")),
        "{report}"
    );
}
