//! Tokens bound to the path of a request: alone, or with its query.

use serde_json::json;

use crate::support::{CLAIMS, World};

fn bound(member: &'static str) -> World {
    World::with(
        |policy| policy["claims"]["issuers"][0]["bind"] = json!({member: "htp"}),
        |setup| setup,
    )
}

#[track_caller]
fn check(world: &World, claim: &str, passes: &[&str], refused: &[&str]) {
    let token = world.token(&json!({"htp": claim}));
    // Twice: fresh, and from the cache.
    for _ in 0..2 {
        for path in passes {
            let request = world.envoy.get(path).header(CLAIMS, &token);
            assert_eq!(world.allowed(request.clone()).path(), *path);
            world.allowed(request.http2());
        }
        for path in refused {
            let request = world.envoy.get(path).header(CLAIMS, &token);
            world.denied(request.clone(), 401, "binding_request");
            world.denied(request.http2(), 401, "binding_request");
        }
    }
}

#[test]
fn a_bound_path_leaves_the_query_free() {
    let world = bound("path");
    let passes = ["/me", "/me?", "/me?page=2", "/me?page=3&q=/me"];
    check(&world, "/me", &passes, &["/me/"]);
    check(&world, "/other", &[], &["/me", "/me?/other"]);
}

#[test]
fn a_bound_path_and_query_are_compared_whole() {
    let world = bound("path_and_query");
    let refused = [
        "/me",
        "/me?",
        "/me?page=3",
        "/me?page=2&x=1",
        "/me?page=2?",
        "/me?page=%32",
    ];
    check(&world, "/me?page=2", &["/me?page=2"], &refused);
    check(&world, "/me", &["/me"], &["/me?", "/me?page=2", "/me/"]);
    let missing = world.token(&json!({}));
    let request = world.envoy.get("/me").header(CLAIMS, missing);
    world.denied(request, 401, "binding_request");
}
