//! Code blocks and links of the Markdown files.

use std::path::{Path, PathBuf};

use crate::{loads, path, read, yaml};

/// The Markdown files of the tree, but for what is built or fetched.
pub fn pages() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let skipped = name.starts_with('.') || name == "target" || name == "node_modules";
            if path.is_dir() && !skipped {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&path(""), &mut found);
    found
}

/// The fenced blocks of a language, and the line that each begins at.
pub fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => open = Some((number + 1, info.trim() == language, String::new())),
            (Some((start, wanted, block)), Some(_)) => {
                if *wanted {
                    blocks.push((*start, std::mem::take(block)));
                }
                open = None;
            }
            (Some((_, _, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Whole configs have `claims` and `rbac`; parts of one are shown too.
#[test]
fn whole_configs_in_the_docs_load() {
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for language in ["yaml", "json"] {
            for (line, block) in blocks(&text, language) {
                let name = format!("{}:{line}", page.display());
                let config = yaml(&name, &block);
                if config.get("claims").is_some() && config.get("rbac").is_some() {
                    loads(&name, &config);
                    count += 1;
                }
            }
        }
    }
    assert!(count > 0, "there is no config to copy in the docs");
}

#[test]
fn the_readme_has_a_config_to_copy() {
    let blocks = blocks(&read("README.md"), "yaml");
    let whole = blocks
        .iter()
        .filter(|(_, block)| block.contains("claims:") && block.contains("rbac:"));
    assert_eq!(whole.count(), 1);
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1) {
            let target = target.split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let linked = page.parent().unwrap().join(file);
            assert!(linked.exists(), "{}: {target}", page.display());
        }
    }
}

/// `make x` in the docs is a target of the Makefile.
#[test]
fn make_targets_exist() {
    let makefile = read("Makefile");
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (_, block) in blocks(&text, "sh") {
            for line in block.lines() {
                let command = line.split('#').next().unwrap_or_default().trim();
                let Some(targets) = command.strip_prefix("make ") else {
                    continue;
                };
                let words = targets.split("&&").next().unwrap_or_default();
                for target in words.split_whitespace().filter(|word| !word.contains('=')) {
                    let rule = format!("\n{target}:");
                    assert!(
                        makefile.contains(&rule),
                        "{}: make {target}",
                        page.display()
                    );
                }
            }
        }
    }
}

/// What the demo prints is quoted in the README: its reasons are real, and its requests are those of
/// the demo.
#[test]
fn the_readme_shows_the_demo() {
    let readme = read("README.md");
    let demo = read("demo/src/main.rs");
    let table = blocks(&readme, "text")
        .into_iter()
        .map(|(_, block)| block)
        .find(|block| block.contains("CORRELATION ID"))
        .expect("the README shows what the demo prints");
    let mut rows = 0;
    for line in table.lines().skip(1).filter(|line| !line.starts_with("  ")) {
        let (what, rest) = line.split_at(30.min(line.len()));
        let reason = rest.split_whitespace().nth(1);
        let (Some(reason), false) = (reason, what.trim().is_empty()) else {
            continue;
        };
        let known = reason == "-" || edge_claims::internals::Reason::from_code(reason).is_some();
        if known {
            assert!(demo.contains(&format!("\"{}\"", what.trim())), "{line}");
            rows += 1;
        }
    }
    assert!(rows >= 8, "{rows} rows");
}

/// Words of this project's own that a reader would have to guess, and pictures instead of terms.
#[test]
fn the_pages_use_standard_terms() {
    const PRIVATE: [&str; 19] = [
        "«",
        "stands twice",
        "stands once",
        "stands more than once",
        "that is none",
        "the way around",
        "rehearsal",
        "it came to",
        "is told",
        "are told",
        "loud",
        "hopeful",
        "goes no further",
        "broke its word",
        "comes by",
        "by itself on",
        "takes care",
        "nobody who",
        "no hindrance",
    ];
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        // Names of tests and messages of the log are quoted as they are.
        let prose: String = text.split('`').step_by(2).collect();
        let prose: Vec<&str> = prose.split_whitespace().collect();
        let prose = prose.join(" ").to_lowercase();
        for word in PRIVATE {
            let found = prose.match_indices(word).any(|(at, _)| {
                let letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
                let bytes = prose.as_bytes();
                !letter(at.checked_sub(1).and_then(|at| bytes.get(at)))
                    && !letter(bytes.get(at + word.len()))
            });
            assert!(!found, "{}: {word:?}", page.display());
        }
    }
}

/// `page.md#heading` names a heading of that page.
#[test]
fn anchors_lead_to_headings() {
    let anchor = |heading: &str| -> String {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars()
            .filter_map(|letter| match letter {
                ' ' => Some('-'),
                letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => {
                    Some(letter)
                }
                _ => None,
            })
            .collect()
    };
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1) {
            let target = target.split(')').next().unwrap_or_default();
            let Some((file, wanted)) = target.split_once('#') else {
                continue;
            };
            if file.contains("://") {
                continue;
            }
            let linked = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let linked = std::fs::read_to_string(&linked).unwrap();
            let mut headings = linked.lines().filter(|line| line.starts_with('#'));
            assert!(
                headings.any(|heading| anchor(heading) == wanted),
                "{}: {target}",
                page.display()
            );
            count += 1;
        }
    }
    assert!(count >= 8, "{count} anchors");
}

/// The line that the filter logs when it has loaded a config, on the pages and in the code.
#[test]
fn the_pages_show_the_line_that_is_logged_at_the_start() {
    let code = read("src/worker/mod.rs").replace("\\\n", "");
    let code: Vec<&str> = code.split_whitespace().collect();
    let code = code.join(" ");
    // The fixed parts of a format string of the code.
    let fixed = |wanted: &str| -> Vec<String> {
        let mut texts = code.split('"');
        let format = texts.find(|text| text.contains(wanted)).expect(wanted);
        let parts = format.split('{');
        parts
            .map(|part| part.split_once('}').map_or(part, |(_, text)| text))
            .map(str::to_owned)
            .collect()
    };
    let line = [
        fixed("config sha256 {digest}"),
        fixed("the host verifies {}"),
    ]
    .concat();
    assert!(line.len() >= 7, "{line:?}");
    for page in ["README.md", "docs/keys.md"] {
        let text = read(page);
        let shown = text
            .lines()
            .find(|line| line.contains("config sha256"))
            .unwrap_or_else(|| panic!("{page} does not show the line"));
        let mut rest = shown;
        for part in &line {
            let (_, after) = rest
                .split_once(part.as_str())
                .unwrap_or_else(|| panic!("{page}: {part:?} is not in {shown}"));
            rest = after;
        }
        assert_eq!(rest, "", "{page}");
    }
    assert!(code.contains("the filter verifies all algorithms itself"));
}
