//! Revocation lists.

use jwt_simple::prelude::{ES256PublicKey, ES384PublicKey, RS256PublicKey};

use super::support::{
    CACHE, CLAIMS, Counting, LIVE, NOW, environment, fetched, inline, issuer, jwk, kid, reason,
    sign, sign_with, symmetric_issuer, token, verdict, verifier,
};
use crate::denial::Reason;
use crate::token::{
    Algorithm, Issuer, IssuerId, KeySet, RemoteKeys, Revoked, Secret, Verifier, VerifyError,
};

fn list(values: &[&str]) -> std::collections::HashSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn revoked_keys_subjects_and_tokens_are_rejected() {
    let token = token(Algorithm::EdDsa);
    for revoked in [
        Revoked {
            kids: list(&["ed25519"]),
            ..Revoked::default()
        },
        Revoked {
            subjects: list(&["x", "alice"]),
            ..Revoked::default()
        },
        Revoked {
            token_ids: list(&["t1"]),
            ..Revoked::default()
        },
    ] {
        assert_eq!(
            reason(
                Issuer {
                    revoked,
                    ..issuer()
                },
                &token
            ),
            Some(Reason::Revoked)
        );
    }
    let others = Revoked {
        kids: list(&["p256", "alice", "t1"]),
        subjects: list(&["t1", "ed25519"]),
        token_ids: list(&["alice"]),
        thumbprints: list(&["p256", "ed25519"]),
    };
    assert_eq!(
        reason(
            Issuer {
                revoked: others,
                ..issuer()
            },
            &token
        ),
        None
    );
}

#[test]
fn a_revoked_key_is_rejected_without_a_signature_verification() {
    let revoked = || Revoked {
        kids: list(&["ed25519"]),
        ..Revoked::default()
    };
    let named = token(Algorithm::EdDsa);
    let nameless = sign(Algorithm::EdDsa, r#"{"alg":"EdDSA"}"#, CLAIMS);
    for token in [named, nameless] {
        let backend = Counting::default();
        let mut verifier = verifier(Issuer {
            revoked: revoked(),
            ..issuer()
        });
        let refusal = verifier
            .verify(token.as_bytes(), &LIVE, NOW * 1_000, &backend)
            .unwrap_err();
        assert_eq!(refusal.reason_after_fetch(), Reason::Revoked);
        assert_eq!(backend.calls.get(), 0);
    }
}

/// The JWK of a test key under another `kid`, or under none.
fn renamed(key: &str, kid: Option<&str>) -> serde_json::Value {
    let mut jwk = jwk(key);
    let members = jwk.as_object_mut().unwrap();
    members.remove("kid");
    members.extend(kid.map(|kid| ("kid".to_owned(), kid.into())));
    jwk
}

fn set_of(keys: &[serde_json::Value]) -> KeySet {
    let text = serde_json::json!({ "keys": keys }).to_string();
    KeySet::fetched(text.as_bytes()).unwrap().0
}

/// An issuer that revokes the `kid` `p256`, with these keys in the config and a remote key set.
fn revokes_p256(inline: KeySet) -> Issuer {
    Issuer {
        inline,
        remote: Some(RemoteKeys {
            url: "https://keys.example.com/jwks.json".into(),
            cluster: "keys".into(),
            refresh: 300,
            timeout: 5_000,
            max_stale: 3_600,
        }),
        revoked: Revoked {
            kids: list(&["p256"]),
            ..Revoked::default()
        },
        ..issuer()
    }
}

fn es256(header: &str) -> String {
    sign(Algorithm::Es256, header, CLAIMS)
}

#[test]
fn a_revoked_key_is_rejected_under_another_kid_and_without_one() {
    let named = set_of(&[
        renamed("p256", Some("p256")),
        renamed("p256", Some("other")),
    ]);
    let nameless = set_of(&[renamed("p256", Some("p256")), renamed("p256", None)]);
    let by_other_kid = es256(r#"{"alg":"ES256","kid":"other"}"#);
    let by_no_kid = es256(r#"{"alg":"ES256"}"#);
    // Inline and fetched, in both directions.
    for (inline, fetched, token) in [
        (named.clone(), KeySet::default(), &by_other_kid),
        (KeySet::default(), named.clone(), &by_other_kid),
        (
            inline(&["p256"]),
            set_of(&[renamed("p256", Some("other"))]),
            &by_other_kid,
        ),
        (
            set_of(&[renamed("p256", Some("other"))]),
            fetched(&["p256"]),
            &by_other_kid,
        ),
        (
            inline(&["p256"]),
            set_of(&[renamed("p256", None)]),
            &by_no_kid,
        ),
        (
            set_of(&[renamed("p256", None)]),
            fetched(&["p256"]),
            &by_no_kid,
        ),
        (KeySet::default(), fetched(&["p256"]), &by_no_kid),
    ] {
        let mut verifier = verifier(revokes_p256(inline));
        verifier.set_keys(IssuerId(0), fetched, NOW);
        let error = verdict(&mut verifier, token).unwrap_err();
        assert_eq!(error, VerifyError::Denied(Reason::Revoked));
    }
    // Two entries of one key are ambiguous without a kid, revoked or not.
    let mut verifier = verifier(revokes_p256(nameless));
    verifier.set_keys(IssuerId(0), fetched(&["p384"]), NOW);
    assert!(verdict(&mut verifier, &by_no_kid).is_err());
}

#[test]
fn a_key_fetched_with_a_revoked_kid_stays_revoked_under_another_kid() {
    let mut verifier = verifier(revokes_p256(KeySet::default()));
    let token = es256(r#"{"alg":"ES256","kid":"new-name"}"#);
    verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW);
    verifier.set_keys(
        IssuerId(0),
        set_of(&[renamed("p256", Some("new-name"))]),
        NOW + 1,
    );
    let error = verdict(&mut verifier, &token).unwrap_err();
    assert_eq!(error, VerifyError::Denied(Reason::Revoked));
    // Another key with this `kid` is accepted.
    verifier.set_keys(
        IssuerId(0),
        set_of(&[renamed("other-p256", Some("new-name"))]),
        NOW + 2,
    );
    let token = sign_with(
        "other-p256",
        Algorithm::Es256,
        r#"{"alg":"ES256","kid":"new-name"}"#,
        CLAIMS,
    );
    assert!(verdict(&mut verifier, &token).is_ok());
}

#[test]
fn a_cached_token_is_rejected_once_its_key_is_fetched_under_a_revoked_kid() {
    let token = es256(r#"{"alg":"ES256","kid":"other"}"#);
    for inline in [KeySet::default(), set_of(&[renamed("p256", Some("other"))])] {
        let mut verifier = verifier(revokes_p256(inline));
        let other = renamed("p256", Some("other"));
        verifier.set_keys(IssuerId(0), set_of(std::slice::from_ref(&other)), NOW);
        assert!(verdict(&mut verifier, &token).is_ok());
        assert!(verdict(&mut verifier, &token).unwrap().is_cached());
        let both = set_of(&[other, renamed("p256", Some("p256"))]);
        verifier.set_keys(IssuerId(0), both, NOW + 1);
        let error = verdict(&mut verifier, &token).unwrap_err();
        assert_eq!(error, VerifyError::Denied(Reason::Revoked));
    }
}

#[test]
fn a_thumbprint_revokes_its_key() {
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Ps256,
        Algorithm::Es512,
        Algorithm::EdDsa,
    ] {
        let key = inline(&[kid(algorithm)]);
        let thumbprint = key.iter().next().unwrap().thumbprint().to_owned();
        let with = |thumbprints: &[&str]| Issuer {
            revoked: Revoked {
                thumbprints: list(thumbprints),
                ..Revoked::default()
            },
            ..issuer()
        };
        let token = token(algorithm);
        assert_eq!(reason(with(&[&thumbprint]), &token), Some(Reason::Revoked));
        assert_eq!(reason(with(&["AAAA"]), &token), None);
    }
}

#[test]
fn thumbprints_are_those_of_rfc_7638() {
    let thumbprint = |jwk: &serde_json::Value| {
        let keys = set_of(std::slice::from_ref(jwk));
        keys.iter().next().unwrap().thumbprint().to_owned()
    };
    // RFC 8037 §A.3.
    let ed25519 = serde_json::json!({
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    });
    assert_eq!(
        thumbprint(&ed25519),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    // jwt-simple's for the others.
    let es256 = ES256PublicKey::from_jwk(&jwk("p256").to_string()).unwrap();
    assert_eq!(thumbprint(&jwk("p256")), es256.jwk_thumbprint());
    let es384 = ES384PublicKey::from_jwk(&jwk("p384").to_string()).unwrap();
    assert_eq!(thumbprint(&jwk("p384")), es384.jwk_thumbprint());
    let rs256 = RS256PublicKey::from_jwk(&jwk("rsa").to_string()).unwrap();
    assert_eq!(thumbprint(&jwk("rsa")), rs256.jwk_thumbprint());
}

#[test]
fn a_revoked_secret_is_rejected_under_another_kid() {
    let secret = |env: &str, kid: &str| Secret {
        env: env.into(),
        kid: Some(kid.into()),
    };
    let issuer = Issuer {
        secrets: vec![secret("SECRET", "leaked"), secret("SAME", "secret")],
        revoked: Revoked {
            kids: list(&["leaked"]),
            ..Revoked::default()
        },
        ..symmetric_issuer()
    };
    let same = |_: &str| environment("SECRET");
    let mut verifier = Verifier::<()>::new(vec![issuer], CACHE, 1, &same);
    let error = verdict(&mut verifier, &token(Algorithm::Hs256)).unwrap_err();
    assert_eq!(error, VerifyError::Denied(Reason::Revoked));
}
