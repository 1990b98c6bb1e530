//! Key sets of the config and fetched key sets.

use serde_json::json;

use super::keys::{changed, problem, without};
use super::support::{inline_of, jwk};
use crate::token::jwks::{KeyProblem, KeySetError};
use crate::token::{Algorithm, KeySet, jwks};

#[test]
fn a_duplicate_kid_is_rejected() {
    let twice = json!({ "keys": [jwk("p256"), changed("p384", "kid", "p256".into())] });
    let duplicate = KeySetError::Key {
        index: 1,
        problem: KeyProblem::DuplicateKid { kid: "p256".into() },
    };
    assert_eq!(inline_of(&twice), Err(vec![duplicate.clone()]));
    let (set, problems) = KeySet::fetched(twice.to_string().as_bytes()).unwrap();
    assert_eq!(problems, [duplicate]);
    assert_eq!(set.iter().next().unwrap().algorithms(), [Algorithm::Es256]);
    // Keys without a `kid` are not duplicates.
    let nameless = json!({ "keys": [without("p256", "kid"), without("p384", "kid")] });
    assert_eq!(inline_of(&nameless).unwrap().len(), 2);
    // A skipped key does not reserve its `kid`.
    let unused = json!({ "keys": [changed("rsa", "use", "enc".into()), changed("p256", "kid", "rsa".into())] });
    assert_eq!(
        KeySet::fetched(unused.to_string().as_bytes())
            .unwrap()
            .0
            .len(),
        1
    );
    assert_eq!(
        problem(changed("p256", "kid", 1.into())),
        KeyProblem::NotAString { name: "kid" }
    );
}

#[test]
fn all_problems_of_an_inline_set_are_reported_at_once() {
    let set = json!({ "keys": [
        changed("p256", "use", "enc".into()), jwk("p384"), 7, changed("rsa", "d", "AA".into()),
    ]});
    let text: Vec<_> = inline_of(&set)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        text,
        [
            "keys[0]: use: only \"sig\" verifies signatures",
            "keys[2]: a number: a key must be an object",
            "keys[3]: d: part of a private key: remove it here and replace the key, because it is no longer secret",
        ]
    );
}

#[test]
fn a_set_must_be_an_object_with_keys() {
    for text in [
        "[]",
        "null",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"Keys":[]}"#,
    ] {
        let json = crate::json::Json::parse(text.as_bytes()).unwrap();
        assert_eq!(
            KeySet::inline(&json),
            Err(vec![KeySetError::NoKeySet]),
            "{text}"
        );
        assert_eq!(
            KeySet::fetched(text.as_bytes()),
            Err(KeySetError::NoKeySet),
            "{text}"
        );
    }
    assert_eq!(
        inline_of(&json!({ "keys": [] })),
        Err(vec![KeySetError::Empty])
    );
    for text in [
        "",
        "<html>",
        "{",
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"EC","kty":"EC"}]}"#,
        "\u{feff}{}",
    ] {
        let verdict = KeySet::fetched(text.as_bytes());
        assert!(matches!(verdict, Err(KeySetError::Syntax { .. })), "{text}");
    }
    // The config's tree keeps duplicate names, so inline keys are checked separately.
    let json = crate::json::Json::parse(br#"{"keys":[{"kty":"EC","kty":"EC"}]}"#).unwrap();
    assert_eq!(
        KeySet::inline(&json),
        Err(vec![KeySetError::Key {
            index: 0,
            problem: KeyProblem::DuplicateName { name: "kty".into() },
        }])
    );
}

#[test]
fn large_sets_are_rejected() {
    let keys = |count: usize| {
        let keys: Vec<_> = (0..count)
            .map(|index| changed("ed25519", "kid", index.to_string().into()))
            .collect();
        json!({ "keys": keys })
    };
    assert_eq!(inline_of(&keys(64)).unwrap().len(), 64);
    assert_eq!(
        inline_of(&keys(65)),
        Err(vec![KeySetError::TooMany { count: 65 }])
    );
    let padded = |bytes: usize| {
        let mut text = json!({ "keys": [jwk("p256")] }).to_string().into_bytes();
        text.resize(bytes, b' ');
        text
    };
    assert!(KeySet::fetched(&padded(jwks::MAX_BYTES)).is_ok());
    assert_eq!(
        KeySet::fetched(&padded(jwks::MAX_BYTES + 1)),
        Err(KeySetError::TooLarge {
            bytes: jwks::MAX_BYTES + 1
        })
    );
}

#[test]
fn certificates_and_foreign_members_are_ignored() {
    let mut key = jwk("p256");
    key["x5c"] = json!(["MIIB"]);
    key["x5t"] = json!("x");
    key["foo"] = json!({"bar": 1});
    assert!(inline_of(&json!({ "keys": [key], "etag": "x" })).is_ok());
}
