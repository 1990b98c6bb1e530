//! The edge: its key, its tokens, and policies that trust it.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

use super::fake_host::NOW;

/// The edge: one ES256 key.
pub(super) struct Edge {
    key: SigningKey,
    kid: String,
}

impl Edge {
    /// An edge with the key ID `k`.
    pub(super) fn new(seed: u8) -> Self {
        Self::with_kid(seed, "k")
    }

    /// Different seeds give different keys.
    pub(super) fn with_kid(seed: u8, kid: &str) -> Self {
        let key = SigningKey::from_slice(&[seed; 32]).unwrap();
        let kid = kid.to_owned();
        Self { key, kid }
    }

    /// The public key.
    pub(super) fn jwk(&self) -> Value {
        let point = self.key.verifying_key().to_sec1_point(false);
        let point = point.as_bytes();
        json!({"kty": "EC", "crv": "P-256", "kid": self.kid,
            "x": encode(&point[1..33]), "y": encode(&point[33..])})
    }

    /// A token that is valid for a minute from [`NOW`], with changed claims.
    pub(super) fn token(&self, changes: &Value) -> String {
        let mut claims = json!({"iss": "https://edge.example.com", "aud": "mesh.example.com",
            "sub": "alice", "iat": NOW, "exp": NOW + 60, "roles": ["reader"], "tenant_id": "a"});
        let members = claims.as_object_mut().unwrap();
        members.extend(changes.as_object().unwrap().clone());
        let header = json!({"alg": "ES256", "kid": self.kid}).to_string();
        let input = format!("{}.{}", encode(header), encode(claims.to_string()));
        let signature: Signature = self.key.sign(input.as_bytes());
        format!("{input}.{}", encode(signature.to_bytes()))
    }

    /// A valid token.
    pub(super) fn good_token(&self) -> String {
        self.token(&json!({}))
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

/// A key set as a server returns it.
pub(super) fn key_set(edges: &[&Edge]) -> Vec<u8> {
    let keys: Vec<Value> = edges.iter().map(|edge| edge.jwk()).collect();
    json!({"keys": keys}).to_string().into_bytes()
}

/// A policy with this edge's key.
pub(super) fn policy(edge: &Edge) -> Value {
    json!({
        "claims": {"issuers": [{
            "issuer": "https://edge.example.com",
            "audiences": ["mesh.example.com"],
            "algorithms": ["ES256"],
            "keys": {"inline": {"keys": [edge.jwk()]}},
        }]},
        "rbac": {
            "roles": {"claim": "roles"},
            "routes": [
                {"name": "public", "path": "/public/{*rest}", "allow": "public"},
                {"name": "orders", "path": "/tenants/{tenant}/orders/{*rest}",
                    "allow": {"any_role": ["reader"], "bind": {"tenant": "tenant_id"}}},
                {"name": "admin", "path": "/admin/{*rest}", "allow": {"any_role": ["admin"]}},
                {"name": "inside", "path": "/inside", "allow": {"peers": ["spiffe://mesh/ns/a/*"]}},
            ],
        },
        "identity": {"headers": {"x-auth-subject": ["sub"], "x-auth-roles": ["roles"]}},
    })
}

/// The same with keys from a server.
pub(super) fn remote_policy() -> Value {
    let mut policy = policy(&Edge::new(1));
    policy["claims"]["issuers"][0]["keys"] = json!({"remote": {
        "url": "https://keys.example.com/jwks.json", "cluster": "keys", "timeout": "2s"}});
    policy
}

/// The same with one-use tokens.
pub(super) fn one_use_policy(edge: &Edge) -> Value {
    let mut policy = policy(edge);
    policy["claims"]["issuers"][0]["one_use"] = json!({"claim": "jti", "entries": 100});
    policy
}
