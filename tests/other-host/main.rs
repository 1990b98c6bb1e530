//! The module in a Proxy-Wasm host that is not Envoy and has no `verify_signature`: proxy-wasm-java-host, on the JVM.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use edge_claims_harness::Client;
use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::tools::{self, root};
use serde_json::{Value, json};

/// How long the JVM may take to compile the module.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The running host, which ends with it.
struct Host {
    child: Child,
    client: Client,
    /// What it wrote before it listened.
    log: Vec<String>,
}

impl Host {
    fn start(config: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let setup = Command::new(root().join("tests/other-host/setup"))
            .arg("path")
            .output()
            .unwrap();
        let libraries = String::from_utf8(setup.stdout).unwrap();
        let mut child = Command::new("java")
            .args(["-cp", &format!("{}/*", libraries.trim())])
            .arg(root().join("tests/other-host/Host.java"))
            .args([tools::module(), file])
            .stdout(Stdio::piped())
            .spawn()
            .expect("Java runs; see make test-other-host");
        let output = child.stdout.take().expect("its output");
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                println!("{line}");
                let _ = send.send(line);
            }
        });
        let mut log = Vec::new();
        let port = loop {
            let line = receive
                .recv_timeout(TIMEOUT)
                .unwrap_or_else(|error| panic!("{error}: {log:#?}"));
            if let Some(port) = line.strip_prefix("listening ") {
                break port.parse().expect("a port");
            }
            log.push(line);
        };
        Self {
            child,
            client: Client::new(port),
            log,
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn without_verify_signature_the_filter_verifies_itself() {
    let keys = ["ES256", "ES384", "ES512", "RS256", "EdDSA"].map(|it| Key::generate(it, it));
    let host = Host::start(&json!({
        "claims": {"issuers": [{
            "issuer": "https://edge.example.com",
            "audiences": ["mesh.example.com"],
            "algorithms": keys.each_ref().map(Key::algorithm),
            "keys": {"inline": tokens::jwks(&keys.each_ref())},
        }]},
        "rbac": {"roles": {"claim": "roles"}, "routes": [
            {"name": "me", "path": "/me", "allow": "authenticated"},
            {"name": "admin", "path": "/admin", "allow": {"any_role": ["admin"]}},
        ]},
        "identity": {"headers": {"x-auth-subject": ["sub"]}},
    }));
    assert!(
        host.log
            .iter()
            .any(|line| line.contains("the filter verifies all algorithms itself")),
        "{:#?}",
        host.log
    );

    // The host's clock is that of 1970.
    let claims = tokens::claims(&json!({"iat": 0, "nbf": 0, "exp": 60, "roles": ["reader"]}));
    let get = |path: &str, token: &str| {
        let request = host.client.get(path).header("x-edge-claims", token);
        request.header("x-auth-subject", "root").send()
    };
    let denied = |path: &str, token: &str, status: u16, reason: &str| {
        let response = get(path, token);
        assert_eq!(response.status, status, "{response:?}");
        assert_eq!(response.json()["code"], reason);
    };
    for key in &keys {
        let token = key.sign(&claims);
        let allowed = get("/me", &token);
        assert_eq!(allowed.status, 200, "{}: {allowed:?}", key.algorithm());
        // What would go on: the identity of the claims, and no token.
        let forwarded = allowed.text();
        let subject = format!("x-auth-subject: {}\n", claims["sub"].as_str().unwrap());
        assert_eq!(
            forwarded.matches("x-auth-subject").count(),
            1,
            "{forwarded}"
        );
        assert!(forwarded.contains(&subject), "{forwarded}");
        assert!(!forwarded.contains("x-edge-claims"), "{forwarded}");

        denied("/admin", &token, 403, "role");
        let other = Key::generate(key.algorithm(), key.kid());
        denied("/me", &other.sign(&claims), 401, "signature_invalid");
    }
    denied("/other", &keys[0].sign(&claims), 403, "route_unknown");
    let nothing = host.client.get("/me").send();
    assert_eq!(nothing.json()["code"], "claims_missing", "{nothing:?}");
}
