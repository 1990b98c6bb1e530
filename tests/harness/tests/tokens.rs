//! The token libraries of the harness: what one signs, another verifies.

use edge_claims_harness::tokens::{ALGORITHMS, Key, Order, assemble, claims, from_base64url, mint};
use jwt_simple::prelude::*;
use serde_json::{Value, json};

/// Verifies with jwt-simple and returns the claims that are no standard ones.
fn verified(key: &Key, token: &str) -> Option<Value> {
    let jwk = key.jwk().to_string();
    macro_rules! verify {
        ($($name:literal => $key:ty),*; $($mac:literal => $secret:ty),*) => {
            match key.algorithm() {
                $($name => <$key>::from_jwk(&jwk).unwrap().verify_token::<Value>(token, None).ok(),)*
                $($mac => {
                    let secret = from_base64url(key.jwk()["k"].as_str().unwrap());
                    <$secret>::from_bytes(&secret).verify_token::<Value>(token, None).ok()
                })*
                other => panic!("{other}"),
            }
        };
    }
    let claims = verify!(
        "ES256" => ES256PublicKey, "ES384" => ES384PublicKey, "EdDSA" => Ed25519PublicKey,
        "RS256" => RS256PublicKey, "RS384" => RS384PublicKey, "RS512" => RS512PublicKey,
        "PS256" => PS256PublicKey, "PS384" => PS384PublicKey, "PS512" => PS512PublicKey;
        "HS256" => HS256Key, "HS384" => HS384Key, "HS512" => HS512Key
    );
    claims.map(|claims| claims.custom)
}

#[test]
fn all_libraries_sign_all_algorithms() {
    let keys: Vec<Key> = ALGORITHMS
        .iter()
        .map(|name| Key::generate(name, "k1"))
        .collect();
    let claims = claims(&json!({"roles": ["reader"]}));
    let orders: Vec<Order> = keys
        .iter()
        .flat_map(|key| {
            let header = json!({"alg": key.algorithm(), "typ": "JWT"}).to_string();
            [
                Order::pyjwt(key, &claims),
                Order::joserfc(key, &claims),
                Order::raw(key, header, claims.to_string()),
            ]
        })
        .collect();
    let tokens = mint(&orders);
    assert_eq!(tokens.len(), 3 * keys.len());
    for (key, foreign) in keys.iter().zip(tokens.chunks(3)) {
        let own = key.sign(&claims);
        for token in foreign.iter().chain([&own]) {
            let custom = verified(key, token);
            assert_eq!(
                custom,
                Some(json!({"roles": ["reader"]})),
                "{}: {token}",
                key.algorithm()
            );
        }
    }
}

#[test]
fn signed_claims_are_those_of_the_test_and_no_others() {
    let claims = claims(&json!({"sub": null, "tenant": "a"}));
    let token = Key::generate("ES256", "k1").sign_typed(&claims, "edge-claims+jwt");
    let parts: Vec<Value> = token
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&from_base64url(part)).unwrap())
        .collect();
    assert_eq!(
        parts[0],
        json!({"alg": "ES256", "typ": "edge-claims+jwt", "kid": "k1"})
    );
    assert_eq!(parts[1], claims);
    assert!(claims.get("sub").is_none());
}

#[test]
fn a_published_key_is_not_the_private_one() {
    for name in ["ES256", "EdDSA", "RS256"] {
        let jwk = Key::generate(name, "k1").jwk();
        assert!(
            ["d", "p", "q"]
                .iter()
                .all(|member| jwk.get(member).is_none()),
            "{jwk}"
        );
    }
    assert_ne!(
        Key::generate("RS256", "k1").jwk()["n"],
        Key::generate("RS256", "k2").jwk()["n"]
    );
    assert_eq!(assemble(b"{}", b"{}", b""), "e30.e30.");
}
