//! Every example of `docs/decisions.md` loads and passes its tests.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{errors_of, smallest};

const PAGE: &str = include_str!("../../../docs/decisions.md");

/// The fenced YAML blocks of the page, with the line on which each begins.
fn examples() -> Vec<(usize, Value)> {
    let mut examples = Vec::new();
    let mut lines = PAGE.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line != "```yaml" {
            continue;
        }
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect();
        let example = serde_saphyr::from_str(&block.join("\n"))
            .unwrap_or_else(|error| panic!("line {}: {error}", number + 1));
        examples.push((number + 1, example));
    }
    examples
}

/// The example with a `claims` section.
fn whole(example: &Value) -> Value {
    let mut config = smallest();
    let members = config.as_object_mut().unwrap();
    members.extend(example.as_object().unwrap().clone());
    config
}

#[test]
fn every_example_loads_and_passes_its_tests() {
    let examples = examples();
    assert!(examples.len() >= 12, "{} examples", examples.len());
    for (line, example) in examples {
        let errors = errors_of(&whole(&example).to_string());
        assert!(
            errors.is_empty(),
            "decisions.md, line {line}:\n{}",
            errors.join("\n")
        );
        let tests = example["tests"].as_array().map_or(&[][..], Vec::as_slice);
        let denied = tests
            .iter()
            .filter(|test| test["expect"].get("deny").is_some())
            .count();
        assert!(
            denied > 0 && denied < tests.len(),
            "line {line}: shows what passes and what does not"
        );
    }
}

/// Shows that the test above can fail.
#[test]
fn an_example_with_a_wrong_expectation_is_rejected() {
    for (line, mut example) in examples() {
        for index in 0..example["tests"].as_array().unwrap().len() {
            let expect = &mut example["tests"][index]["expect"];
            let before = expect.take();
            *expect = if before.get("deny").is_some() {
                json!("allow")
            } else {
                json!({"deny": "revoked"})
            };
            let errors = errors_of(&whole(&example).to_string());
            assert_eq!(
                errors.len(),
                1,
                "decisions.md, line {line}, test {index}: {errors:?}"
            );
            example["tests"][index]["expect"] = before;
        }
    }
}

/// Every key of `allow` and every test of `when` has an example.
#[test]
fn every_condition_has_an_example() {
    fn keys(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            Value::Object(members) => {
                for (name, value) in members {
                    found.insert(name.clone());
                    keys(value, found);
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    for (_, example) in examples() {
        keys(&example["rbac"], &mut found);
    }
    for key in [
        "any_role",
        "all_roles",
        "issuers",
        "audiences",
        "scopes",
        "bind",
        "peers",
        "when",
        "all",
        "any",
        "not",
        "claim",
        "header",
        "peer",
        "equals",
        "in",
        "contains",
        "prefix",
        "exists",
        "at_least",
        "at_most",
        "max_age",
        "includes",
        "cors_preflight",
        "path_rules",
        "mode",
        "enforce_percent",
        "on_failure",
        "hosts",
        "methods",
    ] {
        assert!(found.contains(key), "{key} has no example");
    }
}
