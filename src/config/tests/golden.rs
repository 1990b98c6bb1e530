//! The messages of all errors, compared with `errors.txt`.

use serde_json::Value;

use super::{errors_of, largest, smallest};

/// One case: changes to the largest config, and the expected errors.
#[derive(Default)]
pub(super) struct Case {
    changes: Vec<(String, Option<Value>)>,
    pub(super) expected: Vec<String>,
}

impl Case {
    /// The largest config with the changes.
    pub(super) fn config(&self) -> Value {
        let mut config = largest();
        for (pointer, value) in &self.changes {
            change(&mut config, pointer, value.clone());
        }
        config
    }
}

/// Unindented lines are `pointer = JSON` (without JSON, the key is removed); indented lines are the expected
/// errors.
pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in include_str!("errors.txt").lines() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if let Some(expected) = line.strip_prefix("    ") {
            cases.last_mut().unwrap().expected.push(expected.to_owned());
            continue;
        }
        let (pointer, value) = line.split_once(" =").unwrap();
        let value = match value.trim() {
            "" => None,
            json => {
                Some(serde_json::from_str(json).unwrap_or_else(|error| panic!("{line}: {error}")))
            }
        };
        if cases.last().is_none_or(|case| !case.expected.is_empty()) {
            cases.push(Case::default());
        }
        cases
            .last_mut()
            .unwrap()
            .changes
            .push((pointer.to_owned(), value));
    }
    cases
}

/// Sets or removes the value at a pointer (RFC 6901).
fn change(config: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = config
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("{pointer}: it has no parent"));
    match (parent, value) {
        (Value::Object(members), Some(value)) => drop(members.insert(name.to_owned(), value)),
        (Value::Object(members), None) => drop(members.remove(name)),
        (Value::Array(items), Some(value)) => match name.parse::<usize>() {
            Ok(index) => items[index] = value,
            Err(_) => items.push(value),
        },
        (parent, _) => panic!("{pointer}: the parent is {parent}"),
    }
}

#[test]
fn each_error_has_its_path_and_the_expected_value() {
    let cases = cases();
    assert!(cases.len() > 100, "{} cases", cases.len());
    let mut differences = String::new();
    for case in &cases {
        let came = errors_of(&case.config().to_string());
        if came != case.expected {
            for (pointer, value) in &case.changes {
                let value = value.as_ref().map(ToString::to_string).unwrap_or_default();
                differences.push_str(&format!("{pointer} = {value}\n"));
            }
            for line in came {
                differences.push_str(&format!("    {line}\n"));
            }
        }
    }
    assert!(differences.is_empty(), "these differ:\n{differences}");
}

#[test]
fn all_errors_are_reported_at_once_and_in_order() {
    let mut config = largest();
    for (pointer, value) in [
        ("/claims/issuers/0/leeway", "\"1h\""),
        ("/claims/issuers/1/algorithms/0", "\"none\""),
        ("/rbac/roles/includes/reader", "[\"admin\"]"),
        ("/rbac/routes/0/hosts/0", "\"a b\""),
        ("/rbac/routes/0/alow", "\"public\""),
        ("/rbac/routes/1/path", "\"public\""),
        ("/identity/on_spoof", "\"ignore\""),
        ("/correlation/response_header", "\"no\""),
        ("/responses/detail", "1"),
        ("/log/deny", "2"),
        ("/modes", "1"),
    ] {
        change(
            &mut config,
            pointer,
            Some(serde_json::from_str(value).unwrap()),
        );
    }
    let places: Vec<String> = errors_of(&config.to_string())
        .iter()
        .map(|error| error.split(": ").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        places,
        [
            "claims.issuers[0].leeway",
            "claims.issuers[1].algorithms[0]",
            "rbac.routes[0].hosts[0]",
            "rbac.routes[0].alow",
            "rbac.routes[1].path",
            "rbac.roles.includes",
            "identity.on_spoof",
            "correlation.response_header",
            "responses.detail",
            "log.deny",
            "modes",
        ]
    );
}

#[test]
fn a_config_that_is_not_an_object_is_rejected() {
    for (text, expected) in [
        (
            "",
            "config: the plugin config is empty; it needs at least claims.issuers and rbac.routes",
        ),
        (
            " \n\t",
            "config: the plugin config is empty; it needs at least claims.issuers and rbac.routes",
        ),
        ("[]", "config: is a list, must be an object"),
        ("null", "config: is null, must be an object"),
        ("\"{}\"", "config: is a string, must be an object"),
        ("1", "config: is the number 1, must be an object"),
        (
            "{",
            "config: not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            "{} {}",
            "config: not JSON: trailing characters at line 1 column 4",
        ),
        (
            "mode: shadow",
            "config: not JSON: expected value at line 1 column 1",
        ),
    ] {
        assert_eq!(errors_of(text), [expected], "{text:?}");
    }
    let deep = "[".repeat(100_000);
    let [error] = errors_of(&deep).try_into().unwrap();
    assert!(error.contains("recursion limit"), "{error}");
    assert!(!super::load(b"\xff{}").unwrap_err().0.is_empty());
}

/// A duplicate key is an error in every object, even if the values are equal.
#[test]
fn duplicate_keys_are_errors() {
    let text = smallest().to_string();
    for (from, to, place) in [
        (
            "{\"claims\"",
            "{\"mode\":\"shadow\",\"mode\":\"enforce\",\"claims\"",
            "mode",
        ),
        (
            "\"rbac\":{",
            "\"rbac\":{\"default\":\"deny\",\"default\":\"deny\",",
            "rbac.default",
        ),
        (
            "\"path\":",
            "\"path\":\"/x\",\"path\":",
            "rbac.routes[0].path",
        ),
        (
            "\"rbac\":{",
            "\"rbac\":{\"roles\":{\"claim\":\"r\",\"includes\":{\"a\":[\"b\"],\"a\":[\"c\"]}},",
            "rbac.roles.includes.a",
        ),
    ] {
        let twice = text.replacen(from, to, 1);
        assert_ne!(twice, text, "{from}");
        let errors = errors_of(&twice);
        let expected = format!("{place}: duplicate key; keep one");
        assert!(errors.contains(&expected), "{expected}: {errors:?}");
    }
}

/// Some control planes send every number as a double (protobuf Struct).
#[test]
fn whole_numbers_may_arrive_as_doubles() {
    let mut config = largest();
    config["claims"]["max_bytes"] = serde_json::json!(4096.0);
    config["rbac"]["routes"][0]["enforce_percent"] = serde_json::json!(50.0);
    config["rbac"]["routes"][0]["on_failure"]["role"] = serde_json::json!(404.0);
    let config = super::accepted(&config);
    assert_eq!(config.claims.max_bytes, 4096);
    let route = &config.rbac.routes.routes()[0];
    assert_eq!(
        (
            route.enforce_percent.get(),
            route.status(crate::denial::Reason::Role)
        ),
        (50, 404)
    );
}
