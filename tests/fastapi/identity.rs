//! Who the user is, what he may do, and who else could say so.

use serde_json::{Value, json};

use crate::chain::Chain;
use crate::service::{SECRET, command};

fn json_of(response: &edge_claims_harness::Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {response:?}"))
}

#[test]
fn the_verified_claims_become_a_typed_user() {
    let chain = Chain::start();
    let response = chain
        .get("/me", &json!({"sub": "bö, b", "roles": ["reader", "a,b"]}))
        .send();
    assert_eq!(response.status, 200, "{response:?}");
    let mut user = json_of(&response);
    for list in ["roles", "scopes"] {
        let values = user[list].as_array_mut().unwrap();
        values.sort_by_key(ToString::to_string);
    }
    assert_eq!(
        user,
        json!({
            "subject": "bö, b", "tenant": "acme", "roles": ["a,b", "reader"],
            "scopes": ["orders:read", "orders:write"],
            "location": {"country": "DE", "region": "NW", "city": "Köln"},
        })
    );
    // A platform that knows no place: the claims are missing, nothing is guessed.
    let user = json_of(&chain.get("/me", &json!({"geo": null})).send());
    assert_eq!(
        user["location"],
        json!({"country": null, "region": null, "city": null})
    );
}

#[test]
fn an_order_needs_scope_role_and_tenant() {
    let chain = Chain::start();
    let tea = json!({"item": "tea", "count": 2});
    let placed = chain.order(&json!({}), &tea).send();
    assert_eq!(placed.status, 201, "{placed:?}");
    assert_eq!(json_of(&placed)["placed_by"], "bob");
    assert_eq!(json_of(&placed)["country"], "DE");
    // The filter lets these pass, the service does not.
    for (changes, code) in [
        (json!({"scope": "orders:read"}), "scope"),
        (json!({"scope": null}), "scope"),
        (json!({"roles": ["reader"]}), "role"),
    ] {
        let response = chain.order(&changes, &tea).send();
        assert_eq!(response.status, 403, "{response:?}");
        assert_eq!(json_of(&response)["code"], code);
    }
    // The filter knows whose tenant it is.
    let response = chain.order(&json!({"tenant_id": "globex"}), &tea).send();
    assert_eq!(json_of(&response)["code"], "binding_route");
    let orders = json_of(&chain.get("/tenants/acme/orders", &json!({})).send());
    assert_eq!(orders.as_array().unwrap().len(), 1);
}

#[test]
fn nobody_but_the_filter_says_who_it_is() {
    let chain = Chain::start();
    let spoofed = [
        ("x-auth-subject", "admin"),
        ("X-Auth-Roles", "editor"),
        ("x-auth-scope", "orders:write"),
        ("x-auth-tenant", "globex"),
        ("x_auth_subject", "admin"),
        ("x-auth-country", "XX"),
        ("x-proxy-secret", "guessed-guessed-guessed-guessed-guessed"),
    ];
    // Through the filter: Bob stays Bob, and the secret that arrives is Envoy's.
    let mut request = chain.get("/me", &json!({"geo": null}));
    for (name, value) in spoofed {
        request = request.header(name, value);
    }
    let response = request.send();
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(json_of(&response)["subject"], "bob");
    assert_eq!(json_of(&response)["tenant"], "acme");
    assert_eq!(json_of(&response)["location"]["country"], Value::Null);
    // On a public route there is nobody.
    let mut request = chain
        .client()
        .get("/public/hello")
        .header("connection", "close");
    for (name, value) in spoofed {
        request = request.header(name, value);
    }
    assert_eq!(request.send().status, 200);
    // Around the filter: refused, whatever is claimed.
    for path in ["/me", "/public/hello", "/openapi.json", "/docs"] {
        let mut request = chain
            .service
            .client()
            .get(path)
            .header("connection", "close");
        for (name, value) in spoofed {
            request = request.header(name, value);
        }
        let response = request.send();
        assert_eq!(
            (response.status, json_of(&response)["code"].as_str()),
            (403, Some("not_from_proxy")),
            "{path}"
        );
    }
    // Twice is not once, also if one of them is right.
    let response = chain
        .service
        .client()
        .get("/me")
        .header("connection", "close")
        .header("x-proxy-secret", SECRET)
        .header("x-proxy-secret", "other")
        .header("x-auth-subject", "admin")
        .send();
    assert_eq!(response.status, 403);
    let log = chain.service.text();
    assert!(!log.contains(SECRET), "{log}");
}

#[test]
fn without_a_configured_proof_it_does_not_start() {
    for (settings, says) in [
        (&[][..], "ORDERS_PROOF"),
        (&[("ORDERS_PROOF", "none")][..], "ORDERS_PROOF"),
        (&[("ORDERS_PROOF", "secret")][..], "ORDERS_SECRET_FILE"),
        (
            &[
                ("ORDERS_PROOF", "secret"),
                ("ORDERS_SECRET_FILE", "/dev/null"),
            ][..],
            "at least 32 characters",
        ),
        (&[("ORDERS_PROOF", "mtls")][..], "ORDERS_CLIENT_AUTHORITY"),
    ] {
        let output = command().envs(settings.iter().copied()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn openapi_says_what_is_needed() {
    let chain = Chain::start();
    let schema = json_of(&chain.get("/openapi.json", &json!({})).send());
    assert_eq!(
        schema["paths"]["/tenants/{tenant}/orders"]["post"]["security"],
        json!([{"login": ["orders:write"], "roles": ["editor"]}])
    );
}
