//! The chain, running. Between its hops is TLS with certificates on both sides, as in `examples/haproxy`.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use edge_claims_harness::provider::Provider;
use edge_claims_harness::tls::Authority;
use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::upstream::Answer;
use edge_claims_harness::{Client, Envoy, Request, Seen, Setup, Upstream, tools};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::SHOP;
use crate::files::Files;
use crate::haproxy::HaProxy;
use crate::service::{SECRET, Service};
use crate::viceroy::{Stores, Viceroy};
use crate::world::{LOG_KEY, World};

/// The key of a WebSocket's handshake, and the answer to it (RFC 6455 §4.2.2), which HAProxy checks.
pub const WEBSOCKET_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAA==";
const WEBSOCKET_ACCEPT: &str = "ICX+Yqv66kxgM0FcWaLWlFLwTAI=";

/// The second edge is the test itself, where Viceroy cannot (WebSockets): it signs, and logs in the edge's format.
pub const SECOND: &str = "https://second.example.com";

pub struct Chain {
    pub world: World,
    pub provider: Provider,
    pub edge: Viceroy,
    pub front: HaProxy,
    _envoy: Envoy,
    pub app: Service,
    /// WebSockets, gRPC, and what fails at first: the example's service has none of these.
    pub streams: Streams,
    pub second: Key,
    front_port: u16,
    folder: TempDir,
    /// How many lines HAProxy and Envoy had before the first request of a test.
    before: [usize; 2],
}

/// An upstream that logs as the service does.
pub struct Streams {
    upstream: Upstream,
    log: Arc<Mutex<String>>,
}

impl Chain {
    /// `access_logs` are more access logs of Envoy, and `clusters` are what they need.
    pub fn start(access_logs: &[Value], clusters: &[Value]) -> Self {
        let (world, files) = (World::new(), Files::shared());
        let second = Key::generate("ES256", "second-1");
        let (app, streams) = (Service::with_secret(&[]), Streams::start());
        let folder = TempDir::new().expect("a temporary folder");
        let secret = folder.path().join("proxy.secret");
        fs::write(&secret, SECRET).expect("the folder is ours");

        let mut logs = vec![docs_access_log(&folder.path().join("mesh.log"))];
        logs.extend(access_logs.iter().cloned());
        let mut setup = Setup::new(&streams.upstream)
            .http2_upstreams()
            .cluster(edge_claims_harness::setup::cluster("streams", streams.upstream.port()))
            .cluster(edge_claims_harness::setup::cluster("app", app.port()))
            .environment("EDGE_CLAIMS_LOG_KEY", LOG_KEY)
            .plugin(&policy(&world, &second))
            .filter(credential_injector())
            .bootstrap(&json!({"static_resources": {"secrets": [{
                "name": "proxy_secret", "generic_secret": {"secret": {"filename": secret}},
            }]}}))
            .hcm(&json!({
                "access_log": logs,
                "upgrade_configs": [{"upgrade_type": "websocket"}],
                "use_remote_address": true,
                "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes()}]},
            }))
            .tls(&Authority::new())
            .downstream_tls(&tls_of_the_example(files))
            .listener(&json!({"listener_filters": [
                listener_filter("proxy_protocol", "proxy_protocol.v3.ProxyProtocol"),
                listener_filter("tls_inspector", "tls_inspector.v3.TlsInspector"),
            ]}));
        for cluster in clusters {
            setup = setup.cluster(cluster.clone());
        }
        let envoy = setup.start();

        let front_port = tools::free_port();
        let local = |port: u16| format!("127.0.0.1:{port}");
        let (address, to) = (local(front_port), local(envoy.port()));
        let environment = [
            ("FRONT_ADDRESS", &*address),
            ("ENVOY_ADDRESS", &*to),
            ("LOG_KEY", LOG_KEY),
            // The edge's requests all come from one address here.
            ("REQUESTS_PER_10S", "1000000"),
            ("DENIALS_PER_MINUTE", "1000000"),
        ];
        let front = HaProxy::start(&[&files.path("front.cfg")], &environment, front_port);

        let provider = provider();
        let stores = Stores {
            mesh_certificates: Some(files.path("certs")),
            ..stores(&world, &provider)
        };
        let edge = Viceroy::start(&stores, front_port);
        let mut chain = Self {
            world,
            provider,
            edge,
            front,
            _envoy: envoy,
            app,
            streams,
            second,
            front_port,
            folder,
            before: [0, 0],
        };
        // The connection that saw HAProxy listen, and Viceroy's, which asks each backend once whether it is up. Those
        // are no client's requests.
        let asked = edge_claims_harness::envoy::wait("what came before the clients", || {
            let haproxy = chain.haproxy_lines().len();
            (haproxy == 1 + crate::world::BACKENDS).then(|| [haproxy, chain.mesh_lines().len()])
        });
        chain.before = asked.unwrap_or_else(|problem| panic!("{problem}\n{}", chain.front.text()));
        chain
    }

    /// A request of the second edge to HAProxy, with the edge's certificate and a token of its own.
    pub fn by_second(&self, id: &str, path: &str) -> Request {
        let claims = json!({
            "iss": SECOND, "cid": id, "roles": ["reader"], "tenant_id": "acme", "htm": "GET",
        });
        let token = self.second.sign(&tokens::claims(&claims));
        let files = Files::shared();
        let identity = files.identity("edge");
        Client::with_tls(
            self.front_port,
            files.tls("shop.example.com", Some(&identity)),
        )
        .get(path)
        .header("x-edge-claims", token)
        .header("x-correlation-id", id)
    }

    /// A request to HAProxy of someone who is no edge.
    pub fn by_stranger(&self, path: &str) -> Request {
        let tls = Files::shared().tls("shop.example.com", None);
        Client::with_tls(self.front_port, tls).get(path)
    }

    /// HAProxy's log since the start.
    pub fn haproxy_lines(&self) -> Vec<String> {
        let text = self.front.text();
        let lines = text.lines().filter(|line| line.starts_with('{'));
        lines.skip(self.before[0]).map(str::to_owned).collect()
    }

    /// Envoy's access log since the start.
    pub fn mesh_lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("mesh.log")).unwrap_or_default();
        text.lines()
            .skip(self.before[1])
            .map(str::to_owned)
            .collect()
    }

    pub fn streams_log(&self) -> String {
        self.streams.log.lock().expect("no panic").clone()
    }
}

impl Streams {
    fn start() -> Self {
        let log = Arc::new(Mutex::new(String::new()));
        let (theirs, failed) = (Arc::clone(&log), Mutex::new(BTreeSet::new()));
        let upstream = Upstream::answering(move |seen| {
            let id = seen.header("x-correlation-id").unwrap_or_default();
            let answer = answer(seen, &id, &mut failed.lock().expect("no panic"));
            let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
            let line = json!({
                "time": now, "event": "request", "correlation_id": id, "status": answer.status,
                "method": String::from_utf8_lossy(&seen.method), "path": seen.path(), "duration_ms": 0,
            });
            theirs
                .lock()
                .expect("no panic")
                .push_str(&format!("{line}\n"));
            answer
        });
        Self { upstream, log }
    }
}

/// A WebSocket is opened, a call echoed, and what is flaky fails at its first attempt, or at each.
fn answer(seen: &Seen, id: &str, failed: &mut BTreeSet<String>) -> Answer {
    match seen.path().as_str() {
        "/ws" => Answer {
            status: 101,
            headers: [
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-accept", WEBSOCKET_ACCEPT),
            ]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
            ..Answer::default()
        },
        "/flaky/always" => Answer::json(503, &json!({})),
        path if path.starts_with("/flaky/") && failed.insert(id.to_owned()) => {
            Answer::json(503, &json!({}))
        }
        _ => Answer::echo(seen),
    }
}

fn provider() -> Provider {
    let mut provider = Provider::start();
    provider.register(&json!({
        "client_id": "shop",
        "redirect_uris": [format!("{SHOP}/login/callback")],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "id_token_signed_response_alg": "ES256",
    }));
    provider
}

/// The example's settings, with this provider. It accepts the sessions of the test's login server, too.
fn stores(world: &World, provider: &Provider) -> Stores {
    let issuer = provider.issuer();
    let mut settings = World::settings();
    settings["session"]["issuer"] = json!(issuer);
    settings["session"]["roles"] = json!(["roles"]);
    // The keys of the store count, then, of which one is the test's own.
    let fetched = settings["session"]
        .as_object_mut()
        .expect("an object")
        .remove("jwks");
    assert!(fetched.is_some(), "the example fetches the provider's keys");
    settings["login"]["authorize_endpoint"] = json!(format!("{issuer}/auth"));
    settings["login"]["token_endpoint"] = json!(format!("{issuer}/token"));
    let host = format!("127.0.0.1:{}", provider.port());
    let mut keys = Client::new(provider.port())
        .get("/jwks")
        .host(host)
        .send()
        .json();
    let own = tokens::jwks(&[&world.login]);
    let all = keys["keys"].as_array_mut().expect("a list");
    all.extend(own["keys"].as_array().expect("a list").iter().cloned());
    Stores {
        settings: Some(settings),
        session_jwks: Some(keys),
        provider: Some(provider.port()),
        ..world.stores()
    }
}

/// The JSON format of the docs, to a file.
fn docs_access_log(path: &std::path::Path) -> Value {
    let docs = tools::root().join("docs/access-logs/envoy.yaml");
    let text =
        fs::read_to_string(&docs).unwrap_or_else(|error| panic!("{}: {error}", docs.display()));
    let mut docs: Value = serde_saphyr::from_str(&text).expect("YAML");
    let mut log = docs["access_log"][0].take();
    log["name"] = json!("envoy.access_loggers.file");
    log["typed_config"]["@type"] =
        json!("type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog");
    log["typed_config"]["path"] = json!(path);
    log
}

fn routes() -> Value {
    let to = |prefix: &str, cluster: &str| json!({"match": {"prefix": prefix}, "route": {"cluster": cluster, "timeout": "20s"}});
    let mut flaky = to("/flaky/", "streams");
    flaky["route"]["retry_policy"] = json!({"retry_on": "5xx", "num_retries": 1});
    // The first cluster of the harness speaks HTTP/2.
    json!([
        to("/shop.", "upstream"),
        to("/ws", "streams"),
        flaky,
        to("/", "app")
    ])
}

fn listener_filter(name: &str, kind: &str) -> Value {
    json!({
        "name": format!("envoy.filters.listener.{name}"),
        "typed_config": {"@type": format!("type.googleapis.com/envoy.extensions.filters.listener.{kind}")},
    })
}

/// As in `examples/haproxy/envoy.yaml`: only HAProxy's certificate goes.
fn tls_of_the_example(files: &Files) -> Value {
    json!({
        "require_client_certificate": true,
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [{
                "certificate_chain": {"filename": files.path("certs/envoy.crt")},
                "private_key": {"filename": files.path("certs/envoy.key")},
            }],
            "validation_context": {
                "trusted_ca": {"filename": files.path("certs/ca.pem")},
                "match_typed_subject_alt_names":
                    [{"san_type": "DNS", "matcher": {"exact": "front.mesh.example.com"}}],
            },
        },
    })
}

/// As in `examples/fastapi/envoy.yaml`.
fn credential_injector() -> Value {
    json!({
        "name": "envoy.filters.http.credential_injector",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
            "overwrite": true,
            "credential": {
                "name": "envoy.http.injected_credentials.generic",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
                    "header": "x-proxy-secret",
                    "credential": {"name": "proxy_secret"},
                },
            },
        },
    })
}

fn policy(world: &World, second: &Key) -> Value {
    let issuer = |name: &str, kind: &str, keys: Value, bind: Value| {
        json!({
            "issuer": name, "audiences": ["mesh.example.com"], "algorithms": ["ES256"], "type": kind,
            "keys": {"inline": keys}, "max_lifetime": "10m", "bind": bind,
        })
    };
    let bind = json!({"method": "htm", "path_and_query": "htq", "host": "hth"});
    let keys = json!({"keys": [world.edge_key.public]});
    json!({
        "claims": {"issuers": [
            issuer("https://edge.example.com", "edge-claims+jwt", keys, bind),
            issuer(SECOND, "JWT", tokens::jwks(&[second]), json!({"method": "htm"})),
        ]},
        "rbac": {
            "roles": {"claim": "roles", "includes": {"editor": ["reader"]}},
            "routes": [
                {"name": "public", "path": "/public/{*rest}", "allow": "public"},
                {"name": "me", "path": "/me", "methods": ["GET"], "allow": "authenticated"},
                {"name": "orders-read", "methods": ["GET"], "path": "/tenants/{tenant}/orders",
                    "allow": {"any_role": ["reader"], "bind": {"tenant": "tenant_id"}}},
                {"name": "orders-write", "methods": ["POST"], "path": "/tenants/{tenant}/orders",
                    "allow": {"any_role": ["editor"], "bind": {"tenant": "tenant_id"}}},
                {"name": "grpc", "methods": ["POST"], "path": "/shop.Orders/{method}", "allow": "authenticated"},
                {"name": "ws", "path": "/ws", "allow": "authenticated"},
                {"name": "flaky", "path": "/flaky/{n}", "allow": "authenticated"},
            ],
        },
        "identity": {"headers": {
            "x-auth-subject": ["sub"], "x-auth-roles": ["roles"], "x-auth-scope": ["scope"],
            "x-auth-tenant": ["tenant_id"],
        }},
        "log": {"hash_key_env": "EDGE_CLAIMS_LOG_KEY", "access_fields": [
            "correlation_id", "verdict", "reason", "route", "issuer", "kid", "subject", "correlation_source",
            "path", "trace_id",
        ]},
    })
}
