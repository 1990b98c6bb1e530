//! Tokens that let one request pass: across workers, across config pushes, and in a full window.

use std::thread;

use edge_claims_harness::{Reload, Setup};
use serde_json::{Value, json};

use crate::support::{CLAIMS, World};

fn once(entries: u64) -> impl FnOnce(&mut Value) {
    move |config| {
        config["claims"]["issuers"][0]["one_use"] = json!({"claim": "jti", "entries": entries});
    }
}

fn four_workers(setup: Setup) -> Setup {
    setup.concurrency(4)
}

#[test]
fn of_many_uses_at_once_exactly_one_passes() {
    const USES: usize = 12;
    let world = World::with(once(1_000), four_workers);
    for round in 0..12 {
        let token = world.token(&json!({"jti": format!("token-{round}")}));
        let responses: Vec<_> = thread::scope(|scope| {
            // A connection each: they land on all workers.
            let uses: Vec<_> = (0..USES)
                .map(|_| scope.spawn(|| world.envoy.get("/me").header(CLAIMS, &token).send()))
                .collect();
            uses.into_iter().map(|use_| use_.join().unwrap()).collect()
        });
        let passed = responses.iter().filter(|it| it.status == 200).count();
        assert_eq!(passed, 1, "round {round}: {responses:?}");
        for response in responses.iter().filter(|it| it.status != 200) {
            assert_eq!(response.status, 401, "{response:?}");
            assert_eq!(response.json()["code"], "replayed");
        }
        assert_eq!(world.upstream.take().len(), 1);
    }
}

#[test]
fn a_token_is_used_up_by_nothing_but_a_request_that_passes() {
    let world = World::with(once(1_000), |setup| setup);
    let token = world.token(&json!({"jti": "only", "roles": ["reader"]}));
    let with = |path: &str| world.envoy.get(path).header(CLAIMS, &token);
    world.denied(with("/admin/x"), 403, "role");
    world.denied(with("/no/such/route"), 403, "route_unknown");
    world.allowed(with("/me"));
    world.denied(with("/me"), 401, "replayed");
    // What is worth nothing any more does no harm where nothing is asked for.
    let seen = world.allowed(with("/public/x"));
    assert_eq!(seen.all("x-auth-subject"), [""; 0]);
    // Another token of the same subject is another one; and one without an ID is none.
    world.allowed(
        world
            .envoy
            .get("/me")
            .header(CLAIMS, world.token(&json!({"jti": "another"}))),
    );
    for id in [json!(null), json!("")] {
        let token = world.token(&json!({"jti": id}));
        world.denied(
            world.envoy.get("/me").header(CLAIMS, token),
            401,
            "claim_required",
        );
    }
}

#[test]
fn a_full_window_answers_503_and_forgets_nothing() {
    const ENTRIES: usize = 100;
    let world = World::with(once(ENTRIES as u64), four_workers);
    let token = |number: usize| world.token(&json!({"jti": format!("token-{number}")}));
    let first = token(0);
    let ask = |token: &str| world.envoy.get("/me").header(CLAIMS, token).send();
    let mut passed = 0;
    let mut refused = 0;
    for number in 0..2 * ENTRIES {
        let response = ask(&if number == 0 {
            first.clone()
        } else {
            token(number)
        });
        match response.status {
            200 => passed += 1,
            503 => {
                assert_eq!(response.json()["code"], "internal", "{response:?}");
                assert!(response.header("retry-after").is_some());
                refused += 1;
            }
            _ => panic!("{response:?}"),
        }
    }
    println!("{passed} passed, {refused} found no room");
    // IDs are not spread evenly over the shards: half more than asked for at most.
    assert!(
        (ENTRIES..=ENTRIES + ENTRIES / 2).contains(&passed),
        "{passed}"
    );
    assert_eq!(ask(&first).json()["code"], "replayed");
}

/// Used tokens outlive a config push, also one that accepts expired tokens for longer than before.
#[test]
fn a_used_token_stays_used_when_a_push_raises_the_leeway() {
    let with_leeway = |leeway: &'static str| {
        move |config: &mut Value| {
            once(100)(config);
            config["claims"]["issuers"][0]["leeway"] = json!(leeway);
        }
    };
    let mut world = World::with(with_leeway("0s"), |setup| setup);
    let ask = |world: &World, token: &str| world.envoy.get("/me").header(CLAIMS, token).send();
    let now = edge_claims_harness::tokens::now();
    let used = world.token(&json!({"jti": "used", "exp": now + 4}));
    assert_eq!(ask(&world, &used).status, 200);
    let wait = now + 5 - edge_claims_harness::tokens::now();
    thread::sleep(std::time::Duration::from_secs(wait.max(0).unsigned_abs()));
    assert_eq!(ask(&world, &used).json()["code"], "expired");
    // Uses that clear expired tokens out of every shard.
    for number in 0..50 {
        let token = world.token(&json!({"jti": format!("later-{number}")}));
        assert_eq!(ask(&world, &token).status, 200);
    }
    let result = world.envoy.reload(|setup| {
        setup.without_filters().plugin(&{
            let mut config = crate::support::policy(&[crate::support::issuer(
                crate::support::ISSUER,
                &[&world.key],
            )]);
            with_leeway("5m")(&mut config);
            config
        })
    });
    assert_eq!(result, Reload::Accepted);
    for token in [used, world.token(&json!({"jti": "later-7"}))] {
        assert_eq!(ask(&world, &token).json()["code"], "replayed");
    }
}
