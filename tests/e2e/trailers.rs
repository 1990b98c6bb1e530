//! Trailers: what only the filter may put into headers does not reach the upstream behind the body
//! either. Go, gRPC and others let handlers read both alike.

use edge_claims_harness::{Request, Seen, Setup};
use serde_json::{Value, json};

use crate::support::{CLAIMS, World, until};

/// Reserved: identity, token, correlation and stripped headers, and aliases of them.
const RESERVED: [&str; 11] = [
    "x-auth-subject",
    "x_auth_subject",
    "x.auth.subject",
    "x-auth-roles",
    "x-edge-claims",
    "x_edge_claims",
    "x-correlation-id",
    "x.correlation_id",
    "x-http-method-override",
    "x_original_url",
    "x-rewrite-url",
];

/// Requests that brought a reserved header as a trailer.
const METRIC: &str = "wasmcustom.edge_claims_reserved_trailers_total";

fn reject(policy: &mut Value) {
    policy["identity"]["on_spoof"] = json!("reject");
}

/// `POST` with a body, a trailer that may pass, and all reserved ones.
fn with_trailers(world: &World, path: &str) -> Request {
    let request = world.envoy.request("POST", path).body("some body");
    let request = request.trailer("x-checksum", "1234");
    RESERVED
        .iter()
        .fold(request, |request, name| request.trailer(name, "root"))
}

fn names(seen: &Seen) -> Vec<String> {
    let name = |(name, _): &(Vec<u8>, Vec<u8>)| edge_claims_harness::printable(name);
    seen.trailers.iter().map(name).collect()
}

/// What comes of requests with reserved trailers where they are stripped.
fn are_taken_away(world: &World, protocol: impl Fn(Request) -> Request) {
    let token = world.token(&json!({}));
    for request in [
        with_trailers(world, "/public/x"),
        with_trailers(world, "/me").header(CLAIMS, &token),
    ] {
        let before = world.envoy.stats().of(METRIC);
        let response = protocol(request).send();
        assert_eq!(response.status, 200, "{response:?}");
        let seen = world.upstream.only();
        assert_eq!(seen.body, b"some body");
        assert_eq!(names(&seen), ["x-checksum"]);
        until("the metric to count the request", || {
            world.envoy.stats().of(METRIC) == before + 1
        });
    }
    // A request without them is not counted, and its trailers go on.
    let before = world.envoy.stats().of(METRIC);
    let harmless = world.envoy.request("POST", "/public/x").body("some body");
    let response = protocol(harmless.trailer("x-checksum", "1234")).send();
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(names(&world.upstream.only()), ["x-checksum"]);
    assert_eq!(world.envoy.stats().of(METRIC), before);
}

#[test]
fn reserved_trailers_are_taken_away_over_http2() {
    let world = World::with(|_| {}, Setup::http2_upstreams);
    are_taken_away(&world, Request::http2);
}

#[test]
fn reserved_trailers_are_taken_away_over_http1() {
    let world = World::with(|_| {}, Setup::http1_trailers);
    are_taken_away(&world, |request| request);
}

#[test]
fn reserved_trailers_behind_no_body_are_taken_away() {
    let world = World::with(|_| {}, Setup::http2_upstreams);
    for name in RESERVED {
        let request = world
            .envoy
            .request("POST", "/public/x")
            .trailer(name, "root");
        let response = request.http2().send();
        assert_eq!(response.status, 200, "{name}: {response:?}");
        assert_eq!(names(&world.upstream.only()), [""; 0], "{name}");
    }
}

#[test]
fn reserved_trailers_of_a_grpc_call_are_taken_away() {
    let world = World::with(|_| {}, Setup::http2_upstreams);
    let call = world
        .envoy
        .grpc("/shop.Orders/Get", b"hello")
        .header(CLAIMS, world.token(&json!({"roles": ["reader"]})))
        .trailer("x-auth-subject", "root")
        .trailer("x-checksum", "1234");
    let response = call.send();
    assert_eq!(
        response.trailer("grpc-status").as_deref(),
        Some("0"),
        "{response:?}"
    );
    assert_eq!(names(&world.upstream.only()), ["x-checksum"]);
}

/// What comes of requests with reserved trailers where they are rejected: an answer or a reset, as far
/// as the host allows. It may have forwarded the headers before, but never these trailers.
fn are_never_seen(world: &World, protocol: impl Fn(Request) -> Request) {
    let token = world.token(&json!({}));
    for request in [
        with_trailers(world, "/public/x"),
        with_trailers(world, "/me").header(CLAIMS, &token),
    ] {
        let before = world.envoy.stats().of(METRIC);
        let response = protocol(request).send();
        for seen in world.upstream.take() {
            let names = names(&seen);
            assert!(
                names.iter().all(|name| name == "x-checksum"),
                "{response:?}: the upstream saw {names:?}"
            );
        }
        until("the metric to count the request", || {
            world.envoy.stats().of(METRIC) == before + 1
        });
    }
    let harmless = world.envoy.request("POST", "/public/x").body("some body");
    let response = protocol(harmless.trailer("x-checksum", "1234")).send();
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(names(&world.upstream.only()), ["x-checksum"]);
}

#[test]
fn where_spoofing_is_rejected_no_upstream_sees_a_reserved_trailer_over_http2() {
    let world = World::with(reject, Setup::http2_upstreams);
    are_never_seen(&world, Request::http2);
}

#[test]
fn where_spoofing_is_rejected_no_upstream_sees_a_reserved_trailer_over_http1() {
    let world = World::with(reject, Setup::http1_trailers);
    are_never_seen(&world, |request| request);
}
