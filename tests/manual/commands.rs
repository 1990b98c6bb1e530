//! The commands of the documentation: what they need, what they run, that they exist.

use std::collections::BTreeSet;

use crate::text::{blocks, pages};
use crate::{path, read};

/// The text of a section of the README, up to the next heading of its level.
fn section(heading: &str) -> String {
    let readme = read("README.md");
    let text = readme
        .split(&format!("\n## {heading}\n"))
        .nth(1)
        .unwrap_or_else(|| panic!("README.md has no section {heading:?}"));
    text.split("\n## ").next().unwrap_or_default().to_owned()
}

/// Whatever `scripts/setup` looks for with `command -v` is named as a prerequisite.
#[test]
fn the_readme_names_the_tools_that_setup_needs() {
    let setup = read("scripts/setup");
    let tools: BTreeSet<&str> = setup
        .split("command -v ")
        .skip(1)
        .filter_map(|rest| {
            rest.split(|it: char| it.is_whitespace() || it == ')')
                .next()
        })
        .filter(|tool| {
            tool.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        .collect();
    assert!(tools.len() >= 4, "{tools:?}");
    let prerequisites = section("Prerequisites").to_lowercase();
    for tool in tools {
        assert!(
            prerequisites.contains(tool),
            "{tool} is not in README's prerequisites"
        );
    }
}

/// The targets that another one depends on.
fn dependencies(target: &str) -> BTreeSet<String> {
    let makefile = read("Makefile");
    let rule = format!("{target}:");
    let line = makefile
        .lines()
        .find_map(|line| line.strip_prefix(&rule))
        .unwrap_or_else(|| panic!("no target {target}"));
    let targets = line.split("##").next().unwrap_or_default();
    targets.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_readme_says_what_make_test_runs() {
    let text = section("Prerequisites");
    let sentence = text
        .split("`make test` runs ")
        .nth(1)
        .and_then(|rest| rest.split('.').next())
        .expect("the sentence");
    let named: BTreeSet<String> = sentence
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert_eq!(named, dependencies("test"));
    assert!(text.contains("does not run `make test-edge`"));
    assert!(!dependencies("test").contains("test-edge"));
    // What it leaves out is what it prints at its end.
    let makefile = read("Makefile");
    let left_out = makefile
        .split("make test does not run")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next())
        .expect("the list");
    let named: Vec<&str> = left_out
        .split('\'')
        .filter(|text| text.starts_with("make "))
        .collect();
    assert!(named.len() >= 3, "{named:?}");
    for target in named {
        assert!(text.contains(&format!("`{target}`")), "{target}");
    }
}

/// Each component of `scripts/setup` is in the text, and `make demo` needs no component of the tests.
#[test]
fn the_readme_says_what_each_setup_installs() {
    let makefile = read("Makefile");
    let components = |target: &str| -> Vec<String> {
        let recipe = makefile
            .split(&format!("\n{target}:"))
            .nth(1)
            .and_then(|rest| rest.lines().nth(1))
            .unwrap_or_else(|| panic!("no target {target}"));
        let words = recipe.split("scripts/setup ").nth(1).expect("the script");
        words.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(components("setup"), ["rust", "envoy"]);
    assert_eq!(
        components("setup-tests"),
        ["rust", "envoy", "tokens", "prometheus", "oidc"]
    );
    let text = section("Prerequisites");
    let (demo, tests) = text
        .split_once("`make test` first runs")
        .expect("the sentence");
    for word in ["`make setup`", "wasm32-wasip1", "Envoy from PyPI"] {
        assert!(demo.contains(word), "{word}");
    }
    for word in [
        "`make setup-tests`",
        "sign tokens",
        "Prometheus",
        "OpenID provider",
        "web frameworks",
        "lighttpd",
    ] {
        assert!(tests.contains(word), "{word}");
    }
    let recipe = makefile.split("\nsetup-tests:").nth(1);
    let recipe = recipe.and_then(|rest| rest.split("\n\n").next());
    assert!(
        recipe
            .expect("the recipe")
            .contains("@tests/frameworks/setup")
    );
}

#[test]
fn the_command_can_be_installed_as_documented() {
    let readme = read("README.md");
    assert!(readme.contains("\ncargo install --path . --features cli\n"));
    let cargo = read("Cargo.toml");
    let binary = cargo.split("[[bin]]").nth(1).expect("a binary");
    let binary = binary.split("\n[").next().unwrap_or_default();
    assert!(binary.contains("name = \"edge-claims\""), "{binary}");
    assert!(binary.contains("required-features = [\"cli\"]"), "{binary}");
}

/// `cargo test … --test NAME` names a test of Cargo.toml, `cargo e2e NAME` a module of the suite, and a
/// script that is run exists.
#[test]
fn cargo_and_script_commands_name_what_exists() {
    let cargo = read("Cargo.toml");
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let all = ["sh", "console"].map(|language| blocks(&text, language));
        for (_, block) in all.into_iter().flatten() {
            for command in block.lines().flat_map(|line| line.split("&&")) {
                let command = command.split(" #").next().unwrap_or_default();
                let words: Vec<&str> = command.split_whitespace().collect();
                match words.as_slice() {
                    ["cargo", "e2e", module, ..] => {
                        let file = format!("tests/e2e/{module}.rs");
                        assert!(path(&file).exists(), "{}: {command}", page.display());
                    }
                    ["cargo", "test", rest @ ..] => {
                        let Some(at) = rest.iter().position(|word| *word == "--test") else {
                            continue;
                        };
                        let name = format!("[[test]]\nname = \"{}\"", rest[at + 1]);
                        let plain: String = cargo
                            .lines()
                            .filter(|line| !line.starts_with('#'))
                            .flat_map(|line| [line, "\n"])
                            .collect();
                        assert!(plain.contains(&name), "{}: {command}", page.display());
                    }
                    [script @ "benches/run", options @ ..] => {
                        let code = read(script);
                        for option in options.iter().filter(|it| it.starts_with("--")) {
                            assert!(code.contains(option), "{}: {command}", page.display());
                        }
                    }
                    _ => continue,
                }
                count += 1;
            }
        }
    }
    assert!(count >= 4, "{count} commands");
}

/// Every `edge-claims join …` of the documentation is run with two small logs: it is never wrong usage.
#[cfg(feature = "cli")]
#[test]
fn documented_commands_run() {
    const ID: &str = "01986f3c-3b1a-7c55-9f0e-2f0f3f6f1a11";
    let folder = tempfile::tempdir().unwrap();
    let line = format!(
        "{{\"correlation_id\":\"{ID}\",\"outcome\":\"forwarded\",\"verdict\":\"allow/a\",\"status\":200}}\n"
    );
    for log in ["edge.log", "haproxy.log", "mesh.log", "app.log"] {
        std::fs::write(folder.path().join(log), &line).unwrap();
    }
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (_, block) in blocks(&text, "sh") {
            for command in block.lines() {
                let command = command.split(" #").next().unwrap_or_default().trim();
                // The pages of the other subcommands are tested in tests/cli.
                let Some(arguments) = command.strip_prefix("edge-claims ") else {
                    continue;
                };
                if !arguments.starts_with("join ") {
                    continue;
                }
                let arguments = arguments.replace("<ID>", ID);
                let output = std::process::Command::new(env!("CARGO_BIN_EXE_edge-claims"))
                    .args(arguments.split_whitespace())
                    .current_dir(folder.path())
                    .output()
                    .unwrap();
                assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
                count += 1;
            }
        }
    }
    assert!(count >= 4, "{count} commands");
}
