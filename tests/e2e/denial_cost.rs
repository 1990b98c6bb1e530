//! What hostile requests cost: forged tokens of expensive algorithms, and the log of denials.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edge_claims_harness::tokens::{Key, assemble, claims};
use edge_claims_harness::{Setup, Upstream};
use serde_json::json;

use crate::support::{CLAIMS, ISSUER, SetOnDrop, World, issuer, policy};

/// A token that names that key, with a signature of the right length that is wrong.
fn forged(key: &Key, number: usize) -> String {
    let header = json!({"alg": key.algorithm(), "typ": "JWT", "kid": key.kid()}).to_string();
    let payload = claims(&json!({"sub": format!("mallory-{number}")})).to_string();
    let length = if key.algorithm() == "PS512" { 256 } else { 96 };
    assemble(header.as_bytes(), payload.as_bytes(), &vec![7; length])
}

#[test]
fn a_flood_of_forgeries_takes_no_more_than_its_share() {
    const FLOODERS: usize = 6;
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let expensive = [Key::generate("PS512", "ps"), Key::generate("ES384", "es")];
    let [ps512, es384] = &expensive;
    let config = policy(&[issuer(ISSUER, &[&key, ps512, es384])]);
    let envoy = Setup::new(&upstream).plugin(&config).start();
    let world = World {
        envoy,
        upstream,
        key,
    };
    let cached = world.token(&json!({}));
    let client = world.envoy.client();
    let get = |token: &str| client.get("/me").header(CLAIMS, token).send();
    assert_eq!(get(&cached).status, 200);
    let (denied, rationed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = SetOnDrop(&stop);
        for flooder in 0..FLOODERS {
            let (get, stop, denied, rationed) = (&get, &stop, &denied, &rationed);
            let key = &expensive[flooder % 2];
            scope.spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let response = get(&forged(key, flooder * 1_000_000 + number));
                    match response.status {
                        401 => denied.fetch_add(1, Ordering::Relaxed),
                        503 => {
                            assert!(response.header("retry-after").is_some(), "{response:?}");
                            rationed.fetch_add(1, Ordering::Relaxed)
                        }
                        _ => panic!("{response:?}"),
                    };
                }
            });
        }
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(6) {
            // Cached, and new but cheap.
            for token in [&cached, &world.token(&json!({}))] {
                let response = get(token);
                assert_eq!(response.status, 200, "{response:?}");
            }
        }
    });
    let (denied, rationed) = (denied.into_inner(), rationed.into_inner());
    println!("{denied} forgeries were verified, {rationed} were refused without");
    assert!(rationed > 0, "all {denied} forgeries were verified");
}

#[test]
fn a_hostile_denial_writes_little_into_the_log() {
    const DENIALS: usize = 100;
    const BYTES_FOR_EACH: usize = 2_048;
    let world = World::start();
    // Each of these bytes takes two in JSON.
    let quotes = "\"".repeat(3_000);
    let role = "\"\\".repeat(20);
    let token = world.token_of(&[role.as_str(); 20]);
    let before = world.envoy.log().len();
    for number in 0..DENIALS {
        let request = match number % 2 {
            0 => world.envoy.get(format!("/{quotes}")),
            _ => world.envoy.get(format!("/admin/{quotes}")),
        };
        let request = request
            .header(CLAIMS, &token)
            .header("x-correlation-id", "c".repeat(128))
            .header("x-request-id", &quotes)
            .header("user-agent", &quotes);
        let response = request.send();
        assert_eq!(response.status, 403, "{response:?}");
    }
    let written = world.envoy.log().len() - before;
    assert!(
        written < DENIALS * BYTES_FOR_EACH,
        "{} bytes for each denial",
        written / DENIALS
    );
}
