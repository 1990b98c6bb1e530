//! Revocation lists and one-use tokens.

use std::cell::RefCell;
use std::rc::Rc;

use jwt_simple::prelude::{ES256PublicKey, ES384PublicKey, RS256PublicKey};

use super::support::{
    CACHE, CLAIMS, Counting, LIVE, NOW, claims_with, claims_without, environment, fetched, header,
    inline, issuer, jwk, kid, reason, sign, sign_with, symmetric_issuer, token, verdict, verifier,
};
use crate::claims::ClaimPath;
use crate::denial::Reason;
use crate::token::replay::{MemoryWindow, TokenId};
use crate::token::{
    Algorithm, Issuer, IssuerId, KeySet, MAX_LEEWAY, OneUse, Portable, RemoteKeys, ReplayError,
    ReplayWindow, Revoked, Secret, Verifier, VerifyError,
};

fn list(values: &[&str]) -> std::collections::HashSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn revoked_keys_subjects_and_tokens_are_refused() {
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
fn a_revoked_key_is_refused_without_a_signature_verification() {
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
fn a_revoked_key_is_refused_under_another_kid_and_without_one() {
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
fn a_key_that_was_fetched_under_a_revoked_kid_stays_revoked_under_the_next_one() {
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
    // Another key under that name is fine.
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
fn a_cached_token_is_refused_once_its_key_is_fetched_under_a_revoked_kid() {
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
fn a_revoked_secret_is_refused_under_another_kid() {
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

fn one_use(entries: usize) -> Issuer {
    Issuer {
        one_use: Some(OneUse {
            claim: ClaimPath::from("jti"),
            entries,
        }),
        ..issuer()
    }
}

fn with_id(id: &str) -> String {
    let claims = claims_with(&format!(r#""jti":"{id}""#));
    sign(Algorithm::EdDsa, &header(Algorithm::EdDsa), &claims)
}

#[test]
fn a_one_use_token_is_accepted_once() {
    let mut verifier = verifier(one_use(10));
    let verified = verdict(&mut verifier, &with_id("a")).unwrap();
    assert_eq!(verifier.consume(&verified, NOW), Ok(()));
    assert_eq!(verifier.consume(&verified, NOW), Err(Reason::Replayed));
    // Verified anew, or signed anew, it is the same token.
    let again = verdict(&mut verifier, &with_id("a")).unwrap();
    assert_eq!(verifier.consume(&again, NOW + 69), Err(Reason::Replayed));
    let resigned = sign(
        Algorithm::Es256,
        &header(Algorithm::Es256),
        &claims_with(r#""jti":"a","x":1"#),
    );
    let resigned = verdict(&mut verifier, &resigned).unwrap();
    assert_eq!(verifier.consume(&resigned, NOW), Err(Reason::Replayed));
    let other = verdict(&mut verifier, &with_id("b")).unwrap();
    assert_eq!(verifier.consume(&other, NOW), Ok(()));
}

#[test]
fn a_full_window_denies_with_503() {
    let mut verifier = verifier(one_use(1));
    let [a, b] = ["a", "b"].map(|id| verdict(&mut verifier, &with_id(id)).unwrap());
    assert_eq!(verifier.consume(&a, NOW), Ok(()));
    assert_eq!(verifier.consume(&b, NOW), Err(Reason::Internal));
    assert_eq!(Reason::Internal.status(), 503);
    // After exp and the largest leeway, no config accepts the first one again.
    let kept = 60 + MAX_LEEWAY;
    assert_eq!(verifier.consume(&b, NOW + kept - 1), Err(Reason::Internal));
    assert_eq!(verifier.consume(&b, NOW + kept), Ok(()));
}

/// A window that outlives its config, as one in shared memory does.
#[derive(Clone)]
struct Shared(Rc<RefCell<MemoryWindow>>);

impl ReplayWindow for Shared {
    fn consume(&mut self, id: TokenId, keep_until: u64, now: u64) -> Result<(), ReplayError> {
        self.0.borrow_mut().consume(id, keep_until, now)
    }
}

#[test]
fn a_used_token_stays_used_when_a_new_config_raises_the_leeway() {
    let window = Shared(Rc::new(RefCell::new(MemoryWindow::new(10))));
    let with_leeway = |leeway| {
        let issuer = Issuer {
            leeway,
            ..one_use(10)
        };
        let mut verifier = verifier(issuer);
        verifier.set_replay_window(IssuerId(0), Box::new(window.clone()));
        verifier
    };
    let mut before = with_leeway(0);
    let used = verdict(&mut before, &with_id("a")).unwrap();
    assert_eq!(before.consume(&used, NOW), Ok(()));
    // The token has expired for the old config, and another request clears what has expired.
    let later = NOW + 100;
    let other = verdict(&mut before, &with_id("b")).unwrap();
    assert_eq!(before.consume(&other, later), Ok(()));
    let mut after = with_leeway(MAX_LEEWAY);
    let again = after.verify(with_id("a").as_bytes(), &LIVE, later * 1_000, &Portable);
    assert_eq!(after.consume(&again.unwrap(), later), Err(Reason::Replayed));
}

#[test]
fn verifying_does_not_use_a_token_up() {
    let mut verifier = verifier(one_use(10));
    for _ in 0..3 {
        assert!(verdict(&mut verifier, &with_id("a")).is_ok());
    }
}

#[test]
fn a_one_use_token_needs_its_claim() {
    let without = sign(
        Algorithm::EdDsa,
        &header(Algorithm::EdDsa),
        &claims_without("jti"),
    );
    assert_eq!(reason(one_use(10), &without), Some(Reason::ClaimRequired));
    assert_eq!(
        reason(one_use(10), &with_id("")),
        Some(Reason::ClaimRequired)
    );
    let number = || Issuer {
        one_use: Some(OneUse {
            claim: ClaimPath::from("n"),
            entries: 10,
        }),
        ..issuer()
    };
    let token = sign(
        Algorithm::EdDsa,
        &header(Algorithm::EdDsa),
        &claims_with(r#""n":7"#),
    );
    assert_eq!(reason(number(), &token), Some(Reason::ClaimRequired));
}

#[test]
fn one_id_of_two_issuers_is_two_tokens() {
    let second = Issuer {
        name: "https://other.example.com".into(),
        ..one_use(10)
    };
    let mut verifier = Verifier::<()>::new(vec![one_use(10), second], CACHE, 1, &environment);
    let other = sign(
        Algorithm::EdDsa,
        &header(Algorithm::EdDsa),
        &claims_with(r#""iss":"https://other.example.com","jti":"a""#),
    );
    let [first, second] =
        [with_id("a"), other].map(|token| verdict(&mut verifier, &token).unwrap());
    assert_eq!(verifier.consume(&first, NOW), Ok(()));
    assert_eq!(verifier.consume(&second, NOW), Ok(()));
}

#[test]
fn issuers_without_one_use_consume_nothing() {
    let mut verifier = verifier(issuer());
    let verified = verdict(&mut verifier, &token(Algorithm::EdDsa)).unwrap();
    for _ in 0..3 {
        assert_eq!(verifier.consume(&verified, NOW), Ok(()));
    }
}

#[test]
fn the_replay_window_can_be_replaced() {
    struct Broken;
    impl ReplayWindow for Broken {
        fn consume(&mut self, _: TokenId, keep_until: u64, now: u64) -> Result<(), ReplayError> {
            assert_eq!((keep_until, now), (NOW + 60 + MAX_LEEWAY, NOW));
            Err(ReplayError::Full)
        }
    }
    let mut verifier = verifier(one_use(10));
    verifier.set_replay_window(IssuerId(0), Box::new(Broken));
    let verified = verdict(&mut verifier, &with_id("a")).unwrap();
    assert_eq!(verifier.consume(&verified, NOW), Err(Reason::Internal));
}
