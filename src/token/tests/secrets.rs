//! Shared secrets: rotation, and missing secrets.

use super::support::{CLAIMS, SECRET, reason, sign, symmetric_issuer, token, verdict, verifier};
use crate::denial::Reason;
use crate::token::{Algorithm, Issuer, Secret, SecretWarning};

fn with_secrets(secrets: &[(&str, Option<&str>)]) -> Issuer {
    let secrets = secrets
        .iter()
        .map(|(env, kid)| Secret {
            env: (*env).into(),
            kid: kid.map(str::to_owned),
        })
        .collect();
    Issuer {
        secrets,
        ..symmetric_issuer()
    }
}

fn bare(algorithm: Algorithm) -> String {
    sign(algorithm, &format!(r#"{{"alg":"{algorithm}"}}"#), CLAIMS)
}

#[test]
fn the_kid_selects_a_secret() {
    let rotating = || with_secrets(&[("SHORT", Some("old")), ("SECRET", Some("secret"))]);
    assert_eq!(reason(rotating(), &token(Algorithm::Hs256)), None);
    let old = sign(Algorithm::Hs256, r#"{"alg":"HS256","kid":"old"}"#, CLAIMS);
    assert_eq!(reason(rotating(), &old), Some(Reason::SignatureInvalid));
    let unknown = sign(Algorithm::Hs256, r#"{"alg":"HS256","kid":"new"}"#, CLAIMS);
    assert_eq!(reason(rotating(), &unknown), Some(Reason::KeyUnknown));
    assert_eq!(
        reason(rotating(), &bare(Algorithm::Hs256)),
        Some(Reason::KeyUnknown)
    );
    // Only one of the two is long enough.
    assert_eq!(reason(rotating(), &bare(Algorithm::Hs512)), None);
}

#[test]
fn one_secret_without_kid_serves_tokens_without_kid() {
    let lone = || with_secrets(&[("SECRET", None)]);
    assert_eq!(reason(lone(), &bare(Algorithm::Hs384)), None);
    assert_eq!(
        reason(lone(), &token(Algorithm::Hs384)),
        Some(Reason::KeyUnknown)
    );
}

#[test]
fn a_missing_secret_loads_and_is_reported() {
    for name in ["MISSING", "EMPTY"] {
        let issuer = with_secrets(&[("SECRET", Some("other")), (name, Some("secret"))]);
        let mut verifier = verifier(issuer);
        assert_eq!(
            verifier.warnings(),
            [SecretWarning::Missing {
                issuer: 0,
                index: 1,
                env: name.into()
            }]
        );
        assert_eq!(verifier.keys_loaded(crate::token::IssuerId(0)), 1);
        let refusal = verdict(&mut verifier, &token(Algorithm::Hs256)).unwrap_err();
        assert_eq!(refusal.reason_after_fetch(), Reason::KeysUnavailable);
    }
    let none = || with_secrets(&[("MISSING", None)]);
    assert_eq!(
        reason(none(), &bare(Algorithm::Hs256)),
        Some(Reason::KeysUnavailable)
    );
}

/// RFC 7518 §3.2: at least as long as the hash.
#[test]
fn a_short_secret_verifies_only_algorithms_it_is_long_enough_for() {
    let mut verifier = verifier(with_secrets(&[("SHORT", Some("secret"))]));
    let warnings: Vec<_> = verifier
        .warnings()
        .iter()
        .map(|warning| match warning {
            SecretWarning::TooShort {
                algorithm,
                bytes: 40,
                needed,
                ..
            } => (*algorithm, *needed),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(warnings, [(Algorithm::Hs384, 48), (Algorithm::Hs512, 64)]);
    for algorithm in [Algorithm::Hs384, Algorithm::Hs512] {
        let refusal = verdict(&mut verifier, &token(algorithm)).unwrap_err();
        assert_eq!(refusal.reason_after_fetch(), Reason::AlgorithmRefused);
    }
    let refusal = verdict(&mut verifier, &token(Algorithm::Hs256)).unwrap_err();
    assert_eq!(refusal.reason_after_fetch(), Reason::SignatureInvalid);
}

#[test]
fn no_secret_shows_up_in_debug_output() {
    let key = crate::token::secret::SecretKey::new(SECRET);
    let debug = format!("{key:?}");
    assert!(debug.contains("HS512") && !debug.contains("0123") && !debug.contains("48, 49"));
}

#[test]
fn warnings_have_the_path_but_no_secret() {
    let verifier = verifier(with_secrets(&[("SHORT", None), ("MISSING", None)]));
    let text: Vec<_> = verifier
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(text[0].starts_with("issuers[0].keys.secrets[0]: \"SHORT\" has 40 bytes"));
    assert!(text[2].starts_with("issuers[0].keys.secrets[1]: the environment has no \"MISSING\""));
    assert!(text.iter().all(|text| !text.contains("01234")));
}
