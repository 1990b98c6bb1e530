//! The commands of `examples/fastapi/README.md`, run as a reader would copy them.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use edge_claims_harness::tools;

use crate::service::example;

/// A command and the lines below it: what it prints.
struct Step {
    command: String,
    expected: String,
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").expect("its end");
        let mut continues = false;
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step {
                    command: command.to_owned(),
                    expected: String::new(),
                });
            } else if continues {
                let step = steps.last_mut().expect("a command");
                let _ = write!(step.command, "\n{line}");
            } else {
                let step = steps.last_mut().expect("a command");
                let _ = writeln!(step.expected, "{line}");
            }
            continues = line.ends_with('\\');
        }
    }
    steps
}

/// `…` stands for any text within a line.
fn fits(expected: &str, actual: &str) -> bool {
    let Some((first, rest)) = expected.split_once('…') else {
        return expected == actual;
    };
    let Some(mut left) = actual.strip_prefix(first) else {
        return false;
    };
    let mut parts = rest.split('…').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        let Some(at) = left.find(part) else {
            return false;
        };
        left = &left[at + part.len()..];
    }
    true
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder is ours");
    for entry in fs::read_dir(from).expect("the example") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_owned();
        // A reader's own: .venv, caches, run.
        if name == "run" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("a copy");
        }
    }
}

/// A free port that no other test takes before Envoy does: installing the packages takes a while.
fn quiet_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 5_000).unwrap_or(0);
    let mut ports =
        std::iter::repeat_with(|| 5_500 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 5_000);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("endless")
}

#[test]
fn the_commands_print_what_the_page_shows() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let here = folder.path().join("examples/fastapi");
    copy(&example(), &here);
    for name in ["scripts", "tests"] {
        std::os::unix::fs::symlink(tools::root().join(name), folder.path().join(name)).unwrap();
    }
    fs::create_dir(folder.path().join("target")).unwrap();
    fs::copy(
        tools::module(),
        folder.path().join("target/edge_claims.wasm"),
    )
    .unwrap();
    let readme = fs::read_to_string(here.join("README.md")).unwrap();
    let mut script = "set -eu\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n".to_owned();
    let steps = steps(&readme);
    assert!(
        steps.len() > 15,
        "the page has its commands in console blocks"
    );
    for (number, step) in steps.iter().enumerate() {
        let _ = write!(script, "printf '@@{number}\\n'\n{}\n", step.command);
        if !step.expected.is_empty() {
            // The service's answers have no end of line.
            script.push_str("echo\n");
        }
    }
    // Ports of this test's own, in the page and in the files.
    let config = fs::read_to_string(here.join("envoy.yaml")).unwrap();
    let mut config = config;
    let mut environment = Vec::new();
    for (port, name) in [(10000, ""), (9901, ""), (8000, "ORDERS_PORT"), (8099, "")] {
        let free = quiet_port().to_string();
        let old = format!("port_value: {port}}}");
        assert!(config.contains(&old));
        config = config.replace(&old, &format!("port_value: {free}}}"));
        config = config.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{free}"));
        script = script.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{free}"));
        script = script.replace(
            &format!("http.server {port}"),
            &format!("http.server {free}"),
        );
        if !name.is_empty() {
            environment.push((name, free));
        }
    }
    fs::write(here.join("envoy.yaml"), config).unwrap();
    let command = tools::command();
    let path = format!(
        "{}:{}",
        command.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("timeout")
        .args(["300", "bash", "-c", &script])
        .current_dir(&here)
        .env("PATH", path)
        .envs(
            environment
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        )
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let log = |name: &str| fs::read_to_string(here.join("run").join(name)).unwrap_or_default();
    let report = || {
        format!(
            "{text}\n{errors}\n{}\n{}",
            log("orders.log"),
            log("envoy.log")
        )
    };
    assert!(output.status.success(), "{:?}: {}", output.status, report());
    for (number, step) in steps.iter().enumerate() {
        let (_, after) = text
            .split_once(&format!("@@{number}\n"))
            .unwrap_or_else(|| panic!("{}", report()));
        let printed = after.split("@@").next().unwrap_or_default().trim_end();
        let free_port = &environment[0].1;
        let printed = printed.replace(free_port, "8000");
        assert!(
            fits(step.expected.trim_end(), &printed),
            "{}\nprints\n{printed}\nnot\n{}",
            step.command,
            step.expected
        );
    }
}

#[test]
fn the_example_is_valid_for_its_own_tools() {
    // Envoy's own check, with the filter loading its config.
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let config = fs::read_to_string(example().join("envoy.yaml")).unwrap();
    let module = tools::module().display().to_string();
    let config = config.replace("../../target/edge_claims.wasm", &module);
    let secret = folder.path().join("secret");
    fs::write(&secret, crate::service::SECRET).unwrap();
    let valid = config.replace("run/proxy.secret", &secret.display().to_string());
    let check = |text: &str| {
        let file = folder.path().join("envoy.yaml");
        fs::write(&file, text).unwrap();
        Command::new(tools::envoy())
            .args(["--mode", "validate", "-c"])
            .arg(&file)
            .output()
            .unwrap()
    };
    let output = check(&valid);
    assert!(output.status.success(), "{output:?}");
    // Without the secret, nothing starts.
    assert!(
        !check(&valid.replace(&secret.display().to_string(), "/none/secret"))
            .status
            .success()
    );
}
