//! `cargo run --bin local`: writes the stores that `fastly.toml` names for a local run, with fresh
//! keys, and prints a session to try and the key set for the mesh.
#![allow(clippy::unwrap_used)] // a tool for the developer's own machine: it may stop where it is

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    use jwt_simple::prelude::*;
    use serde_json::{Value, json};

    const SETTINGS: &str = include_str!("../../settings.json");
    let settings = fastly_edge::settings::Settings::parse(SETTINGS).unwrap();
    let key = |id: &str| ES256KeyPair::generate().with_key_id(id);
    let public = |key: &ES256KeyPair, id: &str| -> Value {
        serde_json::from_str(&key.public_key().with_key_id(id).to_jwk()).unwrap()
    };
    let (login, edge) = (key("login-local"), key("edge-local"));

    let secret = || -> String {
        (0..3)
            .map(|_| uuid::Uuid::new_v4().simple().to_string())
            .collect()
    };
    let jwks = json!({"keys": [public(&login, "login-local")]});
    std::fs::create_dir_all("local").unwrap();
    for (path, content) in [
        (
            "local/edge_config.json",
            json!({"settings": SETTINGS, "session_jwks": jwks.to_string()}),
        ),
        (
            "local/edge_secrets.json",
            json!({"signing_key": edge.to_jwk(), "log_key": secret(), "login_key": secret()}),
        ),
    ] {
        std::fs::write(path, content.to_string()).unwrap();
    }

    let roles = json!({"realm_access": {"roles": ["reader"]}, "tenant_id": "acme"});
    let claims = Claims::with_custom_claims(roles, Duration::from_hours(8))
        .with_issuer(settings.session.issuer)
        .with_audience(settings.session.client_id)
        .with_subject("local-user");
    println!("wrote local/edge_config.json and local/edge_secrets.json");
    println!("the mesh's key set (issuers[].keys.inline):");
    println!("{}", json!({"keys": [public(&edge, "edge-local")]}));
    println!("a session for eight hours (curl -b):");
    println!("__Host-session={}", login.sign(claims).unwrap());
}

#[cfg(target_arch = "wasm32")]
fn main() {}
