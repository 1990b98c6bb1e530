//! Headers that only the filter may set, and headers of every shape that it must survive.

use serde_json::json;

use crate::support::{CLAIMS, World};

#[test]
fn identity_headers_come_from_verified_claims_only() {
    let world = World::start();
    let seen = world.allowed(
        world
            .envoy
            .get("/me")
            .header(CLAIMS, world.token_of(&["a", "b"])),
    );
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    assert_eq!(seen.header("x-auth-roles").as_deref(), Some("a,b"));
    assert_eq!(seen.header(CLAIMS), None, "the token stays here");
    assert!(seen.header("x-correlation-id").is_some());
}

#[test]
fn spoofed_identity_headers_are_taken_away_in_every_spelling() {
    let world = World::start();
    let token = world.token(&json!({}));
    for (path, claims) in [
        ("/public/x", None),
        ("/public/x", Some(&token)),
        ("/me", Some(&token)),
    ] {
        for spelling in [
            "x-auth-subject",
            "X-Auth-Subject",
            "x_auth_subject",
            "X_Auth-Subject",
            "X-AUTH_SUBJECT",
        ] {
            let mut request = world.envoy.get(path).header(spelling, "mallory");
            request = request
                .header(spelling, "eve")
                .header("x-auth-roles", "admin");
            if let Some(token) = claims {
                request = request.header(CLAIMS, token);
            }
            let seen = world.allowed(request);
            assert_eq!(
                seen.header("x-auth-subject"),
                claims.map(|_| "alice".to_owned())
            );
            assert!(seen.all("x_auth_subject").is_empty(), "{seen:?}");
            assert!(seen.all("x_auth-subject").is_empty(), "{seen:?}");
            assert!(seen.all("x-auth_subject").is_empty(), "{seen:?}");
            assert_eq!(seen.header("x-auth-roles"), None, "the token has no roles");
        }
    }
}

#[test]
fn spoofed_identity_headers_can_be_refused_instead() {
    let world = World::with(
        |policy| policy["identity"]["on_spoof"] = json!("reject"),
        |setup| setup,
    );
    for path in ["/public/x", "/me"] {
        for name in ["x-auth-subject", "X_Auth_Subject"] {
            let request = world
                .envoy
                .get(path)
                .header(CLAIMS, world.token(&json!({})));
            world.denied(request.header(name, "alice"), 400, "spoofed_header");
        }
    }
    world.allowed(
        world
            .envoy
            .get("/me")
            .header(CLAIMS, world.token(&json!({}))),
    );
}

#[test]
fn headers_that_would_change_the_request_behind_the_filter_are_taken_away() {
    let world = World::start();
    let names = [
        "x-http-method-override",
        "X-Method-Override",
        "x-http-method",
        "x-original-url",
        "X_Original_Url",
        "x-rewrite-url",
    ];
    let mut request = world.envoy.get("/public/x");
    for name in names {
        request = request.header(name, "/admin");
    }
    let seen = world.allowed(request);
    for name in names {
        assert!(seen.all(name).is_empty(), "{name}: {seen:?}");
    }
}

#[test]
fn claim_values_cannot_break_out_of_their_header() {
    let world = World::start();
    let subject = |sub: serde_json::Value| {
        let token = world.token(&json!({"sub": sub}));
        let seen = world.allowed(world.envoy.get("/me").header(CLAIMS, token));
        seen.header("x-auth-subject")
    };
    assert_eq!(
        subject(json!("a\r\nx-admin: 1")).as_deref(),
        Some("a%0D%0Ax-admin:%201")
    );
    assert_eq!(subject(json!("\u{e9}\u{0}")).as_deref(), Some("%C3%A9%00"));
    assert_eq!(subject(json!("a".repeat(5_000))), None, "longer than 4 KiB");
    let token = world.token(&json!({"roles": ["a,admin", "b"]}));
    let seen = world.allowed(world.envoy.get("/me").header(CLAIMS, token));
    assert_eq!(seen.header("x-auth-roles").as_deref(), Some("a%2Cadmin,b"));
}

#[test]
fn the_tokens_header_stands_once_and_leaves_no_alias() {
    let world = World::start();
    let token = world.token(&json!({}));
    let twice = world
        .envoy
        .get("/me")
        .header(CLAIMS, &token)
        .header(CLAIMS, &token);
    world.denied(twice, 400, "claims_repeated");
    let twice = world
        .envoy
        .get("/public/x")
        .header(CLAIMS, "")
        .header(CLAIMS, &token);
    world.denied(twice, 400, "claims_repeated");
    let alias = world.envoy.get("/me").header("X_Edge_Claims", &token);
    world.denied(alias, 401, "claims_missing");
    let both = world
        .envoy
        .get("/me")
        .header(CLAIMS, &token)
        .header("X_Edge_Claims", "x");
    let seen = world.allowed(both);
    assert!(seen.all("x_edge_claims").is_empty(), "{seen:?}");
}

#[test]
fn a_bad_token_on_a_public_route_is_dropped() {
    let world = World::with(
        |policy| policy["claims"]["forward"] = json!(true),
        |setup| setup,
    );
    for token in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        let seen = world.allowed(world.envoy.get("/public/x").header(CLAIMS, token));
        assert_eq!(seen.header(CLAIMS), None);
        assert_eq!(seen.header("x-auth-subject"), None);
    }
    let token = world.token(&json!({}));
    let seen = world.allowed(world.envoy.get("/public/x").header(CLAIMS, &token));
    assert_eq!(seen.header(CLAIMS), Some(token), "forward: true");
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
}

#[test]
fn a_prefix_and_another_header_may_carry_the_token() {
    let world = World::with(
        |policy| {
            policy["claims"]["header"] = json!("authorization");
            policy["claims"]["prefix"] = json!("Bearer ");
        },
        |setup| setup,
    );
    let token = world.token(&json!({}));
    let get = |value: String| world.envoy.get("/me").header("authorization", value);
    let seen = world.allowed(get(format!("Bearer {token}")));
    assert_eq!(seen.header("authorization"), None);
    world.allowed(get(format!("bearer {token}")));
    for value in [
        token.clone(),
        format!("Basic {token}"),
        format!("Bearer  {token}"),
        "Bearer ".into(),
    ] {
        world.denied(get(value), 401, "claims_malformed");
    }
}

#[test]
fn bytes_that_are_not_utf8_hurt_nobody() {
    let world = World::start();
    let good = world.token(&json!({}));
    let names = [
        CLAIMS,
        "x-correlation-id",
        "x-auth-subject",
        "x-auth-roles",
        "x-original-url",
        "content-type",
        "origin",
        "access-control-request-method",
        "traceparent",
        "x-request-id",
        "user-agent",
        "x-other",
        "cookie",
    ];
    for bytes in [b"\xff".as_slice(), b"\xc3\x28\x80", b"\xf5\xf6abc"] {
        for name in names {
            for http2 in [false, true] {
                let mut request = world.envoy.get("/me").header(name, bytes);
                if name != CLAIMS {
                    request = request.header(CLAIMS, &good);
                }
                let response = if http2 {
                    request.http2().send()
                } else {
                    request.send()
                };
                let expected = if name == CLAIMS { 401 } else { 200 };
                assert_eq!(response.status, expected, "{name} {bytes:?}: {response:?}");
            }
        }
        // In path, host and method, where Envoy itself lets them get that far.
        for request in [
            world.envoy.get([b"/public/", bytes].concat()),
            world.envoy.get("/public/x").host(bytes),
            world.envoy.request(bytes, "/public/x"),
        ] {
            let _ = world.upstream.take();
            for request in [request.clone(), request.http2()] {
                let response = request.send();
                assert!(
                    response.status == 400 || response.error.is_some(),
                    "{response:?}"
                );
                assert_eq!(world.upstream.take(), []);
            }
        }
    }
    // Nothing has failed: the next request is served as ever.
    world.allowed(world.envoy.get("/me").header(CLAIMS, good));
}

#[test]
fn many_and_large_headers_are_read_to_the_last() {
    let world = World::with(
        |_| {},
        |setup| {
            setup.hcm(&json!({"max_request_headers_kb": 96,
            "common_http_protocol_options": {"max_headers_count": 2000}}))
        },
    );
    let token = world.token(&json!({}));
    let mut request = world.envoy.get("/me");
    for index in 0..100 {
        request = request.header(format!("x-filler-{index}"), "v");
    }
    let seen = world.allowed(
        request
            .clone()
            .header(CLAIMS, &token)
            .header("x-auth-subject", "m"),
    );
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    assert_eq!(seen.header("x-filler-99").as_deref(), Some("v"));
    for index in 0..1_000 {
        request = request.header("x-many", index.to_string());
    }
    world.allowed(request.header(CLAIMS, &token));

    let large = vec![b'x'; 60_000];
    let seen = world.allowed(
        world
            .envoy
            .get("/me")
            .header("x-large", &large)
            .header(CLAIMS, &token),
    );
    assert_eq!(seen.header("x-large").unwrap().len(), 60_000);
    world.denied(
        world.envoy.get("/me").header(CLAIMS, &large),
        431,
        "claims_too_large",
    );
    world.allowed(world.envoy.get("/public/x").header(CLAIMS, &large));
    let request = world
        .envoy
        .get("/public/x")
        .header("x-auth-subject", &large);
    assert_eq!(world.allowed(request).header("x-auth-subject"), None);
    let request = world
        .envoy
        .get("/public/x")
        .header("x-correlation-id", &large);
    assert_eq!(
        world
            .allowed(request)
            .header("x-correlation-id")
            .unwrap()
            .len(),
        36
    );
}
