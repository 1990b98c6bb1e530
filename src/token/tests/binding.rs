//! Tokens that are bound to a request.

use super::claims::{path, with};
use super::support::{LIVE, NOW, issuer, reason, token, verifier};
use crate::claims::ClaimPath;
use crate::denial::Reason;
use crate::token::{Algorithm, Issuer, LiveRequest, Portable, RequestBinding};

fn bound(claims: &str, live: &LiveRequest<'_>) -> Option<Reason> {
    let issuer = Issuer {
        bind: RequestBinding {
            method: Some(path(&["htm"])),
            path: Some(path(&["req", "htp"])),
            host: Some(path(&["hth"])),
            ..RequestBinding::default()
        },
        ..issuer()
    };
    let verdict = verifier(issuer).verify(with(claims).as_bytes(), live, NOW * 1_000, &Portable);
    verdict.err().map(|refusal| refusal.reason_after_fetch())
}

#[test]
fn a_bound_token_is_for_one_request() {
    let good = r#""htm":"GET","req":{"htp":"/orders/7"},"hth":"shop.example.com""#;
    assert_eq!(bound(good, &LIVE), None);
    let other_case = r#""htm":"GET","req":{"htp":"/orders/7"},"hth":"Shop.Example.COM""#;
    assert_eq!(bound(other_case, &LIVE), None);
    let other_query = LiveRequest {
        path: b"/orders/7?page=1&admin=1",
        ..LIVE
    };
    assert_eq!(bound(good, &other_query), None);
    for claims in [
        r#""htm":"get","req":{"htp":"/orders/7"},"hth":"shop.example.com""#,
        r#""htm":"POST","req":{"htp":"/orders/7"},"hth":"shop.example.com""#,
        r#""htm":["GET"],"req":{"htp":"/orders/7"},"hth":"shop.example.com""#,
        r#""htm":null,"req":{"htp":"/orders/7"},"hth":"shop.example.com""#,
        r#""req":{"htp":"/orders/7"},"hth":"shop.example.com""#,
        r#""htm":"GET","req":{"htp":"/orders"},"hth":"shop.example.com""#,
        r#""htm":"GET","req":{"htp":"/orders/7/"},"hth":"shop.example.com""#,
        r#""htm":"GET","req":{"htp":"/Orders/7"},"hth":"shop.example.com""#,
        r#""htm":"GET","req":{"htp":"/orders/7?page=2"},"hth":"shop.example.com""#,
        r#""htm":"GET","req":{"htp":"/orders/7?page=1"},"hth":"shop.example.com""#,
        r#""htm":"GET","req":{"htp":"/orders/7?"},"hth":"shop.example.com""#,
        r#""htm":"GET","req":{"htp":""},"hth":"shop.example.com""#,
        r#""htm":"GET","req":{},"hth":"shop.example.com""#,
        r#""htm":"GET","req":{"htp":"/orders/7"},"hth":"other.example.com""#,
        r#""htm":"GET","req":{"htp":"/orders/7"},"hth":"shop.example.com:443""#,
        r#""htm":"GET","req":{"htp":"/orders/7"}"#,
    ] {
        assert_eq!(
            bound(claims, &LIVE),
            Some(Reason::BindingRequest),
            "{claims}"
        );
    }
    let bytes = LiveRequest {
        path: b"/orders/\xff",
        ..LIVE
    };
    assert_eq!(bound(good, &bytes), Some(Reason::BindingRequest));
    let empty = LiveRequest { path: b"", ..LIVE };
    assert_eq!(bound(good, &empty), Some(Reason::BindingRequest));
}

#[test]
fn path_and_query_must_equal_the_whole_path() {
    let issuer = || Issuer {
        bind: RequestBinding {
            path_and_query: Some(ClaimPath::from("htu")),
            ..RequestBinding::default()
        },
        ..issuer()
    };
    let verdict = |claim: &str, live_path: &str| {
        let live = LiveRequest {
            path: live_path.as_bytes(),
            ..LIVE
        };
        let token = with(&format!(r#""htu":"{claim}""#));
        let verdict = verifier(issuer()).verify(token.as_bytes(), &live, NOW * 1_000, &Portable);
        verdict.err().map(|error| error.reason_after_fetch())
    };
    for equal in [
        "/orders/7",
        "/orders/7?",
        "/orders/7?page=2",
        "/a?b?c",
        "/%C3%A4?x=%20",
    ] {
        assert_eq!(verdict(equal, equal), None, "{equal}");
    }
    for (claim, path) in [
        ("/orders/7", "/orders/7?"),
        ("/orders/7", "/orders/7?page=2"),
        ("/orders/7?", "/orders/7"),
        ("/orders/7?page=2", "/orders/7"),
        ("/orders/7?page=2", "/orders/7?page=2&admin=1"),
        ("/orders/7?page=2", "/orders/7?page=2#x"),
        ("/orders/7?page=2", "/orders/7?Page=2"),
        ("/orders/7?a=1&b=2", "/orders/7?b=2&a=1"),
        ("/orders/7?x=%41", "/orders/7?x=A"),
        ("", "/"),
    ] {
        assert_eq!(
            verdict(claim, path),
            Some(Reason::BindingRequest),
            "{claim} {path}"
        );
    }
    let without = reason(issuer(), &token(Algorithm::EdDsa));
    assert_eq!(without, Some(Reason::BindingRequest));
}
