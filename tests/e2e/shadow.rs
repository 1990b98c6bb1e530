//! Roll-out: what shadow mode and `enforce_percent` let through, what they deny all the same, what
//! the logs say; and `on_failure`.

use edge_claims_harness::Request;
use serde_json::{Value, json};

use crate::support::{CLAIMS, World};

/// A request that shadow mode must let through, though it would have been denied for that reason.
#[track_caller]
fn spared(world: &World, request: Request, reason: &str, route: &str) -> edge_claims_harness::Seen {
    let response = request.send();
    assert_eq!(response.status, 200, "{response:?}");
    let id = response.header("x-correlation-id").unwrap();
    let record = world
        .envoy
        .wait_for_access(|record| record["correlation_id"] == id.as_str());
    assert_eq!(
        record["verdict"],
        format!("shadow/{reason}/{route}"),
        "{record}"
    );
    let line = world.envoy.wait_for_log(&id);
    assert!(line.contains("\"outcome\":\"shadow\""), "{line}");
    assert!(line.contains(&format!("\"reason\":\"{reason}\"")), "{line}");
    world.upstream.only()
}

#[test]
fn shadow_mode_denies_nothing_but_what_is_malformed() {
    let world = World::with(
        |policy| {
            policy["mode"] = json!("shadow");
            policy["identity"]["on_spoof"] = json!("reject");
        },
        |setup| setup,
    );
    let get = |path: &str| world.envoy.get(path);
    spared(&world, get("/me"), "claims_missing", "me");
    spared(&world, get("/nowhere"), "claims_missing", "-");
    let reader = world.token_of(&["reader"]);
    let seen = spared(
        &world,
        get("/admin/x").header(CLAIMS, &reader),
        "role",
        "admin",
    );
    // Verified claims give identity, as ever; the token itself stays here, as ever.
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    assert_eq!(seen.header(CLAIMS), None);
    spared(
        &world,
        get("/nowhere").header(CLAIMS, &reader),
        "route_unknown",
        "-",
    );
    for (token, reason) in [
        ("a.b.c".to_owned(), "claims_malformed"),
        (world.token(&json!({"exp": 1})), "expired"),
        (world.token(&json!({"aud": "other"})), "audience"),
        (forged(&reader), "signature_invalid"),
        ("x".repeat(9_000), "claims_too_large"),
    ] {
        let seen = spared(&world, get("/me").header(CLAIMS, token), reason, "me");
        assert_eq!(
            seen.header(CLAIMS),
            None,
            "{reason}: a bad token goes no further"
        );
        assert_eq!(
            seen.header("x-auth-subject"),
            None,
            "{reason}: and gives no identity"
        );
    }
    // 400 is no question of policy.
    for (request, reason) in [
        (get("/public/../admin"), "path_ambiguous"),
        (get("/public/%00"), "request_malformed"),
        (get("/me").host("a..b"), "request_malformed"),
        (
            get("/me").header(CLAIMS, &reader).header(CLAIMS, &reader),
            "claims_repeated",
        ),
        (
            get("/public/x").header("x-auth-subject", "root"),
            "spoofed_header",
        ),
        (
            get("/public/x").header("X_Auth_Subject", "root"),
            "spoofed_header",
        ),
    ] {
        world.denied(request, 400, reason);
    }
    // What would have passed passes as in earnest.
    let response = get("/me").header(CLAIMS, &reader).send();
    let id = response.header("x-correlation-id").unwrap();
    let record = world
        .envoy
        .wait_for_access(|record| record["correlation_id"] == id.as_str());
    assert_eq!(record["verdict"], "allow/me");
}

/// The same token with another signature.
fn forged(token: &str) -> String {
    let (head, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{head}.{other}{}", &signature[1..])
}

fn rollout(policy: &mut Value) {
    let route = |name: &str, more: Value| {
        let mut route =
            json!({"name": name, "path": format!("/{name}"), "allow": {"any_role": ["admin"]}});
        route
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        route
    };
    policy["rbac"]["routes"] = json!([
        route("shadow", json!({"mode": "shadow"})),
        route("none", json!({"enforce_percent": 0})),
        route("half", json!({"enforce_percent": 50})),
        route("other-half", json!({"enforce_percent": 50})),
        route("one", json!({"enforce_percent": 1})),
        route("all", json!({"enforce_percent": 100})),
        route("hidden", json!({"on_failure":
            {"role": 404, "claims_missing": 404, "expired": 403}})),
        {"name": "orders", "hosts": ["shop.example.com"], "methods": ["PUT"],
            "path": "/orders/{id}", "allow": {"any_role": ["editor"], "bind": {"id": "order"}}},
    ]);
}

#[test]
fn routes_are_rolled_out_one_by_one() {
    let world = World::with(rollout, |setup| setup);
    a_route_in_shadow_is_spared_alone(&world);
    a_share_is_stable_per_subject(&world);
    whoever_is_not_verified_is_not_spared(&world);
    failures_have_the_status_of_their_route(&world);
    denials_explain_themselves_in_the_log_only(&world);
}

fn as_subject(world: &World, path: &str, subject: &str) -> Request {
    let token = world.token(&json!({"sub": subject, "roles": ["reader"]}));
    world.envoy.get(path).header(CLAIMS, token)
}

fn a_route_in_shadow_is_spared_alone(world: &World) {
    spared(
        world,
        world.envoy.get("/shadow"),
        "claims_missing",
        "shadow",
    );
    spared(
        world,
        as_subject(world, "/shadow", "alice"),
        "role",
        "shadow",
    );
    world.denied(as_subject(world, "/all", "alice"), 403, "role");
    world.denied(world.envoy.get("/nowhere"), 401, "claims_missing");
}

fn a_share_is_stable_per_subject(world: &World) {
    const SUBJECTS: usize = 60;
    let enforced = |path: &str| -> Vec<bool> {
        (0..SUBJECTS)
            .map(|index| {
                let subject = format!("user-{index}");
                let first = as_subject(world, path, &subject).send().status;
                // Another token, another address, other headers: the same verdict.
                let again = as_subject(world, path, &subject)
                    .header("x-forwarded-for", format!("10.0.0.{index}"))
                    .header("cookie", "a=b")
                    .http2();
                assert_eq!(again.send().status, first, "{path} {subject}");
                assert!([200, 403].contains(&first), "{path} {subject}: {first}");
                first == 403
            })
            .collect()
    };
    let (half, other) = (enforced("/half"), enforced("/other-half"));
    for shares in [&half, &other] {
        let denied = shares.iter().filter(|enforced| **enforced).count();
        assert!(
            (15..=45).contains(&denied),
            "{denied} of {SUBJECTS} for 50 %"
        );
    }
    assert_ne!(half, other, "each route chooses its own subjects");
    assert!(enforced("/none").iter().all(|enforced| !enforced));
    assert!(enforced("/all").iter().all(|enforced| *enforced));
    let _ = world.upstream.take();
}

/// Only the verified subject chooses the share: a token that does not count buys nothing.
fn whoever_is_not_verified_is_not_spared(world: &World) {
    let token = world.token(&json!({"sub": "user-1"}));
    for path in ["/half", "/one", "/all"] {
        world.denied(world.envoy.get(path), 401, "claims_missing");
        let request = world.envoy.get(path).header(CLAIMS, forged(&token));
        world.denied(request, 401, "signature_invalid");
        let nobody = world.token(&json!({"sub": null}));
        world.denied(world.envoy.get(path).header(CLAIMS, nobody), 403, "role");
    }
    spared(world, world.envoy.get("/none"), "claims_missing", "none");
}

fn failures_have_the_status_of_their_route(world: &World) {
    let response = world.envoy.get("/hidden").send();
    assert_eq!(response.status, 404, "{response:?}");
    assert_eq!(
        (
            response.json()["status"].as_u64(),
            response.json()["code"].as_str()
        ),
        (Some(404), Some("claims_missing"))
    );
    world.denied(as_subject(world, "/hidden", "alice"), 404, "role");
    let expired = world.token(&json!({"exp": 1}));
    let response = world.envoy.get("/hidden").header(CLAIMS, expired).send();
    assert_eq!(
        (response.status, response.json()["code"].as_str()),
        (403, Some("expired"))
    );
    // Where nothing is overridden, and where there is no route.
    let bad = world.envoy.get("/hidden").header(CLAIMS, "a.b.c");
    world.denied(bad, 401, "claims_malformed");
    world.denied(
        as_subject(world, "/hidden/x", "alice"),
        403,
        "route_unknown",
    );
    let _ = world.upstream.take();
}

fn denials_explain_themselves_in_the_log_only(world: &World) {
    let put = |path: &str, claims: Value| {
        let token = world.token(&claims);
        world.envoy.request("PUT", path).header(CLAIMS, token)
    };
    for (request, status, reason, words) in [
        (
            put("/orders/7", json!({"roles": ["reader", "visitor"]})),
            403,
            "role",
            "orders: host ok, path ok, method ok, role: has [reader, visitor], needs any of [editor]",
        ),
        (
            put(
                "/orders/7",
                json!({"roles": ["editor"], "order": "secret-8"}),
            ),
            403,
            "binding_route",
            "orders: host ok, path ok, method ok, binding: {id} is \\\"7\\\", claim order differs",
        ),
        (
            put("/orders/7", json!({"roles": ["editor"]})),
            403,
            "binding_route",
            "claim order is absent or of another type",
        ),
        (
            world
                .envoy
                .get("/orders/7")
                .header(CLAIMS, world.token_of(&["editor"])),
            403,
            "route_unknown",
            "no route; nearest orders: host ok, path ok, method differs; route_unknown",
        ),
        (
            put("/orders/7", json!({"roles": ["editor"]})).host("evil.example"),
            403,
            "route_unknown",
            "no route; nearest orders: host differs, path ok, method ok; route_unknown",
        ),
        (
            put("/order/7", json!({"roles": ["editor"]})),
            403,
            "route_unknown",
            "no route has this path",
        ),
    ] {
        let response = world.denied(request, status, reason);
        let id = response.header("x-correlation-id").unwrap();
        let line = world.envoy.wait_for_log(&id);
        assert!(line.contains(words), "{words:?} is not in {line}");
        assert!(!line.contains("secret-8"), "{line}");
        for secret in ["editor", "visitor", "orders", "needs", "claim "] {
            assert!(!response.text().contains(secret), "{secret}: {response:?}");
        }
    }
}
