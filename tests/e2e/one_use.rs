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

#[test]
fn room_comes_back_when_tokens_expire() {
    let mut world = World::with(
        |config| {
            once(100)(config);
            config["claims"]["issuers"][0]["leeway"] = json!("0s");
        },
        |setup| setup,
    );
    let now = edge_claims_harness::tokens::now();
    let short =
        |number: usize| world.token(&json!({"jti": format!("token-{number}"), "exp": now + 4}));
    let ask = |world: &World, token: &str| world.envoy.get("/me").header(CLAIMS, token).send();
    let mut number = 0;
    while ask(&world, &short(number)).status == 200 {
        number += 1;
        assert!(number < 200, "the window does not fill");
    }
    let wait = now + 5 - edge_claims_harness::tokens::now();
    thread::sleep(std::time::Duration::from_secs(wait.max(0).unsigned_abs()));
    for number in 0..50 {
        let token = world.token(&json!({"jti": format!("later-{number}")}));
        assert_eq!(ask(&world, &token).status, 200);
    }
    // And a config push forgets none of them.
    let result = world.envoy.reload(|setup| {
        setup.without_filters().plugin(&{
            let mut config = crate::support::policy(&[crate::support::issuer(
                crate::support::ISSUER,
                &[&world.key],
            )]);
            once(100)(&mut config);
            config["responses"] = json!({"realm": "after the push"});
            config
        })
    });
    assert_eq!(result, Reload::Accepted);
    let token = world.token(&json!({"jti": "later-7"}));
    assert_eq!(ask(&world, &token).json()["code"], "replayed");
}
