//! The header edits of forwarded requests.

use serde_json::{Value, json};

use super::{Bench, Fields, get, token};

fn with_token(path: &str, claims: &Value, headers: &[(&str, &str)]) -> Fields {
    let token = token(claims);
    let mut all = vec![("x-edge-claims", token.as_str())];
    all.extend(headers);
    get(path, &all)
}

#[test]
fn identity_headers_come_from_verified_claims_only() {
    let mut bench = Bench::new();
    let claims = json!({"roles": ["a", "b,c"]});
    for sent in [
        &[][..],
        &[("x-auth-subject", "root")],
        &[("x-auth-subject", "alice"), ("x-auth-subject", "root")],
        &[("x-auth-subject", "root"), ("x-auth-subject", "alice")],
        &[("x-auth-roles", "admin"), ("x-auth-subject", "root")],
        &[("x_auth_subject", "root"), ("X-Auth_Roles", "admin")],
        &[("x-auth-subject", "alice"), ("x-auth-roles", "a,b%2Cc")],
    ] {
        let seen = bench.forwarded(&with_token("/me", &claims, sent));
        assert_eq!(seen["x-auth-subject"], ["alice"], "{sent:?}");
        assert_eq!(seen["x-auth-roles"], ["a,b%2Cc"], "{sent:?}");
        let reserved = |name: &&String| {
            name.to_ascii_lowercase()
                .replace('_', "-")
                .starts_with("x-auth")
        };
        assert_eq!(
            seen.keys().filter(reserved).count(),
            2,
            "{sent:?}: {seen:?}"
        );
    }
    // A header without a claim is removed.
    for (path, claims) in [
        ("/me", json!({"sub": null, "roles": {}})),
        ("/public/x", json!({"exp": 1})),
    ] {
        let seen = bench.forwarded(&with_token(
            path,
            &claims,
            &[("x-auth-subject", "root"), ("x-auth-roles", "admin")],
        ));
        assert!(
            !seen.contains_key("x-auth-subject") && !seen.contains_key("x-auth-roles"),
            "{seen:?}"
        );
    }
}

#[test]
fn a_request_that_needs_no_edit_gets_none() {
    let mut bench = Bench::with(|policy| {
        policy["claims"]["forward"] = json!(true);
        policy["identity"]["strip"] = json!([]);
    });
    let claims = json!({"roles": ["a"], "cid": "c-1"});
    let request = with_token(
        "/me",
        &claims,
        &[
            ("x-auth-subject", "alice"),
            ("x-auth-roles", "a"),
            ("x-correlation-id", "c-1"),
        ],
    );
    let super::Action::Forward(forward) = bench.decide(&request).action else {
        panic!("it was not let through");
    };
    assert_eq!(forward.edits(), []);
}

/// The edits of most requests of a token are cached. Other requests must not get them, and all requests must
/// get the same edits as from a gate without a cache.
#[test]
fn cached_edits_never_change_the_edits_of_another_request() {
    let claims = json!({"roles": ["a"], "cid": "c-1"});
    let right = ("x-correlation-id", "c-1");
    let sent: [&[(&str, &str)]; 11] = [
        &[right],
        &[],
        &[right, right],
        &[("x-correlation-id", "c-2")],
        &[right, ("x-auth-subject", "root")],
        &[right, ("x-auth-subject", "alice")],
        &[
            right,
            ("x-auth-subject", "alice"),
            ("x-auth-subject", "root"),
        ],
        &[right, ("x-auth-email", "root@example.com")],
        &[right, ("x_auth_roles", "admin")],
        &[right, ("x-stripped", "1")],
        &[right, ("x-other-id", "no id")],
    ];
    let change = |forward: bool| {
        move |policy: &mut Value| {
            policy["claims"]["forward"] = json!(forward);
            policy["identity"]["strip"] = json!(["x-stripped"]);
            policy["identity"]["headers"]["x-auth-email"] = json!(["email"]);
            policy["rbac"]["path"] = json!({"dot_segments": "normalize"});
            policy["correlation"]["accept"] = json!(["x-correlation-id", "x-other-id"]);
        }
    };
    for forward in [false, true] {
        let mut warm = Bench::with(change(forward));
        let usual = with_token("/me", &claims, &[right]);
        for path in ["/me", "/./me", "/public/x"] {
            for sent in sent {
                let request = with_token(path, &claims, sent);
                let _ = warm.forwarded(&usual);
                let fresh = Bench::with(change(forward)).forwarded(&request);
                assert_eq!(warm.forwarded(&request), fresh, "{path} {sent:?}");
                assert_eq!(fresh["x-correlation-id"], ["c-1"], "{path} {sent:?}");
                let resolved = path.replace("/./", "/");
                assert_eq!(fresh[":path"], [resolved], "{sent:?}");
                assert_eq!(fresh.contains_key("x-edge-claims"), forward);
                assert!(!fresh.contains_key("x-stripped") && !fresh.contains_key("x-other-id"));
            }
        }
    }
}

#[test]
fn spoofed_headers_are_counted_and_optionally_rejected() {
    let spoofs = [
        &[("x-auth-subject", "root")][..],
        &[("X_AUTH_ROLES", "admin")],
        &[("x-auth-subject", "")],
    ];
    let mut bench = Bench::new();
    for spoof in spoofs {
        let _ = bench.decide(&with_token("/me", &json!({"roles": ["a"]}), spoof));
    }
    assert_eq!(bench.gate.counters().take().spoofed, 3);
    let mut bench = Bench::with(|policy| policy["identity"]["on_spoof"] = json!("reject"));
    for spoof in spoofs {
        for path in ["/me", "/public/x", "/nowhere", "/%00"] {
            let request = with_token(path, &json!({"roles": ["a"]}), spoof);
            assert_eq!(
                bench.verdict(&request),
                "deny/spoofed_header/-",
                "{path} {spoof:?}"
            );
        }
    }
    // Even with the correct value, because only this filter may set it.
    let request = with_token("/me", &json!({}), &[("x-auth-subject", "alice")]);
    assert_eq!(bench.verdict(&request), "deny/spoofed_header/-");
}

#[test]
fn headers_that_override_method_or_url_are_removed() {
    let mut bench = Bench::new();
    let overrides = [
        ("x-http-method-override", "DELETE"),
        ("x-method-override", "DELETE"),
        ("X-HTTP-Method", "DELETE"),
        ("x_original_url", "/admin"),
        ("x-rewrite-url", "/admin"),
    ];
    let seen = bench.forwarded(&get("/public/x", &overrides));
    let names: Vec<&String> = seen.keys().collect();
    assert_eq!(
        names,
        [":authority", ":method", ":path", "x-correlation-id"]
    );
    let mut keeping = Bench::with(|policy| policy["identity"]["strip"] = json!([]));
    assert_eq!(keeping.forwarded(&get("/public/x", &overrides)).len(), 9);
}

#[test]
fn the_token_is_forwarded_only_if_configured_and_verified() {
    let good = token(&json!({}));
    for forward in [false, true] {
        let mut bench = Bench::with(|policy| policy["claims"]["forward"] = json!(forward));
        let alias = ("X_Edge_Claims", "a.b.c");
        let seen = bench.forwarded(&get("/me", &[("x-edge-claims", &good), alias]));
        assert_eq!(seen.contains_key("x-edge-claims"), forward);
        assert!(!seen.contains_key("X_Edge_Claims"));
        let seen = bench.forwarded(&get("/public/x", &[("x-edge-claims", "a.b.c")]));
        assert!(!seen.contains_key("x-edge-claims"));
    }
}

#[test]
fn the_upstream_gets_the_normalized_path() {
    let mut bench = Bench::with(|policy| {
        policy["rbac"]["path"] =
            json!({"dot_segments": "normalize", "empty_segments": "normalize"});
    });
    for (sent, seen) in [
        ("/public//x/../y?a=//b", "/public/y?a=//b"),
        ("/public/%2e/x", "/public/x"),
        ("/public/x", "/public/x"),
    ] {
        assert_eq!(bench.forwarded(&get(sent, &[]))[":path"], [seen], "{sent}");
    }
}
