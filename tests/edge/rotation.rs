//! Keys that change while requests go on: the provider's, the edge's, and those that the mesh trusts; and what a
//! key server sees of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::Duration;

use edge_claims_harness::envoy::wait;
use edge_claims_harness::keyserver::{Bad, KeyServer};
use edge_claims_harness::provider::Provider;
use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::upstream::Answer;
use edge_claims_harness::{Client, Response, Setup, Upstream, setup};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::login;
use crate::mesh;
use crate::viceroy::{Stores, Viceroy};
use crate::world::{EdgeKey, World, with_session};

const PAGE: &str = "/tenants/a/orders/7";

/// What the mesh fetches: the keys of the edges that it trusts.
#[derive(Clone, Default)]
struct EdgeKeys(Arc<Mutex<Vec<Value>>>);

impl EdgeKeys {
    fn serve(&self) -> Upstream {
        let keys = self.clone();
        Upstream::answering(move |_| {
            let keys = keys.0.lock().expect("no thread panics with it");
            Answer::json(200, &json!({"keys": *keys}))
        })
    }

    fn publish(&self, keys: &[&EdgeKey]) {
        let public = keys.iter().map(|key| key.public.clone()).collect();
        *self.0.lock().expect("no thread panics with it") = public;
    }
}

fn kid(token: &str) -> String {
    let head = token.split('.').next().expect("a compact JWS");
    let head: Value = serde_json::from_slice(&tokens::from_base64url(head)).expect("JSON");
    head["kid"].as_str().expect("a kid").to_owned()
}

/// What the threads of the load share.
struct Load {
    edge: RwLock<Client>,
    session: RwLock<String>,
    stop: AtomicBool,
    sent: AtomicUsize,
    denied: Mutex<Vec<Response>>,
}

impl Load {
    /// Requests with the newest session to the edge that is in charge.
    fn send(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let session = self.session.read().expect("no panic").clone();
            let client = self.edge.read().expect("no panic").clone();
            let response = with_session(client.get(PAGE), &session).send();
            self.sent.fetch_add(1, Ordering::Relaxed);
            if response.status != 200 {
                self.denied.lock().expect("no panic").push(response);
            }
        }
    }

    /// Until so many more requests are through, and some seconds: more than the refresh of any key set.
    fn pass(&self) {
        let goal = self.sent.load(Ordering::Relaxed) + 100;
        thread::sleep(Duration::from_secs(3));
        while self.sent.load(Ordering::Relaxed) < goal {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn provider_edge_and_mesh_rotate_under_load_and_nobody_is_denied() {
    let (mut world, upstream) = (World::new(), Upstream::start());
    let mut provider = login::provider("none");
    let trusted = EdgeKeys::default();
    trusted.publish(&[&world.edge_key]);
    let key_server = trusted.serve();
    let mut config = mesh::policy(&world.edge_key);
    config["claims"]["issuers"][0]["keys"] = json!({"remote": {
        "url": "http://keys.example.com/jwks.json", "cluster": "keys", "refresh": "1s", "timeout": "2s",
    }});
    let envoy = Setup::new(&upstream)
        .concurrency(2)
        .cluster(setup::cluster("keys", key_server.port()))
        .plugin(&config)
        .start();
    let edge_of = |world: &World, provider: &Provider| {
        Viceroy::start(&login::stores(world, provider, "none"), envoy.port())
    };
    let first = edge_of(&world, &provider);

    let kids = Mutex::new(BTreeSet::new());
    let log_in = |edge: &Viceroy, load: &Load, provider: &Provider| {
        let mut browser = Browser::new("alice");
        let answers = browser.visit(edge, provider, PAGE);
        assert_eq!(answers[2].status, 200, "{answers:?}");
        let session = browser.shop.0["__Host-session"].clone();
        kids.lock().expect("no panic").insert(kid(&session));
        *load.session.write().expect("no panic") = session;
    };
    let load = Load {
        edge: RwLock::new(first.client()),
        session: RwLock::default(),
        stop: AtomicBool::new(false),
        sent: AtomicUsize::new(0),
        denied: Mutex::default(),
    };
    log_in(&first, &load, &provider);
    let second = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| load.send());
        }
        // Whatever ends this block ends the threads.
        let _stop = SetOnDrop(&load.stop);
        load.pass();
        // The provider: publish the next key, sign with it, withdraw the last when no session of it is in use.
        for (published, signing, left) in [
            (["k1", "k2"], ["k2", "k1"], "k2"),
            (["k2", "k3"], ["k3", "k2"], "k3"),
        ] {
            provider.rotate(&published);
            load.pass();
            provider.rotate(&signing);
            log_in(&first, &load, &provider);
            load.pass();
            provider.rotate(&[left]);
            load.pass();
        }
        // A provider that signs with a key in the moment that it publishes it: the edge fetches on demand.
        provider.rotate(&["k4", "k3"]);
        log_in(&first, &load, &provider);
        load.pass();
        // The edge: the mesh trusts the next key, the edge signs with it, the mesh forgets the last. Viceroy reads its
        // stores when it starts, so a second one has the new secret and takes over.
        let last = std::mem::replace(&mut world.edge_key, EdgeKey::generate("edge-2"));
        trusted.publish(&[&last, &world.edge_key]);
        load.pass();
        let second = edge_of(&world, &provider);
        *load.edge.write().expect("no panic") = second.client();
        load.pass();
        trusted.publish(&[&world.edge_key]);
        load.pass();
        second
    });
    let sent = load.sent.into_inner();
    let denied = load.denied.into_inner().expect("no panic");
    println!(
        "{sent} requests while {:?} and 2 keys of the edge changed",
        kids.lock()
    );
    assert!(
        denied.is_empty(),
        "{} of {sent}: {:?}",
        denied.len(),
        denied.first()
    );
    let kids = kids.into_inner().expect("no panic");
    assert_eq!(
        kids.into_iter().collect::<Vec<_>>(),
        ["k1", "k2", "k3", "k4"]
    );
    for (edge, kid) in [(&first, "edge-1"), (&second, "edge-2")] {
        let used = edge.log().iter().filter(|line| line["kid"] == kid).count();
        assert!(used >= 100, "{used} requests with {kid}");
    }
}

/// An edge that fetches the keys of sessions from this server, every second.
fn edge_with_keys(world: &World, server: &KeyServer, upstream: &Upstream) -> Viceroy {
    let mut settings = World::settings();
    settings["session"]["jwks"] =
        json!({"uri": "https://login.example.com/jwks", "refresh_seconds": 1});
    settings["session"]["cache_seconds"] = json!(300);
    let stores = Stores {
        settings: Some(settings),
        session_jwks: None,
        provider: Some(server.upstream().port()),
        ..world.stores()
    };
    let edge = World::edge_with(&stores, upstream);
    // Viceroy asks each backend once whether it is up.
    let _ = server.upstream().take();
    edge
}

#[test]
fn a_key_set_is_fetched_once_for_all_and_not_for_strangers() {
    let (world, upstream) = (World::new(), Upstream::start());
    let server = KeyServer::start(&[&world.login]);
    let edge = edge_with_keys(&world, &server, &upstream);
    let session = world.session(&json!({}));
    let client = edge.client();
    let all = |session: &str| -> Vec<u16> {
        thread::scope(|scope| {
            let request = || {
                with_session(client.request("POST", "/"), session)
                    .send()
                    .status
            };
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(request)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("an answer"))
                .collect()
        })
    };
    // The server answers late: all of them come while the first fetch is under way.
    server.publish_after(Duration::from_secs(2), &[&world.login]);
    assert_eq!(all(&session), [200; 20]);
    let fetches = server.upstream().take().len();
    assert!(
        fetches <= 2,
        "{fetches} fetches for 20 requests, and one refresh"
    );

    // Unknown keys, forty of them: one fetch more than the refresh of each second.
    server.publish(&[&world.login]);
    let started = std::time::Instant::now();
    for _ in 0..2 {
        let stranger = Key::generate("ES256", "unknown").sign(&json!({}));
        assert_eq!(all(&stranger), [401; 20]);
    }
    let most = started.elapsed().as_secs() + 2 + started.elapsed().as_secs() / 10 + 1;
    let fetches = server.upstream().take().len() as u64;
    assert!(fetches <= most, "{fetches} fetches, at most {most}");
}

#[test]
fn keys_survive_the_provider_and_a_withdrawn_key_takes_its_sessions_along() {
    let (world, upstream) = (World::new(), Upstream::start());
    let server = KeyServer::start(&[&world.login]);
    let edge = edge_with_keys(&world, &server, &upstream);
    let session = world.session(&json!({}));
    let status = || {
        with_session(edge.client().request("POST", "/"), &session)
            .send()
            .status
    };
    assert_eq!(status(), 200);
    for bad in [Bad::Error, Bad::Malformed, Bad::Empty, Bad::Closed] {
        server.answer_badly(bad, &[&world.login]);
        // More than one refresh: the last good set counts.
        thread::sleep(Duration::from_millis(1500));
        assert_eq!([status(), status()], [200, 200], "{bad:?}");
    }
    // The session was verified a moment ago, and is kept for 300 seconds: not without its key.
    server.publish(&[&Key::generate("ES256", "login-2")]);
    let gone = wait("the key's end", || (status() == 401).then_some(()));
    gone.unwrap_or_else(|problem| panic!("{problem}"));
    let line = edge.log().pop().expect("a line");
    assert_eq!(line["reason"], "session_key_unknown");
}

#[test]
fn without_any_key_set_the_edge_fails_closed_and_with_one_in_the_store_it_starts() {
    let (world, upstream) = (World::new(), Upstream::start());
    let server = KeyServer::start(&[&world.login]);
    server.answer_badly(Bad::Error, &[&world.login]);
    let edge = edge_with_keys(&world, &server, &upstream);
    let session = world.session(&json!({}));
    let response = with_session(edge.client().get("/"), &session).send();
    assert_eq!(
        (response.status, &response.json()["code"]),
        (503, &json!("not_configured"))
    );
    let line = edge.log().pop().expect("a line");
    assert_eq!(line["error"], "session_jwks: missing");

    // The example's settings name a place that this edge cannot reach; the store has the set.
    let edge = world.edge(&upstream);
    assert_eq!(
        with_session(edge.client().get("/"), &session).send().status,
        200
    );
}

/// Sets the flag when it is dropped, also by a panic.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
