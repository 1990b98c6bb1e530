//! When requests pass without the filter, and the patch of the example that denies them then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use edge_claims_harness::tokens::{self, Key};
use serde_json::{Value, json};

use crate::attachment::other_policy;
use crate::lab::Lab;
use crate::manifests::{self, example, gateway_policy};
use crate::sources::Files;

fn resources(code: &Value, key: &Key, guard: bool) -> Vec<Value> {
    let mut resources = manifests::gateway(None);
    if guard {
        resources.extend(example("required.yaml"));
    }
    resources.push(gateway_policy(code, &manifests::config(key)));
    resources
}

/// Sends requests without a token while something happens, and returns their statuses.
fn strangers(lab: &Lab, meanwhile: impl FnOnce()) -> Vec<u16> {
    let (client, done) = (lab.client(), AtomicBool::new(false));
    thread::scope(|scope| {
        let statuses = scope.spawn(|| {
            let mut statuses = Vec::new();
            while !done.load(Ordering::Relaxed) {
                statuses.push(client.get("/orders").send().status);
            }
            statuses
        });
        meanwhile();
        done.store(true, Ordering::Relaxed);
        statuses.join().expect("no panic")
    })
}

/// Breaks the policy by a wrong hash and repairs it. Returns what strangers got meanwhile.
fn breakdown(guard: bool) -> Vec<u16> {
    let (key, files) = (Key::generate("ES256", "edge-1"), Files::start());
    let good = resources(&files.code(), &key, guard);
    let lab = Lab::start(&good);
    lab.until(401, &lab.get("/orders"));
    strangers(&lab, || {
        let wrong = files.code_with(&"0".repeat(64));
        lab.change(&resources(&wrong, &key, guard));
        // What Envoy Gateway answers for the route itself comes after the guard.
        lab.until(if guard { 403 } else { 500 }, &lab.get("/public"));
        lab.change(&good);
        lab.until(401, &lab.get("/orders"));
        let token = key.sign(&tokens::claims(&json!({})));
        lab.until(200, &lab.get("/orders").header("x-edge-claims", token));
    })
}

/// Envoy takes the new routes at once, and the new listener, which has the filter, when the module is loaded.
#[test]
fn requests_pass_unfiltered_while_a_filter_comes_back() {
    let statuses = breakdown(false);
    assert!(statuses.contains(&200), "{statuses:?}");
}

#[test]
fn no_request_passes_unfiltered_with_the_guard() {
    let statuses = breakdown(true);
    assert!(statuses.len() > 10, "{statuses:?}");
    let denied = |status: &u16| [401, 403, 500, 503].contains(status);
    assert!(statuses.iter().all(denied), "{statuses:?}");
}

#[test]
fn the_guard_denies_what_another_policy_or_fail_open_would_let_pass() {
    let (key, files) = (Key::generate("ES256", "edge-1"), Files::start());
    let good = resources(&files.code(), &key, true);
    let lab = Lab::start(&good);
    lab.until(401, &lab.get("/orders"));
    assert_eq!(lab.get("/public").send().status, 200);

    let (_other, policy) = other_policy();
    let mut replaced = good.clone();
    replaced.push(policy);
    lab.change(&replaced);
    lab.until(403, &lab.get("/orders"));
    let record = lab.access("details", "rbac_access_denied_matched_policy[none]");
    assert_eq!(record["verdict"], Value::Null);

    let mut open = resources(&files.code_with(&"0".repeat(64)), &key, true);
    open.last_mut().expect("the policy")["spec"]["wasm"][0]["failOpen"] = json!(true);
    lab.change(&open);
    lab.wait_for_gateway_log("which does not match");
    lab.until(403, &lab.get("/public"));
    lab.change(&good);
    lab.until(200, &lab.get("/public"));
    assert_eq!(lab.get("/orders").send().status, 401);
}
