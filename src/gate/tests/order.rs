//! The order of the checks, for requests that fail several.

use serde_json::json;

use crate::denial::Reason;

use super::{Action, Bench, KeyWait, forged, get, request, token};

/// From first to last: a request that fails this check and all later ones is denied for this reason.
#[test]
fn checks_run_in_the_documented_order() {
    let mut bench = Bench::with(|policy| policy["identity"]["on_spoof"] = json!("reject"));
    let bad = forged(&token(&json!({})));
    let spoof = ("x-auth-subject", "root");
    let twice = [
        ("x-edge-claims", bad.as_str()),
        ("x-edge-claims", bad.as_str()),
    ];
    let once = [("x-edge-claims", bad.as_str())];
    let mut all = vec![spoof];
    all.extend(twice);
    for (request, expected) in [
        (request("CONNECT", "/%00", &all), "deny/spoofed_header/-"),
        (request("CONNECT", "/%00", &twice), "deny/claims_repeated/-"),
        (request("CONNECT", "/me", &once), "deny/request_malformed/-"),
        (request("", "/me", &once), "deny/request_malformed/-"),
        (get("/%00//me", &once), "deny/request_malformed/-"),
        (get("/public//x", &once), "deny/path_ambiguous/public"),
        (get("//nowhere", &once), "deny/path_ambiguous/-"),
        (get("/admin", &once), "deny/signature_invalid/admin"),
        (get("/nowhere", &once), "deny/signature_invalid/-"),
        (get("/admin", &[]), "deny/claims_missing/admin"),
        (get("/nowhere", &[]), "deny/claims_missing/-"),
        (request("DELETE", "/admin", &[]), "deny/claims_missing/-"),
    ] {
        assert_eq!(bench.verdict(&request), expected, "{request:?}");
    }
    let good = token(&json!({"roles": ["reader"]}));
    let good = [("x-edge-claims", good.as_str())];
    for (request, expected) in [
        (get("/nowhere", &good), "deny/route_unknown/-"),
        (request("DELETE", "/admin", &good), "deny/route_unknown/-"),
        (get("/admin", &good), "deny/role/admin"),
        (get("/me", &good), "allow/me"),
        (get("/me/", &good), "allow/me"),
        (request("HEAD", "/admin", &good), "deny/role/admin"),
    ] {
        assert_eq!(bench.verdict(&request), expected, "{request:?}");
    }
}

#[test]
fn an_invalid_host_is_malformed_with_any_token() {
    let mut bench = Bench::new();
    for host in ["", "a b", "a..b", "[::1", "a:99999", "é"] {
        let mut request = get("/public/x", &[]);
        request[2].1 = host.as_bytes().to_vec();
        assert_eq!(
            bench.verdict(&request),
            "deny/request_malformed/-",
            "{host:?}"
        );
    }
    let mut request = get("/public/x", &[]);
    request.truncate(2);
    assert_eq!(bench.verdict(&request), "deny/request_malformed/-");
    assert_eq!(bench.verdict(&Vec::new()), "deny/request_malformed/-");
}

/// Found by fuzzing: aliases of pseudo-headers must be ignored.
#[test]
fn only_exact_pseudo_headers_describe_the_request() {
    let mut bench = Bench::new();
    for name in [":pAth", ":PATH"] {
        let mut request = get("/me", &[(name, "/public/x")]);
        assert_eq!(bench.verdict(&request), "deny/claims_missing/me");
        request.remove(1);
        assert_eq!(bench.verdict(&request), "deny/request_malformed/-");
    }
}

#[test]
fn each_token_error_has_its_reason() {
    let mut bench = Bench::with(|policy| {
        policy["claims"]["max_bytes"] = json!(600);
        policy["claims"]["prefix"] = json!("Bearer ");
        policy["claims"]["issuers"][0]["require"] = json!(["jti"]);
        policy["claims"]["issuers"][0]["max_age"] = json!("10m");
        policy["claims"]["issuers"][0]["bind"] = json!({"path": "htp"});
        policy["claims"]["issuers"][0]["revoked"] = json!({"subjects": ["mallory"]});
    });
    let claims = |changes: serde_json::Value| {
        let mut all = json!({"jti": "1", "htp": "/me"});
        all.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        token(&all)
    };
    let now = super::NOW;
    for (token, reason) in [
        (claims(json!({"x": "y".repeat(600)})), "claims_too_large"),
        (String::new(), "claims_malformed"),
        ("a.b".to_owned(), "claims_malformed"),
        (claims(json!({"iss": "other"})), "issuer_unknown"),
        (forged(&claims(json!({}))), "signature_invalid"),
        (claims(json!({"exp": now - 11})), "expired"),
        (claims(json!({"nbf": now + 60})), "not_yet_valid"),
        (claims(json!({"iat": now - 700})), "too_old"),
        (claims(json!({"aud": "other"})), "audience"),
        (claims(json!({"jti": null})), "claim_required"),
        (claims(json!({"htp": "/you"})), "binding_request"),
        (claims(json!({"sub": "mallory"})), "revoked"),
    ] {
        let value = format!("Bearer {token}");
        let verdict = bench.verdict(&get("/me", &[("x-edge-claims", &value)]));
        assert_eq!(verdict, format!("deny/{reason}/me"), "{value}");
    }
    let good = claims(json!({}));
    for (prefix, expected) in [
        ("Bearer ", "allow/me"),
        ("bearer ", "allow/me"),
        ("Bearer  ", "deny/claims_malformed/me"),
        ("Basic ", "deny/claims_malformed/me"),
        ("", "deny/claims_malformed/me"),
    ] {
        let value = format!("{prefix}{good}");
        assert_eq!(
            bench.verdict(&get("/me", &[("x-edge-claims", &value)])),
            expected,
            "{prefix:?}"
        );
    }
}

#[test]
fn an_invalid_token_is_ignored_on_a_public_route() {
    let mut bench = Bench::new();
    bench.peers = vec!["spiffe://td/gw".to_owned()];
    let good = token(&json!({}));
    let bad = [
        forged(&good),
        token(&json!({"exp": 1})),
        "x".repeat(9_000),
        "a.b.c".to_owned(),
        String::new(),
    ];
    for path in ["/public/x", "/mesh"] {
        for bad in &bad {
            let seen = bench.forwarded(&get(
                path,
                &[("x-edge-claims", bad), ("x-auth-subject", "root")],
            ));
            assert!(!seen.contains_key("x-edge-claims"), "{path}: {bad:.20}");
            assert!(!seen.contains_key("x-auth-subject"), "{path}: {bad:.20}");
        }
        let seen = bench.forwarded(&get(path, &[("x-edge-claims", &good)]));
        assert_eq!(
            seen["x-auth-subject"],
            ["alice"],
            "a good one still gives identity"
        );
    }
    assert_eq!(bench.gate.counters().take().dropped_tokens, 10);
    // Two tokens are a malformed request on any route.
    let twice = get(
        "/public/x",
        &[("x-edge-claims", &good), ("x-edge-claims", &good)],
    );
    assert_eq!(bench.verdict(&twice), "deny/claims_repeated/-");
    bench.peers.clear();
    assert_eq!(bench.verdict(&get("/mesh", &[])), "deny/peer/mesh");
}

#[test]
fn only_real_preflights_pass_and_without_identity_headers() {
    let origin = ("origin", "https://app.example.com");
    let asked = |method| ("access-control-request-method", method);
    let preflight = |method| request("OPTIONS", "/admin", &[origin, asked(method)]);
    assert_eq!(
        Bench::new().verdict(&preflight("PUT")),
        "deny/claims_missing/-"
    );
    let mut bench = Bench::with(|policy| policy["rbac"]["cors_preflight"] = json!("allow"));
    for (request, expected) in [
        (preflight("PUT"), "allow/admin"),
        (preflight("HEAD"), "allow/admin"),
        (preflight("DELETE"), "deny/claims_missing/-"),
        (preflight("put"), "deny/claims_missing/-"),
        (preflight(""), "deny/claims_missing/-"),
        (
            request("OPTIONS", "/admin", &[origin]),
            "deny/claims_missing/-",
        ),
        (
            request("OPTIONS", "/admin", &[asked("PUT")]),
            "deny/claims_missing/-",
        ),
        (
            request("PUT", "/admin", &[origin, asked("PUT")]),
            "deny/claims_missing/admin",
        ),
        (
            request("OPTIONS", "/nowhere", &[origin, asked("PUT")]),
            "deny/claims_missing/-",
        ),
        (
            request("OPTIONS", "//admin", &[origin, asked("PUT")]),
            "deny/path_ambiguous/-",
        ),
    ] {
        assert_eq!(bench.verdict(&request), expected, "{request:?}");
    }
    let admin = token(&json!({"roles": ["admin"]}));
    let loaded = request(
        "OPTIONS",
        "/admin",
        &[
            origin,
            asked("PUT"),
            ("x-edge-claims", &admin),
            ("x-auth-roles", "admin"),
            ("X_Auth_Subject", "root"),
        ],
    );
    let seen = bench.forwarded(&loaded);
    for name in [
        "x-edge-claims",
        "x-auth-roles",
        "x-auth-subject",
        "X_Auth_Subject",
    ] {
        assert!(!seen.contains_key(name), "{name}");
    }
    let mut bench = Bench::with(|policy| {
        policy["rbac"]["cors_preflight"] = json!("allow");
        policy["identity"]["on_spoof"] = json!("reject");
    });
    assert_eq!(bench.verdict(&loaded), "deny/spoofed_header/-");
}

#[test]
fn a_one_use_token_is_consumed_only_by_an_allowed_request() {
    let mut bench = Bench::with(|policy| {
        policy["claims"]["issuers"][0]["one_use"] = json!({});
    });
    let token = token(&json!({"jti": "1", "roles": ["admin"]}));
    let with = |path: &str| get(path, &[("x-edge-claims", &token)]);
    assert_eq!(bench.verdict(&with("/nowhere")), "deny/route_unknown/-");
    assert_eq!(bench.verdict(&with("/mesh")), "deny/peer/mesh");
    assert_eq!(bench.verdict(&with("/admin")), "allow/admin");
    assert_eq!(bench.verdict(&with("/admin")), "deny/replayed/admin");
    assert_eq!(bench.verdict(&with("/me")), "deny/replayed/me");
    // On a public route, a used one-use token is ignored.
    let seen = bench.forwarded(&with("/public/x"));
    assert!(!seen.contains_key("x-auth-subject") && !seen.contains_key("x-edge-claims"));
}

#[test]
fn a_request_waits_for_keys_only_if_they_can_change_the_decision() {
    let mut bench = Bench::with(|policy| {
        policy["claims"]["issuers"][0] = json!({"issuer": "edge", "audiences": ["mesh"], "algorithms": ["ES256"],
            "keys": {"remote": {"url": "https://k.example/jwks", "cluster": "k"}}});
    });
    let head = jwt_header(r#"{"alg":"ES256","kid":"k9"}"#);
    let token = head
        + token(&json!({}))
            .split_once('.')
            .map(|(_, rest)| rest)
            .unwrap();
    let with = |path: &str| get(path, &[("x-edge-claims", &token)]);
    bench.key_wait = KeyWait::Allowed;
    let waits = |bench: &mut Bench, path: &str| bench.wait(&with(path)).is_some();
    assert!(waits(&mut bench, "/me") && waits(&mut bench, "/admin"));
    assert!(
        !waits(&mut bench, "/public/x"),
        "a public route never waits"
    );
    assert_eq!(bench.verdict(&get("/me", &[])), "deny/claims_missing/me");
    bench.key_wait = KeyWait::Exhausted;
    assert_eq!(bench.verdict(&with("/me")), "deny/keys_unavailable/me");
}

fn jwt_header(json: &str) -> String {
    use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder};
    Base64UrlSafeNoPadding::encode_to_string(json).unwrap() + "."
}

/// Each denial is answered with the status of its reason.
#[test]
fn replies_carry_status_details_and_id() {
    let mut bench = Bench::new();
    let decision = bench.decide(&get("/admin", &[("x-correlation-id", "c-1")]));
    let Action::Reply { reply, .. } = decision.action else {
        panic!("it was not answered");
    };
    assert_eq!(reply.status, Reason::ClaimsMissing.status());
    assert_eq!(reply.details, "edge_claims_denied{claims_missing}{admin}");
    assert!(
        reply.body.contains("\"correlation_id\":\"c-1\""),
        "{}",
        reply.body
    );
    let record = decision.record.unwrap();
    assert!(
        record.contains("admin: host ok, path ok, method ok"),
        "{record}"
    );
}
