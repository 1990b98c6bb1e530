//! Requests that wait for keys: they end in every way that a request can end, and until they are
//! decided nothing of them goes on.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use edge_claims_harness::tokens::{Key, assemble, claims};
use edge_claims_harness::{Client, KeyServer, Reload, Request, Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{CLAIMS, ISSUER, World, issuer, policy, remote_issuer, until};

/// A world whose keys come after that time, and its key server.
fn world(
    keys_after: Duration,
    config: impl FnOnce(&mut Value),
    envoy: impl FnOnce(Setup) -> Setup,
) -> (World, KeyServer) {
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let server = KeyServer::start(&[]);
    server.publish_after(keys_after, &[&key]);
    let mut policy = slow_policy();
    config(&mut policy);
    let setup = Setup::new(&upstream).upstream("keys", server.upstream());
    let envoy = envoy(setup).plugin(&policy).start();
    let world = World {
        envoy,
        upstream,
        key,
    };
    (world, server)
}

fn slow_policy() -> Value {
    let slow = json!({"refresh": "10m", "timeout": "20s"});
    policy(&[remote_issuer(ISSUER, "keys", &slow)])
}

fn unchanged(_: &mut Value) {}

/// A token of a key that never was.
fn made_up() -> String {
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "nobody"}).to_string();
    let payload = claims(&json!({})).to_string();
    assemble(header.as_bytes(), payload.as_bytes(), &[7; 64])
}

/// The access record of a request that ended while it waited.
#[track_caller]
fn has_id_and_verdict(world: &World, test: &str) {
    let record = world.envoy.access_of(test);
    assert_eq!(record["correlation_id"], test, "{record}");
    let verdict = record["verdict"].as_str().unwrap_or_default();
    assert!(!["", "-"].contains(&verdict), "{record}");
    assert!(!verdict.starts_with("allow"), "{record}");
    assert_eq!(world.upstream.count(), 0);
}

/// A request that will wait, with that ID.
fn waiter(world: &World, id: &str) -> Request {
    world
        .envoy
        .get("/me")
        .header(CLAIMS, world.token(&json!({})))
        .header("x-correlation-id", id)
        .header("x-test", id)
}

#[test]
fn a_request_that_envoy_ends_while_it_waits_has_an_id_and_a_verdict() {
    let idle = |setup: Setup| setup.hcm(&json!({"stream_idle_timeout": "0.5s"}));
    let (world, _server) = world(Duration::from_secs(10), unchanged, idle);
    for (id, request) in [
        ("over-http1", waiter(&world, "over-http1")),
        ("over-http2", waiter(&world, "over-http2").http2()),
    ] {
        let response = request.send();
        assert!(response.status >= 400, "{response:?}");
        has_id_and_verdict(&world, id);
    }
}

#[test]
fn a_request_that_its_client_resets_while_it_waits_has_an_id_and_a_verdict() {
    let (world, _server) = world(Duration::from_secs(10), unchanged, |setup| setup);
    waiter(&world, "closed").send_and_give_up(Duration::from_millis(300));
    has_id_and_verdict(&world, "closed");
    let reset = waiter(&world, "reset").http2();
    reset.send_and_give_up(Duration::from_millis(300));
    has_id_and_verdict(&world, "reset");
    let body = waiter(&world, "with-body").body("some body");
    body.send_and_give_up(Duration::from_millis(300));
    has_id_and_verdict(&world, "with-body");
}

/// Envoy goes on with the next filter when the body comes, whatever the filter said about the head,
/// unless it says the same about the body.
fn lets_bodies_through(setup: Setup) -> Setup {
    setup.plugin_settings(&json!({"allow_on_headers_stop_iteration": true}))
}

/// Bodies of every kind, behind that token.
fn with_bodies(client: &Client, token: &str) -> Vec<Request> {
    let post = client.request("POST", "/me").header(CLAIMS, token);
    vec![
        post.clone().body("abc"),
        post.clone().body("abc").chunked(),
        post.clone().body("abc").http2(),
        post.clone()
            .header("content-length", "3")
            .body("abc")
            .http2(),
        post.clone().body("abc").trailer("x-checksum", "1").http2(),
        post.clone().trailer("x-checksum", "1").http2(),
        post.header("content-length", "40000")
            .body(vec![b'x'; 40_000])
            .http2(),
    ]
}

#[test]
fn no_body_carries_an_undecided_request_to_the_upstream() {
    let (world, _server) = world(Duration::from_secs(4), unchanged, lets_bodies_through);
    let client = world.envoy.client();
    thread::scope(|scope| {
        for request in with_bodies(&client, &made_up()) {
            scope.spawn(move || {
                let what = format!("{request:?}");
                let response = request.send();
                assert!(
                    [401, 503].contains(&response.status),
                    "{what}: {response:?}"
                );
            });
        }
    });
    assert_eq!(world.upstream.take(), [], "an undecided request went on");
}

#[test]
fn a_request_with_a_small_body_that_waited_arrives_whole() {
    let (world, _server) = world(Duration::from_secs(2), unchanged, lets_bodies_through);
    let post = world
        .envoy
        .request("POST", "/me")
        .header(CLAIMS, world.token(&json!({})));
    let began = Instant::now();
    assert_eq!(world.allowed(post.clone().body("abc")).body, b"abc");
    assert!(began.elapsed() > Duration::from_secs(1), "it did not wait");
    let later = post.header("content-length", "3").body("abc").http2();
    assert_eq!(world.allowed(later).body, b"abc");
}

/// Envoy hands over the trailers while the request waits, and not again before it forwards them.
#[test]
fn the_trailers_of_a_request_that_waited_are_cleaned_as_well() {
    for (on_spoof, status) in [("strip", 200), ("reject", 400)] {
        let change = |policy: &mut Value| policy["identity"]["on_spoof"] = json!(on_spoof);
        let setup = |setup: Setup| lets_bodies_through(setup).http2_upstreams();
        let (world, _server) = world(Duration::from_secs(2), change, setup);
        let request = world
            .envoy
            .request("POST", "/me")
            .header(CLAIMS, world.token(&json!({})))
            .header("content-length", "3")
            .body("abc")
            .trailer("x-checksum", "1")
            .trailer("x-auth-subject", "root")
            .trailer("x_auth_roles", "admin");
        let response = request.http2().send();
        assert_eq!(response.status, status, "{on_spoof}: {response:?}");
        let seen = world.upstream.take();
        for request in &seen {
            assert_eq!(request.trailers, [(b"x-checksum".to_vec(), b"1".to_vec())]);
        }
        assert_eq!(seen.len(), usize::from(status == 200), "{on_spoof}");
    }
}

#[test]
fn a_body_that_is_large_or_of_unknown_length_does_not_wait() {
    let upgrades = json!({"upgrade_configs": [{"upgrade_type": "websocket"}]});
    let (world, _server) = world(Duration::from_secs(6), unchanged, |setup| {
        setup.hcm(&upgrades)
    });
    let post = world
        .envoy
        .request("POST", "/me")
        .header(CLAIMS, world.token(&json!({})));
    let announced = post.clone().header("content-length", "8000000");
    for request in [
        post.clone().body("abc").chunked(),
        post.clone().body("abc").http2(),
        announced.clone(),
        announced.http2().left_open(),
        // `content-length` does not limit the data after an upgrade.
        post.clone()
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("content-length", "0"),
    ] {
        let what = format!("{request:.200?}");
        let began = Instant::now();
        let response = request.send();
        assert!(began.elapsed() < Duration::from_secs(2), "it waited");
        assert_eq!(response.status, 503, "{what:.300}: {response:?}");
        assert_eq!(response.json()["code"], "keys_unavailable");
        assert!(response.header("retry-after").is_some(), "{response:?}");
    }
    assert_eq!(world.upstream.count(), 0);
}

#[test]
fn a_request_that_is_not_let_wait_counts_one_cache_miss() {
    const REQUESTS: u64 = 560;
    let (world, _server) = world(Duration::from_secs(15), unchanged, |setup| setup);
    let bytes = world
        .envoy
        .get("/me")
        .header(CLAIMS, world.token(&json!({})))
        .to_http1();
    // Without reading: most of them get no answer here.
    let streams: Vec<TcpStream> = (0..REQUESTS)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", world.envoy.port())).unwrap();
            stream.write_all(&bytes).unwrap();
            stream
        })
        .collect();
    let of = |name: &str| world.envoy.stats().of(&format!("wasmcustom.{name}"));
    let refused = || of("decision=.=deny;.;reason=.=keys_unavailable;.;edge_claims_requests_total");
    let waiting = || world.envoy.stats().of("http.ingress.downstream_rq_active");
    until("every request to wait or to be refused", || {
        waiting() + refused() == REQUESTS
    });
    assert!(refused() > 0, "all of them were let wait");
    until("the misses to be counted", || {
        of("result=.=miss;.;edge_claims_cache_total") >= REQUESTS
    });
    // The filter reports its counters once a second.
    thread::sleep(Duration::from_millis(2_500));
    assert_eq!(of("result=.=miss;.;edge_claims_cache_total"), REQUESTS);
    drop(streams);
}

#[test]
fn a_config_push_while_requests_wait_lets_nothing_through() {
    let (mut world, _server) = world(Duration::from_secs(3), unchanged, |setup| setup);
    let client = world.envoy.client();
    let good = world.token(&json!({}));
    let bad = made_up();
    let waiting: Vec<_> = (0..24)
        .map(|number| {
            let token = if number % 2 == 0 { &good } else { &bad };
            let request = client.get("/me").header(CLAIMS, token);
            let request = match number % 3 {
                0 => request.http2(),
                1 => request.body("some body"),
                _ => request,
            };
            let name = if number % 2 == 0 { "good" } else { "bad" };
            let request = request.header("x-test", name);
            thread::spawn(move || (name, request.send()))
        })
        .collect();
    until("all of them to wait", || {
        world.envoy.stats().of("http.ingress.downstream_rq_active") >= 24
    });
    let mut pushed = policy(&[issuer(ISSUER, &[&world.key])]);
    pushed["responses"] = json!({"realm": "after-the-push"});
    let result = world
        .envoy
        .reload(|setup| setup.without_filters().plugin(&pushed));
    assert_eq!(result, Reload::Accepted);
    // The new config decides at once, while the others may wait still.
    world.denied(world.envoy.get("/me"), 401, "claims_missing");
    for thread in waiting {
        let (name, response) = thread.join().unwrap();
        let ended = response.error.is_some() || [401, 503].contains(&response.status);
        assert!(
            ended || (name == "good" && response.status == 200),
            "{name}: {response:?}"
        );
    }
    for seen in world.upstream.take() {
        assert_eq!(seen.header("x-test").as_deref(), Some("good"), "{seen:?}");
        assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    }
    let request = world.envoy.get("/me").header(CLAIMS, good);
    world.allowed(request);
}

#[test]
fn shadow_mode_lets_no_request_wait() {
    let shadow = |policy: &mut Value| policy["mode"] = json!("shadow");
    let (world, _server) = world(Duration::from_secs(10), shadow, |setup| setup);
    let token = world.token(&json!({}));
    let get = world.envoy.get("/me").header(CLAIMS, &token);
    let post = world.envoy.request("POST", "/me").header(CLAIMS, &token);
    for request in [get.clone(), get.http2(), post.body("abc")] {
        let began = Instant::now();
        let response = request.send();
        assert_eq!(response.status, 200, "{response:?}");
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "it waited {:?}",
            began.elapsed()
        );
        let seen = world.upstream.only();
        assert_eq!(seen.header("x-auth-subject"), None, "{seen:?}");
        assert_eq!(seen.header(CLAIMS), None, "{seen:?}");
        let id = response.header("x-correlation-id").unwrap();
        let record = world
            .envoy
            .wait_for_access(|record| record["correlation_id"] == id.as_str());
        assert_eq!(record["verdict"], "shadow/keys_unavailable/me", "{record}");
    }
}

#[test]
fn a_route_in_shadow_lets_no_request_wait() {
    let shadow = |policy: &mut Value| policy["rbac"]["routes"][1]["mode"] = json!("shadow");
    let (world, _server) = world(Duration::from_secs(10), shadow, |setup| setup);
    let began = Instant::now();
    let token = world.token(&json!({}));
    let response = world.envoy.get("/me").header(CLAIMS, token).send();
    assert_eq!(response.status, 200, "{response:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "it waited");
}
