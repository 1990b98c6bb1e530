//! The console blocks of docs/command print what the pages show.
//!
//! A page is a session in one folder. A block after `<!-- file: NAME -->` is the content of a file; of a `console`
//! block, each line that begins with `$ ` is a command, with its continuation lines, and the lines below it are
//! what it prints on stdout and stderr. `…` stands for any text, a line with only `…` for any lines.

use std::path::Path;
use std::process::{Command, Stdio};

use super::COMMAND;

/// The pages whose commands run here; the others have tests of their own.
const PAGES: [&str; 9] = [
    "command",
    "command/check",
    "command/diff",
    "command/explain",
    "command/keys",
    "command/mint",
    "command/schema",
    "command/test",
    "command/token",
];

struct Step {
    line: usize,
    command: String,
    expected: Vec<String>,
}

enum Part {
    File(String, String),
    Step(Step),
}

fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut file = None;
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let marker = line
            .strip_prefix("<!-- file: ")
            .and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(name) = marker {
            file = Some(name.to_owned());
            continue;
        }
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect();
        if let Some(name) = file.take() {
            parts.push(Part::File(name, block.join("\n") + "\n"));
        } else if language == "console" {
            steps(number + 2, &block, &mut parts);
        }
    }
    parts
}

fn steps(first: usize, block: &[&str], parts: &mut Vec<Part>) {
    let mut step: Option<Step> = None;
    let mut continues = false;
    for (index, line) in block.iter().enumerate() {
        if continues {
            let command = &mut step.as_mut().unwrap().command;
            command.push('\n');
            command.push_str(line);
            continues = line.ends_with('\\');
        } else if let Some(command) = line.strip_prefix("$ ") {
            parts.extend(step.take().map(Part::Step));
            continues = command.ends_with('\\');
            step = Some(Step {
                line: first + index,
                command: command.to_owned(),
                expected: Vec::new(),
            });
        } else {
            step.as_mut().unwrap().expected.push((*line).to_owned());
        }
    }
    parts.extend(step.map(Part::Step));
}

/// Whether a text is what a pattern with `…` says.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('…');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut ends = true;
    for piece in pieces {
        ends = piece.is_empty();
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.is_empty() || (ends && pattern.contains('…'))
}

fn all_fit(patterns: &[String], lines: &[&str]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((pattern, rest)) if pattern == "…" => {
            (0..=lines.len()).any(|skipped| all_fit(rest, &lines[skipped..]))
        }
        Some((pattern, rest)) => lines
            .split_first()
            .is_some_and(|(line, others)| fits(pattern, line) && all_fit(rest, others)),
    }
}

#[test]
fn the_pages_show_what_the_commands_print() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = format!(
        "{}:{}",
        Path::new(COMMAND).parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    for name in PAGES {
        let page = format!("docs/{name}.md");
        let text = std::fs::read_to_string(root.join(&page)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut steps = 0;
        for part in parts(&text) {
            let step = match part {
                Part::File(name, content) => {
                    std::fs::write(folder.path().join(name), content).unwrap();
                    continue;
                }
                Part::Step(step) => step,
            };
            steps += 1;
            let output = Command::new("bash")
                .args(["-c", &format!("{{ {}\n}} 2>&1", step.command)])
                .current_dir(folder.path())
                .env("PATH", &path)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            let lines: Vec<&str> = printed.lines().map(str::trim_end).collect();
            assert!(
                all_fit(&step.expected, &lines),
                "{page}, line {}: $ {}\nprints\n{printed}",
                step.line,
                step.command
            );
        }
        assert!(steps > 0, "{page} has no command");
    }
}

#[test]
fn an_ellipsis_stands_for_any_text() {
    for (pattern, text, result) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "abc", true),
        ("a…c", "abc", true),
        ("a…c", "abcd", false),
        ("…b…", "abc", true),
        ("a…c", "ac", true),
    ] {
        assert_eq!(fits(pattern, text), result, "{pattern} {text}");
    }
    let lines = |text: &[&str]| {
        text.iter()
            .map(|line| (*line).to_owned())
            .collect::<Vec<_>>()
    };
    assert!(all_fit(&lines(&["a", "…", "c"]), &["a", "b", "b", "c"]));
    assert!(!all_fit(&lines(&["a", "…"]), &["b"]));
}

#[test]
fn the_page_of_check_has_every_rule() {
    let page = include_str!("../../docs/command/check.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('|').count() == 4)
        .collect();
    let output = Command::new(COMMAND)
        .args(["check", "--list-rules"])
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = listed.lines().collect();
    let expected: Vec<String> = lines
        .chunks(2)
        .map(|pair| {
            let (name, summary) = pair[0].split_once(": ").unwrap();
            format!("| `{name}` | {summary} | {} |", pair[1].trim())
        })
        .collect();
    assert!(expected.len() > 15);
    assert_eq!(rows, expected);
}
