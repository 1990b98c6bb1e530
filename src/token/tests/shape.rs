//! The syntax of tokens, which is checked before verification.

use proptest::prelude::*;

use super::support::{CLAIMS, claims_with, encode, header, issuer, reason, sign, token};
use crate::denial::Reason;
use crate::token::{Algorithm, Jws};

fn parses(header: &str, payload: &str) -> bool {
    let token = format!("{}.{}.c2ln", encode(header), encode(payload));
    Jws::parse(token.as_bytes()).is_ok()
}

#[test]
fn a_token_has_three_parts_in_strict_base64url() {
    let good = token(Algorithm::Es256);
    assert_eq!(reason(issuer(), &good), None);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let (head, payload) = input.split_once('.').unwrap();
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        head.into(),
        input.into(),
        format!("{input}."),
        format!(".{payload}.{signature}"),
        format!("{head}..{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!("{good}=="),
        format!("{head}=.{payload}.{signature}"),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{good}\r\n"),
        format!("{head}.{payload}. {signature}"),
        good.replace('_', "/").replace('-', "+") + "+/",
        format!("{input}.\u{e4}{signature}"),
        format!("{good}\0"),
        format!("{},{}", good, good),
    ] {
        assert_eq!(
            reason(issuer(), &bad),
            Some(Reason::ClaimsMalformed),
            "{bad:?}"
        );
    }
    let mut bytes = good.clone().into_bytes();
    bytes.push(0xff);
    assert!(Jws::parse(&bytes).is_err());
}

#[test]
fn trailing_bits_are_not_ignored() {
    let good = token(Algorithm::Es256);
    // 64 bytes end in a group of one byte: the last character carries two bits, the rest is zero.
    let last = good.chars().last().unwrap();
    assert!("AQgw".contains(last));
    let next = char::from(last as u8 + 1);
    let twin = format!("{}{next}", &good[..good.len() - 1]);
    assert_eq!(reason(issuer(), &twin), Some(Reason::ClaimsMalformed));
}

#[test]
fn header_and_payload_are_objects_without_duplicates() {
    let good = header(Algorithm::Es256);
    assert!(parses(&good, CLAIMS));
    for bad in [
        "",
        "null",
        "1",
        "\"x\"",
        "[]",
        "[{}]",
        "{",
        "{}x",
        "{} {}",
        r#"{"a":1,"a":1}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        r#"{"a":[{"b":1,"b":2}]}"#,
        r#"{"a":1,"\u0061":2}"#,
        "{'a':1}",
        "{a:1}",
        r#"{"a":1,}"#,
        r#"{"a":NaN}"#,
        r#"{"a":1e999}"#,
        r#"{"a":"\ud800"}"#,
        "{\"a\":\"\u{1}\"}",
        "\u{feff}{}",
        "{}\0",
    ] {
        assert!(!parses(bad, CLAIMS), "header {bad:?}");
        assert!(!parses(&good, bad), "payload {bad:?}");
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert!(!parses(&good, &deep));
    let invalid_utf8 = format!("{}.{}.c2ln", encode(&good), encode(b"{\"a\":\"\xff\"}"));
    assert!(Jws::parse(invalid_utf8.as_bytes()).is_err());
}

#[test]
fn members_that_change_what_a_token_means_are_rejected() {
    for member in [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":[]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""b64":true"#,
        r#""b64":false"#,
        r#""zip":"DEF""#,
        r#""salt":"AAAA""#,
        r#""jwk":{"kty":"oct","k":"AAAA"}"#,
        r#""jwk":"{}""#,
        r#""crit":null"#,
        r#""jwk":null"#,
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"p256",{member}}}"#);
        let token = sign(Algorithm::Es256, &header, CLAIMS);
        assert_eq!(
            reason(issuer(), &token),
            Some(Reason::ClaimsMalformed),
            "{member}"
        );
    }
}

#[test]
fn header_members_must_have_the_registered_types() {
    for name in ["kid", "typ", "cty", "jku", "x5u", "x5t", "x5t#S256"] {
        for value in ["1", "null", "true", "[]", "{}", r#"["x"]"#] {
            let header = if name == "kid" {
                format!(r#"{{"alg":"ES256","kid":{value}}}"#)
            } else {
                format!(r#"{{"alg":"ES256","kid":"p256","{name}":{value}}}"#)
            };
            assert!(!parses(&header, CLAIMS), "{header}");
        }
    }
    for header in [
        "{}",
        r#"{"kid":"p256"}"#,
        r#"{"alg":null}"#,
        r#"{"alg":1}"#,
        r#"{"alg":["ES256"]}"#,
        r#"{"ALG":"ES256"}"#,
        r#"{"alg":"ES256","x5c":"x"}"#,
        r#"{"alg":"ES256","x5c":[1]}"#,
    ] {
        assert!(!parses(header, CLAIMS), "{header}");
    }
}

#[test]
fn foreign_header_members_and_key_references_are_ignored() {
    for member in [
        r#""jku":"https://evil.example.com/jwks.json""#,
        r#""x5u":"https://evil.example.com""#,
        r#""x5c":["MIIB"]"#,
        r#""x5c":[]"#,
        r#""x5t":"x""#,
        r#""x5t#S256":"x""#,
        r#""cty":"x""#,
        r#""typ":"anything""#,
        r#""typ":"JWT""#,
        r#""typ":"""#,
        r#""foo":{"bar":[1,2.5,null]}"#,
        r#""typ":"stra\u00dfe""#,
    ] {
        for algorithm in [
            Algorithm::Es256,
            Algorithm::Ps256,
            Algorithm::EdDsa,
            Algorithm::Es512,
        ] {
            let kid = super::support::kid(algorithm);
            let header = format!(r#"{{"alg":"{algorithm}","kid":"{kid}",{member}}}"#);
            assert_eq!(
                reason(issuer(), &sign(algorithm, &header, CLAIMS)),
                None,
                "{header}"
            );
        }
    }
}

#[test]
fn registered_claims_must_have_the_registered_types() {
    let good = header(Algorithm::Es256);
    for name in ["iss", "sub", "jti", "nonce"] {
        for value in ["1", "null", "true", "[]", r#"["x"]"#, "{}"] {
            assert!(
                !parses(&good, &format!(r#"{{"{name}":{value}}}"#)),
                "{name} {value}"
            );
        }
    }
    for value in [
        "1",
        "null",
        "true",
        "{}",
        "[1]",
        r#"["x",1]"#,
        r#"["x",null]"#,
        r#"[["x"]]"#,
    ] {
        assert!(
            !parses(&good, &format!(r#"{{"aud":{value}}}"#)),
            "aud {value}"
        );
    }
    for name in ["exp", "nbf", "iat"] {
        for value in [
            "\"1800000000\"",
            "null",
            "true",
            "[]",
            "{}",
            "-1",
            "-0.5",
            "-1e300",
            "253402300800",
            "253402300799.5e1",
            "1e300",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "1800000000000",
        ] {
            assert!(
                !parses(&good, &format!(r#"{{"{name}":{value}}}"#)),
                "{name} {value}"
            );
        }
        for value in [
            "0",
            "-0",
            "-0.0",
            "0.5",
            "1.8e9",
            "1800000000.0",
            "253402300799",
        ] {
            assert!(
                parses(&good, &format!(r#"{{"{name}":{value}}}"#)),
                "{name} {value}"
            );
        }
    }
}

#[test]
fn fractions_of_a_second_are_rounded_to_the_strict_side() {
    let parts = [
        header(Algorithm::Es256),
        r#"{"exp":9.9,"nbf":9.1,"iat":9.1}"#.into(),
    ];
    let token = format!("{}.{}.c2ln", encode(&parts[0]), encode(&parts[1]));
    let times = Jws::parse(token.as_bytes()).unwrap().times;
    assert_eq!(times.expiry, Some(9));
    assert_eq!(times.not_before, Some(10));
    assert_eq!(times.issued_at, Some(10));
}

#[test]
fn a_token_that_is_too_long_is_rejected() {
    let long = sign(
        Algorithm::Es256,
        &header(Algorithm::Es256),
        &claims_with(&format!(r#""x":"{}""#, "x".repeat(70_000))),
    );
    assert_eq!(reason(issuer(), &long), Some(Reason::ClaimsMalformed));
}

#[test]
fn a_long_header_is_accepted() {
    // More than the 8 KiB of jwt-simple's JWT layer, which is not used.
    let header = format!(
        r#"{{"alg":"ES256","kid":"p256","pad":"{}"}}"#,
        "x".repeat(10_000)
    );
    assert_eq!(
        reason(issuer(), &sign(Algorithm::Es256, &header, CLAIMS)),
        None
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn parsing_arbitrary_bytes_never_panics(bytes: Vec<u8>, text in "[A-Za-z0-9_.=-]{0,80}") {
        let _ = Jws::parse(&bytes);
        let _ = Jws::parse(text.as_bytes());
    }
}
