//! Where Istio puts the filter among its own: the pitfall **Filter order** of istio/README.md.

use edge_claims_harness::Upstream;
use edge_claims_harness::tokens;
use serde_json::{Value, json};

use crate::lab::{Istiod, Lab};
use crate::manifests::{self, Image};
use crate::requests::CLAIMS;

/// An external authorizer, and Istio's own checks of tokens and of requests.
fn policies(jwks: &Value) -> String {
    let policy = |kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": "security.istio.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": "istio-ingress"}, "spec": spec})
    };
    let gateway = json!({"matchLabels": {"istio": "ingressgateway"}});
    let items = json!([
        policy("AuthorizationPolicy", "external", json!({"selector": gateway, "action": "CUSTOM",
            "provider": {"name": "authorizer"}, "rules": [{}]})),
        policy("AuthorizationPolicy", "denied", json!({"selector": gateway, "action": "DENY",
            "rules": [{"to": [{"operation": {"paths": ["/public/secret"]}}]}]})),
        policy("RequestAuthentication", "tokens", json!({"selector": gateway, "jwtRules": [
            {"issuer": "https://other.example.com", "jwks": jwks.to_string()}]})),
        {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": "authorizer", "namespace": "istio-ingress"},
            "spec": {"hosts": ["authorizer.internal"], "location": "MESH_INTERNAL", "resolution": "STATIC",
                "ports": [{"number": 9000, "name": "http", "protocol": "HTTP"}],
                "endpoints": [{"address": "10.10.5.1"}]}},
    ]);
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[test]
fn the_filter_runs_after_ext_authz_and_before_istios_own_checks() {
    let mut lab = Lab::open();
    let authorizer = Upstream::at("10.10.5.1:9000".parse().expect("an address"));
    let mut istiod = Istiod::default();
    istiod.mesh["extensionProviders"]
        .as_array_mut()
        .expect("a list")
        .push(json!({
            "name": "authorizer",
            "envoyExtAuthzHttp": {"service": "authorizer.internal", "port": 9000,
                "includeRequestHeadersInCheck": ["x-auth-subject"]},
        }));
    lab.istiod(istiod);
    lab.apply(&policies(&tokens::jwks(&[&lab.key])));
    lab.apply(&Image::push().overlay(manifests::GATEWAY[0]));
    let gateway = lab.gateway();

    let token = lab.token(&json!({"roles": ["admin"]}));
    let request = gateway
        .client()
        .get("/admin/x")
        .header(CLAIMS, token)
        .header("x-auth-subject", "mallory");
    let response = request.send();
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(
        authorizer.only().all("x-auth-subject"),
        ["mallory"],
        "the client's own header"
    );
    assert_eq!(
        lab.web.only().all("x-auth-subject"),
        ["alice"],
        "the filter's"
    );

    // Both would deny this one. The filter answers first.
    let response = gateway
        .client()
        .get("/admin/x")
        .header("authorization", "Bearer garbage")
        .send();
    assert_eq!(
        response.json()["code"],
        "claims_missing",
        "before RequestAuthentication: {response:?}"
    );
    let response = gateway.client().get("/public/secret").send();
    assert_eq!(
        response.status, 403,
        "AuthorizationPolicy counts for what the filter lets pass"
    );
    assert!(response.text().contains("RBAC"), "{response:?}");

    let dump = gateway.admin("/config_dump?resource=dynamic_listeners");
    let dump: Value = serde_json::from_str(&dump).expect("Envoy prints JSON");
    let names = http_filters(&dump);
    let place = |part: &str| {
        names
            .iter()
            .position(|name| name.contains(part))
            .unwrap_or_else(|| panic!("no {part} among {names:?}"))
    };
    let order = ["ext_authz", "edge-claims", "jwt_authn", "router"].map(place);
    assert!(order.is_sorted(), "{names:?}");
    let last_rbac = names.iter().rposition(|name| name.contains("rbac"));
    assert!(last_rbac > Some(place("jwt_authn")), "{names:?}");
}

/// The names of the HTTP filters of the gateway's listener.
fn http_filters(dump: &Value) -> Vec<String> {
    fn find<'v>(value: &'v Value, found: &mut Option<&'v Vec<Value>>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::Array(filters)) = members.get("http_filters")
                    && filters.len() > 3
                {
                    *found = Some(filters);
                }
                members.values().for_each(|member| find(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| find(item, found)),
            _ => {}
        }
    }
    let mut found = None;
    find(dump, &mut found);
    let name = |filter: &Value| filter["name"].as_str().unwrap_or_default().to_owned();
    found
        .expect("a listener with HTTP filters")
        .iter()
        .map(name)
        .collect()
}
