//! What CONTRIBUTING.md and SECURITY.md say about tests: each test that they name exists, and each page and
//! each topic has one.

use std::path::{Path, PathBuf};

use crate::text::pages;
use crate::{path, read};

/// The tests that a text names as `path/to/file.rs::name`.
fn named_tests(text: &str) -> Vec<(String, String)> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|quoted| quoted.split_once(".rs::"))
        .map(|(file, name)| (format!("{file}.rs"), name.to_owned()))
        .collect()
}

/// Asserts that all of these are tests. The message names every one that is not, and where a test of that
/// name is now.
#[track_caller]
fn all_exist(page: &str) {
    let missing: Vec<String> = named_tests(page)
        .into_iter()
        .filter(|(file, name)| !is_test(&path(file), name))
        .map(|(file, name)| {
            let elsewhere: Vec<String> = ["src", "tests"]
                .iter()
                .flat_map(|folder| code_files(&path(folder)))
                .filter(|file| is_test(file, &name))
                .map(|file| file.display().to_string())
                .collect();
            format!("{file} has no test {name}; others that have: {elsewhere:?}")
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

fn code_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| match path.is_dir() {
            true => code_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn is_test(file: &Path, name: &str) -> bool {
    let code = std::fs::read_to_string(file).unwrap_or_default();
    let Some(at) = code.find(&format!("fn {name}(")) else {
        return false;
    };
    // The attribute is on one of the lines before, past others such as `#[cfg(…)]`.
    let mut before = code[..at].lines().rev().take(5);
    before.any(|line| line.trim() == "#[test]")
}

#[test]
fn every_page_has_a_test_that_exists() {
    let contributing = read("CONTRIBUTING.md");
    let table = contributing
        .split("\n## Which test holds which page\n")
        .nth(1)
        .expect("the section");
    let root = path("").canonicalize().unwrap();
    for page in pages() {
        let page = page.canonicalize().unwrap();
        let name = page.strip_prefix(&root).unwrap().display().to_string();
        assert!(
            table.contains(&format!("]({name})")),
            "{name} has no row in CONTRIBUTING.md"
        );
    }
    let tests = named_tests(table);
    assert!(tests.len() >= 40, "{} tests", tests.len());
    all_exist(table);
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let held = cells[3].contains(".rs::") || cells[3] == "test";
        let says_so = cells[3].starts_with("not tested") || cells[3].starts_with("written by");
        assert!(held || says_so, "{row}");
    }
}

/// The entries of a section with headings of the third level.
fn topics(page: &str, section: &str) -> Vec<(String, String)> {
    let text = page
        .split(&format!("\n## {section}\n"))
        .nth(1)
        .expect("the section");
    let text = text.split("\n## ").next().unwrap_or_default();
    text.split("\n### ")
        .skip(1)
        .map(|entry| {
            let (heading, text) = entry.split_once('\n').expect("a text below the heading");
            (heading.to_owned(), text.to_owned())
        })
        .collect()
}

#[test]
fn each_security_topic_names_its_parts_and_its_tests() {
    const PARTS: [&str; 4] = ["Guarantee", "Required setting", "Not covered", "Test"];
    let page = read("SECURITY.md");
    let topics = topics(&page, "Topics");
    assert!(topics.len() >= 20, "{} topics", topics.len());
    for (heading, text) in topics {
        let parts: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("- **")?.split(":**").next())
            .collect();
        assert_eq!(parts, PARTS, "{heading}");
        let guarantee = text.split("- **Guarantee:** ").nth(1).unwrap_or_default();
        let tests = text.split("- **Test:** ").nth(1).unwrap_or_default();
        let tests = named_tests(tests);
        assert_eq!(
            guarantee.starts_with("none."),
            tests.is_empty(),
            "{heading}: a guarantee has a test, and nothing else needs one"
        );
    }
    let general = page.split("\n## General guarantees\n").nth(1);
    let general = general.and_then(|text| text.split("\n## ").next());
    let rows = general.expect("the section").lines();
    for row in rows.filter(|line| line.starts_with("| ")).skip(1) {
        assert!(!named_tests(row).is_empty(), "{row}");
    }
    all_exist(&page);
}
