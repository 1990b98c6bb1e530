//! CORS: the exchange that a browser has (Fetch §4.8), and step-up challenges (RFC 9470), which it
//! reads.

use edge_claims_harness::tokens::now;
use edge_claims_harness::upstream::{Answer, Seen};
use edge_claims_harness::{Envoy, Request, Response, Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{CLAIMS, ISSUER, World, issuer, policy};

const ORIGIN: &str = "https://app.example.com";

/// What a browser asks before the request itself (Fetch §4.8).
fn preflight(envoy: &Envoy, path: &str, method: &str) -> Request {
    envoy
        .request("OPTIONS", path)
        .header("origin", ORIGIN)
        .header("access-control-request-method", method)
        .header(
            "access-control-request-headers",
            "x-edge-claims,content-type",
        )
}

/// A backend that knows CORS.
fn backend(seen: &Seen) -> Answer {
    if seen.method != b"OPTIONS" {
        return Answer::echo(seen);
    }
    let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    Answer {
        status: 204,
        headers: vec![
            field("access-control-allow-origin", ORIGIN),
            field("access-control-allow-methods", "GET, POST, PUT"),
            field(
                "access-control-allow-headers",
                "x-edge-claims, content-type",
            ),
        ],
        ..Answer::default()
    }
}

/// What a browser makes of a preflight: whether the request itself may be sent.
fn permits(response: &Response, method: &str) -> bool {
    let lists = |name: &str, wanted: &str| {
        let value = response.header(name).unwrap_or_default();
        value.split(',').any(|item| item.trim() == wanted)
    };
    (200..300).contains(&response.status)
        && response.header("access-control-allow-origin").as_deref() == Some(ORIGIN)
        && lists("access-control-allow-methods", method)
        && lists("access-control-allow-headers", "x-edge-claims")
}

/// A world whose backend answers preflights. (`World` has one that echoes.)
fn world(config: impl FnOnce(&mut Value)) -> World {
    let upstream = Upstream::answering(backend);
    let key = edge_claims_harness::tokens::Key::generate("ES256", "k1");
    let mut policy = policy(&[issuer(ISSUER, &[&key])]);
    config(&mut policy);
    let envoy = Setup::new(&upstream).plugin(&policy).start();
    World {
        envoy,
        upstream,
        key,
    }
}

#[test]
fn a_preflight_passes_where_a_route_exists_for_the_method() {
    let world = world(|policy| policy["rbac"]["cors_preflight"] = json!("allow"));
    let envoy = &world.envoy;
    for method in ["GET", "POST", "PUT"] {
        // First the preflight, then the request that it was for: with its token, and without.
        let path = "/tenants/a/orders/1?x=/../y";
        let spoofing = preflight(envoy, path, method)
            .header("x-auth-subject", "root")
            .header(CLAIMS, world.token_of(&["admin"]))
            .header("x-http-method-override", "DELETE");
        let response = spoofing.send();
        assert!(permits(&response, method), "{response:?}");
        assert!(
            response.header("x-correlation-id").is_some(),
            "{response:?}"
        );
        let seen = world.upstream.only();
        assert_eq!(seen.method, b"OPTIONS");
        assert_eq!(seen.path(), path);
        assert_eq!(seen.header("origin").as_deref(), Some(ORIGIN));
        for stripped in [
            CLAIMS,
            "x-auth-subject",
            "x-auth-roles",
            "x-http-method-override",
        ] {
            assert_eq!(
                seen.header(stripped),
                None,
                "{stripped}: a preflight carries no identity"
            );
        }
        let request = envoy.request(method, path).header("origin", ORIGIN);
        world.denied(request.clone(), 401, "claims_missing");
        world.allowed(request.header(CLAIMS, world.token_of(&["editor"])));
    }
    // Over HTTP/2 too; and for a route that is public anyway.
    assert_eq!(
        preflight(envoy, "/tenants/a/orders", "GET")
            .http2()
            .send()
            .status,
        204
    );
    assert_eq!(preflight(envoy, "/public/x", "DELETE").send().status, 204);
    let verdict = |record: &Value| record["verdict"] == "allow/orders-write";
    let _ = envoy.wait_for_access(|record| record["method"] == "OPTIONS" && verdict(record));
    assert_eq!(world.upstream.take().len(), 2);

    // No route for the method asked for, or for the path: no preflight.
    for (path, method) in [
        ("/tenants/a/orders", "DELETE"),
        ("/tenants/a/orders", "get"),
        ("/tenants/a/orders", "GET, POST"),
        ("/tenants/a/orders", ""),
        ("/nowhere", "GET"),
    ] {
        world.denied(preflight(envoy, path, method), 401, "claims_missing");
    }
    // Spellings that are refused are refused here as well.
    for path in ["/public/../admin", "/tenants/a%2fb/orders", "//me"] {
        let request = preflight(envoy, path, "GET");
        world.denied(request, 400, "path_ambiguous");
    }
    // What is no preflight: another method, no origin, no method asked for.
    let options = || envoy.request("OPTIONS", "/tenants/a/orders");
    let asked = "access-control-request-method";
    world.denied(options().header(asked, "GET"), 401, "claims_missing");
    world.denied(options().header("origin", ORIGIN), 401, "claims_missing");
    let get = envoy.get("/me").header("origin", ORIGIN);
    world.denied(get.header(asked, "GET"), 401, "claims_missing");
    // An alias that some backends fold into the header is not the header.
    let alias = options()
        .header("origin", ORIGIN)
        .header("access_control_request_method", "GET");
    world.denied(alias, 401, "claims_missing");
    // With claims, too, OPTIONS needs a route of its own.
    let request = options().header(CLAIMS, world.token_of(&["admin"]));
    world.denied(request, 403, "route_unknown");
}

#[test]
fn by_default_a_preflight_is_a_request_like_any_other() {
    let world = world(|policy| {
        let routes = policy["rbac"]["routes"].as_array_mut().unwrap();
        routes.push(json!({"name": "step-up", "path": "/pay", "allow": {"any_role": ["reader"], "when": {"all": [
            {"claim": "acr", "in": ["urn:mfa", "urn:phr"]}, {"claim": "auth_time", "max_age": "5m"}]}}}));
        routes.push(json!({"name": "amr", "path": "/amr", "allow": {"when": {"claim": "amr", "contains": "hwk"}}}));
    });
    world.denied(
        preflight(&world.envoy, "/tenants/a/orders", "GET"),
        401,
        "claims_missing",
    );
    world.denied(preflight(&world.envoy, "/me", "GET"), 401, "claims_missing");
    assert_eq!(
        preflight(&world.envoy, "/public/x", "GET").send().status,
        204
    );
    let _ = world.upstream.take();
    step_up(&world);
}

/// RFC 9470 §3: which strength, how fresh; and only where that alone is in the way.
fn step_up(world: &World) {
    let send = |path: &str, claims: Value| {
        world
            .envoy
            .get(path)
            .header(CLAIMS, world.token(&claims))
            .send()
    };
    let now = now();
    let challenge = |path: &str, claims: Value| {
        let response = send(path, claims);
        assert_eq!(response.status, 401, "{response:?}");
        assert_eq!(response.json()["code"], "step_up");
        assert_eq!(world.upstream.take(), []);
        response.header("www-authenticate").unwrap()
    };
    let start = "Bearer realm=\"mesh\", error=\"insufficient_user_authentication\", error_description=\"step_up\"";
    let acr = ", acr_values=\"urn:mfa urn:phr\"";
    let age = ", max_age=\"300\"";
    let weak = json!({"roles": ["reader"], "acr": "urn:pwd", "auth_time": now - 10});
    assert_eq!(challenge("/pay", weak), format!("{start}{acr}"));
    let stale = json!({"roles": ["reader"], "acr": "urn:mfa", "auth_time": now - 400});
    assert_eq!(challenge("/pay", stale), format!("{start}{age}"));
    let both = json!({"roles": ["reader"], "acr": "urn:pwd", "auth_time": now - 400});
    assert_eq!(challenge("/pay", both), format!("{start}{acr}{age}"));
    assert_eq!(
        challenge("/pay", json!({"roles": ["reader"]})),
        format!("{start}{acr}{age}")
    );
    assert_eq!(challenge("/amr", json!({"amr": ["pwd"]})), start);

    let strong = json!({"roles": ["reader"], "acr": "urn:phr", "auth_time": now - 10});
    assert_eq!(send("/pay", strong).status, 200);
    let _ = world.upstream.take();
    // More than a step-up is missing: it would not help to ask for one.
    let response = send("/pay", json!({"acr": "urn:pwd"}));
    assert_eq!(
        (response.status, response.json()["code"].as_str()),
        (403, Some("role"))
    );
    let response = world.envoy.get("/pay").send();
    assert_eq!(response.json()["code"], "claims_missing");
}
