//! Revocation lists and one-use tokens.

use super::support::{
    CACHE, CLAIMS, Counting, LIVE, NOW, claims_with, claims_without, environment, header, issuer,
    reason, sign, token, verdict, verifier,
};
use crate::claims::ClaimPath;
use crate::denial::Reason;
use crate::token::replay::TokenId;
use crate::token::{Algorithm, Issuer, OneUse, ReplayError, ReplayWindow, Revoked, Verifier};

fn list(values: &[&str]) -> std::collections::HashSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn what_was_taken_back_is_refused() {
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
        ..Revoked::default()
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
fn a_revoked_key_costs_no_signature_and_can_not_hide() {
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
            .verify(token.as_bytes(), &LIVE, NOW, &backend)
            .unwrap_err();
        assert_eq!(refusal.reason(), Reason::Revoked);
        assert_eq!(backend.calls.get(), 0);
    }
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
fn a_one_use_token_lets_one_request_pass() {
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
fn a_full_window_is_our_failure_and_no_license() {
    let mut verifier = verifier(one_use(1));
    let [a, b] = ["a", "b"].map(|id| verdict(&mut verifier, &with_id(id)).unwrap());
    assert_eq!(verifier.consume(&a, NOW), Ok(()));
    assert_eq!(verifier.consume(&b, NOW), Err(Reason::Internal));
    assert_eq!(Reason::Internal.status(), 503);
    // At exp + leeway the first one can't come back, so there is room.
    assert_eq!(verifier.consume(&b, NOW + 69), Err(Reason::Internal));
    assert_eq!(verifier.consume(&b, NOW + 70), Ok(()));
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
fn issuers_do_not_share_ids() {
    let second = Issuer {
        name: "https://other.example.com".into(),
        ..one_use(10)
    };
    let mut verifier = Verifier::new(vec![one_use(10), second], CACHE, 1, &environment);
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
fn another_window_can_be_put_in_place() {
    struct Broken;
    impl ReplayWindow for Broken {
        fn consume(&mut self, _: TokenId, keep_until: u64, now: u64) -> Result<(), ReplayError> {
            assert_eq!((keep_until, now), (NOW + 70, NOW));
            Err(ReplayError::Full)
        }
    }
    let mut verifier = verifier(one_use(10));
    verifier.set_replay_window(0, Box::new(Broken));
    let verified = verdict(&mut verifier, &with_id("a")).unwrap();
    assert_eq!(verifier.consume(&verified, NOW), Err(Reason::Internal));
}
