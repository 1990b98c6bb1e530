//! Remote keys: fetched, unchanged, withdrawn and stale.

use super::support::{CLAIMS, LIVE, NOW, fetched, header, inline, issuer, sign, token, verifier};
use crate::denial::Reason;
use crate::token::jwks::KeySetError;
use crate::token::{
    Algorithm, Issuer, IssuerId, KeyAbsence, KeySet, Portable, RemoteKeys, Verified, Verifier,
    VerifyError,
};

fn remote() -> Option<RemoteKeys> {
    Some(RemoteKeys {
        url: "https://keys.example.com/jwks.json".into(),
        cluster: "keys".into(),
        refresh: 300,
        timeout: 2_000,
        max_stale: 3_600,
    })
}

fn remote_issuer() -> Issuer {
    Issuer {
        inline: KeySet::default(),
        remote: remote(),
        ..issuer()
    }
}

fn at(verifier: &mut Verifier<()>, token: &str, now: u64) -> Result<Verified<()>, VerifyError> {
    verifier.verify(token.as_bytes(), &LIVE, now * 1_000, &Portable)
}

fn unavailable(why: KeyAbsence) -> VerifyError {
    VerifyError::KeyUnavailable {
        issuer: IssuerId(0),
        why,
    }
}

/// A token that lives for ten hours.
fn lasting(algorithm: Algorithm) -> String {
    let claims = super::support::claims_with(r#""exp":1800036000"#);
    sign(algorithm, &header(algorithm), &claims)
}

#[test]
fn keys_are_unavailable_before_the_first_fetch() {
    let mut verifier = verifier(remote_issuer());
    assert_eq!(verifier.keys_fetched_at(IssuerId(0)), None);
    let refusal = at(&mut verifier, &token(Algorithm::Es256), NOW).unwrap_err();
    assert_eq!(refusal, unavailable(KeyAbsence::NeverFetched));
    assert_eq!(refusal.reason_after_fetch(), Reason::KeysUnavailable);
    assert!(verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW));
    assert_eq!(verifier.keys_fetched_at(IssuerId(0)), Some(NOW));
    assert_eq!(verifier.keys_loaded(IssuerId(0)), 1);
    assert!(at(&mut verifier, &token(Algorithm::Es256), NOW).is_ok());
}

#[test]
fn an_unknown_kid_requires_a_fetch() {
    let mut verifier = verifier(remote_issuer());
    verifier.set_keys(IssuerId(0), fetched(&["p384"]), NOW);
    let refusal = at(&mut verifier, &token(Algorithm::Es256), NOW).unwrap_err();
    assert_eq!(refusal, unavailable(KeyAbsence::UnknownKid));
    assert_eq!(refusal.reason_after_fetch(), Reason::KeyUnknown);
    assert_eq!(refusal.reason_without_fetch(), Reason::KeysUnavailable);
    verifier.set_keys(IssuerId(0), fetched(&["p384", "p256"]), NOW + 1);
    assert!(at(&mut verifier, &token(Algorithm::Es256), NOW + 1).is_ok());
    // Without remote keys, a fetch is not possible.
    let mut static_only = super::support::verifier(Issuer {
        inline: inline(&["p384"]),
        ..issuer()
    });
    let refusal = at(&mut static_only, &token(Algorithm::Es256), NOW).unwrap_err();
    assert_eq!(refusal, VerifyError::Denied(Reason::KeyUnknown));
}

#[test]
fn an_overlapping_rotation_denies_no_valid_token() {
    let mut verifier = verifier(remote_issuer());
    let [old, new] = [lasting(Algorithm::Es256), lasting(Algorithm::Es384)];
    verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW);
    assert!(!at(&mut verifier, &old, NOW).unwrap().is_cached());
    assert!(verifier.set_keys(IssuerId(0), fetched(&["p384", "p256"]), NOW + 300));
    assert!(at(&mut verifier, &old, NOW + 300).unwrap().is_cached());
    assert!(!at(&mut verifier, &new, NOW + 300).unwrap().is_cached());
    assert!(verifier.set_keys(IssuerId(0), fetched(&["p384"]), NOW + 600));
    assert!(at(&mut verifier, &new, NOW + 600).unwrap().is_cached());
}

#[test]
fn cached_tokens_of_a_withdrawn_key_are_rejected() {
    let mut verifier = verifier(remote_issuer());
    verifier.set_keys(IssuerId(0), fetched(&["p256", "p384"]), NOW);
    let [gone, stays] = [lasting(Algorithm::Es256), lasting(Algorithm::Es384)];
    assert!(at(&mut verifier, &gone, NOW).is_ok());
    assert!(at(&mut verifier, &stays, NOW).is_ok());
    assert!(verifier.set_keys(IssuerId(0), fetched(&["p384"]), NOW + 1));
    assert_eq!(
        at(&mut verifier, &gone, NOW + 1).unwrap_err(),
        unavailable(KeyAbsence::UnknownKid)
    );
    assert!(at(&mut verifier, &stays, NOW + 1).unwrap().is_cached());
}

#[test]
fn a_key_replaced_under_its_kid_is_a_new_key() {
    let mut verifier = verifier(remote_issuer());
    verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW);
    assert!(at(&mut verifier, &token(Algorithm::Es256), NOW).is_ok());
    let mut other = super::support::jwk("other-p256");
    other["kid"] = "p256".into();
    let set = serde_json::json!({ "keys": [other] }).to_string();
    assert!(verifier.set_keys(
        IssuerId(0),
        KeySet::fetched(set.as_bytes()).unwrap().0,
        NOW + 1
    ));
    assert_eq!(
        at(&mut verifier, &token(Algorithm::Es256), NOW + 1).unwrap_err(),
        VerifyError::Denied(Reason::SignatureInvalid)
    );
}

#[test]
fn the_same_set_again_changes_nothing_but_its_age() {
    let mut verifier = verifier(remote_issuer());
    assert!(verifier.set_keys(IssuerId(0), fetched(&["p256", "rsa"]), NOW));
    assert!(at(&mut verifier, &token(Algorithm::Es256), NOW).is_ok());
    assert!(!verifier.set_keys(IssuerId(0), fetched(&["p256", "rsa"]), NOW + 60));
    assert_eq!(verifier.keys_fetched_at(IssuerId(0)), Some(NOW + 60));
    assert!(
        at(&mut verifier, &token(Algorithm::Es256), NOW + 60)
            .unwrap()
            .is_cached()
    );
}

/// The fetch counts as failed, so that the old keys stay until they are stale.
#[test]
fn an_issuer_that_publishes_no_key_keeps_its_old_keys_until_max_stale() {
    for answer in [
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"RSA","kid":"weak","n":"AQAB","e":"AQAB"}]}"#,
    ] {
        let mut verifier = verifier(remote_issuer());
        verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW);
        assert_eq!(KeySet::fetched(answer.as_bytes()), Err(KeySetError::Empty));
        let token = lasting(Algorithm::Es256);
        assert!(at(&mut verifier, &token, NOW + 3_599).is_ok());
        let error = at(&mut verifier, &token, NOW + 3_600).unwrap_err();
        assert_eq!(error, unavailable(KeyAbsence::Stale));
    }
}

#[test]
fn an_empty_set_or_an_issuer_without_remote_keys_changes_nothing() {
    let mut verifier = verifier(remote_issuer());
    verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW);
    assert!(!verifier.set_keys(IssuerId(0), KeySet::default(), NOW + 1));
    assert_eq!(verifier.keys_fetched_at(IssuerId(0)), Some(NOW));
    assert!(at(&mut verifier, &token(Algorithm::Es256), NOW).is_ok());
    assert!(!verifier.set_keys(IssuerId(7), fetched(&["p256"]), NOW));
    let mut inline_only = super::support::verifier(issuer());
    assert!(!inline_only.set_keys(IssuerId(0), fetched(&["other-p256"]), NOW));
}

#[test]
fn stale_keys_verify_neither_fresh_nor_cached_tokens() {
    let mut verifier = verifier(remote_issuer());
    verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW);
    let token = lasting(Algorithm::Es256);
    assert!(at(&mut verifier, &token, NOW).is_ok());
    assert!(at(&mut verifier, &token, NOW + 3_599).unwrap().is_cached());
    let refusal = at(&mut verifier, &token, NOW + 3_600).unwrap_err();
    assert_eq!(refusal, unavailable(KeyAbsence::Stale));
    assert_eq!(refusal.reason_after_fetch(), Reason::KeysUnavailable);
    let fresh = sign(Algorithm::Es256, r#"{"alg":"ES256"}"#, CLAIMS);
    assert_eq!(
        at(&mut verifier, &fresh, NOW + 3_600).unwrap_err(),
        unavailable(KeyAbsence::Stale)
    );
    // Fetching the same set again makes its keys usable.
    verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW + 3_600);
    assert!(at(&mut verifier, &token, NOW + 3_600).unwrap().is_cached());
}

#[test]
fn static_keys_work_beside_remote_ones_and_without_them() {
    let mut verifier = verifier(Issuer {
        inline: inline(&["p384"]),
        ..remote_issuer()
    });
    assert!(at(&mut verifier, &token(Algorithm::Es384), NOW).is_ok());
    verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW);
    assert!(
        at(&mut verifier, &token(Algorithm::Es384), NOW)
            .unwrap()
            .is_cached()
    );
    assert!(at(&mut verifier, &token(Algorithm::Es256), NOW).is_ok());
    assert!(at(&mut verifier, &lasting(Algorithm::Es384), NOW + 9_999).is_ok());
    assert_eq!(verifier.keys_loaded(IssuerId(0)), 2);
}

#[test]
fn an_inline_key_takes_precedence_over_a_fetched_one_of_its_kid() {
    let mut impostor = super::support::jwk("other-p256");
    impostor["kid"] = "p256".into();
    let set = serde_json::json!({ "keys": [impostor] }).to_string();
    let mut verifier = verifier(Issuer {
        inline: inline(&["p256"]),
        ..remote_issuer()
    });
    verifier.set_keys(IssuerId(0), KeySet::fetched(set.as_bytes()).unwrap().0, NOW);
    assert!(at(&mut verifier, &token(Algorithm::Es256), NOW).is_ok());
    let forged = super::support::sign_with(
        "other-p256",
        Algorithm::Es256,
        &header(Algorithm::Es256),
        CLAIMS,
    );
    assert_eq!(
        at(&mut verifier, &forged, NOW).unwrap_err(),
        VerifyError::Denied(Reason::SignatureInvalid)
    );
}

#[test]
fn without_kid_all_key_sources_are_considered() {
    let bare = sign(Algorithm::Es256, r#"{"alg":"ES256"}"#, CLAIMS);
    let mut verifier = verifier(Issuer {
        inline: inline(&["p256"]),
        ..remote_issuer()
    });
    // Before the first fetch it is unknown whether the key is the only one.
    assert_eq!(
        at(&mut verifier, &bare, NOW).unwrap_err(),
        unavailable(KeyAbsence::NeverFetched)
    );
    // The inline key again is one key.
    verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW);
    assert!(at(&mut verifier, &bare, NOW).is_ok());
    verifier.set_keys(IssuerId(0), fetched(&["other-p256"]), NOW);
    let fresh = sign(Algorithm::Es256, r#"{"alg":"ES256","x":1}"#, CLAIMS);
    assert_eq!(
        at(&mut verifier, &fresh, NOW).unwrap_err(),
        VerifyError::Denied(Reason::KeyUnknown)
    );
    let mut remote_only = super::support::verifier(remote_issuer());
    remote_only.set_keys(IssuerId(0), fetched(&["p384"]), NOW);
    assert_eq!(
        at(&mut remote_only, &bare, NOW).unwrap_err(),
        unavailable(KeyAbsence::UnknownKid)
    );
}

#[test]
fn without_kid_a_second_fitting_key_invalidates_cached_tokens() {
    let bare = sign(Algorithm::Es256, r#"{"alg":"ES256"}"#, CLAIMS);
    let mut verifier = verifier(remote_issuer());
    verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW);
    assert!(at(&mut verifier, &bare, NOW).is_ok());
    verifier.set_keys(IssuerId(0), fetched(&["p256", "other-p256"]), NOW);
    assert_eq!(
        at(&mut verifier, &bare, NOW).unwrap_err(),
        VerifyError::Denied(Reason::KeyUnknown)
    );
}

#[test]
fn without_kid_an_inline_key_requires_fresh_remote_keys() {
    let bare = sign(Algorithm::Es256, r#"{"alg":"ES256"}"#, CLAIMS);
    let claims = super::support::claims_with(r#""exp":1800036000"#);
    let lasting = sign(Algorithm::Es256, r#"{"alg":"ES256"}"#, &claims);
    let mut verifier = verifier(Issuer {
        inline: inline(&["p256"]),
        ..remote_issuer()
    });
    verifier.set_keys(IssuerId(0), fetched(&["p384"]), NOW);
    assert!(at(&mut verifier, &bare, NOW).is_ok());
    assert!(at(&mut verifier, &lasting, NOW).is_ok());
    let refusal = at(&mut verifier, &lasting, NOW + 3_600).unwrap_err();
    assert_eq!(refusal.reason_after_fetch(), Reason::KeysUnavailable);
    verifier.set_keys(IssuerId(0), fetched(&["p384", "other-p256"]), NOW);
    for token in [bare, lasting] {
        let refusal = at(&mut verifier, &token, NOW).unwrap_err();
        assert_eq!(refusal, VerifyError::Denied(Reason::KeyUnknown));
    }
}

#[test]
fn an_invalid_signature_is_rechecked_after_a_key_change() {
    // Signed with a key that the issuer publishes later under the kid that the token names.
    let early = super::support::sign_with(
        "other-p256",
        Algorithm::Es256,
        &header(Algorithm::Es256),
        CLAIMS,
    );
    let mut verifier = verifier(remote_issuer());
    verifier.set_keys(IssuerId(0), fetched(&["p256"]), NOW);
    assert!(at(&mut verifier, &early, NOW).is_err());
    let mut replaced = super::support::jwk("other-p256");
    replaced["kid"] = "p256".into();
    let set = serde_json::json!({ "keys": [replaced] }).to_string();
    verifier.set_keys(IssuerId(0), KeySet::fetched(set.as_bytes()).unwrap().0, NOW);
    assert!(at(&mut verifier, &early, NOW).is_ok());
}
