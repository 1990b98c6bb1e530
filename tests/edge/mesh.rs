//! The mesh behind the edge: Envoy with the filter, logging as the docs say; and the chain of both.

use std::fs;
use std::path::{Path, PathBuf};

use edge_claims_harness::envoy::wait;
use edge_claims_harness::{Envoy, Setup, Upstream, tools};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::viceroy::{Stores, Viceroy};
use crate::world::{BACKENDS, EdgeKey, LOG_KEY, World, payload, with_session};

/// Envoy with the filter, which trusts the edge.
pub struct Mesh {
    pub envoy: Envoy,
    logs: TempDir,
}

impl Mesh {
    /// `change` gets the plugin config before Envoy does.
    pub fn start(upstream: &Upstream, key: &EdgeKey, change: impl FnOnce(&mut Value)) -> Self {
        let logs = TempDir::new().expect("a temporary folder");
        let mut config = policy(key);
        change(&mut config);
        // HTTP/2 to the upstream, which gRPC needs; the upstream speaks both.
        let envoy = Setup::new(upstream)
            .http2_upstreams()
            .hcm(&json!({"access_log": access_logs(logs.path())}))
            .environment("EDGE_CLAIMS_LOG_KEY", LOG_KEY)
            .plugin(&config)
            .start();
        Self { envoy, logs }
    }

    /// Puts an edge in front.
    pub fn edge(&self, stores: &Stores, upstream: &Upstream) -> Viceroy {
        let edge = Viceroy::start(stores, self.envoy.port());
        // Viceroy asks each backend once whether it is up, before it serves. That is no client's request:
        // the upstream never sees it, and the logs shall begin behind it.
        let asked = |name| {
            wait("Viceroy's own requests", || {
                let log = fs::read_to_string(self.logs.path().join(name)).unwrap_or_default();
                (log.lines().count() == BACKENDS).then_some(())
            })
        };
        for name in ["json.log", "text.log"] {
            asked(name).unwrap_or_else(|problem| panic!("{problem}"));
            fs::write(self.logs.path().join(name), "").expect("the folder is ours");
        }
        assert_eq!(upstream.count(), 0, "no claims, no way through");
        edge
    }

    /// Where the access log is, as JSON.
    pub fn log_path(&self) -> PathBuf {
        self.logs.path().join("json.log")
    }

    /// Waits for the access record with this correlation ID.
    pub fn record(&self, id: &str) -> Value {
        self.line("json.log", id, |line| {
            serde_json::from_str(line).expect("JSON")
        })
    }

    /// Waits for the line of the text log with this correlation ID.
    pub fn text(&self, id: &str) -> String {
        self.line("text.log", id, str::to_owned)
    }

    fn line<T>(&self, name: &str, id: &str, parse: impl Fn(&str) -> T) -> T {
        let path = self.logs.path().join(name);
        let found = wait("a line in the mesh's log", || {
            let log = fs::read_to_string(&path).unwrap_or_default();
            log.lines().find(|line| line.contains(id)).map(&parse)
        });
        found.unwrap_or_else(|problem| panic!("{problem}: {id}"))
    }

    /// Both access logs.
    pub fn access_text(&self) -> String {
        let log = |name| fs::read_to_string(self.logs.path().join(name)).unwrap_or_default();
        log("json.log") + &log("text.log")
    }
}

/// A YAML document of `docs/access-logs/`.
fn docs(name: &str) -> Value {
    let path = tools::root().join("docs/access-logs").join(name);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The access logs of the docs as they are, but for where they go.
fn access_logs(folder: &Path) -> Value {
    let mut logs = docs("envoy.yaml")["access_log"].take();
    for (log, name) in logs
        .as_array_mut()
        .expect("a list")
        .iter_mut()
        .zip(["json.log", "text.log"])
    {
        let config = &mut log["typed_config"];
        config["@type"] =
            json!("type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog");
        config["path"] = json!(folder.join(name));
        log["name"] = json!("envoy.access_loggers.file");
    }
    logs
}

/// What the mesh allows, and whom it believes: the edge of the example, bound to the live request.
pub fn policy(key: &EdgeKey) -> Value {
    json!({
        "claims": {"issuers": [{
            "issuer": "https://edge.example.com",
            "audiences": ["mesh.example.com"],
            "algorithms": ["ES256"],
            "type": "edge-claims+jwt",
            "keys": {"inline": {"keys": [key.public]}},
            "max_lifetime": "60s",
            "max_age": "60s",
            "require": ["sub", "cid"],
            "bind": {"method": "htm", "path_and_query": "htq", "host": "hth"},
        }]},
        "rbac": {
            "roles": {"claim": "roles", "includes": {"editor": ["reader"]}},
            "routes": [
                {"name": "public", "path": "/public/{*rest}", "allow": "public"},
                {"name": "orders-read", "methods": ["GET"], "path": "/tenants/{tenant}/orders/{*rest}",
                    "allow": {"any_role": ["reader"], "bind": {"tenant": "tenant_id"}}},
                {"name": "orders-write", "methods": ["POST", "PUT"], "path": "/tenants/{tenant}/orders/{*rest}",
                    "allow": {"any_role": ["editor"], "bind": {"tenant": "tenant_id"}}},
                {"name": "grpc", "methods": ["POST"], "path": "/shop.Orders/{method}", "allow": {"any_role": ["reader"]}},
                {"name": "grpc-admin", "methods": ["POST"], "path": "/shop.Admin/{method}", "allow": {"any_role": ["editor"]}},
            ],
        },
        "identity": {"headers": {"x-auth-subject": ["sub"], "x-auth-roles": ["roles"]}},
        "log": {"hash_key_env": "EDGE_CLAIMS_LOG_KEY", "access_fields": [
            "correlation_id", "verdict", "reason", "route", "issuer", "kid", "subject", "correlation_source",
            "path", "trace_id",
        ]},
    })
}

struct Chain {
    world: World,
    upstream: Upstream,
    mesh: Mesh,
    edge: Viceroy,
}

impl Chain {
    fn start() -> Self {
        let (world, upstream) = (World::new(), Upstream::start());
        let mesh = Mesh::start(&upstream, &world.edge_key, |_| {});
        let edge = mesh.edge(&world.stores(), &upstream);
        Self {
            world,
            upstream,
            mesh,
            edge,
        }
    }
}

#[test]
fn one_id_leads_from_the_client_through_both_logs_to_the_upstream() {
    let chain = Chain::start();
    let session = chain.world.session(&json!({}));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = chain
        .edge
        .client()
        .get("/tenants/a/orders/7?x=1")
        .header("traceparent", trace);
    let response = with_session(request, &session).send();
    assert_eq!(response.status, 200, "{response:?}");
    let id = response.header("x-correlation-id").expect("the ID");

    let seen = chain.upstream.only();
    assert_eq!(seen.header("x-correlation-id").as_deref(), Some(&*id));
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    assert_eq!(seen.header("x-auth-roles").as_deref(), Some("reader"));
    assert_eq!(seen.header("x-edge-claims"), None);
    assert_eq!(seen.header("traceparent").as_deref(), Some(trace));

    let (edge, mesh) = (chain.edge.record(&id), chain.mesh.record(&id));
    assert_eq!(edge["outcome"], "forwarded");
    for (name, value) in [
        ("verdict", "allow/orders-read"),
        ("details", "via_upstream"),
        ("route", "orders-read"),
        ("issuer", "https://edge.example.com"),
        ("kid", "edge-1"),
        ("correlation_source", "signed"),
        ("method", "GET"),
        ("path", "/tenants/a/orders/7"),
        ("host", edge["host"].as_str().unwrap()),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
    ] {
        assert_eq!(mesh[name], value, "{name} in {mesh}");
    }
    assert_eq!(mesh["status"], 200);
    assert!(edge["subject"].is_string(), "{edge}");
    assert_eq!(mesh["subject"], edge["subject"], "one key, one hash");
    assert_eq!(mesh["reason"], Value::Null);
    assert!(mesh["time"].as_str().unwrap() >= edge["time"].as_str().unwrap());
    let text = chain.mesh.text(&id);
    assert!(
        text.contains(&format!("{id} allow/orders-read 200 via_upstream - ")),
        "{text}"
    );
}

#[test]
fn a_deny_of_the_mesh_reaches_the_client_with_its_id() {
    let chain = Chain::start();
    let session = chain.world.session(&json!({}));
    let request = chain.edge.client().request("POST", "/tenants/a/orders");
    let response = with_session(request, &session).send();
    assert_eq!(response.status, 403, "{response:?}");
    let id = response.header("x-correlation-id").expect("the ID");
    assert_eq!(response.json()["code"], "role");
    assert_eq!(response.json()["correlation_id"], id.as_str());
    assert_eq!(chain.edge.record(&id)["status"], 403);
    let mesh = chain.mesh.record(&id);
    assert_eq!(mesh["verdict"], "deny/role/orders-write");
    assert_eq!(mesh["details"], "edge_claims_denied{role}{orders-write}");
    assert_eq!(mesh["reason"], "role");
    assert_eq!(chain.upstream.count(), 0);
}

#[test]
fn grpc_goes_all_the_way_and_is_denied_in_its_own_way() {
    let chain = Chain::start();
    let session = chain.world.session(&json!({}));
    let call = |method| with_session(chain.edge.client().grpc(method, b"hello"), &session).send();
    let answered = call("/shop.Orders/Get");
    assert_eq!(
        answered.trailer("grpc-status").as_deref(),
        Some("0"),
        "{answered:?}"
    );
    assert_eq!(&answered.body[5..], b"hello");
    let id = answered.header("x-correlation-id").expect("the ID");
    assert_eq!(chain.mesh.record(&id)["protocol"], "HTTP/2");
    assert_eq!(chain.upstream.take().len(), 1);

    // Envoy denies before the request has ended, and resets the rest of it. Viceroy 0.22 (h2 0.3) hands
    // that reset on, and now and then loses the answer before it: so once more, where it did.
    let denied = (0..10)
        .map(|_| call("/shop.Admin/Delete"))
        .find(|response| response.status != 0)
        .expect("an answer in ten calls");
    assert_eq!(
        denied.trailer("grpc-status").as_deref(),
        Some("7"),
        "{denied:?}"
    );
    let id = denied.header("x-correlation-id").expect("the ID");
    assert_eq!(chain.mesh.record(&id)["verdict"], "deny/role/grpc-admin");
    assert_eq!(chain.upstream.count(), 0);
}

#[test]
fn where_the_client_is_reaches_the_upstream_as_the_platform_says() {
    let (world, upstream) = (World::new(), Upstream::start());
    let mesh = Mesh::start(&upstream, &world.edge_key, |config| {
        config["identity"]["headers"]["x-auth-country"] = json!(["geo", "country"]);
    });
    let mut stores = world.stores();
    let mut settings = World::settings();
    settings["claims"]["geo"] = json!(true);
    stores.settings = Some(settings);
    let edge = mesh.edge(&stores, &upstream);
    // What a client or its ID token says counts for nothing.
    let session = world.session(&json!({"geo": {"country": "XX"}}));
    let request = edge
        .client()
        .get("/tenants/a/orders/7")
        .header("x-auth-country", "XX");
    let response = with_session(request, &session).send();
    assert_eq!(response.status, 200, "{response:?}");
    // Viceroy's lookup says this of every client on loopback.
    assert_eq!(
        upstream.only().header("x-auth-country").as_deref(),
        Some("US")
    );
}

#[test]
fn a_stolen_token_is_good_for_its_own_request_only() {
    let (world, trap) = (World::new(), Upstream::start());
    let leaky = world.edge(&trap);
    let session = world.session(&json!({}));
    let path = "/tenants/a/orders/7";
    assert_eq!(
        with_session(leaky.client().get(path), &session)
            .send()
            .status,
        200
    );
    let stolen = trap.only().header("x-edge-claims").expect("edge claims");

    let upstream = Upstream::start();
    let mesh = Mesh::start(&upstream, &world.edge_key, |_| {});
    let host = payload(&stolen)["hth"].as_str().unwrap().to_owned();
    let send =
        |request: edge_claims_harness::Request| request.header("x-edge-claims", &stolen).send();
    let client = mesh.envoy.client();
    assert_eq!(
        send(client.get(path).host(&host)).status,
        200,
        "its own request"
    );
    for request in [
        client.get("/tenants/a/orders/8").host(&host),
        client.get(format!("{path}?admin=true")).host(&host),
        client.request("POST", path).host(&host),
        client.get(path).host("other.example.com"),
    ] {
        let response = send(request);
        assert_eq!(response.status, 401, "{response:?}");
        assert_eq!(response.json()["code"], "binding_request");
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn an_edge_that_the_mesh_does_not_know_gets_nothing_through() {
    let (world, upstream) = (World::new(), Upstream::start());
    // The same kid, another key: what an impostor would do.
    let mesh = Mesh::start(&upstream, &EdgeKey::generate("edge-1"), |_| {});
    let edge = mesh.edge(&world.stores(), &upstream);
    let response = with_session(
        edge.client().get("/tenants/a/orders"),
        &world.session(&json!({})),
    )
    .send();
    assert_eq!(response.status, 401);
    assert_eq!(response.json()["code"], "signature_invalid");
    let id = response.header("x-correlation-id").expect("the ID");
    // The signed ID counts for nothing here; the header's does, and it is the same.
    assert_eq!(
        mesh.record(&id)["verdict"],
        "deny/signature_invalid/orders-read"
    );
    assert_eq!(upstream.count(), 0);
}

#[test]
fn no_secret_is_in_any_log() {
    let (world, upstream) = (World::new(), Upstream::start());
    let logs = TempDir::new().expect("a temporary folder");
    let config = policy(&world.edge_key);
    let envoy = Setup::new(&upstream)
        .log_level("debug")
        .hcm(&json!({"access_log": access_logs(logs.path())}))
        .plugin(&config)
        .start();
    let mesh = Mesh { envoy, logs };
    let edge = mesh.edge(&world.stores(), &upstream);
    let session = world.session(&json!({}));
    for path in ["/tenants/a/orders", "/tenants/b/orders", "/nowhere"] {
        let response = with_session(edge.client().get(path), &session).send();
        let _ = mesh.record(&response.header("x-correlation-id").expect("the ID"));
    }
    let private: Value = serde_json::from_str(&world.edge_key.private).unwrap();
    let own = edge.output();
    for secret in [
        private["d"].as_str().unwrap(),
        crate::world::LOG_KEY,
        &session,
        "eyJhbGciOi",
    ] {
        assert!(!own.contains(secret), "the edge logged {secret}");
    }
    // At this level Envoy itself logs every header; the filter's own lines and the access logs have no token.
    let access = mesh.access_text();
    assert!(
        access.contains("deny/binding_route/orders-read"),
        "{access}"
    );
    assert!(!access.contains("eyJhbGciOi"), "{access}");
    let log = mesh.envoy.log();
    for line in log.lines().filter(|line| line.contains("wasm log")) {
        assert!(!line.contains("eyJhbGciOi"), "{line}");
    }
}

#[test]
fn istios_formats_are_envoys() {
    let envoy = docs("envoy.yaml");
    let mesh = docs("istio-mesh-config.yaml");
    let providers = &mesh["meshConfig"]["extensionProviders"];
    let format = |number: usize| &envoy["access_log"][number]["typed_config"]["log_format"];
    let label = |number: usize| &providers[number]["envoyFileAccessLog"]["logFormat"];
    assert_eq!(label(0)["labels"], format(0)["json_format"]);
    assert_eq!(
        label(1)["text"],
        format(1)["text_format_source"]["inline_string"]
    );
    let telemetry = docs("istio-telemetry.yaml");
    let named = &telemetry["spec"]["accessLogging"][0]["providers"][0]["name"];
    assert_eq!(named, &providers[0]["name"]);
}
