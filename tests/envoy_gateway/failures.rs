//! The worst day: the module's source is down, Envoy Gateway is down, a VM fails.

use edge_claims_harness::tokens::{self, Key};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::manifests::{self, gateway_policy};
use crate::sources::Files;

fn resources(files: &Files, key: &Key) -> Vec<Value> {
    let mut resources = manifests::gateway(None);
    resources.push(gateway_policy(&files.code(), &manifests::config(key)));
    resources
}

#[test]
fn a_controller_that_starts_without_the_source_takes_the_module_from_running_envoys() {
    let (key, files) = (Key::generate("ES256", "edge-1"), Files::start());
    let mut lab = Lab::start(&resources(&files, &key));
    let token = key.sign(&tokens::claims(&json!({"exp": tokens::now() + 600})));
    let request = lab.get("/orders").header("x-edge-claims", token);
    lab.until(200, &request);

    // Neither the source nor Envoy Gateway is needed for requests.
    lab.restart_controller(|| {
        files.has_module(false);
        assert_eq!(request.clone().send().status, 200);
    });
    // But a new controller has no modules, and sends a config without.
    lab.wait_for_gateway_log("wasm module download failed after 5 attempts");
    lab.until(500, &request);

    // The source is back: nothing changes until a resource does.
    files.has_module(true);
    let fetches = files.fetches();
    assert_eq!(request.clone().send().status, 500);
    assert_eq!(files.fetches(), fetches);
    let mut changed = resources(&files, &key);
    changed.last_mut().expect("the policy")["metadata"]["annotations"] = json!({"again": "1"});
    lab.change(&changed);
    lab.until(200, &request);
}

#[test]
fn a_new_envoy_needs_the_controller_and_not_the_source() {
    let (key, files) = (Key::generate("ES256", "edge-1"), Files::start());
    let mut lab = Lab::start(&resources(&files, &key));
    lab.until(401, &lab.get("/orders"));
    let fetches = files.fetches();
    files.has_module(false);
    lab.restart_envoy();
    lab.until(401, &lab.get("/orders"));
    assert_eq!(files.fetches(), fetches);
}

/// A module that lets every request pass but those to `/trap`, on which it traps.
pub fn trapping() -> Vec<u8> {
    let text = r#"(module
        (import "env" "proxy_get_header_map_value"
          (func $header (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (global $heap (mut i32) (i32.const 1024))
        (data (i32.const 0) ":path")
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param $size i32) (result i32)
          (local $at i32)
          (local.set $at (global.get $heap))
          (global.set $heap (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 7)) (i32.const 0xfff8)))
          (local.get $at))
        (func (export "proxy_on_context_create") (param i32 i32))
        (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
        (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (drop (call $header (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 16) (i32.const 20)))
          (if (i32.eq (i32.load8_u (i32.add (i32.load (i32.const 16)) (i32.const 1))) (i32.const 0x74))
            (then unreachable))
          (i32.const 0)))"#;
    wat::parse_str(text).expect("it is a module")
}

#[test]
fn a_failed_vm_is_rebuilt_with_the_examples_patch_and_only_with_it() {
    let files = Files::serving(trapping());
    let with = |patch: bool| {
        let mut resources = manifests::gateway(None);
        resources.push(gateway_policy(&files.code(), &json!({})));
        if patch {
            resources.extend(manifests::example("fail-reload.yaml"));
        }
        resources
    };
    for patched in [false, true] {
        let lab = Lab::start(&with(patched));
        lab.until(200, &lab.get("/orders"));
        let policy = lab.filters()[0]["typed_config"]["config"]["failure_policy"].clone();
        assert_eq!(
            policy,
            if patched {
                json!("FAIL_RELOAD")
            } else {
                Value::Null
            }
        );
        // Both workers.
        for _ in 0..20 {
            assert_ne!(lab.get("/trap").send().status, 200);
        }
        if patched {
            lab.until(200, &lab.get("/orders"));
        } else {
            for _ in 0..20 {
                std::thread::sleep(std::time::Duration::from_millis(100));
                assert_eq!(lab.get("/orders").send().status, 503);
            }
        }
        lab.abandon();
    }
}
