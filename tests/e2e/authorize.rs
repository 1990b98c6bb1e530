//! Routes, roles, bindings, hosts: who gets through.

use serde_json::{Value, json};

use crate::support::{CLAIMS, World};

#[test]
fn without_claims_only_public_routes_are_open() {
    let world = World::start();
    world.allowed(world.envoy.get("/public/style.css"));
    world.allowed(world.envoy.get("/public"));
    for path in [
        "/me",
        "/tenants/a/orders/1",
        "/admin",
        "/admin/x",
        "/",
        "/unknown",
        "/publicity",
    ] {
        world.denied(world.envoy.get(path), 401, "claims_missing");
    }
}

#[test]
fn with_claims_an_unknown_route_is_forbidden() {
    let world = World::start();
    let token = world.token_of(&["admin"]);
    for path in ["/", "/unknown", "/administration", "/me/x"] {
        world.denied(
            world.envoy.get(path).header(CLAIMS, &token),
            403,
            "route_unknown",
        );
    }
}

#[test]
fn roles_are_needed_and_inherited() {
    let world = World::start();
    let get =
        |path: &str, roles: &[&str]| world.envoy.get(path).header(CLAIMS, world.token_of(roles));
    for role in ["reader", "editor", "admin"] {
        world.allowed(get("/tenants/a/orders/1", &[role]));
    }
    world.denied(get("/tenants/a/orders/1", &["visitor"]), 403, "role");
    world.denied(get("/tenants/a/orders/1", &[]), 403, "role");
    world.denied(get("/admin/users", &["editor"]), 403, "role");
    world.allowed(get("/admin/users", &["admin"]));
    world.allowed(get("/admin", &["admin"]));
    world.denied(get("/audit", &["reader"]), 403, "role");
    world.denied(get("/audit", &["auditor"]), 403, "role");
    world.allowed(get("/audit", &["auditor", "editor"]));
    let post = world.envoy.request("POST", "/tenants/a/orders");
    let reader = world.token_of(&["reader"]);
    world.denied(post.header(CLAIMS, &reader), 403, "role");
}

#[test]
fn a_missing_or_oddly_typed_role_claim_grants_nothing() {
    let world = World::start();
    let odd = [
        json!({"roles": null}),
        json!({"roles": {"reader": true}}),
        json!({"roles": true}),
        json!({"roles": [["reader"]]}),
        json!({"roles": [1]}),
        json!({"roles": "Reader"}),
        json!({"roles": "reader,x"}),
    ];
    for mut changes in odd {
        changes["tenant_id"] = json!("a");
        let request = world
            .envoy
            .get("/tenants/a/orders/1")
            .header(CLAIMS, world.token(&changes));
        world.denied(request, 403, "role");
    }
    let one = world.token(&json!({"roles": "reader", "tenant_id": "a"}));
    world.allowed(world.envoy.get("/tenants/a/orders/1").header(CLAIMS, one));
}

#[test]
fn a_path_variable_must_equal_its_claim() {
    let world = World::start();
    let get = |path: &str, tenant: Value| {
        let token = world.token(&json!({"roles": ["reader"], "tenant_id": tenant}));
        world.envoy.get(path).header(CLAIMS, token)
    };
    world.allowed(get("/tenants/a/orders", json!("a")));
    world.allowed(get("/tenants/b/orders", json!(["a", "b"])));
    world.allowed(get("/tenants/%61/orders", json!("a")));
    for (path, tenant) in [
        ("/tenants/b/orders", json!("a")),
        ("/tenants/A/orders", json!("a")),
        ("/tenants/a/orders", json!(null)),
        ("/tenants/1/orders", json!(1)),
        ("/tenants/true/orders", json!(true)),
        ("/tenants/a/orders", json!({"a": "a"})),
        ("/tenants/ab/orders", json!("a")),
    ] {
        world.denied(get(path, tenant), 403, "binding_route");
    }
}

#[test]
fn get_includes_head_and_other_methods_need_their_own_route() {
    let world = World::start();
    let token = world.token_of(&["reader"]);
    let head = world
        .envoy
        .request("HEAD", "/tenants/a/orders")
        .header(CLAIMS, &token);
    world.allowed(head);
    for method in ["DELETE", "PATCH", "OPTIONS", "PROPFIND", "get"] {
        let request = world
            .envoy
            .request(method, "/tenants/a/orders")
            .header(CLAIMS, &token);
        let response = request.send();
        assert!(
            [400, 403].contains(&response.status),
            "{method}: {response:?}"
        );
        assert_eq!(world.upstream.count(), 0, "{method} got through");
    }
}

#[test]
fn a_method_that_is_no_token_gets_through_nowhere() {
    let world = World::start();
    for method in [
        &b"G\xc4T"[..],
        b"GET\xff",
        b"G T",
        b"GET,POST",
        b"G\tT",
        b"",
    ] {
        // The route is for all methods; over HTTP/1.1 Envoy's parser refuses most of them.
        let request = world.envoy.request(method, "/public/x");
        for request in [request.clone(), request.http2()] {
            let response = request.send();
            assert_eq!(world.upstream.take(), [], "{method:?}: {response:?}");
            assert!(
                [0, 400].contains(&response.status),
                "{method:?}: {response:?}"
            );
        }
    }
}

#[test]
fn hosts_match_whole_and_wildcards_match_labels_below() {
    let world = World::with(
        |policy| {
            policy["rbac"]["routes"] = json!([
                {"name": "exact", "hosts": ["shop.example.com"], "path": "/p", "allow": "public"},
                {"name": "below", "hosts": ["*.shop.example.com"], "path": "/q", "allow": "public"},
                {"name": "six", "hosts": ["[::1]"], "path": "/six", "allow": "public"},
            ]);
        },
        |setup| setup,
    );
    let get = |host: &str, path: &str| world.envoy.get(path).host(host);
    for host in [
        "shop.example.com",
        "SHOP.Example.Com",
        "shop.example.com:8443",
        "shop.example.com.",
    ] {
        world.allowed(get(host, "/p"));
    }
    for host in [
        "a.shop.example.com",
        "a.b.shop.example.com",
        "A.shop.example.com:1",
    ] {
        world.allowed(get(host, "/q"));
    }
    world.allowed(get("[::1]", "/six"));
    world.allowed(get("[::1]:80", "/six"));
    world.allowed(get("[0:0:0:0:0:0:0:1]", "/six"));
    for (host, path) in [
        ("example.com", "/p"),
        ("xshop.example.com", "/p"),
        ("shop.example.com.evil.example", "/p"),
        ("shop.example.com", "/q"),
        ("evilshop.example.com", "/q"),
        ("[::2]", "/six"),
    ] {
        world.denied(get(host, path), 401, "claims_missing");
    }
}

#[test]
fn what_is_no_host_is_a_malformed_request() {
    let world = World::start();
    for host in [
        "a b",
        "a..b",
        ".a",
        "a/b",
        "user@shop.example.com",
        "shop.example.com:x",
        "[::1",
        "::1",
        "a,b",
        "shop.example.com:99999",
        "%61.example.com",
        "a\u{e4}.example",
    ] {
        for request in [
            world.envoy.get("/public/x").host(host),
            world.envoy.get("/public/x").host(host).http2(),
        ] {
            let response = request.send();
            assert_eq!(
                world.upstream.take(),
                [],
                "{host:?} got through: {response:?}"
            );
            // Envoy itself refuses some before the filter sees them.
            assert!(
                response.status == 400 || response.error.is_some(),
                "{host:?}: {response:?}"
            );
        }
    }
}

#[test]
fn default_authenticated_lets_known_users_go_where_no_route_is() {
    let world = World::with(
        |policy| policy["rbac"]["default"] = json!("authenticated"),
        |setup| setup,
    );
    world.denied(world.envoy.get("/unknown"), 401, "claims_missing");
    let request = world
        .envoy
        .get("/unknown")
        .header(CLAIMS, world.token_of(&[]));
    world.allowed(request);
    let request = world
        .envoy
        .get("/admin")
        .header(CLAIMS, world.token_of(&[]));
    world.denied(request, 403, "role");
}

#[test]
fn a_deny_explains_itself_in_the_log_and_not_to_the_client() {
    let world = World::start();
    let request = world.envoy.request("POST", "/tenants/a/orders?secret=1");
    let response = world.denied(
        request.header(CLAIMS, world.token_of(&["reader"])),
        403,
        "role",
    );
    let id = response.header("x-correlation-id").unwrap();
    let line = world.envoy.wait_for_log(&id);
    assert!(
        line.contains("orders-write") && line.contains("editor"),
        "{line}"
    );
    assert!(!line.contains("secret"), "{line}");
    assert!(!response.text().contains("editor"), "{response:?}");
}
