//! Remote keys: who fetches them, what a bad answer does, how long they live.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edge_claims_harness::setup::cluster;
use edge_claims_harness::tokens::{self, Key, claims};
use edge_claims_harness::{Bad, KeyServer, Reload, Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{
    CLAIMS, ISSUER, SetOnDrop, World, fetches, issuer, policy, remote_issuer, until,
};

fn of(issuer: &str) -> Value {
    claims(&json!({"iss": issuer}))
}

#[test]
fn four_workers_make_one_fetch_and_one_for_each_refresh() {
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let server = KeyServer::start(&[&key]);
    let envoy = Setup::new(&upstream)
        .concurrency(4)
        .upstream("keys", server.upstream())
        .plugin(&policy(&[remote_issuer(ISSUER, "keys", &json!({}))]))
        .start();
    let booted = Instant::now();
    // A connection each, so that every worker gets its share; all of them at once, so that many wait.
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let token = key.sign(&of(ISSUER));
                let response = envoy.get("/me").header(CLAIMS, token).send();
                assert_eq!(response.status, 200, "{response:?}");
            });
        }
    });
    let seconds = booted.elapsed().as_secs() as usize;
    let at_boot = server.fetches();
    assert!(
        (1..=2 + seconds).contains(&at_boot),
        "{at_boot} fetches in {seconds} s: the workers did not share"
    );
    let asked = &server.seen()[0];
    assert_eq!(asked.method, b"GET");
    assert_eq!(asked.path(), "/jwks.json");
    assert_eq!(asked.authority, b"keys.example.com");
    assert!(asked.header("accept").is_some_and(|it| it.contains("json")));

    let began = Instant::now();
    thread::sleep(Duration::from_secs(4));
    let fetched = server.fetches() - at_boot;
    // One every 0.9 s to 1 s, on the next tick of any of the workers.
    let most = began.elapsed().as_millis() as usize / 900 + 1;
    assert!(
        (2..=most).contains(&fetched),
        "{fetched} refreshes, at most {most} were expected"
    );
    until("the metric to tell", || {
        let (good, failed) = fetches(&envoy);
        good >= (at_boot + fetched) as u64 && failed == 0
    });
    until("the gauge to tell", || {
        envoy.stats().of(&format!(
            "wasmcustom.issuer=.={ISSUER};.;edge_claims_keys_loaded"
        )) == 1
    });
}

#[test]
fn issuers_have_clusters_of_their_own_and_static_keys_beside() {
    let upstream = Upstream::start();
    let keys = ["static", "a", "b"].map(|kid| Key::generate("ES256", kid));
    let [fixed, a, b] = &keys;
    let (server_a, server_b) = (KeyServer::start(&[a]), KeyServer::start(&[b]));
    let (name_a, name_b) = ("https://a.example.com", "https://b.example.com");
    // An issuer without remote keys comes first: nobody may be confused with his neighbour.
    let mut both = remote_issuer(
        name_b,
        "keys-b",
        &json!({"url": "https://b.example.com?x=1"}),
    );
    both["keys"]["inline"] = tokens::jwks(&[fixed]);
    let envoy = Setup::new(&upstream)
        .upstream("keys-a", server_a.upstream())
        .upstream("keys-b", server_b.upstream())
        .plugin(&policy(&[
            issuer(ISSUER, &[fixed]),
            remote_issuer(name_a, "keys-a", &json!({})),
            both,
        ]))
        .start();
    let cases = [
        (ISSUER, fixed, 200),
        (ISSUER, a, 401),
        (name_a, a, 200),
        (name_a, b, 401),
        (name_a, fixed, 401),
        (name_b, b, 200),
        (name_b, fixed, 200),
        (name_b, a, 401),
    ];
    for (name, key, status) in cases {
        let token = key.sign(&of(name));
        let response = envoy.get("/me").header(CLAIMS, token).send();
        assert_eq!(
            response.status,
            status,
            "{name} {}: {response:?}",
            key.kid()
        );
        if status == 401 {
            assert_eq!(response.json()["code"], "key_unknown");
        }
    }
    assert_eq!(server_b.seen()[0].path(), "/?x=1");
    let stat = |name: &str| format!("wasmcustom.issuer=.={name};.;edge_claims_keys_loaded");
    until("the gauges to tell", || {
        let stats = envoy.stats();
        stats.of(&stat(name_a)) == 1 && stats.of(&stat(name_b)) == 2
    });
}

#[test]
fn a_bad_answer_leaves_the_old_keys_and_is_counted() {
    let upstream = Upstream::start();
    let mut setup = Setup::new(&upstream);
    let mut issuers = Vec::new();
    let servers: Vec<(Bad, String, Key, KeyServer)> = Bad::ALL
        .into_iter()
        .map(|bad| {
            let name = format!("https://{bad:?}.example.com");
            let key = Key::generate("ES256", "k1");
            let server = KeyServer::start(&[&key]);
            (bad, name, key, server)
        })
        .collect();
    for (bad, name, _, server) in &servers {
        let cluster = format!("keys-{bad:?}");
        setup = setup.upstream(&cluster, server.upstream());
        let url = json!({"url": format!("{name}/jwks.json")});
        issuers.push(remote_issuer(name, &cluster, &url));
    }
    let nowhere = "https://nowhere.example.com";
    issuers.push(remote_issuer(nowhere, "no-such-cluster", &json!({})));
    let endpointless = "https://endpointless.example.com";
    issuers.push(remote_issuer(endpointless, "empty", &json!({})));
    let mut empty = cluster("empty", 1);
    empty["load_assignment"]["endpoints"] = json!([]);
    let refused = "https://refused.example.com";
    issuers.push(remote_issuer(refused, "refused", &json!({})));
    let envoy = setup
        .cluster(empty)
        .cluster(cluster("refused", edge_claims_harness::tools::free_port()))
        .plugin(&policy(&issuers))
        .start();

    let all_pass = |when: &str| {
        for (bad, name, key, _) in &servers {
            let response = envoy.get("/me").header(CLAIMS, key.sign(&of(name))).send();
            assert_eq!(response.status, 200, "{bad:?} {when}: {response:?}");
        }
    };
    all_pass("before");
    let failed_before = fetches(&envoy).1;
    // The new answers would bring other keys, were they believed.
    let other = Key::generate("ES256", "k1");
    let asked: Vec<usize> = servers
        .iter()
        .map(|(bad, _, _, server)| {
            server.answer_badly(*bad, &[&other]);
            server.fetches()
        })
        .collect();
    until("every server to be asked again", || {
        let mut pairs = servers.iter().zip(&asked);
        pairs.all(|((.., server), asked)| server.fetches() > *asked + 1)
    });
    for (bad, why) in [
        (Bad::Empty, "none that can verify"),
        (Bad::Oversized, "more than 65536 bytes"),
        (Bad::Malformed, "not JSON"),
        (Bad::Slow, "status 504"),
        (Bad::Error, "status 500"),
        (Bad::Redirect, "status 302"),
        (Bad::Closed, "status 503"),
    ] {
        let url = format!("https://{bad:?}.example.com/jwks.json");
        let log = envoy.log();
        let told = log
            .lines()
            .any(|line| line.contains(&url) && line.contains(why));
        assert!(told, "{bad:?}: no line says {why:?}:\n{log}");
    }
    all_pass("after");
    until("the metric to tell", || {
        fetches(&envoy).1 >= failed_before + 7
    });

    // Who never had keys gets no 401.
    for name in [nowhere, endpointless, refused] {
        let token = servers[0].2.sign(&of(name));
        let response = envoy.get("/me").header(CLAIMS, token).send();
        assert_eq!(response.status, 503, "{name}: {response:?}");
        assert_eq!(response.json()["code"], "keys_unavailable");
        assert!(response.header("retry-after").is_some());
    }
    let log = envoy.log();
    assert!(log.contains("could not be fetched: Envoy knows no cluster \"no-such-cluster\""));
}

#[test]
fn keys_past_max_stale_are_not_believed_and_come_back() {
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let server = KeyServer::start(&[&key]);
    let envoy = Setup::new(&upstream)
        .upstream("keys", server.upstream())
        .plugin(&policy(&[remote_issuer(
            ISSUER,
            "keys",
            &json!({"max_stale": "3s"}),
        )]))
        .start();
    let world = World {
        envoy,
        upstream,
        key,
    };
    let cached = world.token(&json!({}));
    world.allowed(world.envoy.get("/me").header(CLAIMS, &cached));
    server.answer_badly(Bad::Closed, &[]);
    let down = Instant::now();
    world.allowed(world.envoy.get("/me").header(CLAIMS, &cached));
    until("the keys to go stale", || {
        let response = world.envoy.get("/me").header(CLAIMS, &cached).send();
        response.status == 503
    });
    assert!(down.elapsed() > Duration::from_millis(1_500), "too early");
    drop(world.upstream.take());
    for token in [cached.clone(), world.token(&json!({"sub": "fresh"}))] {
        let response = world.denied(
            world.envoy.get("/me").header(CLAIMS, token),
            503,
            "keys_unavailable",
        );
        assert!(response.header("retry-after").is_some(), "{response:?}");
    }
    server.publish(&[&world.key]);
    until("the keys to come back", || {
        let response = world.envoy.get("/me").header(CLAIMS, &cached).send();
        assert_ne!(response.status, 401, "{response:?}");
        response.status == 200
    });
}

#[test]
fn a_cluster_that_comes_later_is_found() {
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let server = KeyServer::start(&[&key]);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("clusters.json");
    let clusters = |version: &str, resources: Value| {
        let fresh = file.with_extension("new");
        let text = json!({"version_info": version, "resources": resources}).to_string();
        fs::write(&fresh, text).unwrap();
        fs::rename(&fresh, &file).unwrap();
    };
    clusters("1", json!([]));
    let envoy = Setup::new(&upstream)
        .bootstrap(&json!({"dynamic_resources": {"cds_config": {
            "resource_api_version": "V3",
            "path_config_source": {"path": file, "watched_directory": {"path": folder.path()}},
        }}}))
        .plugin(&policy(&[remote_issuer(ISSUER, "keys", &json!({}))]))
        .start();
    let token = key.sign(&of(ISSUER));
    let response = envoy.get("/me").header(CLAIMS, &token).send();
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.json()["code"], "keys_unavailable");
    assert_eq!(server.fetches(), 0);
    let mut late = cluster("keys", server.upstream().port());
    late["@type"] = json!("type.googleapis.com/envoy.config.cluster.v3.Cluster");
    clusters("2", json!([late]));
    until("the keys to be fetched", || {
        let response = envoy.get("/me").header(CLAIMS, &token).send();
        assert_ne!(response.status, 401, "{response:?}");
        response.status == 200
    });
}

#[test]
fn keys_survive_a_config_push_while_the_key_server_is_down() {
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let server = KeyServer::start(&[&key]);
    let config = |round: usize| {
        let slow = json!({"refresh": "5m"});
        let mut config = policy(&[remote_issuer(ISSUER, "keys", &slow)]);
        let routes = config["rbac"]["routes"].as_array_mut().unwrap();
        routes.push(
            json!({"name": "new", "path": format!("/new-{round}"), "allow": "authenticated"}),
        );
        config
    };
    let mut envoy = Setup::new(&upstream)
        .concurrency(4)
        .upstream("keys", server.upstream())
        .plugin(&config(0))
        .start();
    let token = key.sign(&of(ISSUER));
    let client = envoy.client();
    assert_eq!(client.get("/me").header(CLAIMS, &token).send().status, 200);
    server.answer_badly(Bad::Closed, &[]);
    let stop = AtomicBool::new(false);
    let passed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let response = client.get("/me").header(CLAIMS, &token).send();
                    // A connection that a closing listener accepted last may get no answer.
                    let lost = response.error.is_some();
                    assert!(lost || response.status == 200, "{response:?}");
                    passed.fetch_add(usize::from(!lost), Ordering::Relaxed);
                }
            });
        }
        let _stop = SetOnDrop(&stop);
        for round in 1..=3 {
            let before = passed.load(Ordering::Relaxed);
            let result = envoy.reload(|setup| setup.without_filters().plugin(&config(round)));
            assert_eq!(result, Reload::Accepted);
            let new = format!("/new-{round}");
            // Envoy accepts a config a moment before every worker has it.
            until("the new route", || {
                let response = client.get(&new).header(CLAIMS, &token).send();
                let lost = response.error.is_some();
                assert!(lost || matches!(response.status, 200 | 403), "{response:?}");
                response.status == 200
            });
            until("requests under the new config", || {
                passed.load(Ordering::Relaxed) > before + 50
            });
        }
    });
    assert_eq!(server.fetches(), 1, "no config push needs the key server");
}
