//! `edge-claims matrix`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const COMMAND: &str = env!("CARGO_BIN_EXE_edge-claims");

fn full() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config/full.yaml")
}

fn matrix(config: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(COMMAND);
    command.arg("matrix").arg(config).args(arguments);
    command.stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn text(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The message of a failure, which must not leave output.
#[track_caller]
fn failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder with the example, and a copy in which a text is replaced.
fn changed(from: &str, to: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let config = std::fs::read_to_string(full()).unwrap();
    let config = config.split("\ntests:").next().unwrap();
    assert!(config.contains(from));
    let file = folder.path().join("changed.yaml");
    std::fs::write(&file, config.replace(from, to)).unwrap();
    (folder, file)
}

#[test]
fn the_table_shows_who_may_use_which_route() {
    let table = text(&matrix(&full(), &[]));
    let row = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let last = |name: &str, count: usize| {
        let words = row(name);
        words[words.len() - count..].join(" ")
    };
    assert_eq!(
        last("route", 6),
        "anonymous authenticated admin editor reader employee"
    );
    assert_eq!(last("assets", 6), "yes yes yes yes yes yes");
    assert_eq!(last("me", 6), "- yes yes yes yes yes");
    assert_eq!(last("orders-write", 6), "- - - - - -");
    assert_eq!(last("reports", 9), "if 1 if 1 yes yes yes if 1");
    assert!(table.contains("   1  peer spiffe://cluster.local/ns/batch/sa/reporter\n"));
    assert!(table.contains("orders-write: no role alone is enough\n"));
    assert!(!table.contains('\u{1b}'));
}

#[test]
fn json_has_each_cell_with_its_reason() {
    let json: Value = serde_json::from_str(&text(&matrix(&full(), &["--format", "json"]))).unwrap();
    let columns: Vec<&str> = json["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    let admin = columns.iter().position(|name| *name == "admin").unwrap();
    let reports = &json["routes"][3];
    assert_eq!(reports["name"], "reports");
    assert_eq!(reports["cells"].as_array().unwrap().len(), columns.len());
    let cell = &reports["cells"][admin];
    assert_eq!(cell["access"], "allowed");
    assert_eq!(cell["alternatives"][0]["result"], "holds");
    assert_eq!(
        cell["alternatives"][0]["why"],
        "role reader, which admin includes"
    );
    assert_eq!(
        cell["alternatives"][1]["if"][0],
        "peer spiffe://cluster.local/ns/batch/sa/reporter"
    );
    assert_eq!(
        json["routes"][2]["cells"][admin]["alternatives"][0]["reason"],
        "role"
    );
}

#[test]
fn a_comparison_says_what_changes() {
    let (_folder, old) = changed("- {any_role: [reader]}", "- {any_role: [admin]}");
    let old = old.display().to_string();
    let arguments = ["--compare", &old, "--changes-only"];
    let table = text(&matrix(&full(), &arguments));
    assert!(
        table.contains("cells: 2 newly allowed, 0 newly denied, 0 with other conditions"),
        "{table}"
    );
    let line = table
        .lines()
        .find(|line| line.starts_with("~  reports"))
        .unwrap();
    assert!(line.ends_with("if 1 → yes  if 1 → yes"), "{line}");
    let csv = text(&matrix(
        &full(),
        &[&arguments[..], &["--format", "csv"]].concat(),
    ));
    assert_eq!(
        csv,
        "\"route\",\"hosts\",\"methods\",\"path\",\"mode\",\"change\",\"role editor\",\"role reader\"\r\n\
         \"reports\",\"\",\"GET\",\"/reports\",\"enforce\",\"changed\",\
         \"newly_allowed: conditional: peer spiffe://cluster.local/ns/batch/sa/reporter → allowed\",\
         \"newly_allowed: conditional: peer spiffe://cluster.local/ns/batch/sa/reporter → allowed\"\r\n"
    );
    let json: Value = serde_json::from_str(&text(&matrix(
        &full(),
        &[&arguments[..], &["--format", "json"]].concat(),
    )))
    .unwrap();
    assert_eq!(json["changes"]["newly_allowed"], 2);
    assert_eq!(json["routes"][0]["cell_changes"][0], "newly_allowed");
}

/// Names in a config may be any text: none becomes a formula, markup or a terminal's control sequence.
#[test]
fn names_are_only_text() {
    let hostile = r#"- {any_role: ["=cmd|' /C calc'!A0", "</script><b>", "\x1b[31m\x07", "a\"b"]}"#;
    let (_folder, config) = changed("- {any_role: [reader]}", hostile);
    let csv = text(&matrix(&config, &["--format", "csv"]));
    assert!(csv.contains(r#""role =cmd|' /C calc'!A0""#));
    assert!(csv.contains(r#""role a""b""#));
    let table = text(&matrix(&config, &[]));
    assert!(!table.contains(['\u{1b}', '\u{7}']), "{table:?}");
    assert!(table.contains(r"\u{1b}[31m\u{7}"));
    let page = text(&matrix(&config, &["--format", "html"]));
    assert!(!page.contains("</script><b>"));
    assert_eq!(page.matches("</script>").count(), 2);
}

#[test]
fn a_page_is_written_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("matrix.html");
    let out = page.display().to_string();
    assert_eq!(
        text(&matrix(&full(), &["--format", "html", "--out", &out])),
        ""
    );
    let written = std::fs::read_to_string(&page).unwrap();
    assert!(written.starts_with("<!doctype html>") && written.ends_with("</html>\n"));
    // Nothing is loaded from elsewhere.
    assert!(!written.contains("http-equiv=\"refresh\"") && !written.contains(" src="));
    let missing = folder.path().join("none/matrix.html").display().to_string();
    let message = failure(&matrix(&full(), &["--out", &missing]));
    assert!(message.contains("No such file or directory"), "{message}");
    let message = failure(&matrix(
        &full(),
        &["--out", &folder.path().display().to_string()],
    ));
    assert!(message.contains("is a directory"), "{message}");
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "no temporary file is left");
}

#[test]
fn what_cannot_be_read_is_named() {
    let (folder, config) = changed("- {any_role: [reader]}", "- {any_role: []}");
    let message = failure(&matrix(&config, &[]));
    assert!(message.contains("changed.yaml"), "{message}");
    assert!(
        message.contains("rbac.routes[3].allow[0].any_role"),
        "{message}"
    );
    for (name, content, expected) in [
        ("empty", &b""[..], "no plugin config"),
        ("bytes", b"\xff\xfe", "not UTF-8"),
        ("cut", b"{\"claims\": {", "cut:1:"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        let message = failure(&matrix(&file, &[]));
        assert!(message.contains(expected), "{name}: {message}");
    }
    failure(&matrix(folder.path(), &[]));
    failure(&matrix(&folder.path().join("none"), &[]));
    let message = failure(&matrix(Path::new("-"), &["--compare", "-"]));
    assert!(message.contains("only one of the two"), "{message}");
}

#[test]
fn one_of_several_plugins_is_chosen_by_name() {
    let config = std::fs::read_to_string(full()).unwrap();
    let config = config
        .split("\ntests:")
        .next()
        .unwrap()
        .replace('\n', "\n    ");
    let plugin = |name: &str| {
        format!(
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {{name: {name}, namespace: mesh}}\n\
             spec:\n  url: oci://example.com/edge-claims:1\n  pluginConfig:\n    {config}\n"
        )
    };
    let both = format!("{}---\n{}", plugin("blue"), plugin("green"));
    let mut child = Command::new(COMMAND)
        .args(["matrix", "-", "--select", "green", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(both.as_bytes())
        .unwrap();
    let json: Value = serde_json::from_str(&text(&child.wait_with_output().unwrap())).unwrap();
    assert!(json["config"].as_str().unwrap().contains("green"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("both.yaml");
    std::fs::write(&file, both).unwrap();
    let message = failure(&matrix(&file, &[]));
    assert!(
        message.contains("blue") && message.contains("--select"),
        "{message}"
    );
}

/// The examples of the documentation are what the command prints.
#[test]
fn the_documentation_shows_real_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/command/matrix.md")).unwrap();
    let examples: Vec<(&str, &str)> = page
        .split("```console\n$ ")
        .skip(1)
        .map(|block| block.split("```").next().unwrap().split_once('\n').unwrap())
        .collect();
    assert_eq!(examples.len(), 2);
    let (folder, _) = changed("- {any_role: [reader]}", "- {any_role: [admin]}");
    let config = std::fs::read_to_string(full()).unwrap();
    let old = folder.path().join("changed.yaml");
    std::fs::rename(old, folder.path().join("policy-old.json")).unwrap();
    std::fs::write(folder.path().join("policy.json"), config).unwrap();
    for ((line, expected), place) in examples.into_iter().zip([root, folder.path()]) {
        let arguments = line.strip_prefix("edge-claims ").unwrap();
        let mut command = Command::new(COMMAND);
        command.args(arguments.split(' ')).current_dir(place);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(text(&output), expected, "{line}");
    }
}

#[test]
fn a_link_keeps_its_target_and_a_pipe_stays_one() {
    use std::os::unix::fs::FileTypeExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (
        folder.path().join("target.json"),
        folder.path().join("link.json"),
    );
    std::fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let out = |path: &Path| {
        matrix(
            &full(),
            &["--format", "json", "--out", path.to_str().unwrap()],
        )
    };
    assert_eq!(text(&out(&link)), "");
    assert!(link.is_symlink());
    assert!(std::fs::read_to_string(&target).unwrap().starts_with('{'));
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).unwrap()
    });
    assert_eq!(text(&out(&pipe)), "");
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert!(reader.join().unwrap().starts_with('{'));
}
