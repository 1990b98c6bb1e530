//! Envoy with the example's config in front of the service, a key server beside them, and the edge's tokens.

use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Client, Envoy, KeyServer, Request, tools};
use serde_json::{Value, json};

use crate::service::{SECRET, Service, example};

pub struct Chain {
    pub envoy: Envoy,
    pub service: Service,
    pub edge: Key,
    _keys: KeyServer,
    _folder: tempfile::TempDir,
}

impl Chain {
    pub fn start() -> Self {
        Self::around(Service::with_secret(&[]), Key::generate("ES256", "edge-1"))
    }

    /// In front of that service; the edge has that key.
    pub fn around(service: Service, edge: Key) -> Self {
        let keys = KeyServer::start(&[&edge]);
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, SECRET).expect("the folder is ours");
        let (port, admin) = (tools::free_port(), tools::free_port());
        let module = tools::module();
        let of = |port: u16| format!("port_value: {port}");
        let envoy = Envoy::run_file(
            &example().join("envoy.yaml"),
            &[
                (
                    "../../target/edge_claims.wasm",
                    module.to_str().expect("UTF-8"),
                ),
                ("run/proxy.secret", secret.to_str().expect("UTF-8")),
                ("port_value: 10000", &of(port)),
                ("port_value: 9901", &of(admin)),
                ("port_value: 8000", &of(service.port())),
                ("port_value: 8099", &of(keys.upstream().port())),
            ],
            &[],
            port,
            admin,
        );
        let chain = Self {
            envoy,
            service,
            edge,
            _keys: keys,
            _folder: folder,
        };
        // Until the filter has fetched its keys, it answers 503.
        edge_claims_harness::envoy::wait("the keys", || {
            (chain.get("/me", &json!({})).send().status == 200).then_some(())
        })
        .expect("the first answer");
        chain
    }

    /// A token of Bob's, with changes to its claims.
    pub fn token(&self, changes: &Value) -> String {
        bobs_token(&self.edge, changes)
    }

    pub fn client(&self) -> Client {
        self.envoy.client()
    }

    /// A request with such a token.
    pub fn get(&self, path: &str, changes: &Value) -> Request {
        self.request("GET", path, changes)
    }

    pub fn request(&self, method: &str, path: &str, changes: &Value) -> Request {
        self.client()
            .request(method, path)
            .header("connection", "close")
            .header("x-edge-claims", self.token(changes))
    }

    /// Places an order.
    pub fn order(&self, changes: &Value, body: &Value) -> Request {
        self.request("POST", "/tenants/acme/orders", changes)
            .header("content-type", "application/json")
            .body(body.to_string())
    }
}

/// A token that the edge signs for Bob.
pub fn bobs_token(edge: &Key, changes: &Value) -> String {
    let mut claims = json!({
        "sub": "bob", "roles": ["editor"], "scope": "orders:read orders:write", "tenant_id": "acme",
        "geo": {"country": "DE", "region": "NW", "city": "Köln"}, "cid": null,
    });
    for (name, value) in changes.as_object().expect("changes are an object") {
        claims[name] = value.clone();
    }
    edge.sign_typed(&tokens::claims(&claims), "edge-claims+jwt")
}
