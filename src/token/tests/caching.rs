//! The cache of verified tokens: hits, and the checks that are repeated for them.

use std::cell::Cell;

use super::support::{
    CACHE, Counting, LIVE, NOW, claims_with, environment, header, issuer, sign, sign_with, token,
    verifier,
};
use crate::claims::ClaimPath;
use crate::denial::Reason;
use crate::token::{
    Algorithm, Issuer, LiveRequest, OneUse, Portable, RequestBinding, Verified, Verifier,
    VerifyError,
};

pub(super) fn at(
    verifier: &mut Verifier<()>,
    token: &str,
    now: u64,
) -> Result<Verified<()>, Reason> {
    verifier
        .verify(token.as_bytes(), &LIVE, now * 1_000, &Portable)
        .map_err(|refusal| refusal.reason_after_fetch())
}

#[test]
fn a_cached_token_needs_no_signature_verification() {
    let backend = Counting::default();
    let mut verifier = verifier(issuer());
    let token = token(Algorithm::Es256);
    let first = verifier
        .verify(token.as_bytes(), &LIVE, NOW * 1_000, &backend)
        .unwrap();
    let second = verifier
        .verify(token.as_bytes(), &LIVE, NOW * 1_000, &backend)
        .unwrap();
    assert!(!first.is_cached());
    assert!(second.is_cached());
    assert_eq!(backend.calls.get(), 1);
    assert_eq!(first.claims(), second.claims());
    let stats = *verifier.stats();
    assert_eq!((stats.cache_hits, stats.cache_misses), (1, 1));
    assert_eq!(stats.by_backend[Algorithm::Es256 as usize], 1);
    assert_eq!(verifier.cached().0, 1);
}

#[test]
fn a_cached_token_expires_in_the_same_second_as_a_fresh_one() {
    let issuer = || Issuer {
        max_age: Some(50),
        ..issuer()
    };
    for (members, reason) in [
        (r#""iat":1800000000,"exp":1800000030"#, Reason::Expired),
        (r#""iat":1800000000,"exp":1800000900"#, Reason::TooOld),
    ] {
        let token = sign(
            Algorithm::EdDsa,
            &header(Algorithm::EdDsa),
            &claims_with(members),
        );
        let mut warm = verifier(issuer());
        assert!(at(&mut warm, &token, NOW).is_ok());
        let mut end = None;
        for now in NOW..NOW + 100 {
            let cached = at(&mut warm, &token, now).err();
            let fresh = at(&mut verifier(issuer()), &token, now).err();
            assert_eq!(cached, fresh, "{now}");
            end = end.or(cached);
        }
        assert_eq!(end, Some(reason));
    }
}

#[test]
fn an_expired_token_is_removed_from_the_cache() {
    let mut verifier = verifier(issuer());
    let token = token(Algorithm::Es256);
    assert!(at(&mut verifier, &token, NOW).is_ok());
    assert_eq!(
        at(&mut verifier, &token, NOW + 70).unwrap_err(),
        Reason::Expired
    );
    assert_eq!(verifier.cached(), (0, 0));
    assert!(!at(&mut verifier, &token, NOW).unwrap().is_cached());
    assert_eq!(
        at(&mut verifier, &token, NOW - 100).unwrap_err(),
        Reason::NotYetValid
    );
    assert!(at(&mut verifier, &token, NOW).unwrap().is_cached());
}

#[test]
fn cached_tokens_are_rejected_after_the_issuers_not_after() {
    let mut verifier = verifier(Issuer {
        not_after: Some(NOW + 5),
        ..issuer()
    });
    let token = token(Algorithm::Es256);
    assert!(at(&mut verifier, &token, NOW + 4).is_ok());
    assert_eq!(
        at(&mut verifier, &token, NOW + 5).unwrap_err(),
        Reason::IssuerUnknown
    );
}

#[test]
fn a_cached_token_is_still_bound_to_its_request() {
    let bind = RequestBinding {
        method: Some(ClaimPath::from("htm")),
        ..Default::default()
    };
    let mut verifier = verifier(Issuer { bind, ..issuer() });
    let claims = claims_with(r#""htm":"GET""#);
    let token = sign(Algorithm::Es256, &header(Algorithm::Es256), &claims);
    assert!(at(&mut verifier, &token, NOW).is_ok());
    let other = LiveRequest {
        method: b"DELETE",
        ..LIVE
    };
    let verdict = verifier.verify(token.as_bytes(), &other, NOW * 1_000, &Portable);
    assert_eq!(
        verdict.unwrap_err(),
        VerifyError::Denied(Reason::BindingRequest)
    );
    assert!(at(&mut verifier, &token, NOW).unwrap().is_cached());
}

/// A token that differs from a cached one in any byte is not a hit.
#[test]
fn a_token_with_the_signature_of_a_cached_one_is_not_a_hit() {
    let mut verifier = verifier(issuer());
    let good = token(Algorithm::Es256);
    assert!(at(&mut verifier, &good, NOW).is_ok());
    for position in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        assert!(
            verifier
                .verify(&bytes, &LIVE, NOW * 1_000, &Portable)
                .is_err(),
            "{position}"
        );
    }
    assert_eq!(verifier.stats().cache_hits, 0);
}

#[test]
fn one_use_tokens_are_not_cached() {
    let one_use = Some(OneUse {
        claim: ClaimPath::from("jti"),
        entries: 10,
    });
    let mut verifier = verifier(Issuer {
        one_use,
        ..issuer()
    });
    for _ in 0..2 {
        assert!(
            !at(&mut verifier, &token(Algorithm::EdDsa), NOW)
                .unwrap()
                .is_cached()
        );
    }
    assert_eq!(verifier.cached().0, 0);
}

/// Failed verifications are not cached, because the key may change.
#[test]
fn a_forged_token_is_verified_each_time() {
    let backend = Counting::default();
    let mut verifier = verifier(issuer());
    let forged = sign_with(
        "other-p256",
        Algorithm::Es256,
        &header(Algorithm::Es256),
        super::support::CLAIMS,
    );
    for _ in 0..3 {
        let verdict = verifier.verify(forged.as_bytes(), &LIVE, NOW * 1_000, &backend);
        assert_eq!(
            verdict.unwrap_err(),
            VerifyError::Denied(Reason::SignatureInvalid)
        );
    }
    assert_eq!(backend.calls.get(), 3);
    assert_eq!(verifier.cached().0, 0);
}

#[test]
fn a_token_refused_as_too_early_is_accepted_later() {
    let early = sign(
        Algorithm::Es256,
        &header(Algorithm::Es256),
        &claims_with(r#""nbf":1800000020"#),
    );
    let mut verifier = verifier(issuer());
    assert_eq!(
        at(&mut verifier, &early, NOW).unwrap_err(),
        Reason::NotYetValid
    );
    assert!(at(&mut verifier, &early, NOW + 10).is_ok());
}

#[test]
fn data_is_derived_once_per_cached_token() {
    let mut verifier = Verifier::<usize>::new(vec![issuer()], CACHE, 7, &environment);
    let token = token(Algorithm::EdDsa);
    let runs = Cell::new(0);
    for _ in 0..3 {
        let verified = verifier
            .verify(token.as_bytes(), &LIVE, NOW * 1_000, &Portable)
            .unwrap();
        let members = verified.derived(|claims| {
            runs.set(runs.get() + 1);
            claims.members().len()
        });
        assert_eq!(*members, 6);
    }
    assert_eq!(runs.get(), 1);
}
