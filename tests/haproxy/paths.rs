//! Paths that HAProxy, Envoy and a pool could read in different ways.

use crate::chain::*;

#[test]
fn no_spelling_of_a_guarded_path_goes_through_as_a_public_one() {
    let chain = Chain::start();
    let edge = chain.edge();
    for path in [
        "/tenants/a/orders/7",
        "//tenants/a/orders/7",
        "/public/../tenants/a/orders/7",
        "/public/%2e%2e/tenants/a/orders/7",
        "/public/%2E./tenants/a/orders/7",
        "/public/..;/tenants/a/orders/7",
        "/public/..%2ftenants/a/orders/7",
        "/public/..%5ctenants/a/orders/7",
        "/public/..\\tenants/a/orders/7",
        "/public//../tenants/a/orders/7",
        "/public/%252e%252e/tenants/a/orders/7",
        "/public/x%00/../../tenants/a/orders/7",
        "/public/%c0%ae%c0%ae/tenants/a/orders/7",
        "/./public/../tenants/a/orders/7",
        "/tenants/a/orders/7?/public/x",
        "/tenants/a/orders/7#/public/x",
        "/public/x#/../../tenants/a/orders/7",
        "/public/x%3f/../../tenants/a/orders/7",
        "http://shop.example.com/tenants/a/orders/7",
        "http://shop.example.com/public/../tenants/a/orders/7",
        "https://other.example.com//tenants/a/orders/7",
        "*",
        "tenants/a/orders/7",
        "public/../tenants/a/orders/7",
        "?/public/x",
    ] {
        for request in [
            edge.get(path),
            edge.get(path).http2(),
            edge.request("OPTIONS", path),
        ] {
            let shown = format!("{request:?}");
            let response = request.send();
            let seen = chain.readers.take();
            assert!(
                seen.len() <= 1 && chain.editors.count() == 0,
                "{shown}: {seen:?}"
            );
            for request in seen {
                let path = request.path();
                assert!(path.starts_with("/public/"), "{shown}: {path}");
                for part in [
                    "/..", "//", "%2e", "%2E", "\\", "%2f", "%5c", "%00", "tenants",
                ] {
                    assert!(!path.contains(part), "{shown}: {path}");
                }
                assert_eq!(response.status, 200, "{shown}");
            }
        }
    }
}

#[test]
fn all_hops_see_the_path_and_the_host_that_were_judged() {
    let chain = Chain::start();
    let edge = chain.edge();
    for (request, expected) in [
        (edge.get("/%70ublic/x?q=%2e%2e"), "/public/x?q=%2e%2e"),
        (edge.get("/public/a%20b"), "/public/a%20b"),
        (edge.get("/public/%7Euser").http2(), "/public/~user"),
        (edge.get("/public/x").host("SHOP.example.com."), "/public/x"),
    ] {
        let shown = format!("{request:?}");
        let response = request.send();
        assert_eq!(response.status, 200, "{shown}: {response:?}");
        let (_, seen) = chain.only();
        assert_eq!(seen.path(), expected);
        assert_eq!(seen.authority, b"shop.example.com", "{shown}");
        let id = seen.header("x-correlation-id").expect("the ID");
        let judged = expected.split('?').next();
        assert_eq!(chain.access_of(&id)["path"].as_str(), judged);
        assert_eq!(chain.behind.record(&id)["path"].as_str(), judged);
    }
}
