//! Ten thousand routes in a real Envoy, and a config's own tests.

use std::fs;
use std::time::Instant;

use edge_claims_harness::tokens::Key;
use edge_claims_harness::{Envoy, Reload, Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{CLAIMS, ISSUER, World, issuer, policy};

/// Routes as a platform has them: many services, each with hosts, templates, tails, methods.
fn routes(count: usize) -> Vec<Value> {
    (0..count)
        .map(|index| {
            let (service, resource) = (index % 50, index / 50);
            let path = match index % 4 {
                0 => format!("/v1/s{service}/r{resource}"),
                1 => format!("/v1/s{service}/r{resource}/{{id}}"),
                2 => format!("/tenants/{{tenant}}/s{service}/r{resource}/{{*rest}}"),
                _ => format!("/v2/s{service}/r{resource}/{{id}}/items/{{item}}"),
            };
            let allow = if index % 4 == 2 {
                json!({"any_role": ["reader"], "bind": {"tenant": "tenant_id"}})
            } else {
                json!({"any_role": ["reader", "editor"]})
            };
            let method = ["GET", "POST", "PUT", "DELETE"][index % 4];
            json!({
                "name": format!("svc{service}-{resource}-{index}"),
                "hosts": [format!("svc{service}.example.com"), format!("*.svc{service}.example.com")],
                "methods": [method],
                "path": path,
                "allow": allow,
            })
        })
        .collect()
}

/// A path and host and method that the route at that index is for.
fn request_for(index: usize) -> (String, String, &'static str) {
    let (service, resource) = (index % 50, index / 50);
    let path = match index % 4 {
        0 => format!("/v1/s{service}/r{resource}"),
        1 => format!("/v1/s{service}/r{resource}/4711"),
        2 => format!("/tenants/a/s{service}/r{resource}/x/y"),
        _ => format!("/v2/s{service}/r{resource}/4711/items/1"),
    };
    let method = ["GET", "POST", "PUT", "DELETE"][index % 4];
    (format!("eu.svc{service}.example.com:443"), path, method)
}

/// Resident memory of the process, in bytes.
fn memory(envoy: &Envoy) -> u64 {
    let path = format!("/proc/{}/status", envoy.process());
    let status = fs::read_to_string(path).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.expect("Linux says so") * 1024
}

#[test]
fn ten_thousand_routes_load_and_match() {
    const COUNT: usize = 10_000;
    const WORKERS: u32 = 2;
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let config = |count: usize| {
        let mut config = policy(&[issuer(ISSUER, &[&key])]);
        config["rbac"]["routes"] = json!(routes(count));
        config
    };
    let setup = Setup::new(&upstream)
        .plugin(&config(10))
        .concurrency(WORKERS);
    let mut world = World {
        envoy: setup.start(),
        upstream,
        key: key.clone(),
    };
    let mut timed = |count: usize| {
        let config = config(count);
        let before = memory(&world.envoy);
        let start = Instant::now();
        let result = world
            .envoy
            .reload(|setup| setup.without_filters().plugin(&config));
        let took = start.elapsed();
        assert_eq!(result, Reload::Accepted);
        (
            config.to_string().len(),
            took,
            memory(&world.envoy).saturating_sub(before),
        )
    };
    let (_, few, _) = timed(11);
    let (bytes, many, memory) = timed(COUNT);
    println!(
        "{COUNT} routes: {bytes} bytes of config; reload {many:?} (11 routes: {few:?}) on 1 + {WORKERS} threads; \
         about {} MiB more per VM",
        memory / u64::from(WORKERS + 1) / (1 << 20)
    );
    let token = world.token(&json!({"roles": ["reader"], "tenant_id": "a"}));
    for index in (0..COUNT).step_by(487).chain([COUNT - 1]) {
        let (host, path, method) = request_for(index);
        let request = world.envoy.request(method, &path).host(&host);
        let response = request.clone().header(CLAIMS, &token).send();
        assert_eq!(response.status, 200, "{index}: {response:?}");
        let id = response.header("x-correlation-id").unwrap();
        let record = world
            .envoy
            .wait_for_access(|record| record["correlation_id"] == id.as_str());
        let name = format!("allow/svc{}-{}-{index}", index % 50, index / 50);
        assert_eq!(record["verdict"], name.as_str());
        let _ = world.upstream.take();
        world.denied(request, 401, "claims_missing");
    }
    let other = world.token(&json!({"roles": ["reader"], "tenant_id": "b"}));
    let (host, path, method) = request_for(2);
    let request = world
        .envoy
        .request(method, path)
        .host(host)
        .header(CLAIMS, other);
    world.denied(request, 403, "binding_route");
}

#[test]
fn a_config_whose_tests_fail_is_refused_and_the_old_one_goes_on() {
    let mut world = World::with(
        |policy| {
            policy["tests"] = json!([
                {"name": "the public may look", "request": {"path": "/public/x"}, "expect": "allow"},
                {"name": "nobody else", "request": {"path": "/me"}, "expect": {"deny": "claims_missing", "route": "me"}},
            ]);
        },
        |setup| setup,
    );
    let mut next = policy(&[issuer(ISSUER, &[&world.key])]);
    // Somebody opens a route by mistake, and a test was written against just that.
    next["rbac"]["routes"][4]["allow"] = json!({"any_role": ["reader"]});
    next["tests"] = json!([
        {"name": "readers may read", "request": {"path": "/tenants/a/orders/1"},
            "claims": {"roles": ["reader"], "tenant_id": "a"}, "expect": {"allow": true, "route": "orders-read"}},
        {"name": "readers are no admins", "request": {"path": "/admin/users"},
            "claims": {"roles": ["reader"]}, "expect": {"deny": "role", "route": "admin"}},
        {"name": "tenants are apart", "request": {"method": "POST", "path": "/tenants/b/orders"},
            "claims": {"roles": ["editor"], "tenant_id": "a"}, "expect": "allow"},
    ]);
    let result = world
        .envoy
        .reload(|setup| setup.without_filters().plugin(&next));
    let Reload::Rejected(log) = result else {
        panic!("it was accepted");
    };
    for words in [
        "2 errors",
        "tests[1]",
        "readers are no admins",
        "expected deny role by route admin, got allow by route admin",
        "tests[2]",
        "tenants are apart",
        "expected allow, got deny binding_route by route orders-write",
        "claim tenant_id differs",
    ] {
        assert!(log.contains(words), "{words:?} is not in {log}");
    }
    let reader = world.token_of(&["reader"]);
    world.denied(
        world.envoy.get("/admin/users").header(CLAIMS, &reader),
        403,
        "role",
    );
    world.allowed(
        world
            .envoy
            .get("/tenants/a/orders/1")
            .header(CLAIMS, &reader),
    );
    next["tests"].as_array_mut().unwrap().truncate(1);
    let result = world
        .envoy
        .reload(|setup| setup.without_filters().plugin(&next));
    assert_eq!(result, Reload::Accepted);
    world.allowed(world.envoy.get("/admin/users").header(CLAIMS, &reader));
}
