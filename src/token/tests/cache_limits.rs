//! The cache of verified tokens: its limits and evictions.

use super::caching::at;
use super::support::{
    Counting, LIVE, NOW, claims_with, environment, header, issuer, sign, token, verifier,
};
use crate::json::Json;
use crate::token::{Algorithm, CacheLimits, Issuer, Verifier};

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
    // The first token is used again, so the second is the least recently used.
    assert!(cached(0));
    assert!(!cached(3));
    assert!(!cached(3));
    assert!(cached(3));
    assert!(cached(0));
    assert!(cached(2));
    assert!(!cached(1));
}

#[test]
fn tokens_used_once_do_not_evict_others() {
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
fn the_cache_is_limited_by_bytes() {
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
        // Twice, because a full cache admits a token on its second use.
        for _ in 0..2 {
            assert!(at(&mut verifier, &token(id, 100), NOW).is_ok());
            assert!(verifier.cached().1 <= 20_000);
        }
        assert!(at(&mut verifier, &token(id, 100), NOW).unwrap().is_cached());
    }
    assert!(verifier.cached().0 > 1);
    // A token that is larger than the cache evicts no other.
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

/// Expired tokens are evicted immediately, valid tokens only on the second use of a new one.
#[test]
fn a_large_token_used_once_does_not_evict_valid_ones() {
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
    // The second use evicts as many tokens as necessary.
    assert!(at(&mut verifier, &large, later).is_ok());
    assert!(at(&mut verifier, &large, later).unwrap().is_cached());
    assert!(verifier.cached().1 <= 30_000);
}

/// Claims can take far more memory when parsed than as text.
#[test]
fn the_memory_of_parsed_claims_is_limited() {
    let mut verifier = verifier(issuer());
    let value = size_of::<Json>();
    let member = size_of::<(smol_str::SmolStr, Json)>();
    // Each with its minimum memory.
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
fn the_cache_can_be_disabled() {
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
fn forged_tokens_do_not_evict_valid_ones() {
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
