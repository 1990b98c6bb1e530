//! A policy under which every deny reason can be had, and a request for each.

use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Envoy, Request, Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{CLAIMS, ISSUER, issuer};

/// The variables of the VM's environment, and what is in them.
pub const LOG_KEY: (&str, &str) = ("TEST_LOG_KEY", "the-key-of-the-subjects-hash");
pub const SECRET: (&str, &str) = ("TEST_SECRET", "a-shared-secret-of-more-than-32-bytes");

/// An Envoy with that policy. Every token that was ever made for it is kept.
pub struct Reasons {
    pub envoy: Envoy,
    _upstream: Upstream,
    key: Key,
    stranger: Key,
    shared: Key,
    pub tokens: Vec<String>,
}

/// Reasons that no single request has: `internal` needs a failing host, `overloaded` a flood of forged
/// tokens (tests/e2e/verify.rs).
pub const OUT_OF_REACH: [&str; 2] = ["overloaded", "internal"];

impl Reasons {
    pub fn start(config: impl FnOnce(&mut Value), envoy: impl FnOnce(Setup) -> Setup) -> Self {
        let upstream = Upstream::start();
        let key = Key::generate("ES256", "k1");
        let shared = Key::secret("HS256", "h1", SECRET.1.as_bytes());
        let mut policy = policy(&key);
        config(&mut policy);
        let setup = envoy(Setup::new(&upstream))
            .environment(LOG_KEY.0, LOG_KEY.1)
            .environment(SECRET.0, SECRET.1);
        Self {
            envoy: setup.plugin(&policy).start(),
            _upstream: upstream,
            key,
            stranger: Key::generate("ES384", "k1"),
            shared,
            tokens: Vec::new(),
        }
    }

    /// A good token with changes to its claims.
    pub fn token(&mut self, changes: &Value) -> String {
        let token = self.key.sign(&tokens::claims(changes));
        self.keep(token)
    }

    fn keep(&mut self, token: String) -> String {
        self.tokens.push(token.clone());
        token
    }

    /// `GET /path` with a token of these changes to the claims.
    fn get(&mut self, path: &str, changes: &Value) -> Request {
        let token = self.token(changes);
        self.envoy.get(path).header(CLAIMS, token)
    }

    /// A request that is allowed, and one for each reason.
    pub fn requests(&mut self) -> Vec<(&'static str, Request)> {
        let now = tokens::now();
        let of = |name: &str| json!({"iss": format!("https://{name}.example.com")});
        let good = self.token(&json!({}));
        let forged = {
            let key = Key::generate("ES256", "k1");
            self.keep(key.sign(&tokens::claims(&json!({}))))
        };
        let unknown = {
            let key = Key::generate("ES256", "k9");
            self.keep(key.sign(&tokens::claims(&json!({}))))
        };
        let strange = self.stranger.sign(&tokens::claims(&json!({})));
        let strange = self.keep(strange);
        let shared = tokens::claims(&json!({"iss": "https://shared.example.com"}));
        let shared = self.keep(self.shared.sign(&shared));
        let long = "x".repeat(9_000);
        let me = |token: &str| self.envoy.get("/me").header(CLAIMS, token);
        let mut all = vec![
            ("allow", me(&good)),
            ("allow", me(&shared)),
            ("allow", self.envoy.get("/public/x")),
            ("claims_missing", self.envoy.get("/me")),
            ("claims_repeated", me(&good).header(CLAIMS, &good)),
            ("claims_too_large", me(&long)),
            ("claims_malformed", me("not.a.token")),
            ("algorithm_refused", me(&strange)),
            ("key_unknown", me(&unknown)),
            ("signature_invalid", me(&forged)),
            ("spoofed_header", me(&good).header("x-auth-subject", "root")),
            (
                "request_malformed",
                self.envoy.get("/me%00").header(CLAIMS, &good),
            ),
            (
                "path_ambiguous",
                self.envoy.get("/tenants/a%2Fb").header(CLAIMS, &good),
            ),
            (
                "route_unknown",
                self.envoy.get("/nowhere").header(CLAIMS, &good),
            ),
        ];
        let once = of("once");
        let once = self.token(&json!({"iss": once["iss"], "jti": "j1"}));
        all.push(("allow", self.envoy.get("/me").header(CLAIMS, &once)));
        all.push(("replayed", self.envoy.get("/me").header(CLAIMS, &once)));
        let claims = [
            ("issuer_unknown", of("nobody")),
            ("expired", json!({"iat": now - 120, "exp": now - 60})),
            ("not_yet_valid", json!({"nbf": now + 600})),
            ("too_old", json!({"iat": now - 3_600})),
            ("audience", json!({"aud": "somebody.example.com"})),
            ("type", of("typed")),
            ("claim_required", of("required")),
            (
                "binding_request",
                json!({"iss": "https://bound.example.com", "htm": "POST"}),
            ),
            ("revoked", json!({"sub": "mallory"})),
            ("keys_unavailable", of("absent")),
        ];
        for (reason, changes) in claims {
            all.push((reason, self.get("/me", &changes)));
        }
        let routes = [
            ("role", "/role"),
            ("scope", "/scope"),
            ("audience_route", "/audience"),
            ("issuer_route", "/issuer"),
            ("binding_route", "/tenants/b"),
            ("condition", "/condition"),
            ("peer", "/peer"),
            ("step_up", "/step-up"),
        ];
        for (reason, path) in routes {
            all.push((
                reason,
                self.get(path, &json!({"tenant_id": "a", "roles": ["Müller"]})),
            ));
        }
        all
    }
}

fn policy(key: &Key) -> Value {
    let named = |name: &str| issuer(&format!("https://{name}.example.com"), &[key]);
    let with = |name: &str, member: &str, value: Value| {
        let mut issuer = named(name);
        issuer[member] = value;
        issuer
    };
    let mut default = issuer(ISSUER, &[key]);
    default["max_age"] = json!("10m");
    default["revoked"] = json!({"subjects": ["mallory"]});
    let absent = with(
        "absent",
        "keys",
        json!({"remote": {"url": "http://keys.local/", "cluster": "nowhere", "timeout": "100ms"}}),
    );
    let mut shared = with(
        "shared",
        "keys",
        json!({"secrets": [{"env": SECRET.0, "kid": "h1"}]}),
    );
    shared["algorithms"] = json!(["HS256"]);
    json!({
        "claims": {"issuers": [
            default,
            with("typed", "type", json!("edge-claims+jwt")),
            with("required", "require", json!(["tenant_id"])),
            with("bound", "bind", json!({"method": "htm"})),
            with("once", "one_use", json!({"claim": "jti", "entries": 1000})),
            absent,
            shared,
        ]},
        "rbac": {
            "roles": {"claim": "roles"},
            "routes": [
                {"name": "public", "path": "/public/{*rest}", "allow": "public"},
                {"name": "me", "path": "/me", "allow": "authenticated"},
                {"name": "role", "path": "/role", "allow": {"any_role": ["admin"]}},
                {"name": "scope", "path": "/scope", "allow": {"scopes": {"claim": "scope", "all": ["orders:write"]}}},
                {"name": "audience", "path": "/audience", "allow": {"audiences": ["other.example.com"]}},
                {"name": "issuer", "path": "/issuer", "allow": {"issuers": ["https://once.example.com"]}},
                {"name": "tenant", "path": "/tenants/{tenant}", "allow": {"bind": {"tenant": "tenant_id"}}},
                {"name": "condition", "path": "/condition", "allow": {"when": {"claim": ["plan"], "equals": "gold"}}},
                {"name": "peer", "path": "/peer", "allow": {"peers": ["spiffe://cluster.local/ns/edge/sa/gateway"]}},
                {"name": "step-up", "path": "/step-up", "allow": {"when": {"claim": ["acr"], "in": ["urn:mfa"]}}},
            ],
        },
        "identity": {"headers": {"x-auth-subject": ["sub"]}, "on_spoof": "reject"},
        "log": {"allow": 1.0, "hash_key_env": LOG_KEY.0,
            "access_fields": ["correlation_id", "verdict", "subject", "kid", "issuer", "reason"]},
    })
}
