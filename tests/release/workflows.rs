//! The workflows of GitHub Actions.

use std::fs;
use std::path::PathBuf;

use edge_claims_harness::tools::root;
use serde_json::Value;

use crate::{command, read, run};

fn workflows() -> Vec<PathBuf> {
    let files: Vec<PathBuf> = fs::read_dir(root().join(".github/workflows"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!files.is_empty());
    files
}

#[test]
fn actionlint_finds_nothing() {
    let actionlint = run(command("scripts/go-tool").args(["path", "actionlint", "actionlint"]));
    let found = run(command(actionlint).arg("-no-color").args(workflows()));
    assert_eq!(found, "");
}

/// What CI does can be done at home: each step is one target of make, or an action at a commit.
#[test]
fn every_step_is_a_target_of_make() {
    let makefile = read(root().join("Makefile"));
    let mut count = 0;
    for file in workflows() {
        let workflow: Value = serde_saphyr::from_str(&read(&file)).unwrap();
        for (name, job) in workflow["jobs"].as_object().expect("jobs") {
            for step in job["steps"].as_array().expect("steps") {
                if let Some(action) = step["uses"].as_str() {
                    let commit = action.split_once('@').expect("a version").1;
                    let is_commit =
                        commit.len() == 40 && commit.bytes().all(|it| it.is_ascii_hexdigit());
                    assert!(is_commit, "{name}: {action} is no commit");
                    continue;
                }
                let run = step["run"].as_str().expect("a command").trim();
                let target = run.strip_prefix("make ").unwrap_or_else(|| {
                    panic!("{}: {name}: {run} is no target of make", file.display())
                });
                assert!(
                    makefile.contains(&format!("\n{target}:")),
                    "{name}: no target {target}"
                );
                count += 1;
            }
        }
    }
    assert!(count >= 5, "{count} steps");
}
