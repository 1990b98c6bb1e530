//! Methods are case-sensitive (RFC 9110 §9.1), but many backends put them in upper case before they
//! choose a handler. What the policy reads as an unknown method must not run as `DELETE` there.

use edge_claims_harness::{Backend, Request, Setup};
use serde_json::{Value, json};

use crate::support::{CLAIMS, World};

/// Whoever is authenticated may do anything with an order but delete it: that is for editors.
fn routes(policy: &mut Value) {
    policy["rbac"]["routes"] = json!([
        {"name": "delete", "methods": ["DELETE"], "path": "/orders/{*rest}",
            "allow": {"any_role": ["editor"]}},
        {"name": "orders", "path": "/orders/{*rest}", "allow": "authenticated"},
    ]);
}

/// Envoy's parser of HTTP/1 refuses unknown methods unless this is set.
fn any_method(setup: Setup) -> Setup {
    setup.hcm(&json!({"http_protocol_options": {"allow_custom_methods": true}}))
}

const SPELLINGS: [&str; 5] = ["delete", "Delete", "DELETe", "dELETE", "get"];

/// The request of a reader with that method, over HTTP/1 and over HTTP/2.
fn of_a_reader(world: &World, method: &str) -> [Request; 2] {
    let request = world
        .envoy
        .request(method, "/orders/1")
        .header(CLAIMS, world.token(&json!({"roles": ["reader"]})));
    [request.clone(), request.http2()]
}

#[test]
fn a_method_with_lower_case_letters_is_malformed() {
    let world = World::with(routes, any_method);
    for method in SPELLINGS {
        for request in of_a_reader(&world, method) {
            world.denied(request, 400, "request_malformed");
        }
    }
    for request in of_a_reader(&world, "DELETE") {
        world.denied(request, 403, "role");
    }
    for method in ["GET", "PUT", "M-SEARCH"] {
        for request in of_a_reader(&world, method) {
            assert_eq!(world.allowed(request).method, method.as_bytes());
        }
    }
}

#[test]
fn no_backend_runs_its_delete_handler_for_a_method_in_another_case() {
    let backends = [
        Backend::flask(),
        Backend::django(),
        Backend::uvicorn(),
        Backend::hypercorn(),
    ];
    let world = World::with(routes, |setup| {
        let hosts: Vec<String> = backends
            .iter()
            .map(|backend| format!("{}.example.com", backend.name()))
            .collect();
        let domains: Vec<[&str; 1]> = hosts.iter().map(|host| [host.as_str()]).collect();
        let hosts: Vec<(&[&str], &str)> = domains
            .iter()
            .zip(&backends)
            .map(|(domains, backend)| (domains.as_slice(), backend.name()))
            .collect();
        backends
            .iter()
            .fold(any_method(setup), |setup, backend| {
                setup.cluster(backend.cluster())
            })
            .virtual_hosts(&hosts)
    });
    for backend in &backends {
        let host = format!("{}.example.com", backend.name());
        // The backend works: readers read, editors delete.
        let editor = world.token(&json!({"roles": ["editor"]}));
        for (method, handler) in [("GET", "read_order"), ("DELETE", "delete_order")] {
            let request = world.envoy.request(method, "/orders/1").host(&host);
            let response = request.header(CLAIMS, &editor).send();
            assert_eq!(response.status, 200, "{host}: {response:?}");
            assert_eq!(backend.handlers(), [handler], "{host}");
        }
        for method in SPELLINGS {
            for request in of_a_reader(&world, method) {
                let response = request.host(&host).send();
                let handlers = backend.handlers();
                assert_eq!(handlers, [""; 0], "{host}: {method} ran a handler");
                assert_eq!(response.status, 400, "{host}: {method}: {response:?}");
                assert_eq!(response.json()["code"], "request_malformed");
            }
        }
    }
}
