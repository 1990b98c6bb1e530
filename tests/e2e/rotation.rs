//! Keys that change while requests come: fresh ones, withdrawn ones, made-up ones, and those that are
//! not there yet.

use std::fs;
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use edge_claims_harness::tokens::{Key, assemble, claims};
use edge_claims_harness::{Bad, Envoy, KeyServer, Provider, Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{
    CLAIMS, ISSUER, SetOnDrop, World, fetches, issuer, policy, remote_issuer, until,
};

/// Keys of this issuer are fetched when a request needs them, hardly ever by the clock.
fn rarely() -> Value {
    remote_issuer(ISSUER, "keys", &json!({"refresh": "10m"}))
}

/// A token that names a key that never was.
fn made_up(kid: &str) -> String {
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": kid}).to_string();
    let payload = claims(&json!({})).to_string();
    assemble(header.as_bytes(), payload.as_bytes(), &[7; 64])
}

fn resident_kilobytes(envoy: &Envoy) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", envoy.process())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.expect("the kernel tells the resident size")
}

#[test]
fn a_fresh_key_is_used_at_once() {
    let upstream = Upstream::start();
    let keys: Vec<Key> = (1..=3)
        .map(|number| Key::generate("ES256", &format!("k{number}")))
        .collect();
    let server = KeyServer::start(&[&keys[0]]);
    let envoy = Setup::new(&upstream)
        .concurrency(2)
        .http2_upstreams()
        .upstream("keys", server.upstream())
        .plugin(&policy(&[rarely()]))
        .start();
    let editor = json!({"roles": ["editor"], "tenant_id": "a"});
    let post = |key: &Key| {
        envoy
            .request("POST", "/tenants/a/orders/7")
            .header(CLAIMS, key.sign(&claims(&editor)))
            .body("x".repeat(20_000))
    };
    assert_eq!(post(&keys[0]).send().status, 200);
    drop(upstream.take());
    for (key, http2) in [(&keys[1], false), (&keys[2], true)] {
        server.publish(&keys.iter().collect::<Vec<_>>()[..if http2 { 3 } else { 2 }]);
        let before = server.fetches();
        let request = post(key);
        // Without a content-length the request would not wait.
        let request = if http2 {
            request.http2().header("content-length", "20000")
        } else {
            request
        };
        let response = request.send();
        assert_eq!(response.status, 200, "HTTP/2 {http2}: {response:?}");
        assert!(response.header("x-correlation-id").is_some());
        let seen = upstream.only();
        assert_eq!(seen.body.len(), 20_000, "the body waited with its request");
        assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
        assert_eq!(seen.all(CLAIMS), [""; 0]);
        assert_eq!(server.fetches(), before + 1);
    }
    // On the other worker too, which has it from this one.
    for _ in 0..10 {
        assert_eq!(post(&keys[2]).send().status, 200);
    }
    assert_eq!(server.fetches(), 3);
}

#[test]
fn a_flood_of_made_up_kids_costs_few_fetches_and_nobody_a_401() {
    let upstream = Upstream::start();
    let old = Key::generate("ES256", "old");
    let fresh = Key::generate("ES256", "fresh");
    let server = KeyServer::start(&[&old]);
    let envoy = Setup::new(&upstream)
        .concurrency(4)
        .upstream("keys", server.upstream())
        .plugin(&policy(&[rarely()]))
        .start();
    let client = envoy.client();
    let ask = |token: &str| client.get("/me").header(CLAIMS, token).send();
    let (old_token, fresh_token) = (
        old.sign(&claims(&json!({}))),
        fresh.sign(&claims(&json!({}))),
    );
    assert_eq!(ask(&old_token).status, 200);
    assert_eq!(server.fetches(), 1);

    // The first of them use the budget up: three fetches for unknown kids.
    let (unknown, unavailable) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let stop = AtomicBool::new(false);
    let mut rotated = Instant::now();
    let mut waited = Duration::ZERO;
    thread::scope(|scope| {
        for flooder in 0..4 {
            let (unknown, unavailable, stop) = (&unknown, &unavailable, &stop);
            scope.spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let response = ask(&made_up(&format!("{flooder}-{number}")));
                    let code = response.json()["code"].clone();
                    match response.status {
                        401 => {
                            assert_eq!(code, "key_unknown", "{response:?}");
                            unknown.fetch_add(1, Ordering::Relaxed);
                        }
                        503 => {
                            assert_eq!(code, "keys_unavailable", "{response:?}");
                            assert!(response.header("retry-after").is_some());
                            unavailable.fetch_add(1, Ordering::Relaxed);
                        }
                        _ => panic!("{response:?}"),
                    }
                }
            });
        }
        let _stop = SetOnDrop(&stop);
        until("the flood to use the budget up", || server.fetches() >= 4);
        let flooded = || unknown.load(Ordering::Relaxed) + unavailable.load(Ordering::Relaxed);
        let so_far = flooded();
        until("hundreds of made-up kids", || flooded() > so_far + 200);
        let memory = resident_kilobytes(&envoy);
        server.publish(&[&old, &fresh]);
        rotated = Instant::now();
        // Those with a fresh key are told to come back, and never that their key is unknown; those
        // with an old one notice nothing.
        loop {
            assert_eq!(ask(&old_token).status, 200);
            let response = ask(&fresh_token);
            if response.status == 200 {
                break;
            }
            assert_eq!(response.status, 503, "{response:?}");
            assert!(rotated.elapsed() < Duration::from_secs(18), "{response:?}");
            thread::sleep(Duration::from_millis(50));
        }
        waited = rotated.elapsed();
        until("hundreds more", || flooded() > so_far + 600);
        let grown = resident_kilobytes(&envoy).saturating_sub(memory);
        assert!(
            grown < 30_000,
            "{grown} kB more for {} made-up kids",
            flooded()
        );
    });
    let fetched = server.fetches();
    println!(
        "{unknown:?} times 401, {unavailable:?} times 503, {fetched} fetches, a fresh key after {waited:?}"
    );
    // One in ten seconds after the first three, and the one at the start.
    let most = 1 + 3 + 1 + rotated.elapsed().as_secs() as usize / 10 + 1;
    assert!(
        fetched <= most,
        "{fetched} fetches, at most {most} were expected"
    );
    assert!(unavailable.into_inner() > 100);
}

#[test]
fn a_made_up_kid_alone_is_told_so() {
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let server = KeyServer::start(&[&key]);
    let envoy = Setup::new(&upstream)
        .upstream("keys", server.upstream())
        .plugin(&policy(&[rarely()]))
        .start();
    let world = World {
        envoy,
        upstream,
        key,
    };
    world.allowed(
        world
            .envoy
            .get("/me")
            .header(CLAIMS, world.token(&json!({}))),
    );
    let before = server.fetches();
    world.denied(
        world.envoy.get("/me").header(CLAIMS, made_up("nobody")),
        401,
        "key_unknown",
    );
    assert_eq!(
        server.fetches(),
        before + 1,
        "after a fetch that came later"
    );
    // Nobody waits on a public route, and nothing is fetched for it.
    let began = Instant::now();
    let public = world
        .envoy
        .get("/public/x")
        .header(CLAIMS, made_up("nobody"));
    let seen = world.allowed(public);
    assert_eq!(
        seen.all(CLAIMS),
        [""; 0],
        "a token that is worth nothing went on"
    );
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(server.fetches(), before + 1);
}

#[test]
fn the_first_requests_wait_for_the_first_keys_and_others_go_on() {
    let upstream = Upstream::start();
    let (key, fixed) = (Key::generate("ES256", "k1"), Key::generate("ES256", "k2"));
    let server = KeyServer::start(&[]);
    let answer = Duration::from_secs(4);
    server.publish_after(answer, &[&key]);
    let other = "https://other.example.com";
    let slow = json!({"refresh": "10m", "timeout": "10s"});
    let envoy = Setup::new(&upstream)
        .concurrency(2)
        .upstream("keys", server.upstream())
        .plugin(&policy(&[
            remote_issuer(ISSUER, "keys", &slow),
            issuer(other, &[&fixed]),
        ]))
        .start();
    until("the fetch to begin", || server.fetches() == 1);
    let begun = Instant::now();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..20)
            .map(|number| {
                let (key, envoy) = (&key, &envoy);
                scope.spawn(move || {
                    let request = envoy
                        .get("/me")
                        .header(CLAIMS, key.sign(&claims(&json!({}))));
                    let request = if number % 2 == 0 {
                        request
                    } else {
                        request.http2()
                    };
                    (request.send(), begun.elapsed())
                })
            })
            .collect();
        // Meanwhile those who need no such key are served.
        let token = fixed.sign(&claims(&json!({"iss": other})));
        for request in [
            envoy.get("/me").header(CLAIMS, token),
            envoy.get("/public/x"),
        ] {
            assert_eq!(request.send().status, 200);
        }
        assert_eq!(envoy.get("/me").send().status, 401);
        let meanwhile = begun.elapsed();
        for waiter in waiting {
            let (response, after) = waiter.join().unwrap();
            assert_eq!(response.status, 200, "{response:?}");
            assert!(after > answer * 2 / 3, "answered after {after:?}");
            assert!(after < answer * 2, "answered after {after:?}");
        }
        // Had they waited for the answer, too, it would be nearly all of that time.
        assert!(meanwhile < answer / 2, "others took {meanwhile:?}");
    });
    assert_eq!(server.fetches(), 1);
}

#[test]
fn nobody_waits_for_ever() {
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let server = KeyServer::start(&[&key]);
    server.answer_badly(Bad::Slow, &[&key]);
    let envoy = Setup::new(&upstream)
        .upstream("keys", server.upstream())
        .plugin(&policy(&[remote_issuer(ISSUER, "keys", &json!({}))]))
        .start();
    let world = World {
        envoy,
        upstream,
        key,
    };
    let began = Instant::now();
    let token = world.token(&json!({}));
    let response = world.denied(
        world.envoy.get("/me").header(CLAIMS, token),
        503,
        "keys_unavailable",
    );
    assert!(response.header("retry-after").is_some());
    // The fetch's own timeout is 0.5 s.
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let grpc = world
        .envoy
        .grpc("/shop.Orders/List", b"x")
        .header(CLAIMS, world.token(&json!({"roles": ["reader"]})))
        .send();
    assert_eq!(
        grpc.trailer("grpc-status").as_deref(),
        Some("14"),
        "{grpc:?}"
    );
}

#[test]
fn a_client_that_gives_up_leaves_nothing_behind() {
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let server = KeyServer::start(&[&key]);
    server.publish_after(Duration::from_secs(2), &[&key]);
    let slow = json!({"refresh": "10m", "timeout": "10s"});
    let envoy = Setup::new(&upstream)
        .upstream("keys", server.upstream())
        .plugin(&policy(&[remote_issuer(ISSUER, "keys", &slow)]))
        .start();
    let request = |body: &str| {
        envoy
            .request(if body.is_empty() { "GET" } else { "POST" }, "/me")
            .header(CLAIMS, key.sign(&claims(&json!({}))))
            .header("x-test", "gives up")
            .body(body)
    };
    for body in ["", "some body"] {
        for _ in 0..25 {
            let mut stream = TcpStream::connect(("127.0.0.1", envoy.port())).unwrap();
            stream.write_all(&request(body).to_http1()).unwrap();
            thread::sleep(Duration::from_millis(10));
            stream.shutdown(Shutdown::Both).unwrap();
        }
    }
    until("Envoy to notice", || {
        envoy.stats().of("http.ingress.downstream_rq_active") <= 1
    });
    assert_eq!(upstream.count(), 0);
    // Who waits as well, and who comes later, is served.
    let response = request("").send();
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(request("").http2().send().status, 200);
    assert_eq!(upstream.count(), 2, "one of those who gave up came through");
    assert_eq!(server.fetches(), 1);
    envoy.finish();
}

#[test]
fn a_withdrawn_key_takes_its_cached_tokens_with_it() {
    let upstream = Upstream::start();
    let (old, new) = (Key::generate("ES256", "old"), Key::generate("ES256", "new"));
    let server = KeyServer::start(&[&old, &new]);
    let envoy = Setup::new(&upstream)
        .upstream("keys", server.upstream())
        .plugin(&policy(&[remote_issuer(ISSUER, "keys", &json!({}))]))
        .start();
    let world = World {
        envoy,
        upstream,
        key: old,
    };
    let (token, stays) = (world.token(&json!({})), new.sign(&claims(&json!({}))));
    for token in [&token, &token, &stays, &stays] {
        world.allowed(world.envoy.get("/me").header(CLAIMS, token));
    }
    server.publish(&[&new]);
    let withdrawn = Instant::now();
    until("the refresh", || {
        let response = world.envoy.get("/me").header(CLAIMS, &token).send();
        response.status != 200
    });
    assert!(withdrawn.elapsed() < Duration::from_secs(5));
    drop(world.upstream.take());
    world.denied(
        world.envoy.get("/me").header(CLAIMS, &token),
        401,
        "key_unknown",
    );
    world.allowed(world.envoy.get("/me").header(CLAIMS, &stays));
}

#[test]
fn another_key_under_the_same_kid_is_another_key() {
    let upstream = Upstream::start();
    let (first, second) = (Key::generate("ES256", "k"), Key::generate("ES256", "k"));
    let server = KeyServer::start(&[&first]);
    let envoy = Setup::new(&upstream)
        .upstream("keys", server.upstream())
        .plugin(&policy(&[remote_issuer(ISSUER, "keys", &json!({}))]))
        .start();
    let world = World {
        envoy,
        upstream,
        key: first,
    };
    let (old, new) = (world.token(&json!({})), second.sign(&claims(&json!({}))));
    let with = |token: &str| world.envoy.get("/me").header(CLAIMS, token);
    world.allowed(with(&old));
    // A signature that is invalid for the old key is verified again with the new one.
    world.denied(with(&new), 401, "signature_invalid");
    world.denied(with(&new), 401, "signature_invalid");
    server.publish(&[&second]);
    until("the refresh", || with(&new).send().status == 200);
    drop(world.upstream.take());
    world.denied(with(&old), 401, "signature_invalid");
    world.allowed(with(&new));
}

/// A real OpenID provider rotates twice, as operators should, while clients with fresh and with older
/// tokens keep coming; then it rotates as they should not; then it withdraws a key.
#[test]
fn a_provider_rotates_under_load() {
    let mut provider = Provider::start();
    let upstream = Upstream::start();
    let cluster = edge_claims_harness::setup::cluster("provider", provider.port());
    let mut issuer = remote_issuer(
        &provider.issuer(),
        "provider",
        &json!({"url": format!("{}/jwks", provider.issuer()), "timeout": "2s"}),
    );
    issuer["type"] = json!("at+jwt");
    issuer["require"] = json!(["sub", "jti", "client_id"]);
    let envoy = Setup::new(&upstream)
        .concurrency(4)
        .cluster(cluster)
        .plugin(&policy(&[issuer]))
        .start();
    let endpoint = provider.tokens();
    let token = RwLock::new(endpoint.issue());
    let kids = Mutex::new(std::collections::BTreeSet::new());
    let stop = AtomicBool::new(false);
    let sent = AtomicUsize::new(0);
    let denied = Mutex::new(Vec::new());
    let client = envoy.client();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let fresh = endpoint.issue();
                kids.lock().unwrap().insert(kid(&fresh));
                *token.write().unwrap() = fresh;
                thread::sleep(Duration::from_millis(20));
            }
        });
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mine = token.read().unwrap().clone();
                    let request = client.get("/me").header(CLAIMS, &mine).to_http1();
                    let burst: Vec<&[u8]> = vec![&request; 10];
                    for response in client.conversation(&burst) {
                        sent.fetch_add(1, Ordering::Relaxed);
                        if response.status != 200 {
                            denied.lock().unwrap().push(response);
                        }
                    }
                }
            });
        }
        // Whatever ends this block ends the threads.
        let _stop = SetOnDrop(&stop);
        let pause = || thread::sleep(Duration::from_millis(2_500));
        pause();
        for (published, signing, left) in [
            (["k1", "k2"], ["k2", "k1"], "k2"),
            (["k2", "k3"], ["k3", "k2"], "k3"),
        ] {
            provider.rotate(&published);
            pause();
            provider.rotate(&signing);
            pause();
            provider.rotate(&[left]);
            pause();
        }
        // Signs with a key in the moment that it is published. The filter fetches on demand.
        provider.rotate(&["k4", "k3"]);
        pause();
    });
    let sent = sent.into_inner();
    let kids = kids.into_inner().unwrap();
    println!("{sent} requests with tokens of {kids:?}");
    let denied = denied.into_inner().unwrap();
    assert!(
        denied.is_empty(),
        "{} of {sent}: {:?}",
        denied.len(),
        denied[0]
    );
    assert!(sent > 500, "the load was too light: {sent}");
    assert_eq!(kids.len(), 4, "{kids:?}");

    // A session's token from the key that goes: cached on every worker.
    let session = token.into_inner().unwrap();
    assert_eq!(kid(&session), "k4");
    let ask = || client.get("/me").header(CLAIMS, &session).send();
    for _ in 0..20 {
        assert_eq!(ask().status, 200);
    }
    provider.rotate(&["k5"]);
    let withdrawn = Instant::now();
    until("the refresh", || ask().status == 401);
    let took = withdrawn.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    // Every worker has it within its tick.
    thread::sleep(Duration::from_millis(1_500));
    for _ in 0..20 {
        let status = ask().status;
        assert!(status == 401 || status == 503, "{status}");
    }
    assert_eq!(fetches(&envoy).1, 0, "no fetch failed");
}

/// The `kid` in a token's header.
fn kid(token: &str) -> String {
    let header = token.split('.').next().unwrap_or_default();
    let header = edge_claims_harness::tokens::from_base64url(header);
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap_or_default().to_owned()
}
