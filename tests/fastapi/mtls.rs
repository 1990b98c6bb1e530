//! The other proof: Envoy's client certificate.

use std::fs;

use edge_claims_harness::tls::{Authority, Identity, SERVER_NAME};
use edge_claims_harness::tokens::{Key, jwks};
use edge_claims_harness::{Client, Envoy, Setup, Upstream};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chain::bobs_token;
use crate::service::{Service, example};

const ENVOY: &str = "spiffe://mesh.example.com/envoy";

fn service(authority: &Authority) -> Service {
    let folder = TempDir::new().expect("a temporary folder");
    let server = authority.server();
    let mut paths = Vec::new();
    for (name, text) in [
        ("cert.pem", server.certificate),
        ("key.pem", server.key),
        ("ca.pem", authority.certificate()),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("the folder is ours");
        paths.push(path.display().to_string());
    }
    let settings = [
        ("ORDERS_PROOF", "mtls"),
        ("ORDERS_TLS_CERTIFICATE", paths[0].as_str()),
        ("ORDERS_TLS_KEY", &paths[1]),
        ("ORDERS_CLIENT_AUTHORITY", &paths[2]),
        (
            "ORDERS_CLIENT_NAMES",
            r#"["spiffe://mesh.example.com/envoy"]"#,
        ),
    ];
    Service::start(folder, &settings)
}

/// The transport socket that README.md shows, with these certificates.
fn transport_socket(authority: &Authority, client: &Identity) -> (TempDir, Value) {
    let readme = fs::read_to_string(example().join("README.md")).expect("the README");
    let (_, block) = readme
        .split_once("```yaml\ntransport_socket:")
        .expect("the block");
    let (block, _) = block.split_once("```").expect("its end");
    let folder = TempDir::new().expect("a temporary folder");
    let mut text = format!("transport_socket:{block}");
    for (name, content) in [
        ("envoy.pem", &client.certificate),
        ("envoy.key", &client.key),
        ("ca.pem", &authority.certificate()),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("the folder is ours");
        let from = format!("run/{name}");
        assert!(text.contains(&from), "{text}");
        text = text.replace(&from, &path.display().to_string());
    }
    let text = text.replace("orders.example.com", SERVER_NAME);
    let parsed: Value = serde_saphyr::from_str(&text).expect("YAML");
    (folder, parsed["transport_socket"].clone())
}

fn envoy(service: &Service, edge: &Key, socket: &Value) -> Envoy {
    let mut cluster = edge_claims_harness::setup::cluster("orders", service.port());
    cluster["transport_socket"] = socket.clone();
    let config = json!({
        "claims": {"issuers": [{
            "issuer": "https://edge.example.com", "audiences": ["mesh.example.com"], "algorithms": ["ES256"],
            "type": "edge-claims+jwt", "keys": {"inline": jwks(&[edge])},
        }]},
        "rbac": {"routes": [{"name": "me", "path": "/me", "allow": "authenticated"}]},
        "identity": {"headers": {"x-auth-subject": ["sub"]}},
    });
    let unused = Upstream::start();
    Setup::new(&unused)
        .cluster(cluster)
        .virtual_hosts(&[(&["*"], "orders")])
        .plugin(&config)
        .start()
}

#[test]
fn only_envoys_certificate_proves_it() {
    let authority = Authority::new();
    let service = service(&authority);
    let edge = Key::generate("ES256", "edge-1");
    let token = bobs_token(&edge, &json!({}));
    for (name, status) in [(ENVOY, 200), ("spiffe://mesh.example.com/other", 403)] {
        let (_folder, socket) = transport_socket(&authority, &authority.client(name));
        let envoy = envoy(&service, &edge, &socket);
        let response = envoy.get("/me").header("x-edge-claims", &token).send();
        assert_eq!(response.status, status, "{name}: {response:?}");
    }
    // Around Envoy, with the names of all headers right.
    let ask = |client: Client| {
        client
            .get("/me")
            .header("connection", "close")
            .header("x-auth-subject", "admin")
            .send()
    };
    let direct = |identity: Option<&Identity>| {
        Client::with_tls(service.port(), authority.client_tls(identity))
    };
    assert_eq!(
        ask(direct(Some(
            &authority.client("spiffe://mesh.example.com/other")
        )))
        .status,
        403
    );
    // No certificate, one of another authority, no TLS: no connection.
    assert_eq!(ask(direct(None)).status, 0);
    assert_eq!(ask(direct(Some(&Authority::new().client(ENVOY)))).status, 0);
    assert_eq!(ask(service.client()).status, 0);
}
