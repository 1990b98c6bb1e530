//! Which requests pass the filter, and with which config: policies of gateways and routes.

use edge_claims_harness::tokens::{self, Key};
use serde_json::{Value, json};

use crate::failures::trapping;
use crate::lab::Lab;
use crate::manifests::{self, gateway_policy, policy, route};
use crate::sources::Files;

fn key() -> Key {
    Key::generate("ES256", "edge-1")
}

/// The example's gateway with the filter on all of it.
fn guarded(files: &Files, key: &Key) -> Vec<Value> {
    let mut resources = manifests::gateway(None);
    resources.push(gateway_policy(&files.code(), &manifests::config(key)));
    resources
}

#[test]
fn a_route_can_have_a_config_of_its_own() {
    let (key, files) = (key(), Files::start());
    let mut resources = guarded(&files, &key);
    let own = manifests::public_config(&key, "feed");
    resources.push(policy(
        "partners",
        ("HTTPRoute", "partners"),
        &files.code(),
        &own,
    ));
    let lab = Lab::start(&resources);

    let partner = lab.get("/orders").host("partners.example.com");
    lab.until(200, &partner);
    assert_eq!(
        lab.access("verdict", "allow/feed")["host"],
        "partners.example.com"
    );
    assert_eq!(lab.get("/orders").send().status, 401);

    // Each is off on the listener; a route turns its own on.
    let filters = lab.filters();
    assert_eq!(filters.len(), 2, "{filters:#?}");
    assert!(filters.iter().all(|filter| filter["disabled"] == true));
}

/// A policy for the route `shop` with another filter in place of ours, which lets every request pass.
pub fn other_policy() -> (Files, Value) {
    let files = Files::serving(trapping());
    let policy = policy("other", ("HTTPRoute", "shop"), &files.code(), &json!({}));
    (files, policy)
}

#[test]
fn a_policy_on_a_route_takes_the_gateways_filter_away_also_if_it_is_merged() {
    let (key, files) = (key(), Files::start());
    let mut resources = guarded(&files, &key);
    let lab = Lab::start(&resources);
    lab.until(401, &lab.get("/orders"));

    let (_other, mut other) = other_policy();
    resources.push(other.clone());
    lab.change(&resources);
    lab.until(200, &lab.get("/orders"));
    assert_eq!(
        lab.access("details", "via_upstream")["verdict"],
        Value::Null
    );

    // The list of Wasm filters is replaced as a whole.
    other["spec"]["mergeType"] = json!("StrategicMerge");
    resources.pop();
    resources.push(other);
    lab.change(&resources);
    lab.wait_for_gateway_log("type: Merged");
    assert_eq!(lab.get("/orders").send().status, 200);
}

#[test]
fn a_request_without_a_route_does_not_reach_the_filter() {
    let (key, files) = (key(), Files::start());
    let lab = Lab::start(&guarded(&files, &key));
    lab.until(401, &lab.get("/orders"));
    let response = lab.get("/").host("unknown.example.com").send();
    assert_eq!(response.status, 404);
    let record = lab.access("host", "unknown.example.com");
    assert_eq!(record["details"], "route_not_found");
    assert_eq!(record["verdict"], Value::Null);
    assert_eq!(record["correlation_id"], Value::Null);
}

/// Marks what goes through the route on the way to the upstream.
fn marked(mut route: Value) -> Value {
    let name = route["metadata"]["name"].clone();
    route["spec"]["rules"][0]["filters"] = json!([{
        "type": "RequestHeaderModifier",
        "requestHeaderModifier": {"set": [{"name": "x-route", "value": name}]},
    }]);
    route
}

/// Three routes: `open` for every host and path, `folder` for `/admin`, and `host` for a host; each with a policy of its
/// own, of which the first has this config. Those of the others need a token.
fn three_routes(files: &Files, key: &Key, open: &Value) -> Lab {
    let closed = manifests::config(key);
    let mut resources = manifests::gateway(None);
    resources.retain(|resource| resource["kind"] != "HTTPRoute");
    resources.extend([
        marked(route("open", None, "/")),
        marked(route("folder", None, "/admin")),
        marked(route("host", Some("admin.example.com"), "/")),
        policy("open", ("HTTPRoute", "open"), &files.code(), open),
        policy("folder", ("HTTPRoute", "folder"), &files.code(), &closed),
        policy("host", ("HTTPRoute", "host"), &files.code(), &closed),
    ]);
    let lab = Lab::start(&resources);
    lab.until(200, &lab.get("/public/a"));
    lab.until(401, &lab.get("/admin/users"));
    lab.until(401, &lab.get("/orders").host("admin.example.com"));
    let _ = lab.upstream.take();
    lab
}

/// The filter writes the host in the form that it judged, and Envoy selects the route again, but not the filters. Envoy
/// Gateway lets Envoy decode the path and ignore the port before it selects the route.
#[test]
fn a_policy_that_allows_the_host_of_another_one_is_a_way_around_it() {
    let (key, files) = (key(), Files::start());
    let open = manifests::config_with(
        &key,
        &json!({"rbac": {"routes": [
            {"name": "open", "hosts": ["*.example.com"], "path": "/{*rest}", "allow": "public"},
        ]}}),
    );
    let lab = three_routes(&files, &key, &open);
    for path in ["/%61dmin/users", "//admin/users", "/x/../admin/users"] {
        assert_eq!(lab.get(path).send().status, 401, "{path}");
    }
    assert_eq!(
        lab.get("/orders")
            .host("admin.example.com:81")
            .send()
            .status,
        401
    );
    let _ = lab.upstream.take();
    assert_eq!(
        lab.get("/orders").host("admin.example.com.").send().status,
        200
    );
    assert_eq!(
        lab.upstream.only().header("x-route").as_deref(),
        Some("host")
    );
}

#[test]
fn policies_that_allow_only_their_own_hosts_and_paths_leave_no_way_around() {
    let (key, files) = (key(), Files::start());
    let open = manifests::config_with(
        &key,
        &json!({"rbac": {"routes": [
            {"name": "open", "hosts": ["shop.example.com"], "path": "/public/{*rest}", "allow": "public"},
        ]}}),
    );
    let lab = three_routes(&files, &key, &open);
    let reached = |what: &str| {
        for seen in lab.upstream.take() {
            assert_eq!(
                seen.header("x-route").as_deref(),
                Some("open"),
                "{what}: {seen:?}"
            );
            assert!(seen.path().starts_with("/public/"), "{what}: {seen:?}");
        }
    };
    for path in PATHS {
        for request in [lab.get(path), lab.get(path).http2()] {
            let _ = request.send();
            reached(path);
        }
    }
    for host in HOSTS {
        for request in [
            lab.get("/public/a").host(host),
            lab.get("/public/a").http2().host(host),
        ] {
            let _ = request.send();
            reached(host);
        }
    }
    let token = key.sign(&tokens::claims(&json!({})));
    let allowed = lab.get("/admin/users").header("x-edge-claims", token);
    assert_eq!(allowed.send().status, 200);
    assert_eq!(
        lab.upstream.only().header("x-route").as_deref(),
        Some("folder")
    );
}

/// Spellings of a path below `/admin`.
const PATHS: [&str; 24] = [
    "/admin",
    "//admin/users",
    "/./admin/users",
    "/x/../admin/users",
    "/x/%2e%2e/admin/users",
    "/public/../admin/users",
    "/public/%2e%2e/%61dmin/users",
    "/%61dmin/users",
    "/x/..%2fadmin/users",
    "/public%2f..%2fadmin/users",
    "/public/..%5cadmin/users",
    "/x\\..\\admin/users",
    "/admin;v=1/users",
    "/;/admin/users",
    "/%2561dmin/users",
    "/ADMIN/../admin/users",
    "/public/.;/../admin/users",
    "/%2fadmin/users",
    "/.%2fadmin/users",
    "/%c0%aeadmin",
    "/admin%00",
    "/public/%252e%252e/admin/users",
    "/admin#x",
    "/%5c../admin/users",
];

/// Spellings of `admin.example.com`, and what is none.
const HOSTS: [&str; 12] = [
    "admin.example.com:80",
    "ADMIN.example.com",
    "admin.example.com.",
    "admin.example.com.:80",
    "Admin.Example.Com:0080",
    "admin.example.com:",
    "x@admin.example.com",
    "admin.example.com, x",
    "admin%2eexample.com",
    " admin.example.com",
    "admin.example.com:80:80",
    "[admin.example.com]",
];
