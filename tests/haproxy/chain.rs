//! The chain of `examples/haproxy`: HAProxy, Envoy with the filter, HAProxy, two pools.

use std::path::Path;

use edge_claims_harness::tls::Identity;
use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::upstream::Answer;
use edge_claims_harness::{Client, Envoy, Request, Response, Seen, Upstream, tools};
use serde_json::{Value, json};

use crate::files::Files;
use crate::haproxy::{HaProxy, parse};

pub const EDGE_SECRET: &str = "edge-secret-0123456789abcdef0123456789";
pub const MESH_SECRET: &str = "mesh-secret-0123456789abcdef0123456789";
pub const CLAIMS_SECRET: &str = "claims-secret-0123456789abcdef0123456789";
pub const LOG_KEY: &str = "log-key-0123456789abcdef0123456789";

/// The names in the certificates of the hops.
pub const FRONT: &str = "shop.example.com";
pub const ENVOY: &str = "envoy.mesh.example.com";
pub const BEHIND: &str = "behind.mesh.example.com";

/// How the HAProxy behind Envoy knows that a request is Envoy's.
pub const BEHINDS: [&str; 3] = ["behind-mtls.cfg", "behind-secret.cfg", "behind-claims.cfg"];

/// What differs from the example.
#[derive(Default)]
pub struct Options<'a> {
    /// One of [`BEHINDS`]; otherwise the first.
    pub behind: Option<&'a str>,
    /// Variables of the front.
    pub front: &'a [(&'a str, &'a str)],
    /// Changes to `front.cfg`.
    pub front_changes: &'a [(&'a str, &'a str)],
    /// Changes to `envoy.yaml`.
    pub envoy_changes: &'a [(&'a str, &'a str)],
}

/// A running chain.
pub struct Chain {
    pub front: HaProxy,
    pub envoy: Envoy,
    pub behind: HaProxy,
    pub readers: Upstream,
    pub editors: Upstream,
    front_port: u16,
    behind_port: u16,
}

impl Chain {
    pub fn start() -> Self {
        Self::with(&Options::default())
    }

    pub fn with(options: &Options<'_>) -> Self {
        let files = Files::shared();
        let (readers, editors) = (pool(), pool());
        let (behind, behind_port) =
            behind(options.behind.unwrap_or(BEHINDS[0]), &readers, &editors);
        let envoy = envoy(files, behind_port, options.envoy_changes);
        let front_port = tools::free_port();
        let mut environment = vec![
            ("EDGE_SECRET", EDGE_SECRET),
            ("LOG_KEY", LOG_KEY),
            ("EDGE_NAMES_CLIENT", "yes"),
            // All tests come from one address.
            ("REQUESTS_PER_10S", "100000"),
            ("DENIALS_PER_MINUTE", "100000"),
        ];
        let address = local(front_port);
        let to = local(envoy.port());
        environment.extend([("FRONT_ADDRESS", &*address), ("ENVOY_ADDRESS", &*to)]);
        environment.extend(options.front);
        let name = format!("front-{front_port}.cfg");
        let file = files.changed("front.cfg", &name, options.front_changes);
        let front = HaProxy::start(&[&file], &environment, front_port);
        Self {
            front,
            envoy,
            behind,
            readers,
            editors,
            front_port,
            behind_port,
        }
    }

    /// A client of the front with that certificate, or none.
    pub fn client(&self, identity: Option<&Identity>) -> Client {
        Client::with_tls(self.front_port, Files::shared().tls(FRONT, identity))
    }

    /// The edge: a client of the front that has the edge's certificate.
    pub fn edge(&self) -> Client {
        self.client(Some(&Files::shared().identity("edge")))
    }

    /// A client of Envoy, around the HAProxy in front of it.
    pub fn to_envoy(&self, identity: Option<&Identity>) -> Client {
        Client::with_tls(self.envoy.port(), Files::shared().tls(ENVOY, identity))
    }

    /// A client of the HAProxy behind Envoy, around Envoy.
    pub fn to_behind(&self, identity: Option<&Identity>) -> Client {
        Client::with_tls(self.behind_port, Files::shared().tls(BEHIND, identity))
    }

    /// The one request that reached a pool since the last call, and the pool's name.
    pub fn only(&self) -> (&'static str, Seen) {
        match (self.readers.count(), self.editors.count()) {
            (1, 0) => ("readers", self.readers.only()),
            (0, 1) => ("editors", self.editors.only()),
            (readers, editors) => panic!("{readers} requests for readers, {editors} for editors"),
        }
    }

    /// How many requests reached the pools.
    pub fn count(&self) -> usize {
        self.readers.count() + self.editors.count()
    }

    /// Envoy's access log.
    pub fn access(&self) -> Vec<Value> {
        let log = self.envoy.log();
        let lines = log.lines().filter(|line| line.starts_with('{'));
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits for Envoy's record of the request with that ID.
    pub fn access_of(&self, id: &str) -> Value {
        let line = self
            .envoy
            .wait_for_log(&format!("\"correlation_id\":\"{id}\""));
        parse("mesh", &line)
    }
}

/// A pool that echoes. Told by `x-answer`, it also claims that the filter denied the subject with that hash.
pub fn pool() -> Upstream {
    Upstream::answering(|seen| {
        let mut answer = Answer::echo(seen);
        for subject in seen.all("x-answer") {
            let field = |name: &str, value: &str| (name.into(), value.into());
            answer
                .headers
                .push(field("x-verdict", "deny/role/orders-read"));
            answer.headers.push(field("x-verdict-subject", &subject));
        }
        answer
    })
}

/// The HAProxy behind Envoy, and its port.
pub fn behind(name: &str, readers: &Upstream, editors: &Upstream) -> (HaProxy, u16) {
    let files = Files::shared();
    behind_file(&files.path(name), readers, editors)
}

/// The same from a file of the test.
pub fn behind_file(file: &Path, readers: &Upstream, editors: &Upstream) -> (HaProxy, u16) {
    let port = tools::free_port();
    let environment = [
        ("BEHIND_ADDRESS", &*local(port)),
        ("READERS_ADDRESS", &*local(readers.port())),
        ("EDITORS_ADDRESS", &*local(editors.port())),
        ("MESH_SECRET", MESH_SECRET),
        ("EDGE_CLAIMS_SECRET", CLAIMS_SECRET),
    ];
    let pools = Files::shared().path("pools.cfg");
    (HaProxy::start(&[&pools, file], &environment, port), port)
}

/// The example's Envoy on free ports.
fn envoy(files: &Files, behind: u16, changes: &[(&str, &str)]) -> Envoy {
    let (port, admin) = (tools::free_port(), tools::free_port());
    let text = |port: u16| format!("port_value: {port}");
    let certs = format!("{}/certs/", files.folder().display());
    let (module, ports) = (tools::module(), [port, admin, behind].map(text));
    let mut substitutions = vec![
        ("port_value: 10443", &*ports[0]),
        ("port_value: 9901", &*ports[1]),
        ("port_value: 9443", &*ports[2]),
        ("certs/", &*certs),
        (
            "../../target/edge_claims.wasm",
            module.to_str().expect("an ASCII path"),
        ),
    ];
    substitutions.extend(changes);
    let environment = [
        ("EDGE_CLAIMS_SECRET", CLAIMS_SECRET),
        ("EDGE_CLAIMS_LOG_KEY", LOG_KEY),
        ("MESH_SECRET", MESH_SECRET),
    ];
    Envoy::run_file(
        &files.path("envoy.yaml"),
        &substitutions,
        &environment,
        port,
        admin,
    )
}

/// The key of the edge's tokens.
pub fn key() -> Key {
    Key::secret("HS256", "edge-1", CLAIMS_SECRET.as_bytes())
}

/// A token of the edge for a user of tenant `a`.
pub fn token(subject: &str, roles: &[&str]) -> String {
    token_with(&json!({"sub": subject, "roles": roles}))
}

/// The same with other claims.
pub fn token_with(changes: &Value) -> String {
    let mut all = json!({"tenant_id": "a"});
    for (name, value) in changes.as_object().expect("changes are an object") {
        all[name] = value.clone();
    }
    key().sign(&tokens::claims(&all))
}

/// The request with that token.
pub fn with_token(request: Request, token: &str) -> Request {
    request.header("x-edge-claims", token)
}

/// The reason in a problem.
pub fn code(response: &Response) -> String {
    response.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

pub fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
