//! `edge-claims init`: the Envoy config that it writes runs, and decides as its README says.

use std::process::ExitCode;

use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Envoy, KeyServer, Upstream, tools};
use serde_json::json;
use tempfile::TempDir;

use crate::support::CLAIMS;

const SECRET: &str = "a-secret-of-at-least-32-bytes-for-the-test";

/// A folder that `edge-claims init` wrote.
fn init(arguments: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let out = ["--out", folder.path().to_str().expect("a plain path")];
    let command = [&["edge-claims", "init"], arguments, &out].concat();
    let code = edge_claims::cli::main(command.into_iter().map(Into::into));
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
    folder
}

/// Starts the folder's Envoy, with free ports and these substitutions.
fn start(folder: &TempDir, upstream: &Upstream, substitutions: &[(&str, &str)]) -> Envoy {
    let (port, admin) = (tools::free_port(), tools::free_port());
    let ports = [
        ("port_value: 10000", &*format!("port_value: {port}")),
        ("port_value: 9901", &format!("port_value: {admin}")),
        (
            "port_value: 8080",
            &format!("port_value: {}", upstream.port()),
        ),
    ];
    let file = folder.path().join("envoy.yaml");
    let substitutions = [&ports, substitutions].concat();
    let environment = [("EDGE_CLAIMS_SECRET", SECRET)];
    Envoy::run_file(&file, &substitutions, &environment, port, admin)
}

/// Each route lets the right requests pass, and no others.
fn decides(envoy: &Envoy, upstream: &Upstream, key: &Key, issuer: &str) {
    let token = |roles| key.sign(&tokens::claims(&json!({"iss": issuer, "roles": roles})));
    let (user, admin) = (token(json!(["user"])), token(json!(["admin"])));
    for (path, token, status, code) in [
        ("/healthz", None, 200, ""),
        ("/me", Some(&user), 200, ""),
        ("/admin/users", Some(&admin), 200, ""),
        ("/me", None, 401, "claims_missing"),
        ("/admin/users", Some(&user), 403, "role"),
        ("/other", Some(&admin), 403, "route_unknown"),
    ] {
        let request = envoy.get(path).host("shop.example.com");
        let request = match token {
            Some(token) => request.header(CLAIMS, token),
            None => request,
        };
        let response = request.send();
        assert_eq!(response.status, status, "{path}: {response:?}");
        let seen = upstream.take().pop();
        if status == 200 {
            let subject = seen.expect(path).header("x-auth-subject");
            assert_eq!(subject.as_deref(), token.map(|_| "alice"), "{path}");
        } else {
            assert!(seen.is_none(), "{path}");
            assert_eq!(response.json()["code"], code, "{path}");
        }
    }
}

#[test]
fn the_starters_run_with_a_secret() {
    let key = Key::secret("HS256", "edge-1", SECRET.as_bytes());
    let module = tools::module();
    let module = format!("filename: {}", module.to_str().expect("a plain path"));
    for (target, substitutions) in [
        ("envoy", &[("filename: edge_claims.wasm", &*module)][..]),
        (
            "compose",
            &[
                ("filename: /etc/envoy/edge_claims.wasm", &*module),
                // Compose's name of the upstream.
                ("address: upstream", "address: 127.0.0.1"),
            ],
        ),
    ] {
        let upstream = Upstream::start();
        let folder = init(&[target]);
        let envoy = start(&folder, &upstream, substitutions);
        decides(&envoy, &upstream, &key, "https://edge.example.com");
    }
}

#[test]
fn the_starter_fetches_its_keys_and_has_its_host() {
    let (upstream, key) = (Upstream::start(), Key::generate("ES256", "k1"));
    let server = KeyServer::start(&[&key]);
    let url = format!("http://127.0.0.1:{}/jwks.json", server.upstream().port());
    let issuer = "https://login.example.com/";
    let folder = init(&[
        "envoy",
        "--issuer",
        issuer,
        "--jwks-url",
        &url,
        "--host",
        "shop.example.com",
    ]);
    let module = tools::module();
    let module = format!("filename: {}", module.to_str().expect("a plain path"));
    let envoy = start(
        &folder,
        &upstream,
        &[("filename: edge_claims.wasm", &module)],
    );
    decides(&envoy, &upstream, &key, issuer);
    assert!(server.fetches() >= 1);
    let other_host = envoy.get("/healthz").host("other.example.com").send();
    assert_eq!(other_host.status, 401, "{other_host:?}");
}
