//! Upgrades keep their `Connection` header, and the next proxy takes away what it names (RFC 9110
//! §7.6.1): it must name nothing but the upgrade.

use edge_claims_harness::{Request, Setup};
use serde_json::json;

use crate::support::{CLAIMS, World};

fn websockets(setup: Setup) -> Setup {
    setup.hcm(&json!({"upgrade_configs": [{"upgrade_type": "websocket"}]}))
}

fn upgrade(world: &World, connection: &[&str]) -> Request {
    let request = world
        .envoy
        .get("/me")
        .header(CLAIMS, world.token_of(&["reader"]))
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
    connection.iter().fold(request, |request, value| {
        request.header("connection", value)
    })
}

#[test]
fn the_connection_header_of_an_upgrade_names_the_upgrade_alone() {
    let world = World::with(|_| {}, websockets);
    let forms: [&[&str]; 9] = [
        &["Upgrade"],
        &["upgrade"],
        &["Upgrade, x-auth-subject"],
        &["x-auth-subject, Upgrade"],
        &["Upgrade,X-Auth-Subject,x-auth-roles,x-correlation-id,x-edge-claims"],
        &["keep-alive, Upgrade, x-auth-subject"],
        &["Upgrade", "x-auth-subject"],
        &["x-auth-subject", "Upgrade"],
        &["Upgrade, x_auth_subject, x-anything"],
    ];
    for form in forms {
        let _ = upgrade(&world, form).send();
        let seen = world.upstream.only();
        let connection = seen.all("connection");
        assert_eq!(connection.len(), 1, "{form:?}: {connection:?}");
        assert!(
            connection[0].eq_ignore_ascii_case("upgrade"),
            "{form:?}: {connection:?}"
        );
        assert_eq!(seen.header("upgrade").as_deref(), Some("websocket"));
        assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
        assert_eq!(seen.header("x-auth-roles").as_deref(), Some("reader"));
        assert!(seen.header("x-correlation-id").is_some());
    }
}

#[test]
fn an_upgrade_over_http2_names_nothing_else_either() {
    let world = World::with(|_| {}, websockets);
    let request = world
        .envoy
        .request("CONNECT", "/me")
        .http2()
        .pseudo(":protocol", "websocket")
        .header("sec-websocket-version", "13")
        .header(CLAIMS, world.token(&json!({})))
        .left_open();
    let _ = request.send();
    let seen = world.upstream.only();
    let connection = seen.all("connection");
    assert_eq!(connection.len(), 1, "{connection:?}");
    assert!(
        connection[0].eq_ignore_ascii_case("upgrade"),
        "{connection:?}"
    );
}

#[test]
fn a_request_that_is_no_upgrade_names_no_header_of_the_identity() {
    let world = World::with(|_| {}, websockets);
    for value in [
        "x-auth-subject",
        "close, x-auth-subject",
        "keep-alive, x-correlation-id",
    ] {
        let request = world
            .envoy
            .get("/me")
            .header(CLAIMS, world.token(&json!({})))
            .header("connection", value);
        let response = request.send();
        for seen in world.upstream.take() {
            assert_eq!(seen.all("connection"), [""; 0], "{value}: {response:?}");
            assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
        }
    }
}
