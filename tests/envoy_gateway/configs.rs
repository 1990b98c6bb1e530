//! How the plugin config reaches the filter, and what an update does.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use edge_claims_harness::tokens::{self, Key};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lab::{self, Lab};
use crate::manifests::{self, config_with, gateway_policy};
use crate::sources::Files;

fn key() -> Key {
    Key::generate("ES256", "edge-1")
}

fn resources(files: &Files, config: &Value) -> Vec<Value> {
    let mut resources = manifests::gateway(None);
    resources.push(gateway_policy(&files.code(), config));
    resources
}

/// The plugin config as Envoy has it.
fn delivered(lab: &Lab) -> String {
    let filters = lab.filters();
    let configuration = &filters[0]["typed_config"]["config"]["configuration"];
    assert_eq!(
        configuration["@type"],
        "type.googleapis.com/google.protobuf.StringValue"
    );
    configuration["value"].as_str().expect("text").to_owned()
}

/// Writes the keys of objects in their order, as the API server does.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members = members.into_iter();
            Value::Object(
                members
                    .map(|(name, value)| (name.clone(), sorted(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[test]
fn the_config_arrives_as_compact_json_with_its_keys_in_order() {
    let (key, files) = (key(), Files::start());
    let config = config_with(&key, &json!({"correlation": {"accept": ["x-request-id"]}}));
    let lab = Lab::start(&resources(&files, &config));
    lab.until(401, &lab.get("/orders"));
    let delivered = delivered(&lab);
    assert_eq!(delivered, sorted(&config).to_string());
    // The filter logs the digest of what it got, at the level that the example sets.
    let digest: String = hmac_sha256::Hash::hash(delivered.as_bytes())[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let _ = { lab }
        .envoy()
        .wait_for_log(&format!("config sha256 {digest}"));
}

/// What `edge-claims check` says of a resource: its exit code and its output.
fn check(resource: &Value) -> (Option<i32>, String) {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("policy.json");
    std::fs::write(&file, resource.to_string()).expect("the folder is ours");
    let output = Command::new(lab::program("command"))
        .arg("check")
        .arg(&file)
        .output()
        .expect("the command runs");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn envoy_keeps_its_config_if_the_filter_refuses_a_new_one_and_check_finds_it_before() {
    let (key, files) = (key(), Files::start());
    let good = resources(&files, &manifests::config(&key));
    let mut lab = Lab::start(&good);
    lab.until(401, &lab.get("/orders"));
    let (code, said) = check(good.last().expect("the policy"));
    assert_eq!(code, Some(0), "{said}");

    let mut config = manifests::config(&key);
    config["rbac"]["routes"][1]["allow"] = json!({"any_role": []});
    let bad = resources(&files, &config);
    let (code, said) = check(bad.last().expect("the policy"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("empty_list"), "{said}");
    lab.change(&bad);
    // Envoy Gateway accepts the policy and logs the refusal; Envoy goes on.
    lab.wait_for_gateway_log("Envoy rejected the last update");
    assert!(lab.envoy().log().contains("rbac.routes[1].allow.any_role"));
    assert_eq!(lab.get("/public").send().status, 200);
    assert_eq!(lab.get("/orders").send().status, 401);

    // A new Envoy has nothing to go on with.
    lab.restart_envoy_without_listener();
    let _ = lab.envoy().wait_for_log("config refused");
    let response = lab.get("/public").send();
    assert!(!(200..400).contains(&response.status), "{response:?}");
    lab.change(&good);
    lab.until(200, &lab.get("/public"));
    assert_eq!(lab.get("/orders").send().status, 401);
    lab.abandon();
}

#[test]
fn an_update_loses_no_request_and_lets_none_pass_unfiltered() {
    let (key, files) = (key(), Files::start());
    let lab = Lab::start(&resources(&files, &manifests::config(&key)));
    lab.until(401, &lab.get("/orders"));
    let token = key.sign(&tokens::claims(&json!({"exp": tokens::now() + 600})));
    let done = AtomicBool::new(false);
    let mut results = Vec::new();
    thread::scope(|scope| {
        let load = |with_token: bool| {
            let (client, token, done) = (lab.client(), &token, &done);
            scope.spawn(move || {
                let mut statuses = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let mut request = client.get("/orders");
                    if with_token {
                        request = request.header("x-edge-claims", token);
                    }
                    statuses.push(request.send().status);
                }
                statuses
            })
        };
        let (with, without) = (load(true), load(false));
        for round in 0..5 {
            let mut config = manifests::config(&key);
            config["rbac"]["routes"][0]["path"] = json!(format!("/open-{round}"));
            lab.change(&resources(&files, &config));
            lab.until(200, &lab.get(&format!("/open-{round}")));
        }
        done.store(true, Ordering::Relaxed);
        results.push((200, with.join().expect("no panic")));
        results.push((401, without.join().expect("no panic")));
    });
    for (wanted, statuses) in results {
        assert!(statuses.len() > 100, "{}", statuses.len());
        assert!(
            statuses.iter().all(|status| *status == wanted),
            "{statuses:?}"
        );
    }
}
