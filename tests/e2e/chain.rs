//! The two profiles of `examples/` as a chain: client → gateway → sidecar → upstream. Each verifies the
//! same token by itself, and neither believes what the hop before it says about the user.

use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Envoy, Request, Seen, Setup, Upstream, tools};
use serde_json::{Value, json};

use crate::support::CLAIMS;

struct Chain {
    gateway: Envoy,
    sidecar: Envoy,
    upstream: Upstream,
    key: Key,
}

/// An example's config with keys that the test can sign with.
fn example(name: &str, key: &Key) -> Value {
    let path = tools::root().join("examples").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut config: Value =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    config["claims"]["issuers"][0]["keys"] = json!({"inline": tokens::jwks(&[key])});
    config
}

impl Chain {
    fn start(gateway: &str, change: impl FnOnce(&mut Value)) -> Self {
        let key = Key::generate("ES256", "edge-1");
        let upstream = Upstream::start();
        let sidecar = Setup::new(&upstream)
            .plugin(&example("sidecar/orders.yaml", &key))
            .start();
        let mut config = example(gateway, &key);
        change(&mut config);
        let gateway = Setup::before(&sidecar).plugin(&config).start();
        Self {
            gateway,
            sidecar,
            upstream,
            key,
        }
    }

    /// A token as the edge makes it, with changes to its claims.
    fn token(&self, changes: &Value) -> String {
        let mut claims = json!({"roles": ["reader"], "tenant_id": "a"});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.key
            .sign_typed(&tokens::claims(&claims), "edge-claims+jwt")
    }

    #[track_caller]
    fn allowed(&self, request: Request) -> Seen {
        let response = request.send();
        assert_eq!(response.status, 200, "{response:?}");
        self.upstream.only()
    }

    /// A denial that is this hop's: its own access log has it.
    #[track_caller]
    fn denied(&self, request: Request, hop: &Envoy, status: u16, reason: &str) {
        let response = request.send();
        assert_eq!(response.status, status, "{response:?}");
        assert_eq!(response.json()["code"], reason, "{response:?}");
        let id = response.header("x-correlation-id").unwrap();
        // A token that is used twice has the same ID twice.
        let expected = format!("edge_claims_denied{{{reason}}}");
        let _ = hop.wait_for_access(|record| {
            let details = record["details"].as_str().unwrap_or_default();
            record["correlation_id"] == id.as_str() && details.starts_with(&expected)
        });
        assert_eq!(self.upstream.take(), []);
    }
}

/// What a client may bring to pass for somebody else.
fn spoofed(request: Request) -> Request {
    request
        .header("x-auth-subject", "root")
        .header("X-Auth-Roles", "admin")
        .header("x_auth_subject", "root")
        .header("x-original-url", "/internal/invoices/1")
}

#[track_caller]
fn is_alice(seen: &Seen) {
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    assert_eq!(seen.header("x-auth-roles").as_deref(), Some("reader"));
    assert_eq!(seen.header("x_auth_subject"), None);
    assert_eq!(seen.header("x-original-url"), None);
    assert_eq!(seen.header(CLAIMS), None, "the service needs no token");
}

#[test]
fn a_session_token_goes_through_both_hops() {
    let chain = Chain::start("gateway/per-session.yaml", |_| {});
    let token = chain.token(&json!({}));
    let orders = || {
        spoofed(chain.gateway.get("/tenants/a/orders/1"))
            .host("shop.example.com")
            .header(CLAIMS, &token)
    };
    // The same token again and again, from the cache on both hops.
    for number in 0..3 {
        let id = format!("edge-{number}");
        let seen = chain.allowed(orders().header("x-correlation-id", &id));
        is_alice(&seen);
        assert_eq!(seen.header("x-correlation-id"), Some(id.clone()));
        for hop in [&chain.gateway, &chain.sidecar] {
            let record = hop.wait_for_access(|record| record["correlation_id"] == id.as_str());
            assert_eq!(record["status"], 200, "{record}");
        }
    }
}

#[test]
fn a_request_token_is_bound_and_used_up_at_the_gateway_only() {
    let chain = Chain::start("gateway/per-request.yaml", |_| {});
    let path = "/tenants/a/orders/1?page=2";
    let token = chain.token(
        &json!({"cid": "edge-1", "jti": "t-1", "htm": "GET", "htq": path,
        "hth": "shop.example.com"}),
    );
    let request = |path: &str| chain.gateway.get(path).header(CLAIMS, &token);
    for other in ["/tenants/a/orders/2?page=2", "/tenants/a/orders/1?page=3"] {
        chain.denied(request(other), &chain.gateway, 401, "binding_request");
    }
    let seen = chain.allowed(spoofed(request(path)));
    is_alice(&seen);
    assert_eq!(seen.header("x-correlation-id").as_deref(), Some("edge-1"));
    chain.denied(request(path), &chain.gateway, 401, "replayed");
}

#[test]
fn the_sidecar_decides_in_detail() {
    let chain = Chain::start("gateway/per-session.yaml", |_| {});
    let reader = chain.token(&json!({}));
    let get = |path: &str| chain.gateway.get(path).header(CLAIMS, &reader);
    chain.denied(
        get("/tenants/b/orders"),
        &chain.sidecar,
        403,
        "binding_route",
    );
    let post = chain.gateway.request("POST", "/tenants/a/orders");
    chain.denied(post.header(CLAIMS, &reader), &chain.sidecar, 403, "role");
    chain.denied(get("/admin/users"), &chain.gateway, 403, "role");
    chain.denied(
        chain.gateway.get("/tenants/a/orders"),
        &chain.gateway,
        401,
        "claims_missing",
    );
}

/// Whoever gets around the gateway, or breaks into it, is nobody to the sidecar without a token.
#[test]
fn the_sidecar_believes_no_hop_before_it() {
    let chain = Chain::start("gateway/per-session.yaml", |config| {
        // A gateway that says something else about the user, and one that lets everybody pass.
        config["identity"]["headers"] =
            json!({"x-auth-subject": ["nick"], "x-auth-roles": ["nick"]});
        config["rbac"]["routes"][1]["allow"] = json!("public");
        config["tests"] = json!([]);
    });
    let token = chain.token(&json!({"nick": "root"}));
    let path = "/tenants/a/orders/1";
    is_alice(&chain.allowed(chain.gateway.get(path).header(CLAIMS, &token)));
    chain.denied(
        spoofed(chain.gateway.get(path)),
        &chain.sidecar,
        401,
        "claims_missing",
    );
    chain.denied(
        spoofed(chain.sidecar.get(path)),
        &chain.sidecar,
        401,
        "claims_missing",
    );
    is_alice(&chain.allowed(spoofed(chain.sidecar.get(path)).header(CLAIMS, &token)));
    let forged = Key::generate("ES256", "edge-1");
    let claims = tokens::claims(&json!({"roles": ["admin"], "tenant_id": "a"}));
    let forged = forged.sign_typed(&claims, "edge-claims+jwt");
    chain.denied(
        chain.sidecar.get(path).header(CLAIMS, &forged),
        &chain.sidecar,
        401,
        "signature_invalid",
    );
}
