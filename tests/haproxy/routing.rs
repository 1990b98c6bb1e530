//! Envoy's own routes, clusters and rate limits by verified identity: `examples/identity-routing`.

use std::process::Command;
use std::thread;
use std::time::Duration;

use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Envoy, KeyServer, Request, Response, Setup, Upstream, tools};
use serde_json::{Value, json};

use crate::behind::spoofed;
use crate::chain::{CLAIMS_SECRET, key, token, with_token};

const PATH: &str = "/orders/7";

/// Roles, and the cluster that they choose.
const ROLES: [(&[&str], &str); 10] = [
    (&["reader", "editor"], "editors"),
    (&["editor"], "editors"),
    (&["editor", "x"], "editors"),
    (&["\"", "editor", "\"", "reader"], "editors"),
    (&["reader"], "readers"),
    (&["reader", "noneditor"], "readers"),
    (&["reader", "editors"], "readers"),
    (&["reader", "x,editor"], "readers"),
    (&["reader", "editor x"], "readers"),
    (&["reader", "x\neditor\n"], "readers"),
];

/// The example, and what is behind it.
struct Example {
    envoy: Envoy,
    clusters: Clusters,
}

struct Clusters {
    readers: Upstream,
    editors: Upstream,
}

impl Clusters {
    fn start() -> Self {
        let (readers, editors) = (Upstream::start(), Upstream::start());
        Self { readers, editors }
    }

    /// Which one got the one request since the last call.
    fn only(&self) -> &'static str {
        match (self.readers.take().len(), self.editors.take().len()) {
            (1, 0) => "readers",
            (0, 1) => "editors",
            counts => panic!("one request should have come, to one cluster: {counts:?}"),
        }
    }
}

impl Example {
    fn start(changes: &[(&str, &str)]) -> Self {
        let clusters = Clusters::start();
        let (port, admin) = (tools::free_port(), tools::free_port());
        let text = |port: u16| format!("port_value: {port}");
        let ports = [
            port,
            admin,
            clusters.readers.port(),
            clusters.editors.port(),
        ]
        .map(text);
        let module = tools::module();
        let mut substitutions = vec![
            ("port_value: 10000", &*ports[0]),
            ("port_value: 9901", &*ports[1]),
            ("port_value: 8081", &*ports[2]),
            ("port_value: 8082", &*ports[3]),
            (MODULE, module.to_str().expect("an ASCII path")),
        ];
        substitutions.extend(changes);
        let config = tools::root().join("examples/identity-routing/envoy.yaml");
        let environment = [("EDGE_CLAIMS_SECRET", CLAIMS_SECRET)];
        let envoy = Envoy::run_file(&config, &substitutions, &environment, port, admin);
        Self { envoy, clusters }
    }
}

const MODULE: &str = "../../target/edge_claims.wasm";
const LIMIT: (&str, &str) = (
    "max_tokens: 5, tokens_per_fill: 5,",
    "max_tokens: 10000, tokens_per_fill: 10000,",
);

#[test]
fn envoy_accepts_the_config() {
    let output = Command::new(tools::envoy())
        .args(["--mode", "validate", "-c", "envoy.yaml"])
        .current_dir(tools::root().join("examples/identity-routing"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_verified_roles_choose_the_cluster_and_a_spoofed_header_chooses_nothing() {
    let example = Example::start(&[LIMIT]);
    let (envoy, clusters) = (&example.envoy, &example.clusters);
    for (roles, cluster) in ROLES {
        for request in [envoy.get(PATH), envoy.get(PATH).http2()] {
            let response = with_token(request, &token("alice", roles)).send();
            assert_eq!(response.status, 200, "{roles:?}: {response:?}");
            assert_eq!(clusters.only(), cluster, "{roles:?}");
        }
    }
    let reader = token("alice", &["reader"]);
    let editor = token("alice", &["editor"]);
    let mut passed = 0;
    for (request, cluster) in [
        (with_token(envoy.get(PATH), &reader), "readers"),
        (with_token(envoy.get(PATH).http2(), &reader), "readers"),
        (envoy.get("/public/x"), "readers"),
        // The filter has nothing to change in a header that is right already.
        (
            with_token(envoy.get(PATH), &editor).header("x-auth-roles", "editor"),
            "editors",
        ),
    ] {
        for request in spoofed(&request) {
            let shown = format!("{request:?}");
            if request.send().status == 200 {
                passed += 1;
                assert_eq!(clusters.only(), cluster, "{shown}");
            }
            assert_eq!(
                (clusters.readers.count(), clusters.editors.count()),
                (0, 0),
                "{shown}"
            );
        }
    }
    assert!(passed > 100, "{passed}");
    // A route by identity gives no access: that was decided before, by method, host and path.
    for (request, status) in [
        (with_token(envoy.get("/admin"), &editor), 403),
        (with_token(envoy.request("DELETE", PATH), &editor), 403),
        (envoy.get(PATH).header("x-auth-roles", "editor"), 401),
    ] {
        assert_eq!(request.send().status, status);
    }
    assert_eq!((clusters.readers.count(), clusters.editors.count()), (0, 0));
}

/// A filter before the plugin that has Envoy choose a route, so that it is cached, and shows it.
fn early() -> Value {
    let code = "function envoy_on_request(handle)
        handle:headers():replace('x-early', handle:metadata():get('cluster') or 'none')
    end";
    json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": code},
        },
    })
}

/// The example's routes, with the cluster's name where Lua finds it.
fn routes() -> Value {
    let route = |cluster: &str, headers: Value| {
        json!({
            "match": {"prefix": "/", "headers": headers},
            "route": {"cluster": cluster},
            "metadata": {"filter_metadata": {"envoy.filters.http.lua": {"cluster": cluster}}},
        })
    };
    let editor = json!([{"name": "x-auth-roles", "string_match": {"safe_regex": {"regex": "(.*,)?editor(,.*)?"}}}]);
    json!({"route_config": {"virtual_hosts": [{
        "name": "all",
        "domains": ["*"],
        "routes": [route("editors", editor), route("upstream", json!([]))],
    }]}})
}

#[test]
fn a_route_that_was_chosen_before_the_filter_does_not_stay() {
    let clusters = Clusters::start();
    let key = key();
    let server = KeyServer::start(&[]);
    // An issuer whose secret is there, and one whose keys come while requests wait for them.
    let late = Key::generate("ES256", "late-1");
    server.publish_after(Duration::from_secs(10), &[&late]);
    let issuer = |name: &str, algorithm: &str, keys: Value| json!({"issuer": name, "any_audience": true, "algorithms": [algorithm], "keys": keys});
    let remote =
        json!({"remote": {"url": "http://keys/jwks", "cluster": "keys", "timeout": "20s"}});
    let policy = json!({
        "claims": {"issuers": [
            issuer("https://edge.example.com", "HS256", json!({"secrets": [{"env": "SECRET", "kid": key.kid()}]})),
            issuer("https://late.example.com", "ES256", remote),
        ]},
        "rbac": {"roles": {"claim": "roles"}, "routes": [
            {"name": "public", "path": "/public/{*rest}", "allow": "public"},
            {"name": "orders", "path": "/orders/{*rest}", "allow": {"any_role": ["reader", "editor"]}},
        ]},
        "identity": {"headers": {"x-auth-roles": ["roles"]}},
    });
    let envoy = Setup::new(&clusters.readers)
        .upstream("editors", &clusters.editors)
        .upstream("keys", server.upstream())
        .environment("SECRET", CLAIMS_SECRET)
        .hcm(&routes())
        .filter(early())
        .plugin(&policy)
        .start();
    let send = |request: Request, token: &str| with_token(request, token).send();

    // While keys are awaited: each thread has one request, and the filter edits its headers from a timer.
    let signed = |roles: &[&str]| {
        late.sign(&tokens::claims(
            &json!({"iss": "https://late.example.com", "roles": roles}),
        ))
    };
    let waiting: Vec<(Request, String)> = vec![
        (
            envoy.get("/orders/reader").header("x-auth-roles", "editor"),
            signed(&["reader"]),
        ),
        (envoy.get("/orders/editor"), signed(&["editor"])),
        (
            envoy.get("/orders/editor").header("x-auth-roles", "reader"),
            signed(&["reader", "editor"]),
        ),
    ];
    let running: Vec<thread::JoinHandle<Response>> = waiting
        .into_iter()
        .map(|(request, token)| thread::spawn(move || with_token(request, &token).send()))
        .collect();
    thread::sleep(Duration::from_millis(300));
    let undecided = running
        .iter()
        .filter(|request| !request.is_finished())
        .count();
    assert_eq!(undecided, 3, "they should wait for keys");
    for request in running {
        let response = request.join().unwrap();
        assert_eq!(response.status, 200, "{response:?}");
    }
    let (readers, editors) = (clusters.readers.take(), clusters.editors.take());
    assert_eq!((readers.len(), editors.len()), (1, 2));
    assert_eq!(readers[0].path(), "/orders/reader");
    assert_eq!(
        readers[0].header("x-early").as_deref(),
        Some("editors"),
        "the route before"
    );
    assert!(
        editors
            .iter()
            .all(|seen| seen.header("x-early").as_deref() == Some("upstream"))
    );

    // At once.
    let reader = token("alice", &["reader"]);
    let response = send(envoy.get(PATH).header("x-auth-roles", "editor"), &reader);
    assert_eq!(response.status, 200);
    let seen = clusters.readers.only();
    assert_eq!(
        seen.header("x-early").as_deref(),
        Some("editors"),
        "the route before"
    );
    for request in spoofed(&envoy.get(PATH)) {
        let shown = format!("{request:?}");
        if send(request, &reader).status == 200 {
            assert_eq!(clusters.only(), "readers", "{shown}");
        }
    }
    for request in spoofed(&envoy.get("/public/x")) {
        let shown = format!("{request:?}");
        if request.send().status == 200 {
            assert_eq!(clusters.only(), "readers", "{shown}");
        }
    }
    assert_eq!(
        send(envoy.get(PATH), &token("alice", &["editor"])).status,
        200
    );
    assert_eq!(clusters.only(), "editors");
}

#[test]
fn each_verified_subject_has_a_rate_limit_of_its_own() {
    // Nothing is filled again during the test.
    let example = Example::start(&[("fill_interval: 60s", "fill_interval: 3600s")]);
    let (envoy, clusters) = (&example.envoy, &example.clusters);
    let send =
        |request: Request, subject: &str| with_token(request, &token(subject, &["reader"])).send();

    // Others cannot use carol's up: by forged tokens, or by headers.
    let forged = Key::secret("HS256", "edge-1", b"another-secret-0123456789abcdef0123");
    let forged = forged.sign(&tokens::claims(
        &json!({"sub": "carol", "roles": ["reader"]}),
    ));
    for _ in 0..8 {
        assert_eq!(with_token(envoy.get(PATH), &forged).send().status, 401);
        assert_eq!(
            envoy
                .get("/public/x")
                .header("x-auth-subject", "carol")
                .send()
                .status,
            200
        );
    }
    for name in ["x-auth-subject", "x_auth_subject", "X-Auth_Subject"] {
        assert_eq!(
            send(envoy.get(PATH).header(name, "carol"), name).status,
            200
        );
    }
    for number in 0..8 {
        let response = send(envoy.get(PATH), "carol");
        assert_eq!(
            response.status,
            if number < 5 { 200 } else { 429 },
            "{number}: {response:?}"
        );
    }
    let _ = clusters.readers.take();

    // Carol is at her limit, whatever she sends beside her token.
    let carol = with_token(envoy.get(PATH), &token("carol", &["reader"]));
    for request in [
        carol.clone().header("x-auth-subject", "fresh-1"),
        carol.clone().header("x-auth-subject", ""),
        carol.clone().header("x_auth_subject", "fresh-2"),
        carol
            .clone()
            .header("x-auth-subject", "fresh-3")
            .header("X-Auth-Subject", "carol"),
        carol.clone().header("connection", "x-auth-subject"),
        carol.clone().http2().header("x-auth-subject", "fresh-4"),
    ] {
        let shown = format!("{request:?}");
        let response = request.send();
        assert_eq!(response.status, 429, "{shown}");
        assert_eq!(
            response.header("retry-after").as_deref(),
            Some("60"),
            "{shown}"
        );
        assert!(response.header("x-correlation-id").is_some(), "{shown}");
    }
    assert_eq!(clusters.readers.count(), 0);
    assert_eq!(send(envoy.get(PATH), "dave").status, 200, "another subject");
}

#[test]
fn before_the_filter_a_client_would_choose_its_bucket() {
    // Why the order matters: the same filters, the other way round.
    let text = std::fs::read_to_string(tools::root().join("examples/identity-routing/envoy.yaml"))
        .unwrap();
    let start = text.find("          - name: edge_claims\n").unwrap();
    let limit = text.find("          # After edge_claims,").unwrap();
    let end = text
        .find("          - name: envoy.filters.http.router\n")
        .unwrap();
    let (plugin, limiter) = (&text[start..limit], &text[limit..end]);
    let both = format!("{plugin}{limiter}");
    let swapped = format!("{limiter}{plugin}").replace(MODULE, tools::module().to_str().unwrap());
    // The module's path is replaced before.
    let both = both.replace(MODULE, tools::module().to_str().unwrap());
    let example = Example::start(&[
        (&both, &swapped),
        ("fill_interval: 60s", "fill_interval: 3600s"),
    ]);
    let send = |subject: String| {
        let request = example.envoy.get(PATH).header("x-auth-subject", subject);
        with_token(request, &token("carol", &["reader"]))
            .send()
            .status
    };
    assert!((0..8).all(|number| send(format!("fresh-{number}")) == 200));
}
