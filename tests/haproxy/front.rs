//! HAProxy in front of Envoy: whom it believes, and what it logs.

use edge_claims_harness::{Client, Upstream};
use serde_json::{Value, json};

use crate::chain::*;
use crate::files::Files;

const PATH: &str = "/tenants/a/orders/7";

#[test]
fn the_edges_id_goes_through_all_hops_and_haproxys_own_is_a_second_field() {
    let chain = Chain::start();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (id, request) in [
        ("edge-1", chain.edge().get(format!("{PATH}?secret=1"))),
        (
            "edge-2",
            chain.edge().get(format!("{PATH}?secret=1")).http2(),
        ),
    ] {
        let request = request
            .header("x-correlation-id", id)
            .header("x-haproxy-id", "mine")
            .header("traceparent", trace);
        let response = with_token(request, &token("alice", &["reader"])).send();
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.header("x-correlation-id").as_deref(), Some(id));

        let front = chain.front.record(id);
        for (name, value) in [
            ("method", json!("GET")),
            ("host", json!("shop.example.com")),
            ("path", json!(PATH)),
            ("status", json!(200)),
            ("trace_id", json!("0af7651916cd43dd8448eb211c80319c")),
            ("client", json!("127.0.0.1")),
        ] {
            assert_eq!(front[name], value, "{name} in {front}");
        }
        assert!(is_utc_time(&front["time"]), "{front}");
        assert!(front["duration_ms"].is_u64(), "{front}");
        assert_eq!(front["outcome"], "forwarded");

        let envoy = chain.access_of(id);
        assert_eq!(envoy["verdict"], "allow/orders-read");
        assert_eq!(envoy["haproxy_id"], front["haproxy_id"]);
        assert_eq!(envoy["subject"], front["subject"], "one key, one hash");
        assert_eq!(front["haproxy_id"].as_str().unwrap().len(), 36);

        let behind = chain.behind.record(id);
        assert_eq!(behind["trace_id"], front["trace_id"]);
        assert_eq!(behind["path"], PATH);
        let (_, seen) = chain.only();
        assert_eq!(seen.header("x-correlation-id").as_deref(), Some(id));
        assert_eq!(
            seen.header("x-haproxy-id"),
            front["haproxy_id"].as_str().map(str::to_owned)
        );
        assert_eq!(seen.header("traceparent").as_deref(), Some(trace));
    }
}

#[test]
fn a_signed_id_goes_before_the_headers() {
    let chain = Chain::start();
    let token = token_with(&json!({"sub": "alice", "roles": ["reader"], "cid": "signed-1"}));
    let request = chain
        .edge()
        .get(PATH)
        .header("x-correlation-id", "header-1");
    assert_eq!(with_token(request, &token).send().status, 200);
    assert_eq!(chain.front.record("signed-1")["status"], 200);
    assert_eq!(chain.access_of("signed-1")["status"], 200);
}

#[test]
fn only_the_edge_gets_through_and_only_its_id_is_taken() {
    let chain = Chain::start();
    let files = Files::shared();
    let stranger = chain.client(None);
    let attempts = [
        stranger.get(PATH),
        // Secrets that are none.
        stranger.get(PATH).header("x-edge-secret", ""),
        stranger
            .get(PATH)
            .header("x-edge-secret", &EDGE_SECRET[..37]),
        stranger
            .get(PATH)
            .header("x-edge-secret", format!("{EDGE_SECRET}x")),
        stranger.get(PATH).header("x_edge_secret", EDGE_SECRET),
        // Certificates of the same authority that are not the edge's.
        chain.client(Some(&files.identity("envoy"))).get(PATH),
        chain.client(Some(&files.identity("behind"))).get(PATH),
        chain.client(Some(&files.identity("front"))).get(PATH),
    ];
    for request in attempts {
        let request = with_token(request, &token("alice", &["reader"]));
        let request = request.header("x-correlation-id", "stolen");
        let response = request.send();
        assert_eq!((response.status, &*code(&response)), (403, "not_from_edge"));
        let id = response.header("x-correlation-id").expect("an ID");
        assert_ne!(id, "stolen");
        assert_eq!(chain.front.record(&id)["haproxy_id"], id);
    }
    assert!(
        !chain.front.text().contains("stolen"),
        "{}",
        chain.front.text()
    );
    assert_eq!((chain.count(), chain.access().len()), (0, 0));

    // The edge by its secret, which goes no further.
    let request = stranger.get(PATH).header("x-edge-secret", EDGE_SECRET);
    let request = request.header("x-correlation-id", "edge-1");
    assert_eq!(
        with_token(request, &token("alice", &["reader"]))
            .send()
            .status,
        200
    );
    assert_eq!(chain.only().1.header("x-edge-secret"), None);
    assert_eq!(chain.front.record("edge-1")["status"], 200);
}

#[test]
fn a_certificate_of_another_authority_ends_the_handshake() {
    let chain = Chain::start();
    // The same names, by somebody else's script.
    let other = Files::new().identity("edge");
    let response = chain.client(Some(&other)).get(PATH).send();
    assert_eq!(response.status, 0, "{response:?}");
    assert_eq!((chain.count(), chain.access().len()), (0, 0));
}

#[test]
fn without_a_secret_in_the_environment_no_secret_is_right() {
    let settings: [&[(&str, &str)]; 2] = [&[("EDGE_SECRET", "")], &[("EDGE_SECRET", "short")]];
    for front in settings {
        let chain = Chain::with(&Options {
            front,
            ..Options::default()
        });
        let request = chain.client(None).get(PATH);
        let response = request.header("x-edge-secret", front[0].1).send();
        assert_eq!(response.status, 403, "{front:?}: {response:?}");
    }
}

#[test]
fn an_id_that_is_malformed_or_repeated_is_replaced() {
    let chain = Chain::start();
    let edge = chain.edge();
    let long = "x".repeat(129);
    for request in [
        edge.get(PATH).header("x-correlation-id", "a b"),
        edge.get(PATH)
            .header("x-correlation-id", "a\",\"status\":\"200"),
        edge.get(PATH).header("x-correlation-id", &long),
        edge.get(PATH).header("x-correlation-id", "a,b"),
        edge.get(PATH)
            .header("x-correlation-id", "one")
            .header("x-correlation-id", "two"),
    ] {
        let response = with_token(request, &token("alice", &["reader"])).send();
        assert_eq!(response.status, 200);
        let id = response.header("x-correlation-id").expect("an ID");
        let front = chain.front.record(&id);
        assert_eq!(front["haproxy_id"], id, "{front}");
        let (_, seen) = chain.only();
        assert_eq!(seen.all("x-correlation-id"), [id]);
    }
}

#[test]
fn a_hostile_request_cannot_break_the_log_line() {
    let chain = Chain::start();
    let edge = chain.edge();
    let request = edge
        .get("/a\"b\\c?d")
        .header("user-agent", "x\",\"status\":200,\"y\":\"\u{7f}\u{e9}");
    let response = request.header("x-correlation-id", "hostile-1").send();
    assert_ne!(response.status, 200);
    let _ = edge.raw(b"GARBAGE\r\n\r\n");
    chain
        .front
        .wait_for(|record| record["termination"] == "PR--" && record["status"] == 400);
    // `records` parses each line.
    let records = chain.front.records();
    assert!(records.iter().all(|record| is_utc_time(&record["time"])));
    let hostile = chain.front.record("hostile-1");
    assert_eq!(hostile["path"], "/a\"b\\c");
    assert_eq!(hostile["y"], Value::Null);
}

#[test]
fn the_address_of_the_client_comes_from_the_edge_or_the_load_balancer_alone() {
    // 127.0.0.1, where the tests are, is not the load balancer.
    let chain = Chain::start();
    let proxied = |client: Client| client.preface("PROXY TCP4 203.0.113.7 127.0.0.1 4000 8443\r\n");
    let response = proxied(chain.edge()).get("/public/x").send();
    assert_eq!(response.status, 0, "{response:?}");
    let with_address = |client: Client, id: &str| {
        let request = client
            .get("/public/x")
            .header("x-client-address", "203.0.113.9");
        request
            .header("x-correlation-id", id)
            .header("x-forwarded-for", "203.0.113.8")
            .send()
    };
    let _ = with_address(chain.client(None), "none");
    assert_eq!(
        chain.front.wait_for(|record| record["status"] == 403)["client"],
        "127.0.0.1"
    );
    assert_eq!(with_address(chain.edge(), "edge").status, 200);
    assert_eq!(chain.front.record("edge")["client"], "203.0.113.9");
    assert_eq!(
        chain.access_of("edge")["client"],
        "203.0.113.9",
        "by PROXY protocol"
    );
    let (_, seen) = chain.only();
    assert_eq!(
        seen.header("x-forwarded-for").as_deref(),
        Some("203.0.113.9")
    );
    assert_eq!(seen.header("x-client-address"), None);

    let front: &[(&str, &str)] = &[("BALANCERS", "127.0.0.0/8")];
    let chain = Chain::with(&Options {
        front,
        ..Options::default()
    });
    let request = proxied(chain.edge())
        .get("/public/x")
        .header("x-correlation-id", "balanced");
    assert_eq!(request.send().status, 200);
    assert_eq!(chain.front.record("balanced")["client"], "203.0.113.7");
    assert_eq!(chain.access_of("balanced")["client"], "203.0.113.7");
    // From the load balancer's address, the header is not optional.
    assert_eq!(chain.edge().get("/public/x").send().status, 0);
}

#[test]
fn nobody_reaches_envoy_around_haproxy() {
    let chain = Chain::start();
    let files = Files::shared();
    let proxy = "PROXY TCP4 203.0.113.7 127.0.0.1 4000 10443\r\n";
    let other = Files::new().identity("front");
    for (name, identity) in [
        ("no certificate", None),
        ("the edge's", Some(files.identity("edge"))),
        (
            "the one of the HAProxy behind",
            Some(files.identity("behind")),
        ),
        ("another authority's", Some(other)),
    ] {
        for preface in [proxy, ""] {
            let client = chain.to_envoy(identity.as_ref()).preface(preface);
            let request = with_token(client.get(PATH), &token("alice", &["reader"]));
            let response = request.send();
            assert_eq!(response.status, 0, "{name}, {preface:?}: {response:?}");
        }
    }
    assert_eq!((chain.count(), chain.access().len()), (0, 0));

    // HAProxy's own certificate opens: the attempts failed because of theirs.
    let front = files.identity("front");
    let client = chain.to_envoy(Some(&front)).preface(proxy);
    let response = with_token(client.get(PATH), &token("alice", &["reader"])).send();
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(
        chain.to_envoy(Some(&front)).get(PATH).send().status,
        0,
        "no PROXY header"
    );
}

#[test]
fn haproxy_gives_no_request_to_an_impostor_of_envoy() {
    let chain = Chain::start();
    let trap = Upstream::start();
    // An impostor without TLS, and one with another certificate of the same authority.
    for port in [trap.port(), behind_of(&chain)] {
        let address = local(port);
        let front: &[(&str, &str)] = &[("ENVOY_ADDRESS", &address)];
        let caught = Chain::with(&Options {
            front,
            ..Options::default()
        });
        let response = with_token(caught.edge().get(PATH), &token("alice", &["reader"])).send();
        assert_eq!(response.status, 503, "{response:?}");
    }
    // The trap got TLS handshakes, and no request.
    let caught = format!("{:?}", trap.seen());
    assert!(!caught.contains(PATH), "{caught}");
    assert_eq!(chain.count(), 0);
}

fn behind_of(chain: &Chain) -> u16 {
    chain.to_behind(None).port()
}

/// RFC 3339, UTC, milliseconds.
fn is_utc_time(value: &Value) -> bool {
    let shape: String = value
        .as_str()
        .unwrap_or_default()
        .chars()
        .map(|character| {
            if character.is_ascii_digit() {
                '0'
            } else {
                character
            }
        })
        .collect();
    shape == "0000-00-00T00:00:00.000Z"
}
