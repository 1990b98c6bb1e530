//! One correlation ID: where it comes from, and every place that it goes to.

use edge_claims_harness::Request;
use serde_json::json;

use crate::support::{CLAIMS, World};

const ID: &str = "x-correlation-id";

/// Sends a request and returns the ID, after a check that request, response and access log agree.
#[track_caller]
fn carried(world: &World, request: Request) -> String {
    let response = request.send();
    let id = response.header(ID).expect("the response carries the ID");
    if let Some(seen) = world.upstream.take().pop() {
        assert_eq!(seen.header(ID).as_deref(), Some(id.as_str()));
    }
    let _ = world.envoy.wait_for_access(|record| {
        record["correlation_id"] == id.as_str() && record["status"] == response.status
    });
    id
}

#[test]
fn an_accepted_header_is_carried_on() {
    let world = World::start();
    let longest = "x".repeat(128);
    for id in ["c-1", "01JD.a_b:c-d", longest.as_str()] {
        assert_eq!(
            carried(&world, world.envoy.get("/public/x").header(ID, id)),
            id
        );
        assert_eq!(
            carried(&world, world.envoy.get("/me").header(ID, id)),
            id,
            "denied"
        );
        assert_eq!(
            carried(&world, world.envoy.get("/public/x").http2().header(ID, id)),
            id
        );
    }
}

#[test]
fn without_one_a_uuid_of_version_7_is_made_each_time() {
    let world = World::start();
    let first = carried(&world, world.envoy.get("/public/x"));
    let second = carried(&world, world.envoy.get("/me"));
    assert_ne!(first, second);
    for id in [first, second] {
        assert_eq!((id.len(), &id[14..15]), (36, "7"), "{id}");
    }
}

#[test]
fn the_signed_id_wins_and_the_clients_copy_is_overwritten() {
    let world = World::start();
    let token = world.token(&json!({"cid": "signed-1"}));
    let request = || world.envoy.get("/me").header(CLAIMS, &token);
    assert_eq!(carried(&world, request()), "signed-1");
    assert_eq!(carried(&world, request().header(ID, "mine")), "signed-1");
    assert_eq!(
        carried(&world, request().header(ID, "signed-1").header(ID, "mine")),
        "signed-1"
    );
    // Verified, though denied: the ID is the signed one all the same.
    assert_eq!(
        carried(&world, world.envoy.get("/admin").header(CLAIMS, &token)),
        "signed-1"
    );
}

#[test]
fn the_id_of_a_token_that_does_not_verify_is_not_believed() {
    let world = World::start();
    let mut forged = world.token(&json!({"cid": "forged-1"}));
    forged.truncate(forged.len() - 8);
    forged.push_str("AAAAAAAA");
    for path in ["/me", "/public/x"] {
        let id = carried(
            &world,
            world
                .envoy
                .get(path)
                .header(CLAIMS, &forged)
                .header(ID, "sent"),
        );
        assert_eq!(id, "sent");
    }
}

#[test]
fn hostile_ids_are_replaced_everywhere() {
    let world = World::start();
    let long = vec![b'a'; 10_000];
    let hostile: [&[u8]; 9] = [
        b"",
        b"a b",
        b"a\"b",
        b"\xff\xfe",
        b"\x1b[31mred",
        b"a%0ab",
        b"<script>",
        b"${jndi:x}",
        &long,
    ];
    for bytes in hostile {
        for path in ["/public/x", "/me"] {
            let response = world.envoy.get(path).header(ID, bytes).send();
            if response.status == 400 {
                // Envoy itself refuses control bytes in headers.
                assert_eq!(world.upstream.take(), []);
                continue;
            }
            let id = response.header(ID).expect("an ID");
            assert_eq!((id.len(), &id[14..15]), (36, "7"), "{id}");
            if let Some(seen) = world.upstream.take().pop() {
                assert_eq!(seen.header(ID), Some(id));
            }
        }
    }
    let written = world.envoy.log();
    assert!(
        !written.contains("jndi") && !written.contains("<script>"),
        "{written}"
    );
}

#[test]
fn a_repeated_or_oddly_spelled_id_never_reaches_the_upstream() {
    let world = World::start();
    let request = world
        .envoy
        .get("/public/x")
        .header(ID, "one")
        .header(ID, "two");
    let id = carried(&world, request);
    assert!(
        id != "one" && id != "two",
        "which would the edge have meant? {id}"
    );
    let request = world
        .envoy
        .get("/public/x")
        .header("X_Correlation_Id", "other");
    let seen = world.allowed(request);
    assert!(seen.all("x_correlation_id").is_empty(), "{seen:?}");
    assert!(seen.header(ID).is_some());
}

#[test]
fn traceparent_and_request_id_pass_untouched_and_are_linked_in_the_record() {
    let world = World::with(
        |policy| policy["log"] = json!({"allow": 1.0}),
        |setup| setup,
    );
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = world.envoy.get("/public/x").header(ID, "linked-1");
    let seen = world.allowed(request.header("traceparent", traceparent));
    assert_eq!(seen.header("traceparent").as_deref(), Some(traceparent));
    let line = world.envoy.wait_for_log("linked-1");
    assert!(line.contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{line}");
    assert!(
        line.contains(&seen.header("x-request-id").unwrap()),
        "{line}"
    );
}

#[test]
fn other_accepted_headers_and_no_response_header() {
    let world = World::with(
        |policy| {
            policy["correlation"] = json!({"header": "x-trace", "accept": ["x-first", "x-second"],
                "response_header": false});
        },
        |setup| setup,
    );
    let request = world
        .envoy
        .get("/public/x")
        .header("x-second", "two")
        .header("x-trace", "bad");
    let response = request.send();
    assert_eq!(response.header("x-trace"), None);
    assert_eq!(
        world.upstream.only().header("x-trace").as_deref(),
        Some("two")
    );
}
