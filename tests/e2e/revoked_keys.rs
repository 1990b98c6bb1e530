//! Revocation is of a key, not of a name: the same key under another ID, or without one, is revoked too.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use edge_claims_harness::tokens::{Key, Order, claims, mint};
use edge_claims_harness::{KeyServer, Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{CLAIMS, ISSUER, World, issuer, policy, remote_issuer};

/// Tokens that are signed with that key, under these key IDs; `null`: without one.
fn tokens_of(key: &Key, kids: &[Value]) -> Vec<String> {
    let orders: Vec<Order> = kids
        .iter()
        .map(|kid| {
            let mut header = json!({"alg": "ES256", "typ": "JWT"});
            if !kid.is_null() {
                header["kid"] = kid.clone();
            }
            Order::raw(key, header.to_string(), claims(&json!({})).to_string())
        })
        .collect();
    mint(&orders)
}

/// The key in a key set under another ID.
fn renamed(key: &Key, kid: &Value) -> Value {
    let mut jwk = key.jwk();
    let members = jwk.as_object_mut().unwrap();
    members.remove("kid");
    if !kid.is_null() {
        members.insert("kid".to_owned(), kid.clone());
    }
    jwk
}

/// RFC 7638 §3, of an EC key.
fn thumbprint(key: &Key) -> String {
    let jwk = key.jwk();
    let text = format!(
        r#"{{"crv":{},"kty":{},"x":{},"y":{}}}"#,
        jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]
    );
    Base64UrlSafeNoPadding::encode_to_string(hmac_sha256::Hash::hash(text.as_bytes())).unwrap()
}

fn world(revoked: impl FnOnce(&Key) -> Value) -> (World, Key) {
    let upstream = Upstream::start();
    let good = Key::generate("ES256", "k1");
    let leaked = Key::generate("ES256", "es1");
    let mut settings = issuer(ISSUER, &[&good, &leaked]);
    let keys = settings["keys"]["inline"]["keys"].as_array_mut().unwrap();
    keys.extend([json!(null), json!("es2")].map(|kid| renamed(&leaked, &kid)));
    settings["revoked"] = revoked(&leaked);
    let envoy = Setup::new(&upstream).plugin(&policy(&[settings])).start();
    let world = World {
        envoy,
        upstream,
        key: good,
    };
    (world, leaked)
}

#[track_caller]
fn is_revoked_under_every_name(world: &World, leaked: &Key) {
    let kids = [json!("es1"), json!("es2")];
    for token in tokens_of(leaked, &kids) {
        for _ in 0..2 {
            let request = world.envoy.get("/me").header(CLAIMS, &token);
            world.denied(request, 401, "revoked");
        }
    }
    let good = world.token(&json!({}));
    world.allowed(world.envoy.get("/me").header(CLAIMS, good));
}

#[test]
fn a_key_that_is_revoked_by_its_id_is_revoked_under_every_other() {
    let (world, leaked) = world(|_| json!({"kids": ["es1"]}));
    is_revoked_under_every_name(&world, &leaked);
}

/// Without a key ID, the only key that fits verifies a token.
#[test]
fn a_token_without_a_key_id_is_revoked_with_its_key() {
    for by_kid in [true, false] {
        let upstream = Upstream::start();
        let leaked = Key::generate("ES256", "es1");
        let mut settings = issuer(ISSUER, &[&leaked]);
        settings["revoked"] = if by_kid {
            json!({"kids": ["es1"]})
        } else {
            json!({"thumbprints": [thumbprint(&leaked)]})
        };
        let envoy = Setup::new(&upstream).plugin(&policy(&[settings])).start();
        for token in tokens_of(&leaked, &[json!(null)]) {
            let response = envoy.get("/me").header(CLAIMS, &token).send();
            assert_eq!(response.status, 401, "{response:?}");
            assert_eq!(response.json()["code"], "revoked");
        }
    }
}

#[test]
fn a_key_can_be_revoked_by_its_thumbprint() {
    let (world, leaked) = world(|leaked| json!({"thumbprints": [thumbprint(leaked)]}));
    is_revoked_under_every_name(&world, &leaked);
}

#[test]
fn a_key_that_a_server_publishes_is_revoked_by_its_thumbprint() {
    let upstream = Upstream::start();
    let good = Key::generate("ES256", "k1");
    let leaked = Key::generate("ES256", "es1");
    let server = KeyServer::start(&[&good, &leaked]);
    let mut settings = remote_issuer(ISSUER, "keys", &json!({}));
    settings["revoked"] = json!({"thumbprints": [thumbprint(&leaked)]});
    let envoy = Setup::new(&upstream)
        .upstream("keys", server.upstream())
        .plugin(&policy(&[settings]))
        .start();
    let world = World {
        envoy,
        upstream,
        key: good,
    };
    let good = world.token(&json!({}));
    world.allowed(world.envoy.get("/me").header(CLAIMS, good));
    let token = leaked.sign(&claims(&json!({})));
    let request = world.envoy.get("/me").header(CLAIMS, token);
    world.denied(request, 401, "revoked");
}
