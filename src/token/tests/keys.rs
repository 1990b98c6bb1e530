//! Which public keys are accepted.

use serde_json::{Value, json};

use super::support::{encode, inline_of, jwk};
use crate::token::jwks::{KeyProblem, KeySetError};
use crate::token::{Algorithm, KeySet};

pub(super) fn problem(key: Value) -> KeyProblem {
    let inline = inline_of(&json!({ "keys": [key] })).unwrap_err();
    let [KeySetError::Key { index: 0, problem }] = inline.as_slice() else {
        panic!("{inline:?}");
    };
    // A fetched set skips the key for the same reason.
    let text = json!({ "keys": [key, jwk("ed25519")] }).to_string();
    let (set, problems) = KeySet::fetched(text.as_bytes()).unwrap();
    assert_eq!(set.len(), 1);
    assert_eq!(problems, inline);
    let alone = json!({ "keys": [key] }).to_string();
    assert_eq!(KeySet::fetched(alone.as_bytes()), Err(KeySetError::Empty));
    problem.clone()
}

pub(super) fn changed(name: &str, member: &str, value: Value) -> Value {
    let mut key = jwk(name);
    key[member] = value;
    key
}

pub(super) fn without(name: &str, member: &str) -> Value {
    let mut key = jwk(name);
    key.as_object_mut().unwrap().remove(member);
    key
}

#[test]
fn a_key_fixes_its_algorithms() {
    for (name, algorithms) in [
        ("p256", vec![Algorithm::Es256]),
        ("p384", vec![Algorithm::Es384]),
        ("p521", vec![Algorithm::Es512]),
        ("ed25519", vec![Algorithm::EdDsa]),
        ("rsa", Algorithm::ALL[3..9].to_vec()),
    ] {
        let set = inline_of(&json!({ "keys": [jwk(name)] })).unwrap();
        let key = set.iter().next().unwrap();
        assert_eq!(key.algorithms(), algorithms);
        assert_eq!(key.kid(), Some(name));
        for algorithm in Algorithm::ALL {
            let named = changed(name, "alg", algorithm.name().into());
            let set = inline_of(&json!({ "keys": [named] }));
            assert_eq!(
                set.is_ok(),
                algorithms.contains(&algorithm),
                "{name} {algorithm}"
            );
            if let Ok(set) = set {
                assert_eq!(set.iter().next().unwrap().algorithms(), [algorithm]);
            }
        }
    }
    for alg in ["none", "RSA-OAEP", "ECDH-ES", "es256", ""] {
        let problem = problem(changed("rsa", "alg", alg.into()));
        assert!(matches!(problem, KeyProblem::Algorithm { alg: found, .. } if found == alg));
    }
    assert_eq!(
        problem(changed("rsa", "alg", json!(["RS256"]))),
        KeyProblem::NotAString { name: "alg" }
    );
}

#[test]
fn a_key_must_be_for_verifying() {
    for value in [
        json!("enc"),
        json!("SIG"),
        json!(""),
        json!(1),
        json!(null),
        json!(["sig"]),
    ] {
        assert_eq!(problem(changed("p256", "use", value)), KeyProblem::Use);
    }
    for value in [
        json!(["sign"]),
        json!([]),
        json!("verify"),
        json!(null),
        json!(["encrypt", 1]),
    ] {
        assert_eq!(
            problem(changed("p256", "key_ops", value)),
            KeyProblem::Operations
        );
    }
    let mut fine = changed("p256", "use", "sig".into());
    fine["key_ops"] = json!(["verify", "sign"]);
    assert!(inline_of(&json!({ "keys": [fine] })).is_ok());
}

#[test]
fn private_and_secret_keys_are_rejected() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for name in ["rsa", "p256", "ed25519"] {
            let problem = problem(changed(name, member, "AAAA".into()));
            assert_eq!(problem, KeyProblem::Private { name: member });
        }
    }
    let secret = json!({"kty": "oct", "kid": "s", "k": encode([7; 64])});
    assert_eq!(problem(secret), KeyProblem::Type { kty: "oct".into() });
}

#[test]
fn unsupported_key_types_and_curves_are_rejected() {
    assert_eq!(
        problem(changed("rsa", "kty", "AKP".into())),
        KeyProblem::Type { kty: "AKP".into() }
    );
    assert_eq!(
        problem(changed("rsa", "kty", "rsa".into())),
        KeyProblem::Type { kty: "rsa".into() }
    );
    assert_eq!(
        problem(without("rsa", "kty")),
        KeyProblem::NotAString { name: "kty" }
    );
    assert_eq!(
        problem(without("p256", "crv")),
        KeyProblem::NotAString { name: "crv" }
    );
    for (name, crv) in [
        ("p256", "secp256k1"),
        ("p256", "P-224"),
        ("p256", "Ed25519"),
        ("ed25519", "X25519"),
        ("ed25519", "Ed448"),
        ("ed25519", "P-256"),
        ("p256", "p-256"),
    ] {
        let problem = problem(changed(name, "crv", crv.into()));
        assert_eq!(problem, KeyProblem::Curve { crv: crv.into() });
    }
}

#[test]
fn coordinates_must_have_the_length_of_the_curve() {
    for (name, bytes) in [("p256", 32), ("p384", 48), ("p521", 66)] {
        for member in ["x", "y"] {
            let wants = KeyProblem::NotBase64url {
                name: member,
                bytes: Some(bytes),
            };
            for bad in [
                encode(vec![1; bytes - 1]),
                encode(vec![0; bytes + 1]),
                "A=".into(),
                "".into(),
            ] {
                assert_eq!(problem(changed(name, member, bad.into())), wants);
            }
            assert_eq!(
                problem(without(name, member)),
                KeyProblem::NotAString { name: member }
            );
        }
    }
    let wants = KeyProblem::NotBase64url {
        name: "x",
        bytes: Some(32),
    };
    assert_eq!(
        problem(changed("ed25519", "x", encode([1; 31]).into())),
        wants
    );
}

#[test]
fn points_must_lie_on_the_curve() {
    for (name, bytes) in [("p256", 32), ("p384", 48), ("p521", 66)] {
        for (x, y) in [
            (vec![0; bytes], vec![0; bytes]),
            (vec![1; bytes], vec![1; bytes]),
            (vec![0xff; bytes], vec![0xff; bytes]),
        ] {
            let mut key = changed(name, "x", encode(x).into());
            key["y"] = encode(y).into();
            assert_eq!(problem(key), KeyProblem::Point);
        }
        let mut swapped = jwk(name);
        swapped["x"] = jwk(name)["y"].clone();
        swapped["y"] = jwk(name)["x"].clone();
        assert_eq!(problem(swapped), KeyProblem::Point);
    }
    // `crv` determines the curve.
    let mut confused = jwk("p256");
    confused["crv"] = "P-384".into();
    assert_eq!(
        problem(confused),
        KeyProblem::NotBase64url {
            name: "x",
            bytes: Some(48)
        }
    );
}

/// RFC 8032 §5.1: points of small order would verify forged signatures.
#[test]
fn weak_ed25519_points_are_rejected() {
    let mut one = [0; 32];
    one[0] = 1;
    let order_four = [0; 32];
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    let order_eight: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ];
    for point in [one, order_four, minus_one, order_eight, [0xff; 32]] {
        let key = changed("ed25519", "x", encode(point).into());
        assert_eq!(problem(key), KeyProblem::Point, "{point:?}");
    }
}

/// RFC 8032 §5.1.3: a coordinate must be less than p, so that each point has one encoding.
#[test]
fn ed25519_points_have_one_encoding() {
    for y in 0..19_u8 {
        // y + p, where p is 2^255 - 19.
        let mut point = [0xff; 32];
        point[0] = 0xed + y;
        for sign in [0x7f, 0xff] {
            point[31] = sign;
            let key = changed("ed25519", "x", encode(point).into());
            assert_eq!(problem(key), KeyProblem::Point, "{y} {sign}");
        }
    }
}

fn rsa_of(bytes: usize, first: u8) -> Value {
    let mut modulus = vec![0x5a; bytes];
    modulus[0] = first;
    modulus[bytes - 1] |= 1;
    changed("rsa", "n", encode(modulus).into())
}

#[test]
fn rsa_keys_must_have_2048_to_4096_bits_and_exponent_65537() {
    assert_eq!(
        problem(rsa_of(256, 0x7f)),
        KeyProblem::RsaSize { bits: 2047 }
    );
    assert_eq!(
        problem(rsa_of(128, 0xff)),
        KeyProblem::RsaSize { bits: 1024 }
    );
    assert_eq!(
        problem(rsa_of(513, 0x01)),
        KeyProblem::RsaSize { bits: 4097 }
    );
    assert_eq!(
        problem(rsa_of(1024, 0xff)),
        KeyProblem::RsaSize { bits: 8192 }
    );
    assert_eq!(
        problem(changed("rsa", "n", "".into())),
        KeyProblem::RsaSize { bits: 0 }
    );
    for (bytes, first) in [(256, 0x80), (384, 0xff), (512, 0xff)] {
        let set = inline_of(&json!({ "keys": [rsa_of(bytes, first)] })).unwrap();
        assert_eq!(set.iter().next().unwrap().signature_len(), bytes);
    }
    for exponent in ["Aw", "AQ", "AQAC", "", "AAAA", "AQABAA"] {
        let problem = problem(changed("rsa", "e", exponent.into()));
        assert_eq!(problem, KeyProblem::RsaExponent, "{exponent}");
    }
    let mut even = vec![0x5a; 256];
    even[0] = 0x80;
    assert_eq!(
        problem(changed("rsa", "n", encode(even).into())),
        KeyProblem::RsaModulus
    );
    assert_eq!(
        problem(without("rsa", "n")),
        KeyProblem::NotAString { name: "n" }
    );
}

#[test]
fn leading_zeros_of_an_rsa_modulus_do_not_change_the_key() {
    let modulus = crate::token::base64url::decode(jwk("rsa")["n"].as_str().unwrap().as_bytes());
    let padded = [vec![0], modulus.unwrap()].concat();
    let mut key = changed("rsa", "n", encode(padded).into());
    key["e"] = "AAEAAQ".into();
    assert_eq!(
        inline_of(&json!({ "keys": [key] })).unwrap(),
        inline_of(&json!({ "keys": [jwk("rsa")] })).unwrap()
    );
}

/// The modulus was made like those of the affected chips: both primes are k·M + (65537^a mod M).
#[test]
fn an_rsa_key_with_the_roca_weakness_is_rejected() {
    let modulus = "gtRfOOZoMKWzmBjn1gvK7saZTo1z2rZJVImMM3Mc_AomokHqhskojYs2C71lheRmOP0BlqGPU5sNOvCZu2ctnEso\
        UwjtBhXqEbuYEN-xrePfrGEGRrOO3AsiiRveSeUgsGLvChygXxsteAcfEBkkXNPpMRbxq87gLA4l-yW3gn2C1PHo6n6YlccG\
        aIdLEXXAY2WoiqcUVv4G_4lP1wPgKkiUB9drwQVON3BSE0nnzcUX06szx4-TLffVjDrqVq30I0en5gifBCKbH6D1tXBMbji8\
        8cSrrRCql0jUu393zfT-UA0pL9j7s2zsV64cs8Fjo9pjfVvYu_5Ul6fRZV-JWQ";
    let key = json!({"kty": "RSA", "kid": "chip", "n": modulus, "e": "AQAB"});
    assert_eq!(problem(key), KeyProblem::Roca);
}

#[test]
fn algorithm_errors_name_the_alg_values() {
    let message = problem(changed("p521", "alg", json!("ES256"))).to_string();
    assert!(
        message.contains("must be one of ES512, or absent"),
        "{message}"
    );
    let message = problem(changed("rsa", "alg", json!("HS256"))).to_string();
    assert!(
        message.contains("RS256, RS384, RS512, PS256, PS384, PS512"),
        "{message}"
    );
}
