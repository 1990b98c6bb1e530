//! What a failed VM does to requests, by `failStrategy`: the pitfall of istio/README.md.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::lab::Lab;
use crate::manifests::{self, Image};
use crate::process::wait;
use crate::proxy::Proxy;

/// A module that traps for a request with many headers, and lets all others pass.
const TRAPS: &str = r#"(module
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 1024))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (local.get $size))))
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_request_headers") (param $context i32) (param $headers i32) (param $end i32) (result i32)
        (if (i32.gt_u (local.get $headers) (i32.const 40)) (then unreachable))
        (i32.const 0))
    (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
    (func (export "proxy_on_delete") (param i32)))"#;

/// A gateway whose VMs have failed, on every worker.
fn failed(lab: &mut Lab, image: &Image, strategy: Option<&str>) -> Proxy {
    let overlay = image
        .overlay(manifests::GATEWAY[0])
        .changed(|filter| match strategy {
            Some(strategy) => filter["spec"]["failStrategy"] = json!(strategy),
            None => drop(
                filter["spec"]
                    .as_object_mut()
                    .map(|spec| spec.remove("failStrategy")),
            ),
        });
    lab.apply(&overlay);
    let gateway = lab.gateway();
    assert_eq!(
        gateway.client().get("/").send().status,
        200,
        "it works at first"
    );
    // Each connection is a worker's of its own choice.
    for _ in 0..40 {
        let mut request = gateway.client().get("/");
        for number in 0..50 {
            request = request.header(format!("x-{number}"), "y");
        }
        let _ = request.send();
    }
    gateway
}

fn statuses(gateway: &Proxy) -> Vec<u16> {
    (0..20)
        .map(|_| gateway.client().get("/").send().status)
        .collect()
}

#[test]
fn only_fail_reload_brings_a_failed_vm_back() {
    let mut lab = Lab::open();
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let module = folder.path().join("module.wasm");
    fs::write(&module, wat::parse_str(TRAPS).expect("a module")).expect("the folder is ours");
    let image = Image::push_module(&module, manifests::IMAGE);

    let gateway = failed(&mut lab, &image, Some("FAIL_RELOAD"));
    wait("new VMs", || {
        statuses(&gateway)
            .iter()
            .all(|status| *status == 200)
            .then_some(())
    });
    gateway.abandon();

    for (strategy, status) in [
        (None, 503),
        (Some("FAIL_CLOSE"), 503),
        (Some("FAIL_OPEN"), 200),
    ] {
        let gateway = failed(&mut lab, &image, strategy);
        // Longer than FAIL_RELOAD takes.
        thread::sleep(Duration::from_secs(5));
        assert_eq!(statuses(&gateway), [status; 20], "{strategy:?}");
        gateway.abandon();
    }
}
