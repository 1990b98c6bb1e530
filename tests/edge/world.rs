//! The login server and the edge's key, and the tokens that they sign.

use edge_claims_harness::tokens::{self, Key, Order};
use edge_claims_harness::{Request, Upstream, tools};
use jwt_simple::prelude::*;
use serde_json::{Value, json};

use crate::viceroy::{Stores, Viceroy};

/// The key that signs edge claims, as the edge has it and as the mesh has it.
pub struct EdgeKey {
    pub private: String,
    pub public: Value,
}

impl EdgeKey {
    pub fn generate(id: &str) -> Self {
        let key = ES256KeyPair::generate().with_key_id(id);
        let public = key.public_key().with_key_id(id).to_jwk();
        Self {
            private: key.to_jwk(),
            public: serde_json::from_str(&public).expect("jwt-simple writes JSON"),
        }
    }
}

/// The login server, and the key of the edge behind it.
pub struct World {
    pub login: Key,
    pub edge_key: EdgeKey,
}

/// How many backends the edge has: `mesh` and `mesh_grpc`.
pub const BACKENDS: usize = 2;

/// The key of the log's subject hash.
pub const LOG_KEY: &str = "0123456789abcdef0123456789abcdef";

/// The key of the states of logins.
pub const LOGIN_KEY: &str = "fedcba9876543210fedcba9876543210";

impl World {
    pub fn new() -> Self {
        Self {
            login: Key::generate("ES256", "login-1"),
            edge_key: EdgeKey::generate("edge-1"),
        }
    }

    /// The settings of the example.
    pub fn settings() -> Value {
        let path = tools::root().join("examples/fastly-edge/settings.json");
        let text = std::fs::read_to_string(path).expect("the example has settings");
        serde_json::from_str(&text).expect("they are JSON")
    }

    /// Stores with all that the edge needs.
    pub fn stores(&self) -> Stores {
        Stores {
            settings: Some(Self::settings()),
            session_jwks: Some(tokens::jwks(&[&self.login])),
            signing_key: Some(self.edge_key.private.clone()),
            log_key: Some(LOG_KEY.to_owned()),
            login_key: Some(LOGIN_KEY.to_owned()),
            ..Stores::default()
        }
    }

    /// The edge, straight in front of an upstream.
    pub fn edge(&self, upstream: &Upstream) -> Viceroy {
        Self::edge_with(&self.stores(), upstream)
    }

    /// The same with other stores.
    pub fn edge_with(stores: &Stores, upstream: &Upstream) -> Viceroy {
        let edge = Viceroy::start(stores, upstream.port());
        // Viceroy asks each backend once whether it is up, before it serves.
        assert_eq!(upstream.take().len(), BACKENDS);
        edge
    }

    /// An ID token of the login server, with changes to its claims.
    pub fn session(&self, changes: &Value) -> String {
        self.login.sign(&session_claims(changes))
    }

    /// The same, signed by an independent library.
    pub fn session_by_pyjwt(&self, changes: &Value) -> String {
        tokens::mint(&[Order::pyjwt(&self.login, &session_claims(changes))]).remove(0)
    }
}

/// Claims of a session that the example's settings accept.
pub fn session_claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://login.example.com",
        "aud": "shop",
        "realm_access": {"roles": ["reader"]},
        "tenant_id": "a",
    });
    for (name, value) in changes.as_object().expect("changes are an object") {
        claims[name] = value.clone();
    }
    tokens::claims(&claims)
}

/// The request with a session cookie, among others.
pub fn with_session(request: Request, session: &str) -> Request {
    request.header("cookie", format!("theme=dark; __Host-session={session}"))
}

/// The payload of a compact JWS; nothing is verified.
pub fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("a compact JWS");
    serde_json::from_slice(&tokens::from_base64url(part)).expect("a JSON payload")
}
