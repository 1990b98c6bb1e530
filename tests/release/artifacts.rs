//! The files in `target/dist`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use edge_claims_harness::tools::{self, root};
use serde_json::Value;
use tempfile::TempDir;

use crate::{command, dist, read, run, version};

const TARGETS: [(&str, &str); 2] = [
    ("x86_64-unknown-linux-musl", "x86-64"),
    ("aarch64-unknown-linux-musl", "ARM aarch64"),
];

fn sha256(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    hmac_sha256::Hash::hash(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn json(name: &str) -> Value {
    serde_json::from_str(&read(dist(name))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The module and the archives: what users run.
fn artifacts() -> Vec<String> {
    let version = version();
    let mut names = vec![format!("edge_claims-{version}.wasm")];
    names.extend(TARGETS.map(|(target, _)| format!("edge-claims-{version}-{target}.tar.gz")));
    names
}

#[test]
fn the_checksums_are_those_of_every_file() {
    let sums = read(dist("SHA256SUMS"));
    let mut listed = BTreeSet::new();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").expect("a sum and a name");
        assert_eq!(sum, sha256(&dist(name)), "{name}");
        listed.insert(name.to_owned());
    }
    let files: BTreeSet<String> = fs::read_dir(root().join("target/dist"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("SHA256SUMS"))
        .collect();
    assert_eq!(listed, files);
    for name in artifacts() {
        assert!(listed.contains(&name), "{name}");
    }
}

#[test]
fn the_module_is_the_one_that_was_tested() {
    let released = dist(&format!("edge_claims-{}.wasm", version()));
    assert_eq!(sha256(&released), sha256(&tools::module()));
}

/// `make test-release` signs with a key that it makes.
#[test]
fn the_signature_holds_for_these_checksums_and_no_others() {
    let signature = dist("SHA256SUMS.minisig");
    let key = root().join("target/release-test.pub");
    let verify = |file: &Path| {
        let mut verify = Command::new("minisign");
        verify.args(["-V", "-p"]).arg(&key).arg("-m").arg(file);
        verify.arg("-x").arg(&signature).output().unwrap()
    };
    let output = verify(&dist("SHA256SUMS"));
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(&format!("edge-claims {}", version())),
        "{output:?}"
    );
    let folder = TempDir::new().unwrap();
    let forged = folder.path().join("SHA256SUMS");
    fs::write(&forged, read(dist("SHA256SUMS")).replacen('0', "1", 1)).unwrap();
    assert!(!verify(&forged).status.success());
}

/// The commands are static, and run: that of ARM under QEMU.
#[test]
fn the_commands_run_without_a_library_of_the_system() {
    let version = version();
    for (target, machine) in TARGETS {
        let folder = TempDir::new().unwrap();
        let name = format!("edge-claims-{version}-{target}");
        run(Command::new("tar")
            .arg("-xzf")
            .arg(dist(&format!("{name}.tar.gz")))
            .arg("-C")
            .arg(folder.path()));
        let unpacked = folder.path().join(&name);
        let binary = unpacked.join("edge-claims");
        let kind = run(Command::new("file").arg("--brief").arg(&binary));
        assert!(kind.contains(machine), "{kind}");
        assert!(
            kind.contains("statically linked") || kind.contains("static-pie linked"),
            "{kind}"
        );
        let native = target.starts_with(std::env::consts::ARCH);
        let edge_claims = || {
            let mut run = Command::new(if native {
                binary.as_os_str()
            } else {
                "qemu-aarch64-static".as_ref()
            });
            if !native {
                run.arg(&binary);
            }
            run.current_dir(root());
            run
        };
        assert_eq!(
            run(edge_claims().arg("--version")),
            format!("edge-claims {version}")
        );
        run(edge_claims().args(["check", "examples/config/full.yaml"]));
        for file in [
            "LICENSE",
            "completions/edge-claims.fish",
            "man/edge-claims.1",
        ] {
            assert!(unpacked.join(file).is_file(), "{name}: {file}");
        }
    }
}

/// The crates of `cargo tree` are in the list, each with a version and a licence. The tool also lists a few that
/// only other features of the same crates need.
#[test]
fn the_boms_have_every_crate_with_its_licence() {
    let version = version();
    let mut boms = vec![(
        format!("edge_claims-{version}.wasm"),
        "wasm32-wasip1",
        "proxy",
    )];
    boms.extend(
        TARGETS.map(|(target, _)| (format!("edge-claims-{version}-{target}"), target, "cli")),
    );
    for (name, target, features) in boms {
        let bom = json(&format!("{name}.cdx.json"));
        assert_eq!(bom["bomFormat"], "CycloneDX");
        assert_eq!(bom["metadata"]["component"]["name"], "edge-claims");
        let components = bom["components"].as_array().expect("components");
        let listed: BTreeSet<String> = components
            .iter()
            .map(|it| {
                assert!(
                    it["licenses"].as_array().is_some_and(|it| !it.is_empty()),
                    "no licence: {it}"
                );
                format!(
                    "{} v{}",
                    it["name"].as_str().unwrap(),
                    it["version"].as_str().unwrap()
                )
            })
            .collect();
        let tree = run(command("cargo").args([
            "tree",
            "--locked",
            "--package",
            "edge-claims",
            "--features",
            features,
            "--target",
            target,
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--no-dedupe",
            "--format",
            "{p}",
        ]));
        let linked: BTreeSet<String> = tree
            .lines()
            .map(|line| {
                line.split_whitespace()
                    .take(2)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .filter(|it| !it.starts_with("edge-claims "))
            .collect();
        assert!(linked.len() > 50, "{linked:?}");
        let missing: Vec<&String> = linked.difference(&listed).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        let more: Vec<&String> = listed.difference(&linked).collect();
        println!("{name}: {} crates, and {more:?}", linked.len());
        assert!(more.len() <= 10, "{name}: {more:?}");
        assert!(
            !bom.to_string().contains(&root().display().to_string()),
            "a folder of the builder"
        );
    }
}

#[test]
fn the_provenance_names_the_artifacts_and_the_commit() {
    let statement = json("provenance.intoto.json");
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    for name in artifacts() {
        let subjects = statement["subject"].as_array().expect("subjects");
        let subject = subjects.iter().find(|it| it["name"] == name.as_str());
        let subject = subject.unwrap_or_else(|| panic!("{name} is no subject"));
        assert_eq!(subject["digest"]["sha256"], sha256(&dist(&name)), "{name}");
    }
    let build = &statement["predicate"]["buildDefinition"];
    let source = &build["resolvedDependencies"][0];
    // Only a clean tree is a commit.
    let clean = run(command("git").args(["status", "--porcelain"])).is_empty();
    let commit = source["digest"]["gitCommit"].as_str();
    let head = run(command("git").args(["rev-parse", "HEAD"]));
    assert_eq!(commit, clean.then_some(head.as_str()));
    let builder = statement["predicate"]["runDetails"]["builder"]["id"].as_str();
    assert!(builder.is_some_and(|it| it.starts_with("https://")));
    for uri in [build["buildType"].as_str(), builder] {
        let (page, anchor) = uri
            .and_then(|it| it.split_once('#'))
            .expect("a page and a heading");
        let page = page
            .split("/blob/main/")
            .nth(1)
            .expect("a page of this tree");
        let heading = format!("\n## {}\n", anchor.replace('-', " "));
        assert!(
            read(root().join(page)).to_lowercase().contains(&heading),
            "{page} has no {heading:?}"
        );
    }
}

#[test]
fn the_notes_are_the_section_of_the_changelog() {
    let notes = read(dist("NOTES.md"));
    assert!(notes.len() > 1000 && notes.contains("\n### "), "{notes}");
    let changelog = read(root().join("CHANGELOG.md"));
    let first = notes.lines().find(|line| line.starts_with("- ")).unwrap();
    assert!(
        changelog.contains(first.split(" ([").next().unwrap()),
        "{first}"
    );
    assert!(!notes.contains("](docs/"), "a link that leads nowhere");
}
