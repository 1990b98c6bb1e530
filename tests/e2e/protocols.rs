//! HTTP/1.1, HTTP/2, gRPC, upgrades, mTLS: one decision each, in the protocol's own words.

use edge_claims_harness::tls::Authority;
use edge_claims_harness::tokens::Key;
use edge_claims_harness::{Envoy, Setup, Upstream, tools};
use serde_json::json;

use crate::support::{CLAIMS, ISSUER, World, count_validated_peers, issuer, policy};

#[test]
fn http2_gets_the_same_answers_as_http1() {
    let world = World::start();
    let reader = world.token_of(&["reader"]);
    for (path, token, status, reason) in [
        ("/me", None, 401, "claims_missing"),
        ("/admin", Some(&reader), 403, "role"),
        ("/public/../x", None, 400, "path_ambiguous"),
    ] {
        let mut request = world.envoy.get(path);
        if let Some(token) = token {
            request = request.header(CLAIMS, token);
        }
        let one = world.denied(request.clone(), status, reason);
        let two = world.denied(request.http2(), status, reason);
        assert_eq!(
            one.header("www-authenticate"),
            two.header("www-authenticate")
        );
    }
    let seen = world.allowed(
        world
            .envoy
            .get("/tenants/a/orders/1")
            .header(CLAIMS, &reader)
            .http2(),
    );
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
}

#[test]
fn requests_on_one_connection_are_decided_one_by_one() {
    let world = World::start();
    let good = world
        .envoy
        .get("/me")
        .header(CLAIMS, world.token(&json!({})))
        .to_http1();
    let bare = world.envoy.get("/me").to_http1();
    let public = world.envoy.get("/public/x").to_http1();
    let requests: [&[u8]; 5] = [&good, &bare, &public, &bare, &good];
    let responses = world.envoy.client().conversation(&requests);
    let statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
    assert_eq!(statuses, [200, 401, 200, 401, 200]);
    let subjects: Vec<Option<String>> = world
        .upstream
        .take()
        .iter()
        .map(|seen| seen.header("x-auth-subject"))
        .collect();
    assert_eq!(
        subjects,
        [Some("alice".to_owned()), None, Some("alice".to_owned())]
    );
}

#[test]
fn grpc_gets_its_own_status() {
    let world = World::with(|_| {}, Setup::http2_upstreams);
    let reader = world.token_of(&["reader"]);
    let response = world
        .envoy
        .grpc("/shop.Orders/Get", b"hello")
        .header(CLAIMS, &reader)
        .send();
    assert_eq!(
        (response.status, response.trailer("grpc-status").as_deref()),
        (200, Some("0"))
    );
    assert_eq!(response.body, b"\0\0\0\0\x05hello");
    assert!(response.header("x-correlation-id").is_some());
    assert_eq!(
        world.upstream.only().header("x-auth-subject").as_deref(),
        Some("alice")
    );

    let visitor = world.token_of(&["visitor"]);
    for (token, path, status, reason) in [
        (None, "/shop.Orders/Get", "16", "claims_missing"),
        (
            Some("x".to_owned()),
            "/shop.Orders/Get",
            "16",
            "claims_malformed",
        ),
        (Some(visitor.clone()), "/shop.Orders/Get", "7", "role"),
        (Some(visitor), "/shop.Unknown/Get", "7", "route_unknown"),
        (None, "/shop.Orders/..%2fGet", "3", "path_ambiguous"),
    ] {
        let mut call = world.envoy.grpc(path, b"hello").header("x-test", reason);
        if let Some(token) = token {
            call = call.header(CLAIMS, token);
        }
        let response = call.send();
        assert_eq!(
            response.status, 200,
            "gRPC errors are trailers of a 200: {response:?}"
        );
        assert_eq!(
            response.trailer("grpc-status").as_deref(),
            Some(status),
            "{response:?}"
        );
        let message = response.trailer("grpc-message").unwrap_or_default();
        assert!(message.contains(reason), "{response:?}");
        assert!(
            response.trailer("x-correlation-id").is_some(),
            "{response:?}"
        );
        assert!(response.body.is_empty(), "{response:?}");
        assert_eq!(world.upstream.take(), []);
        let details = world.envoy.access_of(reason)["details"].to_string();
        assert!(
            details.contains(&format!("edge_claims_denied{{{reason}}}")),
            "{details}"
        );
    }
}

#[test]
fn upgrades_are_decided_at_their_start() {
    let world = World::with(
        |_| {},
        |setup| setup.hcm(&json!({"upgrade_configs": [{"upgrade_type": "websocket"}]})),
    );
    let upgrade = |path: &str| {
        world
            .envoy
            .get(path)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")
    };
    let extended = |path: &str| {
        world
            .envoy
            .request("CONNECT", path)
            .http2()
            .pseudo(":protocol", "websocket")
            .header("sec-websocket-version", "13")
            .left_open()
    };
    for request in [
        upgrade("/me"),
        extended("/me"),
        upgrade("/admin"),
        extended("/admin"),
    ] {
        let response = request.clone().send();
        assert_eq!(response.status, 401, "{request:?}: {response:?}");
        assert_eq!(world.upstream.take(), []);
    }
    let token = world.token(&json!({}));
    for request in [upgrade("/me"), extended("/me")] {
        let _ = request.header(CLAIMS, &token).send();
        // The echo does not speak WebSocket; what counts is that the upgrade has reached it.
        let seen = world.upstream.only();
        assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    }
}

#[test]
fn a_reply_of_another_filter_does_not_disturb_ours() {
    // A filter before ours answers by itself: ours sees a response to a request that it never saw.
    let lua = |code: &str| {
        json!({"name": "lua", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": code}}})
    };
    let answers = "function envoy_on_request(h) \
        if h:headers():get(\"x-answer\") then h:respond({[\":status\"] = \"418\"}, \"short\") end end";
    let world = World::with(|_| {}, |setup| setup.filter(lua(answers)));
    for _ in 0..3 {
        assert_eq!(
            world.envoy.get("/me").header("x-answer", "1").send().status,
            418
        );
        world.denied(world.envoy.get("/me"), 401, "claims_missing");
    }
    world.allowed(
        world
            .envoy
            .get("/me")
            .header(CLAIMS, world.token(&json!({}))),
    );
}

#[test]
fn a_peers_certificate_may_stand_in_for_claims() {
    let authority = Authority::new();
    let gateway = authority.client("spiffe://cluster.local/ns/edge/sa/gateway");
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let mut config = policy(&[issuer(ISSUER, &[&key])]);
    config["rbac"]["routes"] = json!([{"name": "mesh", "path": "/mesh",
        "allow": {"peers": ["spiffe://cluster.local/ns/edge/*"]}}]);
    count_validated_peers(&mut config);
    let envoy = Setup::new(&upstream)
        .mtls(&authority, &gateway)
        .plugin(&config)
        .start();
    assert_eq!(envoy.get("/mesh").send().status, 200);
    let other = authority.client("spiffe://cluster.local/ns/other/sa/x");
    let envoy = Setup::new(&upstream)
        .mtls(&authority, &other)
        .plugin(&config)
        .start();
    let forged = "By=spiffe://x;URI=spiffe://cluster.local/ns/edge/sa/gateway";
    for request in [
        envoy.get("/mesh"),
        envoy.get("/mesh").header("x-forwarded-client-cert", forged),
    ] {
        let response = request.send();
        assert!([401, 403].contains(&response.status), "{response:?}");
    }
    let plain = Setup::new(&upstream).plugin(&config).start();
    let response = plain
        .get("/mesh")
        .header("x-forwarded-client-cert", forged)
        .send();
    assert!([401, 403].contains(&response.status), "{response:?}");
    assert_eq!(upstream.take().len(), 1);
}

#[test]
fn the_standalone_example_runs_as_it_is() {
    let upstream = Upstream::start();
    let (port, admin) = (tools::free_port(), tools::free_port());
    let secret = "a-secret-of-at-least-32-bytes-for-the-test";
    let example = tools::root().join("examples/envoy/standalone.yaml");
    let module = tools::module();
    let envoy = Envoy::run_file(
        &example,
        &[
            ("port_value: 10000", &format!("port_value: {port}")),
            ("port_value: 9901", &format!("port_value: {admin}")),
            (
                "port_value: 8080",
                &format!("port_value: {}", upstream.port()),
            ),
            (
                "/etc/envoy/edge_claims.wasm",
                module.to_str().expect("a plain path"),
            ),
        ],
        &[("EDGE_CLAIMS_SECRET", secret)],
        port,
        admin,
    );
    let key = Key::secret("HS256", "edge-1", secret.as_bytes());
    let claims =
        edge_claims_harness::tokens::claims(&json!({"roles": ["reader"], "tenant_id": "a"}));
    assert_eq!(envoy.get("/public/x").send().status, 200);
    assert_eq!(envoy.get("/tenants/a/orders/1").send().status, 401);
    let request = envoy
        .get("/tenants/a/orders/1")
        .header(CLAIMS, key.sign(&claims));
    let response = request.send();
    assert_eq!(response.status, 200, "{response:?}");
    let seen = upstream.take().pop().unwrap();
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    assert_eq!(
        envoy
            .get("/tenants/b/orders/1")
            .header(CLAIMS, key.sign(&claims))
            .send()
            .status,
        403
    );
}
