//! `docs/config.schema.json` against the reader of the config: it refuses nothing that loads, and what it
//! cannot refuse is listed here.

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::Value;

use super::{golden, largest, properties, smallest};
use crate::config::error::ConfigError;
use crate::config::load;

/// The errors of `errors.txt` that a JSON Schema cannot find: a part of the message, and why. Besides, it never
/// sees the text of the config, and so neither duplicate keys nor what is no JSON.
const UNSEEN: [(&str, &str); 19] = [
    ("must be a duration from", "compares numbers in texts"),
    (
        "must not be shorter than refresh",
        "compares numbers in texts",
    ),
    ("must be a UTC time like", "knows the days of each month"),
    ("it is already in this list", "hosts are equal in any case"),
    (
        "is the same header as",
        "equal in other spellings, across sections",
    ),
    (
        "another entry has this issuer",
        "one member of all elements",
    ),
    ("another secret has this kid", "one member of all elements"),
    ("are both named", "one member of all elements"),
    ("two variables are named", "parts of one text"),
    ("must be one of claims.issuers", "refers to another part"),
    ("the path has no variable", "refers to another part"),
    ("rbac.roles: missing", "depends on the routes"),
    (
        "keeps a character that some backends",
        "depends on the path",
    ),
    ("roles include each other", "follows references"),
    ("neither is more specific", "compares routes"),
    ("never decides, as", "compares alternatives"),
    ("is a dot segment", "decodes the text"),
    ("is ambiguous (", "decodes the text"),
    ("fails: expected", "runs the policy tests"),
];

/// The kinds of errors about the shape of a config.
const SHAPE: [&str; 5] = ["unknown_key", "missing", "type", "value", "empty_list"];

fn schema() -> Validator {
    let text = include_str!("../../../docs/config.schema.json");
    jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
}

fn errors(config: &Value) -> Vec<ConfigError> {
    load(config.to_string().as_bytes())
        .err()
        .map_or_else(Vec::new, |errors| errors.0)
}

/// Whether a schema cannot find the error.
fn is_unseen(message: &str) -> bool {
    UNSEEN.iter().any(|(part, _)| message.contains(part))
}

#[test]
fn the_schema_is_valid_and_accepts_the_smallest_and_the_largest_config() {
    let text = include_str!("../../../docs/config.schema.json");
    let json: Value = serde_json::from_str(text).unwrap();
    assert!(jsonschema::meta::is_valid(&json));
    for config in [smallest(), largest()] {
        let problems: Vec<String> = schema()
            .iter_errors(&config)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(problems, Vec::<String>::new());
    }
}

#[test]
fn each_error_of_the_list_is_found_or_cannot_be() {
    let schema = schema();
    let (refused, accepted): (Vec<_>, Vec<_>) = golden::cases()
        .into_iter()
        .partition(|case| !schema.is_valid(&case.config()));
    assert!(refused.len() > 150, "{}", refused.len());
    let unseen: Vec<&String> = accepted.iter().flat_map(|case| &case.expected).collect();
    for error in &unseen {
        assert!(is_unseen(error), "the schema accepts: {error}");
    }
    for (part, reason) in UNSEEN {
        let is_used = unseen.iter().any(|error| error.contains(part));
        assert!(is_used, "{part} ({reason}): the schema finds it");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_schema_is_never_stricter_and_finds_every_error_of_shape(
        small in any::<bool>(),
        changes in properties::changes(),
    ) {
        let mut config = if small { smallest() } else { largest() };
        for (at, change) in changes {
            properties::apply(&mut config, at, change);
        }
        let errors = errors(&config);
        let shape: Vec<String> = errors
            .iter()
            .filter(|error| SHAPE.contains(&error.kind.kind()))
            .map(ToString::to_string)
            .filter(|message| !is_unseen(message))
            .collect();
        match schema_of_tests().validate(&config) {
            Err(problem) => prop_assert!(!errors.is_empty(), "{}: {problem}", problem.instance_path()),
            Ok(()) => prop_assert_eq!(shape, Vec::<String>::new()),
        }
    }
}

/// The schema, compiled once per thread.
fn schema_of_tests() -> std::rc::Rc<Validator> {
    thread_local! {
        static SCHEMA: std::rc::Rc<Validator> = std::rc::Rc::new(schema());
    }
    SCHEMA.with(std::rc::Rc::clone)
}
