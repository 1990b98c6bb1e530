//! Tests of the config's `tests`.

use serde_json::{Value, json};

use super::{errors_of, smallest};

/// A config with some routes and these tests.
fn with_tests(tests: Value) -> Vec<String> {
    let mut config = smallest();
    config["rbac"] = json!({
        "roles": {"claim": "roles", "includes": {"admin": ["editor"]}},
        "cors_preflight": "allow",
        "routes": [
            {"name": "public", "path": "/public/{*rest}", "allow": "public"},
            {"name": "me", "path": "/me", "allow": "authenticated"},
            {"name": "orders", "hosts": ["shop.example.com"], "methods": ["PUT"], "path": "/t/{tenant}/orders",
                "allow": {"any_role": ["editor"], "bind": {"tenant": "tenant"}}},
            {"name": "pay", "path": "/pay", "allow": {"when": {"all": [
                {"claim": "auth_time", "max_age": "5m"}, {"header": "x-env", "equals": "prod"}]}}},
            {"name": "mesh", "path": "/mesh", "allow": {"peers": ["spiffe://cluster.local/ns/edge/*"]}},
            {"name": "partner", "path": "/partner", "allow": {"issuers": ["https://edge.example.com"]}},
            {"name": "dry", "path": "/dry", "mode": "shadow", "allow": {"any_role": ["admin"]}},
        ],
    });
    config["tests"] = tests;
    errors_of(&config.to_string())
}

#[track_caller]
fn holds(request: Value, rest: Value, expect: Value) {
    let mut test = json!({"name": "it", "request": request, "expect": expect});
    test.as_object_mut()
        .unwrap()
        .extend(rest.as_object().unwrap().clone());
    assert_eq!(with_tests(json!([test])), [""; 0]);
}

#[test]
fn policy_tests_cover_everything_that_access_depends_on() {
    let deny = |reason: &str, route: &str| json!({"deny": reason, "route": route});
    holds(json!({"path": "/public/x"}), json!({}), json!("allow"));
    holds(
        json!({"path": "/public/x"}),
        json!({}),
        json!({"allow": true, "route": "public"}),
    );
    holds(
        json!({"path": "/me"}),
        json!({}),
        deny("claims_missing", "me"),
    );
    holds(
        json!({"path": "/me"}),
        json!({"claims": {}}),
        json!("allow"),
    );
    holds(
        json!({"path": "/nowhere"}),
        json!({}),
        json!({"deny": "claims_missing"}),
    );
    holds(
        json!({"path": "/nowhere"}),
        json!({"claims": {}}),
        json!({"deny": "route_unknown"}),
    );
    let put = |host: &str, path: &str| json!({"method": "PUT", "host": host, "path": path});
    let editor = json!({"claims": {"roles": ["admin"], "tenant": "a"}});
    holds(
        put("SHOP.example.com:443", "/t/a/orders/"),
        editor.clone(),
        json!("allow"),
    );
    holds(
        put("shop.example.com", "/t/b/orders"),
        editor.clone(),
        deny("binding_route", "orders"),
    );
    holds(
        put("other.example", "/t/a/orders"),
        editor.clone(),
        json!({"deny": "route_unknown"}),
    );
    holds(
        put("shop.example.com", "/t/a/orders"),
        json!({"claims": {"tenant": "a"}}),
        deny("role", "orders"),
    );
    let pay = |values: Value| json!({"path": "/pay", "headers": {"X-Env": values}});
    let at = |now: &str| json!({"claims": {"auth_time": 1_767_225_600}, "now": now});
    holds(
        pay(json!("prod")),
        at("2026-01-01T00:04:59Z"),
        json!("allow"),
    );
    holds(
        pay(json!("prod")),
        at("2026-01-01T00:06:00Z"),
        deny("step_up", "pay"),
    );
    holds(
        pay(json!(["prod", "dev"])),
        at("2026-01-01T00:00:00Z"),
        deny("condition", "pay"),
    );
    // The default of `now` is 2026-01-01T00:00:00Z.
    holds(
        pay(json!("prod")),
        json!({"claims": {"auth_time": 1_767_225_400}}),
        json!("allow"),
    );
    let peer = |id: &str| json!({"peers": [id]});
    holds(
        json!({"path": "/mesh"}),
        peer("spiffe://cluster.local/ns/edge/sa/gw"),
        json!("allow"),
    );
    holds(
        json!({"path": "/mesh"}),
        peer("spiffe://cluster.local/ns/shop/sa/gw"),
        deny("peer", "mesh"),
    );
    holds(
        json!({"path": "/partner"}),
        json!({"claims": {}}),
        json!("allow"),
    );
    holds(
        json!({"path": "/partner"}),
        json!({"claims": {"iss": "other"}}),
        deny("issuer_route", "partner"),
    );
    let preflight = |method: &str| {
        json!({"method": "OPTIONS", "host": "shop.example.com", "path": "/t/a/orders", "headers":
            {"origin": "https://app.example.com", "access-control-request-method": method}})
    };
    holds(
        preflight("PUT"),
        json!({}),
        json!({"allow": true, "route": "orders"}),
    );
    holds(
        preflight("GET"),
        json!({}),
        json!({"deny": "claims_missing"}),
    );
    for (request, reason) in [
        (json!({"path": "/public/../me"}), "path_ambiguous"),
        (json!({"path": "/public/%00"}), "request_malformed"),
        (json!({"path": "public"}), "request_malformed"),
        (json!({"path": "/me", "host": "a..b"}), "request_malformed"),
        (
            json!({"path": "/me", "method": "CONNECT"}),
            "request_malformed",
        ),
    ] {
        holds(request, json!({}), json!({"deny": reason}));
    }
    // A denial that shadow mode does not enforce is still a denial.
    holds(
        json!({"path": "/dry"}),
        json!({"claims": {"roles": "visitor"}}),
        deny("role", "dry"),
    );
}

#[test]
fn a_failure_shows_the_test_the_expected_and_the_actual_decision() {
    let put = json!({"method": "PUT", "host": "shop.example.com", "path": "/t/a/orders"});
    let problems = with_tests(json!([
        {"name": "visitors write", "request": put, "claims": {"roles": ["visitor"]}, "expect": "allow"},
        {"name": "tenants", "request": put, "claims": {"roles": ["editor"], "tenant": "b"},
            "expect": {"deny": "role", "route": "orders"}},
        {"name": "other route", "request": {"path": "/public/x"}, "expect": {"allow": true, "route": "me"}},
        {"name": "fine", "request": {"path": "/public/x"}, "expect": "allow"},
        {"name": "odd path", "request": {"path": "/public//x"}, "expect": "allow"},
        {"name": "no path", "request": {"path": "/public/%zz"}, "expect": "allow"},
        {"name": "nobody", "request": {"path": "/me"}, "expect": "allow"},
        {"name": "fine", "request": {"path": "/public/x"}, "expect": "allow"},
    ]));
    assert_eq!(
        problems,
        [
            "tests[0]: the test \"visitors write\" fails: expected allow, got deny role by route orders \
             (role: has [visitor], needs any of [editor])",
            "tests[1]: the test \"tenants\" fails: expected deny role by route orders, got deny binding_route \
             by route orders (binding: {tenant} is \"a\", claim tenant differs)",
            "tests[2]: the test \"other route\" fails: expected allow by route me, got allow by route public",
            "tests[4]: the test \"odd path\" fails: expected allow, got deny path_ambiguous by route public \
             (empty_segments)",
            "tests[5]: the test \"no path\" fails: expected allow, got deny request_malformed \
             (the path holds a broken percent triplet)",
            "tests[6]: the test \"nobody\" fails: expected allow, got deny claims_missing by route me",
            "tests[7].name: two tests are named \"fine\": give each its own name",
        ]
    );
}
