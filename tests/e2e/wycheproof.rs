//! Project Wycheproof's vectors on the host's `verify_signature`, by the plugin in tests/vectors: the other
//! back-end's run is `src/token/tests/wycheproof.rs`.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use edge_claims_harness::{Setup, Upstream, tools};
use serde_json::{Value, json};
use wycheproof::TestResult::{self, Acceptable, Invalid, Valid};
use wycheproof::{ecdsa, rsa_pkcs1_verify};

/// A key, and what is known of signatures under it.
struct Group {
    jwk: Value,
    algorithm: &'static str,
    tests: Vec<(Vec<u8>, Vec<u8>, TestResult)>,
}

/// Message, signature and result of a group's tests, which have another type for each kind of key.
macro_rules! tests_of {
    ($group:expr) => {
        $group
            .tests
            .into_iter()
            .map(|test| (test.msg.to_vec(), test.sig.to_vec(), test.result))
            .collect()
    };
}

fn encode(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

fn ecdsa_groups() -> Vec<Group> {
    use ecdsa::TestName;
    let mut groups = Vec::new();
    for (name, curve, algorithm) in [
        (TestName::EcdsaSecp256r1Sha256P1363, "P-256", "ES256"),
        (TestName::EcdsaSecp384r1Sha384P1363, "P-384", "ES384"),
        (TestName::EcdsaSecp521r1Sha512P1363, "P-521", "ES512"),
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let point = &group.key.key;
            let (x, y) = point[1..].split_at((point.len() - 1) / 2);
            groups.push(Group {
                jwk: json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)}),
                algorithm,
                tests: tests_of!(group),
            });
        }
    }
    groups
}

fn rsa_groups() -> Vec<Group> {
    use rsa_pkcs1_verify::TestName;
    let mut groups = Vec::new();
    for (name, algorithm) in [
        (TestName::Rsa2048Sha256, "RS256"),
        (TestName::Rsa2048Sha384, "RS384"),
        (TestName::Rsa2048Sha512, "RS512"),
        (TestName::Rsa3072Sha256, "RS256"),
        (TestName::Rsa3072Sha384, "RS384"),
        (TestName::Rsa3072Sha512, "RS512"),
        (TestName::Rsa4096Sha256, "RS256"),
        (TestName::Rsa4096Sha384, "RS384"),
        (TestName::Rsa4096Sha512, "RS512"),
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let number = |bytes: &[u8]| {
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                encode(&bytes[zeros..])
            };
            groups.push(Group {
                jwk: json!({"kty": "RSA", "n": number(&group.key.n), "e": number(&group.key.e)}),
                algorithm,
                tests: tests_of!(group),
            });
        }
    }
    groups
}

/// What the host says, one letter per test: see `Said` in tests/vectors.
fn said(groups: &[Group]) -> Vec<String> {
    let config: Vec<Value> = groups
        .iter()
        .map(|group| {
            let tests = group.tests.iter();
            json!({
                "keys": json!({"keys": [group.jwk]}).to_string(),
                "algorithm": group.algorithm,
                "tests": tests
                    .map(|(message, signature, _)| json!({"message": message, "signature": signature}))
                    .collect::<Vec<_>>(),
            })
        })
        .collect();
    let config = json!({
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": Value::from(config).to_string(),
    });
    let upstream = Upstream::start();
    let envoy = Setup::new(&upstream)
        .wasm(&tools::vectors_module(), config)
        .component_log_level("wasm:info")
        .start();
    let last = groups.len() - 1;
    let _ = envoy.wait_for_log(&format!("vectors {last} "));
    let log = envoy.log();
    let lines = (0..groups.len())
        .map(|index| {
            let start = format!("vectors {index} ");
            let (_, rest) = log.split_once(&start).unwrap();
            rest.split_whitespace().next().unwrap().to_owned()
        })
        .collect();
    envoy.finish();
    lines
}

/// The host gets no vector wrong that it is asked about, and what it is not asked about is wrong.
fn judge(groups: &[Group]) -> [usize; 3] {
    let (mut good, mut wrong, mut not_asked) = (0, 0, 0);
    for (group, letters) in groups.iter().zip(said(groups)) {
        assert_eq!(letters.len(), group.tests.len());
        for ((message, signature, expected), letter) in group.tests.iter().zip(letters.chars()) {
            let what = format!(
                "{} {} message {} signature {}: {expected:?}, said {letter}",
                group.algorithm,
                group.jwk,
                encode(message),
                encode(signature)
            );
            match (letter, expected) {
                ('g', Valid | Acceptable) => good += 1,
                ('w', Invalid | Acceptable) => wrong += 1,
                ('-', Invalid | Acceptable) => not_asked += 1,
                // The one exponent that key sets take is 65537 (docs/keys.md).
                ('k', _) if group.jwk["kty"] == "RSA" && group.jwk["e"] != "AQAB" => {}
                _ => panic!("{what}"),
            }
        }
    }
    [good, wrong, not_asked]
}

#[test]
fn the_host_gets_every_ecdsa_vector_right() {
    let [good, wrong, not_asked] = judge(&ecdsa_groups());
    println!("ECDSA: {good} good, {wrong} wrong, {not_asked} not asked");
    assert!(good > 300 && wrong > 150 && not_asked > 0);
}

#[test]
fn the_host_gets_every_rsa_vector_right() {
    let [good, wrong, not_asked] = judge(&rsa_groups());
    println!("RSA PKCS#1: {good} good, {wrong} wrong, {not_asked} not asked");
    assert!(good > 50 && wrong > 1_000 && not_asked > 0);
}
