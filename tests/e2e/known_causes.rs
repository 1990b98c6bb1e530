//! Causes of known vulnerabilities in filters like this one, and in Envoy and Istio around them.

use edge_claims_harness::tls::Authority;
use edge_claims_harness::tokens::Key;
use edge_claims_harness::{Client, Setup, Upstream};
use serde_json::json;

use crate::support::{CLAIMS, ISSUER, World, count_validated_peers, issuer, policy};

/// CVE-2023-27487: `x-envoy-original-path` is Envoy's own, but a client may send it.
#[test]
fn an_original_path_that_a_client_sends_decides_nothing() {
    let world = World::start();
    let reader = world.token_of(&["reader"]);
    let admin = world.envoy.get("/admin/x");
    let name = "x-envoy-original-path";
    for request in [
        admin.clone().header(name, "/public/x"),
        admin.clone().header("X-Envoy-Original-Path", "/public/x"),
        admin.http2().header(name, "/public/x"),
    ] {
        world.denied(request.clone(), 401, "claims_missing");
        world.denied(request.header(CLAIMS, &reader), 403, "role");
    }
    let public = world.envoy.get("/public/x").header(name, "/admin/x");
    assert_eq!(world.allowed(public).path(), "/public/x");
    // A route that names the header's path, and a bound token.
    let world = World::with(
        |policy| policy["claims"]["issuers"][0]["bind"] = json!({"path": "htp"}),
        |setup| setup,
    );
    let token = world.token(&json!({"htp": "/public/x"}));
    let request = world.envoy.get("/me").header(CLAIMS, token);
    let request = request.header("x-envoy-original-path", "/public/x");
    world.denied(request, 401, "binding_request");
}

/// CVE-2024-45806: what clients say in Envoy's own headers is believed where their addresses count as
/// internal. No condition may rest on them, wherever in a test it is.
#[test]
fn a_condition_on_envoys_own_headers_is_refused_at_load() {
    let claim = json!({"claim": "sub", "equals": "alice"});
    let mut routes = Vec::new();
    for name in [
        "x-envoy-internal",
        "x-envoy-external-address",
        "x-envoy-original-path",
        "x-envoy-downstream-service-cluster",
        "x-envoy-peer-metadata",
    ] {
        let test = json!({"header": name, "equals": "true"});
        for test in [
            test.clone(),
            json!({"not": test}),
            json!({"all": [claim, test]}),
            json!({"any": [claim, test]}),
        ] {
            let number = routes.len();
            routes.push(
                json!({"name": format!("r{number}"), "path": format!("/{number}"),
                "allow": {"when": test}}),
            );
        }
    }
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let mut config = policy(&[issuer(ISSUER, &[&key])]);
    config["rbac"]["routes"] = json!(routes);
    let problem = Setup::new(&upstream)
        .plugin(&config)
        .try_start()
        .unwrap_err();
    for number in 0..routes.len() {
        let place = format!("rbac.routes[{number}].allow.when.");
        assert!(problem.contains(&place), "{place} is not in {problem}");
    }
}

/// CVE-2025-46821: a URI template that forgets a character leaves paths with it unguarded.
#[test]
fn a_guarded_variable_takes_every_character_of_a_path() {
    let world = World::with(
        |policy| {
            policy["rbac"]["routes"] = json!([
                {"name": "guarded", "path": "/orders/{id}", "allow": {"any_role": ["admin"]}},
                {"name": "guarded-end", "path": "/reports/{id}/all", "allow": {"any_role": ["admin"]}},
                {"name": "public", "path": "/{*rest}", "allow": "public"},
            ]);
        },
        |setup| setup,
    );
    // All of pchar (RFC 3986 §3.3), and what some clients send besides; not `;`, which is refused.
    for character in "-._~!$&'()*+,=:@{}|^`<>[]".chars() {
        for path in [
            format!("/orders/{character}"),
            format!("/orders/a{character}b"),
            format!("/orders/{character}{character}{character}x"),
            format!("/reports/a{character}/all"),
        ] {
            for request in [world.envoy.get(&path), world.envoy.get(&path).http2()] {
                let response = request.send();
                assert_ne!(response.status, 200, "{path}");
                assert_eq!(world.upstream.take(), [], "{path}");
            }
        }
    }
    // The target `*` is no path (RFC 9112 §3.2.4).
    for method in ["OPTIONS", "GET"] {
        for request in [
            world.envoy.request(method, "*"),
            world.envoy.request(method, "*").http2(),
        ] {
            let response = request.send();
            assert_ne!(response.status, 200, "{method} *: {response:?}");
            assert_eq!(world.upstream.take(), [], "{method} *");
        }
    }
    assert_eq!(world.allowed(world.envoy.get("/*")).path(), "/*");
}

/// CVE-2026-39350: a dot that is read as a regular expression's matches any character.
#[test]
fn a_dot_in_hosts_and_peers_is_a_dot() {
    const PEER: &str = "spiffe://cluster.local/ns/edge/sa/gate.way";
    let authority = Authority::new();
    let gateway = authority.client(PEER);
    let world = World::with(
        |policy| {
            count_validated_peers(policy);
            policy["rbac"]["routes"] = json!([
                {"name": "host", "hosts": ["shop.example.com"], "path": "/host", "allow": "public"},
                {"name": "below", "hosts": ["*.shop.example.com"], "path": "/below", "allow": "public"},
                {"name": "peer", "path": "/peer", "allow": {"peers": [PEER]}},
                {"name": "prefix", "path": "/prefix", "allow": {"peers": ["spiffe://cluster.local/ns/e.dge/*"]}},
            ]);
        },
        |setup| setup.mtls(&authority, &gateway),
    );
    let token = world.token(&json!({}));
    let get = |path: &str| world.envoy.get(path).header(CLAIMS, &token);
    world.allowed(get("/host").host("shop.example.com"));
    world.allowed(get("/below").host("a.shop.example.com"));
    for host in [
        "shopXexample.com",
        "shop.exampleXcom",
        "shop-example.com",
        "shop.example-com",
    ] {
        world.denied(get("/host").host(host), 403, "route_unknown");
    }
    for host in [
        "a.shopXexample.com",
        "aXshop.example.com",
        "a.shop.exampleXcom",
        "shop.example.com",
    ] {
        world.denied(get("/below").host(host), 403, "route_unknown");
    }
    let peer = |uri: &str| {
        let identity = authority.client(uri);
        Client::with_tls(world.envoy.port(), authority.client_tls(Some(&identity)))
    };
    world.allowed(peer(PEER).get("/peer"));
    world.allowed(peer("spiffe://cluster.local/ns/e.dge/sa/x").get("/prefix"));
    for uri in [
        "spiffe://clusterXlocal/ns/edge/sa/gate.way",
        "spiffe://cluster.local/ns/edge/sa/gateXway",
        "spiffe://cluster-local/ns/edge/sa/gate-way",
    ] {
        world.denied(peer(uri).get("/peer"), 403, "peer");
    }
    for uri in [
        "spiffe://cluster.local/ns/eXdge/sa/x",
        "spiffe://clusterXlocal/ns/e.dge/sa/x",
    ] {
        world.denied(peer(uri).get("/prefix"), 403, "peer");
    }
}
