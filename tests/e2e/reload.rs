//! Configs that change while requests come: the bad one is refused, the old one goes on, and no
//! request ever passes without the filter.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use edge_claims_harness::tokens::Key;
use edge_claims_harness::{Reload, Setup, Upstream};
use serde_json::json;

use crate::support::{CLAIMS, ISSUER, World, issuer, policy};

#[test]
fn a_bad_config_is_refused_and_the_old_one_goes_on() {
    let mut world = World::start();
    let token = world.token(&json!({}));
    let bad = [
        String::new(),
        "{".into(),
        "[]".into(),
        "null".into(),
        "{}".into(),
        "not json".into(),
        json!({"claims": {"issuers": []}, "rbac": {"routes": []}}).to_string(),
        {
            let mut policy = policy(&[issuer(ISSUER, &[&world.key])]);
            policy["rbac"]["rotues"] = json!([]);
            policy.to_string()
        },
        policy(&[issuer(ISSUER, &[&world.key])])
            .to_string()
            .replacen("\"rbac\":", "\"rbac\":{},\"rbac\":", 1),
    ];
    for text in bad {
        let result = world
            .envoy
            .reload(|setup| setup.without_filters().plugin_text(&text));
        assert!(
            matches!(result, Reload::Rejected(_)),
            "{text:.200}: {result:?}"
        );
        world.denied(world.envoy.get("/me"), 401, "claims_missing");
        world.allowed(world.envoy.get("/me").header(CLAIMS, &token));
    }
}

#[test]
fn a_bad_config_at_start_leaves_no_listener() {
    let upstream = Upstream::start();
    for text in ["", "{}", "[1]", "\u{1}"] {
        let problem = Setup::new(&upstream)
            .plugin_text(text)
            .try_start()
            .unwrap_err();
        assert!(problem.contains("refused the listener"), "{problem}");
    }
}

#[test]
fn all_problems_are_reported_at_once_with_their_places() {
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let mut config = policy(&[issuer(ISSUER, &[&key])]);
    config["claims"]["issuers"][0]["algorithms"] = json!(["ES256", "none"]);
    config["claims"]["issuers"][0]["leeway"] = json!("1h");
    config["rbac"]["routes"][1]["allow"] = json!({"any_role": []});
    config["rbac"]["routes"][2]["allow"]["bind"] = json!({"tenent": "tenant_id"});
    config["rbac"]["routes"][3]["paht"] = json!("/x");
    config["identity"]["on_spoof"] = json!("ignore");
    let problem = Setup::new(&upstream)
        .plugin(&config)
        .try_start()
        .unwrap_err();
    for place in [
        "claims.issuers[0].algorithms[1]",
        "claims.issuers[0].leeway",
        "rbac.routes[1].allow",
        "rbac.routes[2]",
        "rbac.routes[3].paht",
        "identity.on_spoof",
    ] {
        assert!(problem.contains(place), "{place} is not named:\n{problem}");
    }
}

#[test]
fn numbers_may_arrive_as_doubles() {
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let mut config = policy(&[issuer(ISSUER, &[&key])]);
    config["claims"]["max_bytes"] = json!(4096.0);
    config["rbac"]["routes"][0]["enforce_percent"] = json!(100.0);
    let envoy = Setup::new(&upstream).plugin(&config).start();
    assert_eq!(envoy.get("/public/x").send().status, 200);
    assert_eq!(envoy.get("/me").send().status, 401);
}

#[test]
fn a_new_config_replaces_keys_and_routes() {
    let mut world = World::start();
    let token = world.token(&json!({}));
    world.allowed(world.envoy.get("/me").header(CLAIMS, &token));
    let other = Key::generate("ES256", "k2");
    let mut config = policy(&[issuer(ISSUER, &[&other])]);
    config["rbac"]["routes"][0]["allow"] = json!("authenticated");
    let result = world
        .envoy
        .reload(|setup| setup.without_filters().plugin(&config));
    assert_eq!(result, Reload::Accepted);
    world.denied(
        world.envoy.get("/me").header(CLAIMS, &token),
        401,
        "key_unknown",
    );
    world.denied(world.envoy.get("/public/x"), 401, "claims_missing");
}

/// The bypass: a worker on which the config is not accepted runs without the filter.
#[test]
fn no_worker_ever_passes_a_request_unfiltered() {
    const WORKERS: u32 = 4;
    const ROUNDS: usize = 12;
    let mut world = World::with(|_| {}, |setup| setup.concurrency(WORKERS));
    let token = world.token(&json!({}));
    let client = world.envoy.client();
    let stop = AtomicBool::new(false);
    let (denied, allowed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let variants: Vec<String> = (0..ROUNDS)
        .map(|round| {
            let mut config = policy(&[issuer(ISSUER, &[&world.key])]);
            // A different config each time, or Envoy would see nothing new.
            config["responses"] = json!({"realm": format!("round-{round}")});
            if round % 3 == 1 {
                config["rbac"]["routes"][1]["allow"] = json!("nobody");
            }
            config.to_string()
        })
        .collect();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // A connection each, so that every worker gets its share.
                    let response = client.get("/me").header("x-test", "unauthenticated").send();
                    assert!(
                        response.status == 401 || response.error.is_some(),
                        "an unauthenticated request passed: {response:?}"
                    );
                    denied.fetch_add(usize::from(response.status == 401), Ordering::Relaxed);
                    let response = client.get("/me").header(CLAIMS, &token).send();
                    allowed.fetch_add(usize::from(response.status == 200), Ordering::Relaxed);
                }
            });
        }
        for (round, text) in variants.iter().enumerate() {
            let result = world
                .envoy
                .reload(|setup| setup.without_filters().plugin_text(text));
            assert_eq!(
                matches!(result, Reload::Rejected(_)),
                round % 3 == 1,
                "{result:?}"
            );
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (denied, allowed) = (denied.into_inner(), allowed.into_inner());
    println!("{ROUNDS} reloads: {denied} denied, {allowed} allowed");
    assert!(
        denied > 100 && allowed > 100,
        "the hammer was too light: {denied}, {allowed}"
    );
    for seen in world.upstream.take() {
        assert!(
            seen.all("x-test").is_empty(),
            "an unauthenticated request reached the upstream"
        );
        assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    }
}
