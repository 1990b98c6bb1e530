//! Valid and invalid signatures of every algorithm, from other libraries and RFCs.

use super::support::{
    CLAIMS, Counting, LIVE, NOW, SPKI, claims_with, encode, header, inline, inline_of, issuer,
    issuer_for, kid, reason, sign_with, token, verdict, verifier,
};
use crate::denial::Reason;
use crate::token::{Algorithm, Jws, Portable, SignatureBackend, base64url, known_answers};

#[test]
fn every_algorithm_accepts_only_valid_signatures() {
    for algorithm in Algorithm::ALL {
        let good = token(algorithm);
        assert_eq!(reason(issuer_for(algorithm), &good), None, "{algorithm}");

        let (input, signature) = good.rsplit_once('.').unwrap();
        let signature = base64url::decode(signature.as_bytes()).unwrap();
        let (head, _) = input.split_once('.').unwrap();
        let other_payload = encode(claims_with(r#""sub":"mallory""#));
        let mut flipped_first = signature.clone();
        flipped_first[0] ^= 1;
        let mut flipped_last = signature.clone();
        *flipped_last.last_mut().unwrap() ^= 1;
        let mut longer = signature.clone();
        longer.push(0);
        let mut longer_in_front = signature.clone();
        longer_in_front.insert(0, 0);
        let shorter = &signature[..signature.len() - 1];
        for bad in [
            format!("{head}.{other_payload}.{}", encode(&signature)),
            format!("{input}.{}", encode(flipped_first)),
            format!("{input}.{}", encode(flipped_last)),
            format!("{input}.{}", encode(longer)),
            format!("{input}.{}", encode(longer_in_front)),
            format!("{input}.{}", encode(shorter)),
            format!("{input}.{}", encode(vec![0; signature.len()])),
            format!("{input}.{}", encode(vec![0xff; signature.len()])),
            format!("{input}.AA"),
        ] {
            let reason = reason(issuer_for(algorithm), &bad);
            assert_eq!(reason, Some(Reason::SignatureInvalid), "{algorithm} {bad}");
        }
    }
}

#[test]
fn another_key_of_the_same_kind_does_not_verify() {
    for (algorithm, key) in [
        (Algorithm::Es256, "other-p256"),
        (Algorithm::Rs256, "other-rsa"),
    ] {
        let token = sign_with(key, algorithm, &header(algorithm), CLAIMS);
        assert_eq!(reason(issuer(), &token), Some(Reason::SignatureInvalid));
    }
}

#[test]
fn tokens_of_pyca_cryptography_verify() {
    let tokens: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(include_str!("keys/tokens.json")).unwrap();
    assert_eq!(tokens.len(), 10);
    for (algorithm, token) in tokens {
        assert_eq!(
            reason(issuer(), token.as_str().unwrap()),
            None,
            "{algorithm}"
        );
    }
}

#[test]
fn spki_matches_pyca_cryptography() {
    for (name, spki) in SPKI.iter() {
        let set = inline(&[name]);
        assert_eq!(encode(set.iter().next().unwrap().spki()), *spki, "{name}");
    }
}

/// RFC 7515 A.1 to A.4 and RFC 8037 A.4. The payloads of ES512 and EdDSA are not JSON, so
/// only their signatures are verified.
#[test]
fn examples_of_the_rfcs_verify() {
    let examples: serde_json::Value =
        serde_json::from_str(include_str!("rfc_examples.json")).unwrap();
    let mut seen = 0;
    for example in examples["cases"].as_array().unwrap() {
        let text = example["jws"].as_str().unwrap();
        let jwk = &example["jwk"];
        match example["name"].as_str().unwrap() {
            "RFC7515 A.1 HS256" => {
                let secret = base64url::decode(jwk["k"].as_str().unwrap().as_bytes()).unwrap();
                let mut issuer = super::support::symmetric_issuer();
                issuer.name = "joe".into();
                issuer.audiences = None;
                issuer.secrets[0].kid = None;
                let env = |_: &str| Some(secret.clone());
                let mut verifier =
                    crate::token::Verifier::<()>::new(vec![issuer], super::support::CACHE, 1, &env);
                let verify = |verifier: &mut crate::token::Verifier<()>, now| {
                    verifier.verify(text.as_bytes(), &LIVE, now * 1_000, &Portable)
                };
                assert!(verify(&mut verifier, 1_300_819_379).is_ok());
                let expired = verify(&mut verifier, NOW).unwrap_err();
                assert_eq!(expired.reason_after_fetch(), Reason::Expired);
            }
            "RFC7515 A.2 RS256" | "RFC7515 A.3 ES256" => {
                let mut issuer = issuer();
                issuer.name = "joe".into();
                issuer.audiences = None;
                issuer.inline = inline_of(&serde_json::json!({ "keys": [jwk] })).unwrap();
                let mut verifier = verifier(issuer);
                let verdict =
                    verifier.verify(text.as_bytes(), &LIVE, 1_300_819_379 * 1_000, &Portable);
                let claims = verdict.unwrap();
                assert!(claims.claims().get("http://example.com/is_root").is_some());
            }
            "RFC7515 A.4 ES512" | "RFC8037 A.4 EdDSA Ed25519" => {
                assert!(Jws::parse(text.as_bytes()).is_err());
                let set = inline_of(&serde_json::json!({ "keys": [jwk] })).unwrap();
                let (input, signature) = text.rsplit_once('.').unwrap();
                let signature = base64url::decode(signature.as_bytes()).unwrap();
                let key = set.iter().next().unwrap();
                let algorithm = key.algorithms()[0];
                assert!(Portable.check(algorithm, key, input.as_bytes(), &signature));
            }
            "RFC7515 A.5 none" => {
                assert_eq!(reason(issuer(), text), Some(Reason::ClaimsMalformed));
            }
            other => panic!("unknown example {other}"),
        }
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn portable_passes_the_known_answer_tests() {
    assert_eq!(known_answers::algorithms().len(), 6);
    for algorithm in known_answers::algorithms() {
        assert!(known_answers::passes(&Portable, algorithm), "{algorithm}");
    }
    assert!(!known_answers::passes(&Portable, Algorithm::EdDsa));
}

#[test]
fn a_back_end_with_constant_results_fails_the_self_test() {
    for answer in [Some(true), Some(false), None] {
        let backend = Counting {
            answer: Some(answer),
            ..Counting::default()
        };
        for algorithm in known_answers::algorithms() {
            assert!(
                !known_answers::passes(&backend, algorithm),
                "{algorithm} {answer:?}"
            );
        }
    }
}

#[test]
fn portable_verifies_what_a_back_end_does_not_support() {
    let backend = Counting {
        answer: Some(None),
        ..Counting::default()
    };
    for algorithm in Algorithm::ALL {
        let mut verifier = verifier(issuer_for(algorithm));
        let good = token(algorithm);
        let verified = verifier
            .verify(good.as_bytes(), &LIVE, NOW * 1_000, &backend)
            .unwrap();
        assert_eq!(verified.algorithm(), algorithm);
        assert_eq!(verifier.stats().by_portable[algorithm as usize], 1);
        assert_eq!(verifier.stats().by_backend, [0; 13]);
    }
}

#[test]
fn no_back_end_sees_a_signature_of_another_length() {
    let backend = Counting {
        answer: Some(Some(true)),
        ..Counting::default()
    };
    for algorithm in Algorithm::ALL.into_iter().filter(|one| !one.is_symmetric()) {
        let good = token(algorithm);
        let (input, signature) = good.rsplit_once('.').unwrap();
        let signature = base64url::decode(signature.as_bytes()).unwrap();
        for bad in [&signature[1..], &[&signature[..], &[0]].concat()] {
            let bad = format!("{input}.{}", encode(bad));
            let verdict = verifier(issuer()).verify(bad.as_bytes(), &LIVE, NOW * 1_000, &backend);
            assert_eq!(
                verdict.unwrap_err().reason_after_fetch(),
                Reason::SignatureInvalid
            );
        }
    }
    assert_eq!(backend.calls.get(), 0);
}

#[test]
fn a_verified_token_has_issuer_kid_and_algorithm() {
    let mut verifier = verifier(issuer());
    let verified = verdict(&mut verifier, &token(Algorithm::Es384)).unwrap();
    assert_eq!(verified.issuer(), crate::token::IssuerId(0));
    assert_eq!(verified.issuer_name(), "https://edge.example.com");
    assert_eq!(verified.kid(), Some(kid(Algorithm::Es384)));
    assert_eq!(verified.algorithm(), Algorithm::Es384);
    assert_eq!(verified.expiry(), NOW + 60);
    assert_eq!(verified.issued_at(), Some(NOW - 10));
    assert_eq!(
        verified.claims().get("sub").and_then(|sub| sub.as_str()),
        Some("alice")
    );
    let debug = format!("{verified:?}");
    assert!(!debug.contains("alice"), "{debug}");
}

#[test]
fn a_key_is_never_used_with_an_algorithm_of_another_kind() {
    let keys = inline(&["rsa", "p256", "p384", "p521", "ed25519"]);
    for algorithm in Algorithm::ALL {
        let text = token(algorithm);
        let jws = Jws::parse(text.as_bytes()).unwrap();
        for key in keys.iter() {
            let right =
                Portable.verify(algorithm, key, jws.signing_input, &jws.signature) == Some(true);
            assert_eq!(right, key.fits(algorithm), "{algorithm} {:?}", key.kid());
        }
    }
}
