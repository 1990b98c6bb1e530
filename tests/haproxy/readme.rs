//! The commands of the examples' READMEs do what the READMEs say.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use edge_claims_harness::tools;
use tempfile::TempDir;

/// The ports of the examples, which a machine may need for something else.
const PORTS: [&str; 7] = ["10443", "8443", "9443", "9901", "10000", "8081", "8082"];

/// Runs the blocks `sh` of the section "Try it" in a copy of the examples, with other ports, and compares what they print
/// with the block `text`.
#[track_caller]
fn try_it(example: &str) {
    let folder = TempDir::new().expect("a temporary folder");
    let root = folder.path();
    let ports = PORTS.map(|port| (port, tools::free_port().to_string()));
    for name in ["haproxy", "identity-routing"] {
        copy(
            &tools::root().join("examples").join(name),
            &root.join("examples").join(name),
            &ports,
        );
    }
    fs::create_dir(root.join("target")).expect("a folder");
    symlink(tools::module(), root.join("target/edge_claims.wasm")).expect("a link");

    let readme = root.join("examples").join(example).join("README.md");
    let readme = fs::read_to_string(readme).expect("the README");
    let (_, section) = readme.split_once("\n## Try it\n").expect("the section");
    let commands = blocks(section, "sh").join("\n");
    let expected = blocks(section, "text").concat();
    let script = format!("set -eu\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{commands}");
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("PATH", path())
        .current_dir(root)
        .output()
        .expect("bash runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    let logs = fs::read_to_string(root.join("examples").join(example).join("envoy.log"));
    let report = format!("{output:?}\n{}", logs.unwrap_or_default());
    assert!(output.status.success(), "{report}");
    // What Envoy's /ready prints comes first.
    let (_, printed) = printed
        .split_once("LIVE\n")
        .unwrap_or_else(|| panic!("{report}"));
    assert_eq!(printed, expected, "{report}");
}

#[test]
fn the_commands_of_the_example_with_haproxy_print_what_its_readme_shows() {
    try_it("haproxy");
}

#[test]
fn the_commands_of_the_example_with_routes_print_what_its_readme_shows() {
    try_it("identity-routing");
}

fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("\n```{language}\n");
    let parts = text.split(&*start).skip(1);
    parts
        .map(|part| &part[..part.find("```").expect("the end of the block")])
        .collect()
}

fn copy(from: &Path, to: &Path, ports: &[(&str, String)]) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the example") {
        let source = entry.expect("an entry").path();
        // What somebody made by hand, as certificates and logs, stays out.
        let is_log = source
            .extension()
            .is_some_and(|ending| ending == "log" || ending == "secret" || ending == "jwk");
        if !source.is_file() || is_log {
            continue;
        }
        let target = to.join(source.file_name().expect("a name"));
        fs::copy(&source, &target).expect("a copy");
        let mut text = fs::read_to_string(&target).expect("text");
        for (port, free) in ports {
            text = text.replace(port, free);
        }
        fs::write(&target, text).expect("the folder is ours");
    }
}

/// The tools of the tests, before those of the system.
fn path() -> std::ffi::OsString {
    let folder = |tool: &Path| tool.parent().map(PathBuf::from).expect("a folder");
    let mut folders = vec![
        folder(tools::haproxy()),
        folder(tools::envoy()),
        folder(&tools::command()),
    ];
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    std::env::join_paths(folders).expect("a path")
}
