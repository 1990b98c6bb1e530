//! Loading any bytes does not panic and always has the same result.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{largest, smallest};
use crate::config::load;

/// Values of every type, including valid values of some keys.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-10_i64..1_000).prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "public",
            "authenticated",
            "allow",
            "deny",
            "shadow",
            "5m",
            "-1s",
            "99999999999999999999d",
            "/{a}/{*b}",
            "/{",
            "/%",
            "*",
            "*.a.b",
            "[::1]",
            "a:1",
            "ES256",
            "HS256",
            "none",
            "GET",
            "spiffe://a/*",
            "spiffe://",
            "x-a",
            ":path",
            "x_a",
            "2026-01-01T00:00:00Z",
            "\u{0}",
            "é",
            "role",
        ])
        .prop_map(Value::from),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        3 => prop::sample::select(vec![
            "claims", "issuers", "issuer", "audiences", "algorithms", "keys", "inline", "remote", "secrets",
            "rbac", "routes", "name", "path", "allow", "any_role", "all_roles", "bind", "peers", "when", "all",
            "any", "not", "claim", "header", "equals", "in", "exists", "scopes", "roles", "includes", "hosts",
            "methods", "path_rules", "on_failure", "identity", "headers", "strip", "tests", "request", "expect",
            "correlation", "log", "responses",
        ]).prop_map(str::to_owned),
        1 => ".{0,8}",
    ];
    scalar().prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The pointers (RFC 6901) of all values in a tree.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(members) => {
            for (name, item) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(item, &format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// A change of a value.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Replace(Value),
    Remove,
    Add(String, Value),
    /// By the value of another place.
    Copy(prop::sample::Index),
    Repeat,
}

pub(super) fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, Change)>> {
    let change = prop_oneof![
        3 => tree().prop_map(Change::Replace),
        1 => Just(Change::Remove),
        1 => (".{0,8}", tree()).prop_map(|(name, value)| Change::Add(name, value)),
        2 => any::<prop::sample::Index>().prop_map(Change::Copy),
        1 => Just(Change::Repeat),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), change), 1..4)
}

pub(super) fn apply(config: &mut Value, at: prop::sample::Index, change: Change) {
    let mut all = Vec::new();
    places(config, "", &mut all);
    let place = at.get(&all).clone();
    let parent = place
        .rsplit_once('/')
        .map(|(parent, name)| (parent.to_owned(), name.to_owned()));
    match change {
        Change::Replace(value) => {
            if let Some(slot) = config.pointer_mut(&place) {
                *slot = value;
            }
        }
        Change::Copy(from) => {
            let copied = config.pointer(from.get(&all).as_str()).cloned();
            if let (Some(value), Some(slot)) = (copied, config.pointer_mut(&place)) {
                *slot = value;
            }
        }
        Change::Add(name, value) => match config.pointer_mut(&place) {
            Some(Value::Object(members)) => drop(members.insert(name, value)),
            Some(Value::Array(items)) => items.push(value),
            _ => {}
        },
        Change::Remove => {
            let Some((parent, name)) = parent else { return };
            match config.pointer_mut(&parent) {
                Some(Value::Object(members)) => drop(members.remove(&name)),
                Some(Value::Array(items)) => {
                    drop(name.parse::<usize>().map(|index| items.remove(index)))
                }
                _ => {}
            }
        }
        Change::Repeat => {
            if let Some(Value::Array(items)) = config.pointer_mut(&place) {
                items.extend(items.clone());
            }
        }
    }
}

/// The errors of a config as text; empty if it loads.
fn errors_shown(bytes: &[u8]) -> String {
    load(bytes)
        .err()
        .map(|errors| errors.to_string())
        .unwrap_or_default()
}

/// Every line but the first starts with a path.
fn check(bytes: &[u8]) {
    let first = errors_shown(bytes);
    assert_eq!(
        first,
        errors_shown(bytes),
        "the result depends on the bytes alone"
    );
    for line in first.lines().skip(1) {
        assert!(line.contains(": "), "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn loading_arbitrary_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn loading_arbitrary_json_never_panics(value in tree()) {
        check(value.to_string().as_bytes());
    }

    #[test]
    fn loading_a_changed_config_never_panics(small in any::<bool>(), changes in changes()) {
        let mut config = if small { smallest() } else { largest() };
        for (at, change) in changes {
            apply(&mut config, at, change);
        }
        check(config.to_string().as_bytes());
    }

    #[test]
    fn a_truncated_config_is_rejected(share in 0.0_f64..1.0) {
        let text = largest().to_string();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let length = (text.len() as f64 * share) as usize;
        prop_assert!(load(&text.as_bytes()[..length]).is_err());
    }
}
