//! The cache of verified tokens.

use std::cell::Cell;

use super::support::{
    CACHE, Counting, LIVE, NOW, claims_with, environment, header, issuer, sign, sign_with, token,
    verifier,
};
use crate::claims::ClaimPath;
use crate::denial::Reason;
use crate::json::Json;
use crate::token::{
    Algorithm, CacheLimits, Issuer, LiveRequest, OneUse, Portable, RequestBinding, Verified,
    Verifier, VerifyError,
};

fn at(verifier: &mut Verifier<()>, token: &str, now: u64) -> Result<Verified<()>, Reason> {
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
fn cached_tokens_are_refused_after_the_issuers_not_after() {
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

/// Never by signature or claims alone: a cached token lends nothing to one that differs in any byte.
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

/// Tokens that differ in `jti`.
fn numbered(count: u32) -> Vec<String> {
    let token = |id| {
        let claims = claims_with(&format!(r#""jti":"{id}""#));
        sign(Algorithm::EdDsa, &header(Algorithm::EdDsa), &claims)
    };
    (0..count).map(token).collect()
}

fn verifier_of(entries: usize) -> Verifier<()> {
    let limits = CacheLimits {
        entries,
        bytes: 1_000_000,
    };
    Verifier::new(vec![issuer()], limits, 7, &environment)
}

#[test]
fn a_token_used_twice_evicts_the_least_recently_used_one() {
    let mut verifier = verifier_of(3);
    let tokens = numbered(4);
    for token in &tokens[..3] {
        assert!(at(&mut verifier, token, NOW).is_ok());
    }
    let mut cached = |index: usize| {
        let verified = at(&mut verifier, &tokens[index], NOW).unwrap();
        assert_eq!(verifier.cached().0, 3);
        verified.is_cached()
    };
    // The first one is used again, so the second is the oldest.
    assert!(cached(0));
    assert!(!cached(3));
    assert!(!cached(3));
    assert!(cached(3));
    assert!(cached(0));
    assert!(cached(2));
    assert!(!cached(1));
}

#[test]
fn tokens_used_once_evict_no_other() {
    let mut verifier = verifier_of(3);
    let tokens = numbered(200);
    for token in &tokens {
        assert!(!at(&mut verifier, token, NOW).unwrap().is_cached());
    }
    for token in &tokens[..3] {
        assert!(at(&mut verifier, token, NOW).unwrap().is_cached());
    }
    assert_eq!(verifier.cached().0, 3);
}

#[test]
fn an_expired_token_is_evicted_at_once() {
    let mut verifier = verifier_of(3);
    for token in numbered(3) {
        assert!(at(&mut verifier, &token, NOW).is_ok());
    }
    let later = NOW + 1_000;
    let claims = claims_with(&format!(r#""jti":"new","exp":{}"#, later + 60));
    let new = sign(Algorithm::EdDsa, &header(Algorithm::EdDsa), &claims);
    assert!(!at(&mut verifier, &new, later).unwrap().is_cached());
    assert!(at(&mut verifier, &new, later).unwrap().is_cached());
    assert_eq!(verifier.cached().0, 3);
}

#[test]
fn the_cache_is_bounded_by_bytes() {
    let token = |id: u32, pad: usize| {
        let claims = claims_with(&format!(r#""jti":"{id}","pad":"{}""#, "x".repeat(pad)));
        sign(Algorithm::EdDsa, &header(Algorithm::EdDsa), &claims)
    };
    let limits = CacheLimits {
        entries: 1_000,
        bytes: 20_000,
    };
    let mut verifier = Verifier::new(vec![issuer()], limits, 7, &environment);
    for id in 0..50 {
        // Twice, as a full cache admits a token on its second use only.
        for _ in 0..2 {
            assert!(at(&mut verifier, &token(id, 100), NOW).is_ok());
            assert!(verifier.cached().1 <= 20_000);
        }
        assert!(at(&mut verifier, &token(id, 100), NOW).unwrap().is_cached());
    }
    assert!(verifier.cached().0 > 1);
    // One that is larger than the whole cache drives no other out.
    let before = verifier.cached();
    assert!(at(&mut verifier, &token(99, 6_000), NOW).is_ok());
    assert_eq!(verifier.cached(), before);
}

#[test]
fn a_token_of_an_issuer_past_not_after_is_evicted_at_once() {
    let ending = Issuer {
        not_after: Some(NOW + 5),
        ..issuer()
    };
    let other = Issuer {
        name: "https://other.example.com".to_owned(),
        ..issuer()
    };
    let limits = CacheLimits {
        entries: 1,
        bytes: 1_000_000,
    };
    let mut verifier = Verifier::new(vec![ending, other], limits, 7, &environment);
    let old = token(Algorithm::EdDsa);
    assert!(at(&mut verifier, &old, NOW).is_ok());
    let claims = claims_with(r#""iss":"https://other.example.com""#);
    let new = sign(Algorithm::EdDsa, &header(Algorithm::EdDsa), &claims);
    let later = NOW + 10;
    assert!(!at(&mut verifier, &new, later).unwrap().is_cached());
    assert!(at(&mut verifier, &new, later).unwrap().is_cached());
}

/// The space of an expired token is free at once; to evict valid tokens, a new one must come twice.
#[test]
fn a_large_token_used_once_evicts_no_valid_one() {
    let limits = CacheLimits {
        entries: 1_000,
        bytes: 30_000,
    };
    let mut verifier = Verifier::new(vec![issuer()], limits, 7, &environment);
    let signed = |claims: &str| {
        let claims = claims_with(claims);
        sign(Algorithm::EdDsa, &header(Algorithm::EdDsa), &claims)
    };
    let early = signed(&format!(r#""jti":"early","exp":{}"#, NOW + 5));
    assert!(at(&mut verifier, &early, NOW).is_ok());
    let goods: Vec<String> = (0..100)
        .map(|id| signed(&format!(r#""jti":"{id}","exp":{}"#, NOW + 500)))
        .collect();
    let good = goods
        .iter()
        .take_while(|token| {
            let before = verifier.cached().0;
            assert!(at(&mut verifier, token, NOW).is_ok());
            verifier.cached().0 > before
        })
        .count();
    assert!((5..99).contains(&good), "{good}");

    let later = NOW + 200;
    let large = signed(&format!(
        r#""jti":"large","exp":{},"pad":"{}""#,
        later + 60,
        "x".repeat(3_000)
    ));
    assert!(at(&mut verifier, &large, later).is_ok());
    let mut kept = 0;
    for token in &goods[..good] {
        kept += usize::from(at(&mut verifier, token, later).unwrap().is_cached());
    }
    assert_eq!(kept, good);
    // The second time it takes what it needs.
    assert!(at(&mut verifier, &large, later).is_ok());
    assert!(at(&mut verifier, &large, later).unwrap().is_cached());
    assert!(verifier.cached().1 <= 30_000);
}

/// Claims can take far more memory when parsed than as text.
#[test]
fn the_memory_of_parsed_claims_counts() {
    let mut verifier = verifier(issuer());
    let value = size_of::<Json>();
    let member = size_of::<(smol_str::SmolStr, Json)>();
    // Each with the least that one of it takes.
    let fillers = [
        (r#"{"":0},"#, value + member),
        ("[[]],", 2 * value),
        ("{},", value),
        (r#""more letters than a small string holds","#, value + 39),
    ];
    for (id, (filler, least)) in fillers.into_iter().enumerate() {
        let list = filler.repeat(500);
        let list = list.trim_end_matches(',');
        let claims = claims_with(&format!(r#""jti":"{id}","list":[{list}]"#));
        let token = sign(Algorithm::EdDsa, &header(Algorithm::EdDsa), &claims);
        let before = verifier.cached().1;
        assert!(at(&mut verifier, &token, NOW).is_ok());
        let cost = verifier.cached().1 - before;
        assert!(cost > token.len() + 500 * least, "{filler}: {cost}");
    }
}

#[test]
fn the_cache_can_be_turned_off() {
    for limits in [
        CacheLimits {
            entries: 0,
            bytes: 1_000,
        },
        CacheLimits {
            entries: 10,
            bytes: 0,
        },
    ] {
        let mut verifier = Verifier::new(vec![issuer()], limits, 7, &environment);
        for _ in 0..2 {
            let verified = at(&mut verifier, &token(Algorithm::EdDsa), NOW).unwrap();
            assert!(!verified.is_cached());
        }
        assert_eq!(verifier.cached(), (0, 0));
    }
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

/// A failed verification is never cached: the key may change.
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
fn forged_tokens_evict_no_valid_one() {
    let backend = Counting {
        answer: Some(Some(false)),
        ..Counting::default()
    };
    let mut verifier = verifier(issuer());
    let good = token(Algorithm::Es256);
    assert!(at(&mut verifier, &good, NOW).is_ok());
    for id in 0..2_000 {
        let claims = claims_with(&format!(r#""jti":"{id}""#));
        let header = header(Algorithm::Es256);
        let forged = format!(
            "{}.{}.{}",
            super::support::encode(header),
            super::support::encode(claims),
            super::support::encode([1; 64])
        );
        assert!(
            verifier
                .verify(forged.as_bytes(), &LIVE, NOW * 1_000, &backend)
                .is_err()
        );
    }
    assert_eq!(verifier.cached().0, 1);
    assert!(at(&mut verifier, &good, NOW).unwrap().is_cached());
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
