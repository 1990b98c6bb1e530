//! Requests of all kinds through gateway and sidecar, with the filter as both kinds of resource.

use edge_claims_harness::Request;
use edge_claims_harness::tokens::{self, Key, assemble};
use serde_json::{Value, json};

use crate::lab::{Lab, Lease, token};
use crate::manifests::{self, Image};
use crate::proxy::Proxy;

/// The header of the manifests that carries the token.
pub const CLAIMS: &str = "x-edge-claims";

/// A mesh with the filter in gateway and sidecar.
pub struct Mesh {
    pub lab: Lease,
    pub image: Image,
    pub gateway: Proxy,
    pub orders: Proxy,
}

impl Mesh {
    /// Applies the manifests of one kind, with nothing but the digest changed.
    fn start(kind: usize) -> Self {
        let mut lab = Lab::open();
        let image = Image::push();
        lab.apply(&manifests::file(manifests::TELEMETRY));
        lab.apply(&image.overlay(manifests::GATEWAY[kind]));
        lab.apply(&image.overlay(manifests::SIDECAR[kind]));
        let (gateway, orders) = (lab.gateway(), lab.sidecar());
        Self {
            lab,
            image,
            gateway,
            orders,
        }
    }

    /// The same with `WasmPlugin`.
    pub fn wasmplugin() -> Self {
        Self::start(0)
    }

    /// The same with `TrafficExtension`.
    pub fn trafficextension() -> Self {
        Self::start(1)
    }

    /// A request to the gateway with the claims of a user.
    pub fn request(&self, method: &str, path: &str, roles: &[&str]) -> Request {
        let token = self.lab.token(&json!({"roles": roles, "tenant_id": "a"}));
        self.gateway
            .client()
            .request(method, path)
            .header(CLAIMS, token)
    }
}

/// Status, and reason where a request is denied.
fn outcome(request: Request) -> (u16, String) {
    let response = request.send();
    let reason = response
        .header("content-type")
        .filter(|kind| kind == "application/problem+json");
    let reason = reason.and_then(|_| response.json()["code"].as_str().map(str::to_owned));
    (response.status, reason.unwrap_or_default())
}

/// Sends one request of each kind, and compares.
fn every_kind_of_request(mesh: &Mesh) {
    let bare = |method: &str, path: &str| mesh.gateway.client().request(method, path);
    let with = |token: String| bare("GET", "/tenants/a/orders/1").header(CLAIMS, token);
    let claims = |changes: Value| with(mesh.lab.token(&changes));
    let reader = json!({"roles": ["reader"], "tenant_id": "a"});
    let now = tokens::now();
    let unsigned = assemble(
        br#"{"alg":"none","typ":"edge-claims+jwt","kid":"edge-1"}"#,
        tokens::claims(&reader).to_string().as_bytes(),
        &[7; 64],
    );
    let foreign = Key::generate("ES256", "edge-1");
    let unknown = Key::generate("ES256", "edge-9");
    let read = "/tenants/a/orders/1";
    let cases: Vec<(&str, Request, (u16, &str))> = vec![
        ("no token", bare("GET", read), (401, "claims_missing")),
        (
            "expired",
            claims(json!({"exp": now - 600, "iat": now - 900})),
            (401, "expired"),
        ),
        (
            "of another audience",
            claims(json!({"aud": "other"})),
            (401, "audience"),
        ),
        (
            "of another issuer",
            claims(json!({"iss": "https://other.example"})),
            (401, "issuer_unknown"),
        ),
        (
            "of another type",
            with(mesh.lab.key.sign(&tokens::claims(&reader))),
            (401, "type"),
        ),
        ("unsigned", with(unsigned), (401, "algorithm_refused")),
        (
            "by another key",
            with(token(&foreign, &reader)),
            (401, "signature_invalid"),
        ),
        (
            "by an unknown key",
            with(token(&unknown, &reader)),
            (401, "key_unknown"),
        ),
        (
            "no token at all",
            with("garbage".to_owned()),
            (401, "claims_malformed"),
        ),
        (
            "own tenant",
            mesh.request("GET", read, &["reader"]),
            (200, ""),
        ),
        (
            "another tenant",
            mesh.request("GET", "/tenants/b/orders/1", &["reader"]),
            (403, "binding_route"),
        ),
        (
            "a reader writes",
            mesh.request("POST", read, &["reader"]),
            (403, "role"),
        ),
        (
            "an editor writes",
            mesh.request("POST", read, &["editor"]).body("{}"),
            (200, ""),
        ),
        (
            "an admin is an editor",
            mesh.request("DELETE", read, &["admin"]),
            (200, ""),
        ),
        ("public", bare("GET", "/public/logo.svg"), (200, "")),
        (
            "admin without the role",
            mesh.request("GET", "/admin/x", &["editor"]),
            (403, "role"),
        ),
        (
            "admin with the role",
            mesh.request("GET", "/admin/x", &["admin"]),
            (200, ""),
        ),
        (
            "no route",
            mesh.request("GET", "/elsewhere", &["admin"]),
            (403, "route_unknown"),
        ),
        (
            "a route of another host",
            mesh.request("GET", "/admin/x", &["admin"])
                .host("other.example.com"),
            (403, "route_unknown"),
        ),
        // Istio normalizes the path before the filter sees it: this is /admin/x.
        (
            "dot segments",
            bare("GET", "/public/../admin/x"),
            (401, "claims_missing"),
        ),
        (
            "two readings",
            bare("GET", "/public%2f..%2fadmin/x"),
            (400, "path_ambiguous"),
        ),
        (
            "preflight",
            bare("OPTIONS", "/admin/x")
                .header("origin", "https://shop.example.com")
                .header("access-control-request-method", "GET"),
            (200, ""),
        ),
    ];
    let mut wrong = Vec::new();
    for (name, request, (status, reason)) in cases {
        let got = outcome(request);
        if got != (status, reason.to_owned()) {
            wrong.push(format!("{name}: {got:?} and not {status} {reason}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the service behind gateway and sidecar receives.
fn the_service_gets_identity_and_no_token(mesh: &Mesh) {
    drop(mesh.lab.orders.take());
    let request = mesh.request("GET", "/tenants/a/orders/1?page=2", &["reader"]);
    let response = request
        .header("x-auth-subject", "mallory")
        .header("x-correlation-id", "client-7")
        .send();
    assert_eq!(response.status, 200, "{response:?}");
    let seen = mesh.lab.orders.only();
    assert_eq!(seen.path(), "/tenants/a/orders/1?page=2");
    assert_eq!(seen.all("x-auth-subject"), ["alice"]);
    assert_eq!(seen.all("x-auth-roles"), ["reader"]);
    assert_eq!(
        seen.all(CLAIMS),
        [""; 0],
        "the sidecar takes the token away"
    );
    assert_eq!(seen.all("x-correlation-id"), ["client-7"]);
    assert_eq!(
        response.header("x-correlation-id").as_deref(),
        Some("client-7")
    );
}

/// The metrics at the proxies' own ports, with their labels.
fn metrics_have_labels(mesh: &Mesh) {
    for proxy in [&mesh.gateway, &mesh.orders] {
        let line = crate::process::wait("a metric with labels", || {
            let text = proxy.admin("/stats/prometheus");
            text.lines()
                .find(|line| {
                    line.starts_with("edge_claims_requests_total{")
                        && line.contains(r#"reason="role""#)
                })
                .filter(|line| !line.ends_with(" 0"))
                .map(str::to_owned)
        });
        assert!(line.contains(r#"decision="deny""#), "{line}");
    }
}

#[test]
fn wasmplugins_decide_every_kind_of_request() {
    let mesh = Mesh::wasmplugin();
    every_kind_of_request(&mesh);
    the_service_gets_identity_and_no_token(&mesh);
    metrics_have_labels(&mesh);
}

#[test]
fn trafficextensions_decide_every_kind_of_request() {
    let mesh = Mesh::trafficextension();
    every_kind_of_request(&mesh);
    the_service_gets_identity_and_no_token(&mesh);
    metrics_have_labels(&mesh);
}
