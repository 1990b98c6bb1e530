//! What most tests need: an issuer, a policy, and an Envoy that enforces it.

use std::sync::atomic::{AtomicBool, Ordering};

use edge_claims_harness::envoy::wait;
use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Envoy, Request, Response, Setup, Since, Upstream};
use serde_json::{Value, json};

/// The header that carries the token.
pub const CLAIMS: &str = "x-edge-claims";

/// The name that the default issuer's tokens carry.
pub const ISSUER: &str = "https://edge.example.com";

/// Where Envoy does not report that it validated a client's certificate, the config says that the listener does. The
/// listeners of [`Setup::mtls`] do.
pub fn count_validated_peers(policy: &mut Value) {
    if !Since::PeerValidation.is_there() {
        policy["rbac"]["peer_validation"] = json!("by_listener");
    }
}

/// An Envoy with the filter, its upstream, and the key of its issuer.
pub struct World {
    pub envoy: Envoy,
    pub upstream: Upstream,
    pub key: Key,
}

impl World {
    /// Enforces [`policy`].
    pub fn start() -> Self {
        Self::with(|_| {}, |setup| setup)
    }

    /// Enforces [`policy`] with changes, in an Envoy with changes. The filter is added last.
    pub fn with(config: impl FnOnce(&mut Value), envoy: impl FnOnce(Setup) -> Setup) -> Self {
        let upstream = Upstream::start();
        let key = Key::generate("ES256", "k1");
        let mut policy = policy(&[issuer(ISSUER, &[&key])]);
        config(&mut policy);
        let envoy = envoy(Setup::new(&upstream)).plugin(&policy).start();
        Self {
            envoy,
            upstream,
            key,
        }
    }

    /// A token of the default issuer, with changes to its claims.
    pub fn token(&self, changes: &Value) -> String {
        self.key.sign(&tokens::claims(changes))
    }

    /// A token of a subject of tenant `a` with those roles.
    pub fn token_of(&self, roles: &[&str]) -> String {
        self.token(&json!({"roles": roles, "tenant_id": "a"}))
    }

    /// Sends a request that must be denied for that reason, and checks everything that every denial
    /// has in common: the body, the correlation ID, the access log, and that the upstream saw nothing.
    #[track_caller]
    pub fn denied(&self, request: Request, status: u16, reason: &str) -> Response {
        let response = request.send();
        assert_eq!(
            response.status, status,
            "{reason} was expected: {response:?}"
        );
        let body = response.json();
        assert_eq!(body["code"], reason, "{response:?}");
        assert_eq!(body["status"], status, "{response:?}");
        assert_eq!(
            response.header("content-type").as_deref(),
            Some("application/problem+json")
        );
        assert_eq!(
            response.header("cache-control").as_deref(),
            Some("no-store")
        );
        let id = response
            .header("x-correlation-id")
            .expect("every denial carries its ID");
        assert_eq!(body["correlation_id"], id.as_str());
        let challenge = response.header("www-authenticate");
        assert_eq!(challenge.is_some(), status == 401, "{response:?}");
        let challenge = challenge.unwrap_or_default();
        let has_error = challenge.contains("error=\"invalid_token\"");
        assert_eq!(
            has_error,
            status == 401 && reason != "claims_missing",
            "{challenge}"
        );
        let record = self
            .envoy
            .wait_for_access(|record| record["correlation_id"] == id.as_str());
        let details = record["details"].as_str().unwrap_or_default();
        let expected = format!("edge_claims_denied{{{reason}}}");
        assert!(details.starts_with(&expected), "{record}");
        let verdict = record["verdict"].as_str().unwrap_or_default();
        assert!(verdict.starts_with(&format!("deny/{reason}/")), "{record}");
        assert_eq!(
            self.upstream.take(),
            [],
            "a denied request reached the upstream"
        );
        response
    }

    /// Sends a request that must be allowed, and returns what the upstream saw.
    #[track_caller]
    pub fn allowed(&self, request: Request) -> edge_claims_harness::Seen {
        let response = request.send();
        assert_eq!(response.status, 200, "{response:?}");
        assert!(
            response.header("x-correlation-id").is_some(),
            "{response:?}"
        );
        self.upstream.only()
    }
}

/// An issuer with inline keys, for the audience `mesh.example.com`.
pub fn issuer(name: &str, keys: &[&Key]) -> Value {
    let mut algorithms: Vec<&str> = keys.iter().map(|key| key.algorithm()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    json!({
        "issuer": name,
        "audiences": ["mesh.example.com"],
        "algorithms": algorithms,
        "keys": {"inline": tokens::jwks(keys)},
    })
}

/// An issuer whose keys come from that cluster, fetched every second; with changes to `keys.remote`.
pub fn remote_issuer(name: &str, cluster: &str, changes: &Value) -> Value {
    let mut remote = json!({
        "url": "http://keys.example.com/jwks.json",
        "cluster": cluster,
        "refresh": "1s",
        "timeout": "500ms",
    });
    for (name, value) in changes.as_object().expect("changes are an object") {
        remote[name] = value.clone();
    }
    json!({
        "issuer": name,
        "audiences": ["mesh.example.com"],
        "algorithms": ["ES256"],
        "keys": {"remote": remote},
    })
}

/// How often keys were fetched, and how often in vain.
pub fn fetches(envoy: &Envoy) -> (u64, u64) {
    let stats = envoy.stats();
    let of = |result: &str| {
        stats.of(&format!(
            "wasmcustom.result=.={result};.;edge_claims_key_fetches_total"
        ))
    };
    (of("ok"), of("failed"))
}

/// Waits until something holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    wait(what, || holds().then_some(())).unwrap_or_else(|problem| panic!("{problem}"));
}

/// Sets a flag when its block ends, however it ends: a failed test must not leave its threads running.
pub struct SetOnDrop<'f>(pub &'f AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A policy with a bit of everything.
pub fn policy(issuers: &[Value]) -> Value {
    json!({
        "claims": {"issuers": issuers},
        "rbac": {
            "roles": {"claim": "roles", "includes": {"admin": ["editor"], "editor": ["reader"]}},
            "routes": [
                {"name": "public", "path": "/public/{*rest}", "allow": "public"},
                {"name": "me", "path": "/me", "allow": "authenticated"},
                {"name": "orders-read", "methods": ["GET"], "path": "/tenants/{tenant}/orders/{*rest}",
                    "allow": {"any_role": ["reader"], "bind": {"tenant": "tenant_id"}}},
                {"name": "orders-write", "methods": ["POST", "PUT"], "path": "/tenants/{tenant}/orders/{*rest}",
                    "allow": {"any_role": ["editor"], "bind": {"tenant": "tenant_id"}}},
                {"name": "admin", "path": "/admin/{*rest}", "allow": {"any_role": ["admin"]}},
                {"name": "audit", "path": "/audit", "allow": {"all_roles": ["reader", "auditor"]}},
                {"name": "grpc", "methods": ["POST"], "path": "/shop.Orders/{method}",
                    "allow": {"any_role": ["reader"]}},
            ],
        },
        "identity": {"headers": {"x-auth-subject": ["sub"], "x-auth-roles": ["roles"]}},
    })
}
