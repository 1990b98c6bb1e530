//! The logs of all hops as files, joined by the command and held against the schema.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use edge_claims_harness::tools;
use serde_json::Value;
use tempfile::TempDir;

use crate::chain::Chain;
use crate::viceroy::command;

/// A copy of all logs, as they are now.
pub struct Logs {
    folder: TempDir,
    files: Vec<(&'static str, PathBuf)>,
}

impl Logs {
    /// `second` is the second edge's log.
    pub fn of(chain: &Chain, second: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut files = Vec::new();
        let app: Vec<String> = chain
            .app
            .records()
            .iter()
            .map(ToString::to_string)
            .collect();
        for (hop, name, text) in [
            ("edge", "edge.log", chain.edge.log_text()),
            ("edge", "edge-second.log", second.to_owned()),
            ("haproxy", "haproxy.log", chain.haproxy_lines().join("\n")),
            ("mesh", "mesh.log", chain.mesh_lines().join("\n")),
            ("app", "app.log", app.join("\n")),
            ("app", "app-streams.log", chain.streams_log()),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, text + "\n").expect("the folder is ours");
            files.push((hop, path));
        }
        Self { folder, files }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What `edge-claims join` prints: JSON lines.
    pub fn join(&self, arguments: &[&str]) -> Vec<Value> {
        let logs = self.files.iter();
        let logs =
            logs.flat_map(|(hop, path)| ["--log".to_owned(), format!("{hop}={}", path.display())]);
        let output = Command::new(command())
            .arg("join")
            .args(logs)
            .args(["--format", "jsonl"])
            .args(arguments)
            .output()
            .expect("the command runs");
        assert!(
            output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).expect("JSON lines");
        let parse = |line: &str| serde_json::from_str(line).expect("JSON");
        text.lines().map(parse).collect()
    }

    /// How many lines do not fit docs/log.schema.json, and the first of them with their problems.
    pub fn misfits(&self) -> (usize, Vec<String>) {
        let schema = tools::root().join("docs/log.schema.json");
        let schema = fs::read_to_string(schema).expect("the schema");
        let schema: Value = serde_json::from_str(&schema).expect("JSON");
        let validators = jsonschema::validator_map_for(&schema).expect("the schema is one");
        let mut misfits = Vec::new();
        for (hop, path) in &self.files {
            let name = path.file_name().expect("a name").to_string_lossy();
            // The second edge is a stand-in with a shorter line.
            if name == "edge-second.log" {
                continue;
            }
            let validator = validators
                .get(&format!("#/$defs/{hop}"))
                .expect("of the hop");
            let text = fs::read_to_string(path).expect("it was just written");
            for line in text.lines().filter(|line| !line.is_empty()) {
                let value: Value =
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                // The app writes other things than requests, too.
                if *hop == "app" && value.get("status").is_none() {
                    continue;
                }
                let problems: Vec<String> = validator
                    .iter_errors(&value)
                    .map(|it| it.to_string())
                    .collect();
                if !problems.is_empty() {
                    misfits.push(format!("{name}: {line}: {problems:?}"));
                }
            }
        }
        let count = misfits.len();
        misfits.truncate(5);
        (count, misfits)
    }
}
