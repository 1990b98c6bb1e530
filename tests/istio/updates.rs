//! New configs while requests come.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::manifests;
use crate::process::wait;
use crate::requests::{CLAIMS, Mesh};

/// How many new configs.
const UPDATES: usize = 8;

/// What clients saw: requests that must pass and requests that must be denied, all the time.
#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

fn updates_under_load(mesh: &Mesh, overlay: &str) {
    let seen = Seen::default();
    let done = AtomicBool::new(false);
    let token = mesh
        .lab
        .token(&json!({"roles": ["reader"], "tenant_id": "a"}));
    let good = mesh
        .gateway
        .client()
        .get("/tenants/a/orders/1")
        .header(CLAIMS, &token);
    let bad = mesh
        .gateway
        .client()
        .get("/tenants/a/orders/2")
        .header(CLAIMS, "forged");
    assert_eq!(
        good.clone().send().status,
        200,
        "the keys are there before the load"
    );
    let client = |request: &edge_claims_harness::Request, status: u16| {
        while !done.load(Ordering::Relaxed) {
            let response = request.clone().send();
            seen.requests.fetch_add(1, Ordering::Relaxed);
            if response.status != status {
                seen.wrong
                    .lock()
                    .expect("no client panics")
                    .push(format!("{request:?}: {response:?}"));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| client(&good, 200));
            scope.spawn(|| client(&bad, 401));
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for number in 0..UPDATES {
                let path = format!("/public-{number}/x");
                let config = mesh
                    .image
                    .overlay(overlay)
                    .with_public(&format!("/public-{number}/{{*rest}}"));
                mesh.lab.apply(&config);
                wait("the new config", || {
                    (mesh.gateway.client().get(&path).send().status == 200).then_some(())
                });
            }
        }));
        done.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let (wrong, requests) = (
        seen.wrong.into_inner().expect("no client panics"),
        seen.requests.into_inner(),
    );
    println!("{UPDATES} updates during {requests} requests");
    assert!(
        wrong.is_empty(),
        "{} of {requests} requests: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
    // No request without the filter: none that was to be denied reached the service.
    assert!(
        mesh.lab
            .orders
            .take()
            .iter()
            .all(|seen| seen.path() == "/tenants/a/orders/1")
    );
}

#[test]
fn updates_of_a_wasmplugin_lose_no_request() {
    let mesh = Mesh::wasmplugin();
    updates_under_load(&mesh, manifests::GATEWAY[0]);
}

#[test]
fn updates_of_a_trafficextension_lose_no_request() {
    let mesh = Mesh::trafficextension();
    updates_under_load(&mesh, manifests::GATEWAY[1]);
}
