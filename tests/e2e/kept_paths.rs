//! Paths that are kept as they are (`keep`) although backends read them in more than one way: each
//! reading must be safe, also where no route matches it.

use edge_claims_harness::{Backend, Reload, Request, Setup};
use serde_json::{Value, json};

use crate::support::{CLAIMS, ISSUER, World, issuer, policy as default_policy};

fn pages(policy: &mut Value) {
    policy["rbac"]["path"] = json!({"encoded_slash": "keep"});
    policy["rbac"]["routes"] = json!([
        {"name": "page", "path": "/{name}", "allow": "public"},
        {"name": "file", "path": "/files/{name}", "allow": "public"},
        {"name": "upload", "methods": ["POST"], "path": "/files/incoming/{name}",
            "allow": {"any_role": ["editor"]}},
        {"name": "tail", "path": "/docs/{*rest}", "allow": "public"},
    ]);
}

#[track_caller]
fn ambiguous(world: &World, path: &str) {
    let request = world.envoy.get(path);
    for request in [request.clone(), request.http2()] {
        world.denied(request, 400, "path_ambiguous");
    }
}

#[test]
fn a_reading_without_a_route_is_refused_outside_the_routes_own_folder() {
    let world = World::with(pages, |setup| setup);
    for path in [
        "/admin%2Fusers",
        "/admin%2fusers",
        "/admin%2Fusers%2F1",
        "/x%2Fy",
    ] {
        ambiguous(&world, path);
    }
    for path in [
        "/x",
        "/files/a",
        "/files/a%2Fb",
        "/files/a%2Fb%2Fc",
        "/docs/a%2Fb",
        "/docs/a/b%2Fc",
    ] {
        let request: Request = world.envoy.get(path);
        for request in [request.clone(), request.http2()] {
            assert_eq!(world.allowed(request).path(), path);
        }
    }
}

#[test]
fn a_reading_that_only_a_route_for_another_method_matches_is_refused() {
    let world = World::with(pages, |setup| setup);
    // As `/files/incoming/x` it has a route, but for POST: nobody may GET that.
    ambiguous(&world, "/files/incoming%2Fx");
    ambiguous(&world, "/files/incoming%2fx");
    let editor = world.token(&json!({"roles": ["editor"]}));
    let post = |path: &str| world.envoy.request("POST", path).header(CLAIMS, &editor);
    world.allowed(post("/files/incoming/x"));
    world.denied(post("/files/incoming%2Fx"), 400, "path_ambiguous");
}

#[test]
fn triple_encoding_is_read_to_its_end() {
    let world = World::with(
        |policy| {
            policy["rbac"]["path"] = json!({"double_encoding": "keep"});
            policy["rbac"]["routes"] = json!([
                {"name": "admin", "path": "/admin/{*rest}", "allow": {"any_role": ["admin"]}},
                {"name": "public", "path": "/{*rest}", "allow": "public"},
            ]);
        },
        |setup| setup,
    );
    for path in [
        "/%2561dmin/x",
        "/%252561dmin/x",
        "/%25252561dmin/x",
        "/adm%25%36%39n/x",
    ] {
        ambiguous(&world, path);
    }
    assert_eq!(
        world.allowed(world.envoy.get("/x%252541")).path(),
        "/x%252541"
    );
}

#[test]
fn no_framework_serves_a_page_that_has_no_route() {
    let backends = [
        Backend::flask(),
        Backend::django(),
        Backend::uvicorn(),
        Backend::hypercorn(),
    ];
    for backend in &backends {
        let world = World::with(pages, |setup| {
            let setup = setup.cluster(backend.cluster());
            setup.virtual_hosts(&[(&["*"], backend.name())])
        });
        assert_eq!(world.envoy.get("/x").send().status, 200);
        assert_eq!(backend.handlers(), ["page"], "{}", backend.name());
        for path in ["/admin%2Fusers", "/admin%2fusers"] {
            let response = world.envoy.get(path).send();
            assert_eq!(backend.handlers(), [""; 0], "{}: {path}", backend.name());
            assert_eq!(response.status, 400, "{}: {response:?}", backend.name());
            assert_eq!(response.json()["code"], "path_ambiguous");
        }
    }
}

#[test]
fn a_route_whose_keep_can_never_hold_is_refused_at_load() {
    let mut world = World::start();
    let mut load = |path: &str| {
        let mut policy = default_policy(&[issuer(ISSUER, &[&world.key])]);
        policy["rbac"]["routes"] = json!([{"name": "page", "path": path, "allow": "public",
            "path_rules": {"encoded_slash": "keep"}}]);
        let reload = |setup: Setup| setup.without_filters().plugin(&policy);
        world.envoy.reload(reload)
    };
    // A kept slash makes two segments of the variable: no other reading can be this route's, and
    // there is no literal segment that it could lie below.
    for path in ["/{name}", "/{name}/{other}"] {
        let result = load(path);
        let place = "rbac.routes[0].path_rules.encoded_slash";
        assert!(
            matches!(&result, Reload::Rejected(problem) if problem.contains(place)),
            "{path}: {result:?}"
        );
    }
    for path in ["/files/{name}", "/{*rest}"] {
        assert_eq!(load(path), Reload::Accepted, "{path}");
    }
}
