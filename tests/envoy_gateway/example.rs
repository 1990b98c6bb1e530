//! `examples/envoy-gateway` as a new user follows it.

use std::fs;
use std::process::Command;

use edge_claims_harness::tokens::Key;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::keys::TlsKeys;
use crate::lab::{self, Lab};
use crate::manifests::{self, example};
use crate::sources::{Form, Registry};

/// Runs the command in a folder, and returns what it prints.
fn command(folder: &TempDir, arguments: &[&str]) -> String {
    let output = Command::new(lab::program("command"))
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The example's policy of that name, with an image of this registry and that key set inline.
fn adapted(name: &str, code: &Value, keys: &Value) -> Value {
    let mut policy = example(name).remove(0);
    let wasm = &mut policy["spec"]["wasm"][0];
    wasm["code"] = code.clone();
    wasm["config"]["claims"]["issuers"][0]["keys"]["inline"] = keys.clone();
    policy
}

#[test]
fn the_example_gives_the_first_401_and_200_and_one_id_in_the_log() {
    let folder = TempDir::new().expect("a temporary folder");
    let registry = Registry::start();
    let digest = registry.push(Form::Oci);
    let code = registry.code(&digest);
    // As the README says.
    command(
        &folder,
        &[
            "keys",
            "new",
            "--alg",
            "ES256",
            "--kid",
            "edge-1",
            "--out",
            "signing.jwk",
        ],
    );
    let public = command(&folder, &["keys", "jwks", "signing.jwk"]);
    let public: Value = serde_json::from_str(&public).expect("JSON");
    // The key server has another key.
    let rotated = Key::generate("ES256", "edge-2");
    let keys = TlsKeys::start(&[&rotated]);
    let mut resources = manifests::gateway(None);
    let proxy = resources
        .iter_mut()
        .find(|resource| resource["kind"] == "EnvoyProxy");
    keys.trusted_by(proxy.expect("the example has it"), folder.path());
    for name in ["policy.yaml", "route-policy.yaml"] {
        resources.push(adapted(name, &code, &public));
    }
    resources.extend(example("fail-reload.yaml"));
    let lab = Lab::start(&resources);

    let url = "/tenants/a/orders";
    lab.until(401, &lab.get(url));
    let mint = |issuer: &str| {
        command(
            &folder,
            &[
                "mint",
                "--key",
                "signing.jwk",
                "--issuer",
                issuer,
                "--audience",
                "mesh.example.com",
                "--subject",
                "alice",
                "--role",
                "reader",
            ],
        )
        .trim()
        .to_owned()
    };
    let token = mint("https://edge.example.com");
    let request = |path: &str| {
        lab.get(path)
            .header("x-edge-claims", &token)
            .header("x-correlation-id", "edge-0001")
    };
    let _ = lab.upstream.take();
    assert_eq!(request(url).send().status, 200);
    let seen = lab.upstream.only();
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    assert_eq!(seen.header("x-edge-claims"), None);
    let record = lab.access("correlation_id", "edge-0001");
    assert_eq!(record["verdict"], "allow/shop");
    assert_eq!(record["path"], url);
    assert_eq!(request("/admin/users").send().status, 403);
    lab.access("verdict", "deny/role/admin");

    // The route with a policy of its own knows another issuer.
    let feed = lab.get("/feed").host("partners.example.com");
    let refused = feed.clone().header("x-edge-claims", &token).send();
    assert_eq!(refused.status, 401);
    let token = mint("https://partners.example.com");
    assert_eq!(feed.header("x-edge-claims", token).send().status, 200);

    // The key that the server publishes counts too.
    let claims = edge_claims_harness::tokens::claims(&json!({"roles": ["admin"]}));
    let token = rotated.sign(&claims);
    lab.until(200, &lab.get("/admin/users").header("x-edge-claims", token));

    for filter in lab.filters() {
        let config = &filter["typed_config"]["config"];
        assert_eq!(config["failure_policy"], "FAIL_RELOAD", "{config}");
    }
    let metrics = { lab }.envoy().admin("/stats/prometheus");
    let wanted = r#"edge_claims_requests_total{decision="deny",reason="role"}"#;
    assert!(metrics.contains(wanted), "{metrics}");
}

#[test]
fn check_accepts_the_policies_as_they_are() {
    let folder = TempDir::new().expect("a temporary folder");
    for name in ["policy.yaml", "route-policy.yaml"] {
        let path = edge_claims_harness::tools::root()
            .join("examples/envoy-gateway")
            .join(name);
        fs::copy(path, folder.path().join(name)).expect("the folder is ours");
        let said = command(&folder, &["check", name]);
        assert!(
            said.contains("EnvoyExtensionPolicy shop/edge-claims"),
            "{said}"
        );
    }
}
