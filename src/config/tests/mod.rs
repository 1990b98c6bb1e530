//! Tests of loading configs: accepted configs, defaults, and errors.

mod defaults;
mod docs;
mod golden;
mod policy_tests;
mod properties;
mod schema;

use serde_json::{Value, json};

use super::{Config, load};

/// The smallest config that has every required key.
fn smallest() -> Value {
    json!({
        "claims": {"issuers": [{
            "issuer": "https://edge.example.com",
            "audiences": ["mesh.example.com"],
            "algorithms": ["ES256"],
            "keys": {"inline": {"keys": [public_key()]}},
        }]},
        "rbac": {"routes": [{"name": "all", "path": "/{*rest}", "allow": "authenticated"}]},
    })
}

/// A config with every key at least once.
fn largest() -> Value {
    json!({
        "mode": "enforce",
        "claims": {
            "header": "x-edge-claims", "prefix": "Bearer ", "forward": true, "max_bytes": 4096,
            "cache_entries": 100, "verification": "portable",
            "issuers": [
                {
                    "issuer": "https://edge.example.com", "audiences": ["mesh.example.com"],
                    "algorithms": ["ES256"], "type": "edge-claims+jwt",
                    "keys": {
                        "inline": {"keys": [public_key()]},
                        "remote": {"url": "https://keys.example.com/jwks.json", "cluster": "keys",
                            "refresh": "1m", "timeout": "500ms", "max_stale": "2h"},
                    },
                    "leeway": "5s", "max_age": "10m", "max_lifetime": "1h", "require": ["sub", ["a", "b"]],
                    "bind": {"method": "htm", "path": "htp", "path_and_query": "htu", "host": ["hth"]},
                    "one_use": {"claim": "jti", "entries": 1000},
                    "revoked": {"kids": ["old"], "thumbprints": ["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"],
                        "subjects": ["mallory"], "token_ids": ["1"]},
                    "not_after": "2027-01-01T00:00:00Z",
                },
                {
                    "issuer": "partner", "any_audience": true, "algorithms": ["HS256", "HS512"],
                    "keys": {"secrets": [{"env": "PARTNER_SECRET", "kid": "k1"}, {"env": "OTHER"}]},
                },
            ],
        },
        "rbac": {
            "roles": {"claim": ["realm_access", "roles"], "format": "list",
                "includes": {"admin": ["editor"], "editor": ["reader"]}},
            "path": {"dot_segments": "reject", "empty_segments": "normalize", "encoded_slash": "reject",
                "double_encoding": "reject", "semicolon": "reject", "backslash": "keep", "encoded_query": "keep",
                "trailing_slash": "distinct"},
            "cors_preflight": "allow", "default": "authenticated", "peer_validation": "by_listener",
            "authority_port": "keep",
            "routes": [
                {
                    "name": "orders-write", "hosts": ["shop.example.com", "*.shop.example.com"],
                    "methods": ["POST", "PUT"], "path": "/tenants/{tenant}/orders/{*rest}",
                    "path_rules": {"encoded_slash": "keep"},
                    "allow": [
                        {"any_role": ["editor"], "all_roles": ["reader"], "issuers": ["partner"],
                            "audiences": ["billing"], "scopes": {"claim": "scope", "all": ["orders:write"]},
                            "bind": {"tenant": ["tenant_id"]}},
                        {"peers": ["spiffe://cluster.local/ns/edge/*"]},
                        {"when": {"all": [
                            {"any": [{"claim": ["acr"], "in": ["urn:mfa", 3]}, {"claim": "mfa", "equals": true}]},
                            {"claim": "auth_time", "max_age": "15m"}, {"claim": "groups", "contains": "ops"},
                            {"claim": "email", "prefix": "a"}, {"claim": "email", "exists": true},
                            {"claim": "level", "at_least": 3}, {"claim": "level", "at_most": 3.5},
                            {"not": {"header": "x-env", "equals": "dev"}}, {"header": "x-env", "in": ["prod"]},
                            {"header": "x-env", "contains": "r"}, {"header": "x-env", "prefix": "p"},
                            {"header": "x-env", "exists": true},
                            {"peer": "spiffe://cluster.local/ns/edge/*"},
                        ]}},
                    ],
                    "mode": "shadow", "enforce_percent": 50, "on_failure": {"keys_unavailable": 500, "role": 404},
                },
                {"name": "public", "path": "/public/{*rest}", "allow": "public"},
            ],
        },
        "identity": {"headers": {"x-auth-subject": ["sub"], "x-auth-roles": ["realm_access", "roles"]},
            "on_spoof": "reject", "strip": ["x-original-url"]},
        "correlation": {"header": "x-correlation-id", "claim": "cid", "accept": ["x-correlation-id", "x-id"],
            "response_header": false},
        "responses": {"detail": "none", "realm": "shop", "docs_url": "https://docs.example.com/denials"},
        "log": {"allow": 0.5, "deny": 1, "shadow": 0.0, "subject": "hash", "hash_key_env": "LOG_KEY",
            "access_fields": ["correlation_id", "verdict", "reason", "route", "issuer", "kid", "subject",
                "correlation_source", "path", "trace_id"]},
        "tests": [{
            "name": "a peer may", "request": {"method": "PUT", "host": "shop.example.com",
                "path": "/tenants/a/orders", "headers": {"x-a": "1", "x-b": ["1", "2"]}},
            "claims": {"sub": "u"}, "peers": ["spiffe://cluster.local/ns/edge/sa/gw"],
            "now": "2026-01-01T00:00:00Z", "expect": {"allow": true, "route": "orders-write"},
        }],
    })
}

/// A public key of P-256.
fn public_key() -> Value {
    json!({"kty": "EC", "kid": "k1", "crv": "P-256",
        "x": "1o58ANBg0xihJUeqzPD12jDCtLNVH9fC3gvhy-PdLrI",
        "y": "uYQ0U27THpfH6Eg4omfuSEIYs_sIRJzTXIGAMwA60JU"})
}

#[track_caller]
fn accepted(config: &Value) -> Config {
    load(config.to_string().as_bytes()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The messages of all errors of a config.
fn errors_of(text: &str) -> Vec<String> {
    match load(text.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}
