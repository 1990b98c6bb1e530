//! What CONTRIBUTING.md and SECURITY.md say about tests: each test that they name exists, and each page and
//! each topic has one.

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

#[track_caller]
fn exists(file: &str, name: &str) {
    let code = read(file);
    let line = format!("fn {name}(");
    let at = code
        .find(&line)
        .unwrap_or_else(|| panic!("{file} has no test named {name}"));
    // The attribute is on one of the lines before, past others such as `#[cfg(…)]`, or inside of `proptest!`.
    let before: Vec<&str> = code[..at].lines().rev().take(5).collect();
    assert!(
        before.iter().any(|line| line.trim() == "#[test]"),
        "{file}: {name} is not a test"
    );
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
    for (file, name) in tests {
        exists(&file, &name);
    }
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
    for (file, name) in named_tests(&page) {
        exists(&file, &name);
    }
}
