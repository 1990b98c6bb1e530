//! Known attacks on token verifiers.

use jwt_simple::prelude::{HS256Key, MACLike};

use super::support::{
    CACHE, CLAIMS, Counting, LIVE, NOW, SPKI, claims_with, encode, environment, header, inline,
    issuer, jwk, reason, sign, sign_with, symmetric_issuer, token, verdict,
};
use crate::denial::Reason;
use crate::token::{Algorithm, Issuer, KeySet, Portable, Verifier, base64url};

#[test]
fn alg_none_is_rejected() {
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let header = format!(r#"{{"alg":"{name}","kid":"p256"}}"#);
        let unsigned = format!("{}.{}.", encode(&header), encode(CLAIMS));
        assert_eq!(reason(issuer(), &unsigned), Some(Reason::ClaimsMalformed));
        let signed = sign(Algorithm::Es256, &header, CLAIMS);
        assert_eq!(reason(issuer(), &signed), Some(Reason::AlgorithmRefused));
        assert_eq!(
            reason(symmetric_issuer(), &signed),
            Some(Reason::AlgorithmRefused)
        );
    }
}

/// HS256 with the RSA public key as the secret, in every encoding.
#[test]
fn a_public_key_is_not_accepted_as_an_hmac_secret() {
    let spki = base64url::decode(SPKI["rsa"].as_bytes()).unwrap();
    let modulus = jwk("rsa")["n"].as_str().unwrap().to_owned();
    let pem = crate_pem(&spki);
    let secrets: [&[u8]; 5] = [
        &spki,
        pem.as_bytes(),
        pem.trim_end().as_bytes(),
        modulus.as_bytes(),
        jwk("rsa").to_string().as_bytes(),
    ]
    .map(|bytes| Box::leak(bytes.to_vec().into_boxed_slice()) as &[u8]);
    for secret in secrets {
        let input = format!(
            "{}.{}",
            encode(r#"{"alg":"HS256","kid":"rsa"}"#),
            encode(CLAIMS)
        );
        let tag = HS256Key::from_bytes(secret).authentication_tag(input.as_bytes());
        let forged = format!("{input}.{}", encode(tag));
        assert_eq!(reason(issuer(), &forged), Some(Reason::AlgorithmRefused));
        // Public keys are not used as secrets even if both kinds of algorithms are allowed.
        let careless = Issuer {
            algorithms: Algorithm::ALL.to_vec(),
            ..issuer()
        };
        assert_eq!(reason(careless, &forged), Some(Reason::KeyUnknown));
    }
}

fn crate_pem(der: &[u8]) -> String {
    use ct_codecs::{Base64, Encoder};
    let text = Base64::encode_to_string(der).unwrap();
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    )
}

#[test]
fn algorithm_names_must_match_exactly() {
    for name in [
        "es256", "ES256 ", "Es256", "ES256K", "ES257", "RS1", "HS1", "Ed25519", "eddsa",
    ] {
        let header = format!(r#"{{"alg":"{name}","kid":"p256"}}"#);
        let token = sign(Algorithm::Es256, &header, CLAIMS);
        assert_eq!(
            reason(issuer(), &token),
            Some(Reason::AlgorithmRefused),
            "{name}"
        );
    }
}

#[test]
fn an_algorithm_outside_the_allow_list_is_rejected() {
    let issuer = || Issuer {
        algorithms: vec![Algorithm::Es256],
        ..issuer()
    };
    for algorithm in Algorithm::ALL {
        let expected = (algorithm != Algorithm::Es256).then_some(Reason::AlgorithmRefused);
        assert_eq!(reason(issuer(), &token(algorithm)), expected, "{algorithm}");
    }
}

/// The key determines the algorithm: a `kid` cannot select a key for another one.
#[test]
fn an_algorithm_that_the_named_key_is_not_for_is_rejected() {
    for (algorithm, kid) in [
        (Algorithm::Es256, "p384"),
        (Algorithm::Es256, "rsa"),
        (Algorithm::Rs256, "p256"),
        (Algorithm::EdDsa, "p256"),
        (Algorithm::Es384, "p256"),
    ] {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"{kid}"}}"#);
        let token = sign(algorithm, &header, CLAIMS);
        assert_eq!(
            reason(issuer(), &token),
            Some(Reason::AlgorithmRefused),
            "{header}"
        );
    }
    // The padding cannot be changed, either, if the key has an `alg`.
    let mut key = jwk("rsa");
    key["alg"] = "RS256".into();
    let only_rs256 = || {
        let inline = super::support::inline_of(&serde_json::json!({ "keys": [key] })).unwrap();
        Issuer { inline, ..issuer() }
    };
    assert_eq!(reason(only_rs256(), &token(Algorithm::Rs256)), None);
    for algorithm in [Algorithm::Ps256, Algorithm::Rs384] {
        assert_eq!(
            reason(only_rs256(), &token(algorithm)),
            Some(Reason::AlgorithmRefused)
        );
    }
}

#[test]
fn a_key_of_one_issuer_does_not_verify_tokens_of_another() {
    let ours = issuer();
    let theirs = Issuer {
        name: "https://other.example.com".into(),
        inline: inline(&["other-p256", "other-rsa"]),
        ..issuer()
    };
    let mut verifier = Verifier::<()>::new(vec![ours, theirs], CACHE, 1, &environment);
    let forged = sign_with(
        "other-p256",
        Algorithm::Es256,
        r#"{"alg":"ES256","kid":"other-p256"}"#,
        CLAIMS,
    );
    assert_eq!(
        verdict(&mut verifier, &forged)
            .unwrap_err()
            .reason_after_fetch(),
        Reason::KeyUnknown
    );
    let forged = sign_with(
        "other-p256",
        Algorithm::Es256,
        &header(Algorithm::Es256),
        CLAIMS,
    );
    assert_eq!(
        verdict(&mut verifier, &forged)
            .unwrap_err()
            .reason_after_fetch(),
        Reason::SignatureInvalid
    );
    let own = sign_with(
        "other-p256",
        Algorithm::Es256,
        r#"{"alg":"ES256","kid":"other-p256"}"#,
        &claims_with(r#""iss":"https://other.example.com""#),
    );
    assert_eq!(
        verdict(&mut verifier, &own).unwrap().issuer(),
        crate::token::IssuerId(1)
    );
}

#[test]
fn the_issuer_is_exact() {
    for name in [
        "",
        "https://edge.example.com/",
        "https://EDGE.example.com",
        " https://edge.example.com",
        "https://edge.example.com\\u0000",
        "https://edge.example.com.evil.example",
    ] {
        let claims = claims_with(&format!(r#""iss":"{name}""#));
        let token = sign(Algorithm::Es256, &header(Algorithm::Es256), &claims);
        assert_eq!(
            reason(issuer(), &token),
            Some(Reason::IssuerUnknown),
            "{name:?}"
        );
    }
    let nameless = super::support::claims_without("iss");
    let token = sign(Algorithm::Es256, &header(Algorithm::Es256), &nameless);
    assert_eq!(reason(issuer(), &token), Some(Reason::IssuerUnknown));
}

#[test]
fn a_malicious_kid_is_only_compared() {
    for kid in [
        "../../../../dev/null",
        "/etc/passwd",
        "p256' OR '1'='1",
        "p256\\u0000",
        "P256",
        "p256 ",
        "|id",
        "\\u202e652p",
        "https://evil.example.com/key",
        "",
        "__proto__",
        "0",
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
        let token = sign(Algorithm::Es256, &header, CLAIMS);
        assert_eq!(reason(issuer(), &token), Some(Reason::KeyUnknown), "{kid}");
    }
    let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(5_000));
    let token = sign(Algorithm::Es256, &long, CLAIMS);
    assert_eq!(reason(issuer(), &token), Some(Reason::KeyUnknown));
}

#[test]
fn without_kid_exactly_one_key_must_fit() {
    let bare = sign(Algorithm::Es256, r#"{"alg":"ES256"}"#, CLAIMS);
    assert_eq!(reason(issuer(), &bare), None);
    let two = Issuer {
        inline: inline(&["p256", "other-p256"]),
        ..issuer()
    };
    assert_eq!(reason(two, &bare), Some(Reason::KeyUnknown));
    let none = Issuer {
        inline: inline(&["p384"]),
        ..issuer()
    };
    assert_eq!(reason(none, &bare), Some(Reason::KeyUnknown));
}

#[test]
fn a_request_verifies_at_most_one_signature() {
    let backend = Counting::default();
    let tokens = [
        sign(Algorithm::Es256, r#"{"alg":"ES256"}"#, CLAIMS),
        sign_with(
            "other-p256",
            Algorithm::Es256,
            r#"{"alg":"ES256","kid":"p256"}"#,
            CLAIMS,
        ),
        sign(
            Algorithm::Es256,
            r#"{"alg":"ES256","kid":"nobody"}"#,
            CLAIMS,
        ),
    ];
    let many = Issuer {
        inline: inline(&["p256", "rsa", "p384", "p521", "ed25519"]),
        ..issuer()
    };
    for token in tokens {
        backend.calls.set(0);
        let mut verifier = Verifier::<()>::new(vec![many.clone()], CACHE, 1, &environment);
        let _ = verifier.verify(token.as_bytes(), &LIVE, NOW * 1_000, &backend);
        assert!(backend.calls.get() <= 1);
    }
}

#[test]
fn without_keys_nothing_is_accepted() {
    let keyless = || Issuer {
        inline: KeySet::default(),
        ..issuer()
    };
    for algorithm in Algorithm::ALL.into_iter().filter(|one| !one.is_symmetric()) {
        assert_eq!(
            reason(keyless(), &token(algorithm)),
            Some(Reason::KeyUnknown)
        );
        let bare = sign(algorithm, &format!(r#"{{"alg":"{algorithm}"}}"#), CLAIMS);
        assert_eq!(reason(keyless(), &bare), Some(Reason::KeyUnknown));
    }
    let mut nobody = Verifier::<()>::new(vec![], CACHE, 1, &environment);
    let verdict = nobody.verify(
        token(Algorithm::Es256).as_bytes(),
        &LIVE,
        NOW * 1_000,
        &Portable,
    );
    assert_eq!(
        verdict.unwrap_err().reason_after_fetch(),
        Reason::IssuerUnknown
    );
}
