//! The edge alone: Viceroy in front of an upstream that shows what would reach the mesh.

use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Response, Upstream, tools};
use serde_json::{Value, json};

use crate::viceroy::{Stores, Viceroy};
use crate::world::{World, payload, with_session};

/// The correlation ID of an answer, and the edge's log line with it.
fn logged(edge: &Viceroy, response: &Response) -> (String, Value) {
    let id = response
        .header("x-correlation-id")
        .expect("every answer has the ID");
    let record = edge.record(&id);
    assert_eq!(record["status"], response.status, "{record}");
    (id, record)
}

#[test]
fn a_session_becomes_edge_claims_for_this_request_only() {
    let (world, upstream) = (World::new(), Upstream::start());
    let edge = world.edge(&upstream);
    let session = world.session(&json!({"acr": "urn:mfa"}));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = edge
        .client()
        .request("POST", "/tenants/a/orders?x=1")
        .body("{}");
    let request = with_session(request, &session)
        .host("Shop.Example.com:8443")
        .header("traceparent", trace);
    let response = request.send();
    assert_eq!(response.status, 200, "{response:?}");
    let (id, record) = logged(&edge, &response);

    let seen = upstream.only();
    assert_eq!(seen.body, b"{}");
    assert_eq!(seen.path(), "/tenants/a/orders?x=1");
    assert_eq!(seen.header("x-correlation-id").as_deref(), Some(&*id));
    assert_eq!(seen.header("cookie").as_deref(), Some("theme=dark"));
    assert_eq!(seen.header("traceparent").as_deref(), Some(trace));
    let token = seen.header("x-edge-claims").expect("edge claims");
    let claims = payload(&token);
    for (name, value) in [
        ("iss", json!("https://edge.example.com")),
        ("aud", json!("mesh.example.com")),
        ("sub", json!("alice")),
        ("roles", json!(["reader"])),
        ("tenant_id", json!("a")),
        ("acr", json!("urn:mfa")),
        ("cid", json!(id)),
        ("htm", json!("POST")),
        ("htp", json!("/tenants/a/orders")),
        ("htq", json!("/tenants/a/orders?x=1")),
        ("hth", json!("shop.example.com")),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, 60);
    assert!((tokens::now() - claims["iat"].as_i64().unwrap()).abs() < 30);

    assert_eq!(record["outcome"], "forwarded");
    assert_eq!(record["token_id"], claims["jti"]);
    assert_eq!(record["kid"], "edge-1");
    assert_eq!(record["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(record["path"], "/tenants/a/orders", "without the query");
    for secret in [&session, &token] {
        assert!(!edge.log_text().contains(secret.as_str()));
    }
}

#[test]
fn the_claim_geo_is_behind_a_switch() {
    let (world, upstream) = (World::new(), Upstream::start());
    let session = world.session(&json!({"geo": {"country": "XX"}}));
    for (switch, geo) in [
        (false, json!(null)),
        // Viceroy's lookup says this of every client on loopback.
        (
            true,
            json!({"continent": "NA", "country": "US", "region": "CA", "city": "San Francisco"}),
        ),
    ] {
        let mut stores = world.stores();
        let mut settings = World::settings();
        settings["claims"]["geo"] = json!(switch);
        stores.settings = Some(settings);
        let edge = World::edge_with(&stores, &upstream);
        let response = with_session(edge.client().get("/"), &session).send();
        assert_eq!(response.status, 200);
        let token = upstream.only().header("x-edge-claims").unwrap();
        assert_eq!(payload(&token)["geo"], geo);
        let _ = upstream.take();
    }
}

#[test]
fn sessions_of_other_libraries_and_algorithms_are_accepted() {
    let (mut world, upstream) = (World::new(), Upstream::start());
    let edge = world.edge(&upstream);
    let session = world.session_by_pyjwt(&json!({}));
    assert_eq!(
        with_session(edge.client().get("/"), &session).send().status,
        200
    );

    let _ = upstream.take();

    world.login = Key::generate("RS256", "login-rsa");
    let edge = world.edge(&upstream);
    let session = world.session_by_pyjwt(&json!({}));
    assert_eq!(
        with_session(edge.client().get("/"), &session).send().status,
        200
    );
}

#[test]
fn without_a_session_a_browser_is_sent_to_log_in() {
    let (world, upstream) = (World::new(), Upstream::start());
    let edge = world.edge(&upstream);
    let response = edge
        .client()
        .get("/orders?page=2")
        .header("sec-fetch-mode", "navigate")
        .send();
    assert_eq!(response.status, 302);
    let location = response.header("location").unwrap();
    assert!(
        location
            .starts_with("https://login.example.com/authorize?response_type=code&client_id=shop&")
    );
    let (_, record) = logged(&edge, &response);
    assert_eq!(record["outcome"], "redirected");
    assert_eq!(record["login"], "start");
    assert_eq!(record["reason"], "session_missing");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_session_that_is_none_never_gets_through() {
    let (world, upstream) = (World::new(), Upstream::start());
    let edge = world.edge(&upstream);
    let foreign = World::new();
    let now = tokens::now();
    let good = world.session(&json!({}));
    let edge_claims = world
        .login
        .sign_typed(&crate::world::session_claims(&json!({})), "edge-claims+jwt");
    for (cookie, reason) in [
        (world.session(&json!({"exp": now - 31})), "session_expired"),
        (
            world.session(&json!({"iat": now + 60})),
            "session_not_yet_valid",
        ),
        (
            world.session(&json!({"iss": "https://evil.example.com"})),
            "session_issuer",
        ),
        (world.session(&json!({"aud": "other"})), "session_audience"),
        (world.session(&json!({"sub": null})), "session_claims"),
        (foreign.session(&json!({})), "session_signature"),
        (edge_claims, "session_malformed"),
        ("garbage".to_owned(), "session_malformed"),
        (format!("{good}; __Host-session={good}"), "session_repeated"),
    ] {
        let response = with_session(edge.client().request("POST", "/orders"), &cookie).send();
        assert_eq!(response.status, 401, "{reason}");
        assert_eq!(
            response.header("content-type").as_deref(),
            Some("application/problem+json")
        );
        let (id, record) = logged(&edge, &response);
        assert_eq!(response.json()["code"], reason);
        assert_eq!(response.json()["correlation_id"], id.as_str());
        assert_eq!(record["outcome"], "denied");
        assert_eq!(record["reason"], reason);
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn grpc_is_forwarded_over_http_2_and_refused_in_its_own_way() {
    let (world, upstream) = (World::new(), Upstream::start());
    let edge = world.edge(&upstream);
    let refused = edge.client().grpc("/shop.Orders/Get", b"hello").send();
    assert_eq!(refused.status, 200, "{refused:?}");
    assert_eq!(refused.trailer("grpc-status").as_deref(), Some("16"));
    assert!(refused.header("x-correlation-id").is_some());
    assert_eq!(upstream.count(), 0);

    let call = edge.client().grpc("/shop.Orders/Get", b"hello");
    let answered = with_session(call, &world.session(&json!({}))).send();
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(
        answered.trailer("grpc-status").as_deref(),
        Some("0"),
        "{answered:?}"
    );
    assert_eq!(&answered.body[5..], b"hello");
    assert_eq!(upstream.only().protocol, "2");
}

#[test]
fn clients_cannot_speak_for_edge_or_mesh() {
    let (world, upstream) = (World::new(), Upstream::start());
    let edge = world.edge(&upstream);
    let session = world.session(&json!({}));
    let forged = World::new().login.sign(&json!({"sub": "admin"}));
    let mut request = with_session(edge.client().get("/"), &session);
    let names = [
        "x-auth-subject",
        "X-Auth-Roles",
        "x_auth_subject",
        "X_Auth-Roles",
        "x-edge-claims",
        "x_edge_claims",
        "x-correlation-id",
        "x_correlation_id",
        "x-http-method-override",
        "x-original-url",
        "x-client-address",
        "x_client_address",
    ];
    for name in names {
        request = request.header(name, &forged).header(name, "twice");
    }
    let response = request.send();
    assert_eq!(response.status, 200, "{response:?}");
    let seen = upstream.only();
    for (name, value) in &seen.headers {
        assert!(
            !value
                .windows(forged.len())
                .any(|part| part == forged.as_bytes()),
            "{name:?}"
        );
        assert_ne!(value, b"twice", "{name:?}");
    }
    assert_eq!(
        seen.header("x-client-address").as_deref(),
        Some("127.0.0.1")
    );
    let (_, record) = logged(&edge, &response);
    assert_eq!(record["stripped_headers"], names.len());
}

#[test]
fn hostile_correlation_ids_go_nowhere() {
    let (world, upstream) = (World::new(), Upstream::start());
    let edge = world.edge(&upstream);
    let session = world.session(&json!({}));
    let long = vec![b'a'; 10_000];
    let hostile: [&[u8]; 7] = [
        b"\"},{\"x\":\"",
        b"a\tb",
        b"\x1b[31mred",
        b"\xff\xfe",
        "naïve".as_bytes(),
        b"a b",
        &long,
    ];
    for id in hostile {
        let response = with_session(edge.client().get("/"), &session)
            .header("x-correlation-id", id)
            .send();
        // Viceroy itself refuses what no HTTP header may hold.
        if response.status == 400 && response.header("x-correlation-id").is_none() {
            assert_eq!(upstream.take(), []);
            continue;
        }
        let (fresh, record) = logged(&edge, &response);
        assert_eq!(record["client_correlation_malformed"], true, "{record}");
        assert_eq!(record["client_correlation_id"], Value::Null);
        assert_eq!(upstream.only().header("x-correlation-id"), Some(fresh));
    }
    let response = with_session(edge.client().get("/"), &session)
        .header("x-correlation-id", "client-1")
        .send();
    let (fresh, record) = logged(&edge, &response);
    assert_ne!(fresh, "client-1");
    assert_eq!(record["client_correlation_id"], "client-1");
    for line in edge.log_text().lines() {
        assert!(
            line.len() < 4096 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line}"
        );
    }
}

#[test]
fn a_client_may_choose_the_id_where_the_settings_trust_it() {
    let (world, upstream) = (World::new(), Upstream::start());
    let mut stores = world.stores();
    let mut settings = World::settings();
    settings["correlation"]["trust_client"] = json!(true);
    stores.settings = Some(settings);
    let edge = World::edge_with(&stores, &upstream);
    let response = edge
        .client()
        .get("/")
        .header("x-correlation-id", "client-1")
        .send();
    let (id, record) = logged(&edge, &response);
    assert_eq!(id, "client-1");
    assert_eq!(record["correlation_source"], "client");
}

#[test]
fn public_paths_are_forwarded_without_claims() {
    let (world, upstream) = (World::new(), Upstream::start());
    let edge = world.edge(&upstream);
    let response = edge
        .client()
        .get("/public/logo.svg")
        .header("x-edge-claims", "x")
        .send();
    assert_eq!(response.status, 200);
    assert_eq!(upstream.only().all("x-edge-claims"), Vec::<String>::new());
    let (_, record) = logged(&edge, &response);
    assert_eq!(record["outcome"], "forwarded");
    assert_eq!(record["reason"], "session_missing");
}

#[test]
fn without_its_keys_the_edge_fails_closed() {
    let (world, upstream) = (World::new(), Upstream::start());
    let session = world.session(&json!({}));
    let all = world.stores();
    let broken = [
        (
            "settings: missing",
            Stores {
                settings: None,
                ..all.clone()
            },
        ),
        (
            "session_jwks: missing",
            Stores {
                session_jwks: None,
                ..all.clone()
            },
        ),
        (
            "signing_key: missing",
            Stores {
                signing_key: None,
                ..all.clone()
            },
        ),
        (
            "signing_key: not a private",
            Stores {
                signing_key: Some("{}".to_owned()),
                ..all.clone()
            },
        ),
        (
            "login_key: missing",
            Stores {
                login_key: None,
                ..all.clone()
            },
        ),
        (
            "session_jwks: no signing key",
            Stores {
                session_jwks: Some(json!({"keys": []})),
                ..all.clone()
            },
        ),
        (
            "settings: unknown field",
            Stores {
                settings: Some(json!({"x": 1})),
                ..all.clone()
            },
        ),
        (
            "log_key: must be",
            Stores {
                log_key: Some("short".to_owned()),
                ..all
            },
        ),
    ];
    for (error, stores) in broken {
        let edge = World::edge_with(&stores, &upstream);
        for path in ["/", "/public/x"] {
            let response = with_session(edge.client().get(path), &session).send();
            assert_eq!(response.status, 503, "{error}");
            assert_eq!(response.json()["code"], "not_configured");
            let (_, record) = logged(&edge, &response);
            assert_eq!(record["outcome"], "failed");
            assert!(
                record["error"].as_str().unwrap().starts_with(error),
                "{record}"
            );
        }
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_mesh_that_is_down_is_a_502_with_the_id() {
    let world = World::new();
    let edge = Viceroy::start(&world.stores(), tools::free_port());
    let response = with_session(edge.client().get("/"), &world.session(&json!({}))).send();
    assert_eq!(response.status, 502);
    assert_eq!(response.json()["code"], "mesh_unreachable");
    let (_, record) = logged(&edge, &response);
    assert_eq!(record["outcome"], "failed");
    assert_eq!(record["reason"], "mesh_unreachable");
}

#[test]
fn every_request_has_one_line_with_the_documented_fields() {
    let (world, upstream) = (World::new(), Upstream::start());
    let edge = world.edge(&upstream);
    let session = world.session(&json!({}));
    let ids: Vec<String> = (0..50)
        .map(|number| {
            let request = edge.client().get(format!("/{number}"));
            let request = if number % 2 == 0 {
                with_session(request, &session)
            } else {
                request
            };
            let request = if number % 5 == 0 {
                request.http2()
            } else {
                request
            };
            let response = request.send();
            assert_eq!(response.status, if number % 2 == 0 { 200 } else { 302 });
            logged(&edge, &response).0
        })
        .collect();
    let readme =
        std::fs::read_to_string(tools::root().join("examples/fastly-edge/README.md")).unwrap();
    let (_, table) = readme.split_once("## The log line").unwrap();
    let fields: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let log = edge.log();
    assert_eq!(log.len(), ids.len());
    for record in &log {
        for name in record.as_object().unwrap().keys() {
            assert!(fields.contains(&name.as_str()), "{name} is not documented");
        }
    }
    for id in ids {
        assert_eq!(
            log.iter()
                .filter(|line| line["correlation_id"] == id.as_str())
                .count(),
            1
        );
    }
}
