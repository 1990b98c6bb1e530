//! Floods of rejected tokens that need a signature verification.

use super::support::{
    CACHE, CLAIMS, Counting, LIVE, NOW, claims_with, environment, header, issuer, sign, sign_with,
    symmetric_issuer, token, verifier,
};
use crate::claims::ClaimPath;
use crate::denial::Reason;
use crate::token::{Algorithm, Issuer, OneUse, Portable, RequestBinding, Verifier, VerifyError};

const NOW_MS: u64 = NOW * 1_000;

const OVERLOADED: VerifyError = VerifyError::Denied(Reason::Overloaded);

/// A back-end that rejects every signature, with this cost.
fn refusing(cost: u64) -> Counting {
    Counting {
        answer: Some(Some(false)),
        cost,
        ..Counting::default()
    }
}

/// Sends forged tokens until the budget of the worker is used up.
fn exhaust(verifier: &mut Verifier<()>, now_ms: u64) {
    let forged = sign_with(
        "other-p256",
        Algorithm::Es256,
        &header(Algorithm::Es256),
        CLAIMS,
    );
    let backend = refusing(2_200);
    for _ in 0..1_000 {
        let verdict = verifier.verify(forged.as_bytes(), &LIVE, now_ms, &backend);
        if verdict.unwrap_err() == OVERLOADED {
            return;
        }
    }
    panic!("1000 forged tokens of 2.2 ms each are verified at once");
}

#[test]
fn a_flood_of_forged_tokens_takes_a_quarter_of_the_cpu_time() {
    let mut verifier = verifier(issuer());
    exhaust(&mut verifier, NOW_MS);
    let forged = sign_with(
        "other-p256",
        Algorithm::Es256,
        &header(Algorithm::Es256),
        CLAIMS,
    );
    let backend = refusing(2_200);
    for now_ms in NOW_MS..NOW_MS + 10_000 {
        for _ in 0..5 {
            let _ = verifier.verify(forged.as_bytes(), &LIVE, now_ms, &backend);
        }
    }
    // 10 s * 1/4 / 2.2 ms.
    let verified = backend.calls.get();
    assert!((1_130..=1_140).contains(&verified), "{verified}");
}

#[test]
fn cached_and_cheap_tokens_pass_during_a_flood() {
    let symmetric = Issuer {
        name: "https://symmetric.example.com".into(),
        ..symmetric_issuer()
    };
    let mut verifier = Verifier::<()>::new(vec![issuer(), symmetric], CACHE, 1, &environment);
    let cached = token(Algorithm::Ps512);
    assert!(
        verifier
            .verify(cached.as_bytes(), &LIVE, NOW_MS, &Portable)
            .is_ok()
    );
    exhaust(&mut verifier, NOW_MS + 1);
    let verdict = verifier.verify(cached.as_bytes(), &LIVE, NOW_MS + 1, &Portable);
    assert!(verdict.unwrap().is_cached());
    let symmetric = sign(
        Algorithm::Hs256,
        &header(Algorithm::Hs256),
        &claims_with(r#""iss":"https://symmetric.example.com""#),
    );
    for cheap in [token(Algorithm::EdDsa), symmetric] {
        let verdict = verifier.verify(cheap.as_bytes(), &LIVE, NOW_MS + 1, &Portable);
        assert!(!verdict.unwrap().is_cached());
    }
    // Another valid token is accepted within a second.
    let expensive = token(Algorithm::Ps256);
    let verdict = verifier.verify(expensive.as_bytes(), &LIVE, NOW_MS + 1, &Portable);
    assert_eq!(verdict.unwrap_err(), OVERLOADED);
    let verdict = verifier.verify(expensive.as_bytes(), &LIVE, NOW_MS + 1_001, &Portable);
    assert!(verdict.is_ok());
}

#[test]
fn accepted_tokens_do_not_use_the_budget() {
    let mut verifier = verifier(issuer());
    let backend = Counting {
        answer: Some(Some(true)),
        cost: 3_800,
        ..Counting::default()
    };
    for id in 0..1_000 {
        let claims = claims_with(&format!(r#""jti":"{id}""#));
        let good = sign(Algorithm::Es256, &header(Algorithm::Es256), &claims);
        assert!(
            verifier
                .verify(good.as_bytes(), &LIVE, NOW_MS, &backend)
                .is_ok()
        );
    }
    assert_eq!(backend.calls.get(), 1_000);
}

/// A token with a valid signature that is rejected is not cached, so it costs as much as a forged one.
#[test]
fn tokens_rejected_for_another_reason_use_the_budget() {
    let bind = RequestBinding {
        method: Some(ClaimPath::from("htm")),
        ..RequestBinding::default()
    };
    let one_use = OneUse {
        claim: ClaimPath::from("jti"),
        entries: 10,
    };
    for (issuer, claims, reason) in [
        (issuer(), r#""exp":1799999000"#, Reason::Expired),
        (
            Issuer { bind, ..issuer() },
            r#""htm":"POST""#,
            Reason::BindingRequest,
        ),
        (
            Issuer {
                one_use: Some(one_use),
                ..issuer()
            },
            r#""jti":"1""#,
            Reason::Replayed,
        ),
    ] {
        let mut verifier = verifier(issuer);
        let token = sign(
            Algorithm::Es256,
            &header(Algorithm::Es256),
            &claims_with(claims),
        );
        let backend = Counting {
            answer: Some(Some(true)),
            cost: 2_200,
            ..Counting::default()
        };
        let mut reasons: Vec<Reason> = (0..200)
            .filter_map(|_| {
                verifier
                    .verify(token.as_bytes(), &LIVE, NOW_MS, &backend)
                    .map_err(|error| error.reason_after_fetch())
                    .and_then(|verified| verifier.consume(&verified, NOW))
                    .err()
            })
            .collect();
        reasons.dedup();
        assert_eq!(reasons, [reason, Reason::Overloaded]);
    }
}
