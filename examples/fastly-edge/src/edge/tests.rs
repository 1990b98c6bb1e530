use serde_json::json;

use super::*;
use crate::mint::tests::signing_key;
use crate::record::Outcome;
use crate::session::cache::NoCache;
use crate::session::tests::{NOW, Server};

struct Ask {
    method: &'static str,
    path: &'static str,
    headers: Vec<(String, Vec<u8>)>,
}

fn ask(method: &'static str, path: &'static str, headers: &[(&str, &str)]) -> Ask {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    Ask {
        method,
        path,
        headers: headers.iter().map(pair).collect(),
    }
}

fn edge(server: &Server) -> Edge {
    Edge::load(
        |name| match name {
            "settings" => Some(crate::settings::tests::JSON.to_owned()),
            "session_jwks" => Some(json!({"keys": [server.jwk()]}).to_string()),
            _ => None,
        },
        |name| match name {
            "signing_key" => Some(signing_key().to_jwk().into_bytes()),
            "log_key" => Some(b"0123456789abcdef".to_vec()),
            "login_key" => Some(vec![7; 32]),
            _ => None,
        },
        |_| None,
    )
    .unwrap()
}

fn decide(server: &Server, ask: &Ask) -> (Decision, Record) {
    let request = Request {
        method: ask.method,
        host: "Shop.Example.com:8443",
        path: ask.path,
        query: Some("q=1"),
        geo: None,
        headers: &ask.headers,
    };
    edge(server).decide(&request, &Fresh::new(NOW * 1000), &NoCache)
}

fn session(server: &Server) -> String {
    format!("a=1; __Host-session={}", server.sign(&json!({})))
}

fn forwarded(decision: Decision) -> Edits {
    match decision {
        Decision::Forward(edits) => edits,
        other => panic!("{other:?}"),
    }
}

fn replied(decision: Decision) -> Reply {
    match decision {
        Decision::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn set<'a>(edits: &'a Edits, name: &str) -> Option<&'a [u8]> {
    let mut found = edits.set.iter().filter(|(set, _)| set == name);
    let value = found.next().map(|(_, value)| value.as_slice());
    assert!(found.next().is_none(), "{name} is set twice");
    value
}

#[test]
fn a_session_becomes_edge_claims() {
    let server = Server::new();
    let (decision, record) = decide(
        &server,
        &ask("POST", "/orders", &[("cookie", &session(&server))]),
    );
    let edits = forwarded(decision);
    assert!(set(&edits, "x-edge-claims").is_some());
    assert_eq!(
        set(&edits, "x-correlation-id"),
        Some(record.correlation_id.as_bytes())
    );
    assert_eq!(
        set(&edits, "cookie"),
        Some(&b"a=1"[..]),
        "the session stays here"
    );
    assert_eq!(record.outcome, Outcome::Forwarded);
    assert_eq!(record.reason, None);
    assert_eq!(record.kid.as_deref(), Some("edge-1"));
    assert_eq!(
        record.subject,
        Some(subject_hash(b"0123456789abcdef", "u-1"))
    );
}

#[test]
fn what_only_edge_and_mesh_may_say_is_taken_from_the_client() {
    let server = Server::new();
    let (decision, record) = decide(
        &server,
        &ask(
            "GET",
            "/",
            &[
                ("cookie", &session(&server)),
                ("x_auth_subject", "admin"),
                ("x-auth-roles", "admin"),
                ("x-auth-roles", "root"),
                ("x-edge-claims", "forged"),
                ("x_correlation_id", "mine"),
                (
                    "traceparent",
                    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                ),
            ],
        ),
    );
    let edits = forwarded(decision);
    let taken = [
        "cookie",
        "x-auth-roles",
        "x-edge-claims",
        "x_auth_subject",
        "x_correlation_id",
    ];
    let mut removed = edits.remove;
    removed.sort_unstable();
    assert_eq!(removed, taken);
    assert_eq!(record.stripped_headers, 4);
    assert_eq!(
        record.trace_id.as_deref(),
        Some("0af7651916cd43dd8448eb211c80319c")
    );
}

#[test]
fn a_browser_without_a_session_is_sent_to_log_in() {
    let server = Server::new();
    for headers in [&[][..], &[("sec-fetch-mode", "navigate")]] {
        let (decision, record) = decide(&server, &ask("GET", "/orders", headers));
        let reply = replied(decision);
        assert_eq!(reply.status, 302);
        let location = reply.header("location").unwrap();
        assert!(
            location.starts_with("https://login.example.com/authorize?"),
            "{location}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(
            reply.header("x-correlation-id"),
            Some(&*record.correlation_id)
        );
        assert_eq!(record.outcome, Outcome::Redirected);
        assert_eq!(record.reason, Some("session_missing"));
    }
}

#[test]
fn what_cannot_follow_a_redirect_is_refused() {
    let server = Server::new();
    for (method, headers) in [
        ("POST", &[][..]),
        ("GET", &[("sec-fetch-mode", "cors")]),
        ("GET", &[("Sec-Fetch-Mode", "no-cors")]),
    ] {
        let (decision, record) = decide(&server, &ask(method, "/orders", headers));
        let reply = replied(decision);
        assert_eq!(reply.status, 401);
        assert_eq!(
            reply.header("x-correlation-id"),
            Some(&*record.correlation_id)
        );
        assert!(
            reply.body.contains(&record.correlation_id),
            "{}",
            reply.body
        );
        assert!(reply.body.contains("session_missing"), "{}", reply.body);
        assert_eq!(record.outcome, Outcome::Denied);
    }
    let (decision, _) = decide(
        &server,
        &ask(
            "POST",
            "/svc/M",
            &[("content-type", "application/grpc+proto")],
        ),
    );
    let reply = replied(decision);
    assert_eq!(
        (reply.status, reply.header("grpc-status")),
        (200, Some("16"))
    );
    assert_eq!(reply.body, "");
}

#[test]
fn a_bad_session_says_why_in_the_log() {
    let server = Server::new();
    let expired = format!("__Host-session={}", server.sign(&json!({"exp": NOW - 60})));
    let twice = format!("{0}; {0}", expired);
    for (cookie, reason) in [
        (expired.as_str(), "session_expired"),
        (&twice, "session_repeated"),
        ("__Host-session=", "session_malformed"),
    ] {
        let (decision, record) = decide(&server, &ask("GET", "/", &[("cookie", cookie)]));
        assert_eq!(replied(decision).status, 302);
        assert_eq!(record.reason, Some(reason));
    }
}

#[test]
fn a_public_path_needs_no_session_and_gets_no_claims() {
    let server = Server::new();
    let (decision, record) = decide(&server, &ask("GET", "/public/a", &[("x-edge-claims", "x")]));
    let edits = forwarded(decision);
    assert_eq!(set(&edits, "x-edge-claims"), None);
    assert!(edits.remove.contains(&"x-edge-claims".to_owned()));
    assert_eq!(record.reason, Some("session_missing"));
    let with_session = ask("GET", "/public/a", &[("cookie", &session(&server))]);
    let edits = forwarded(decide(&server, &with_session).0);
    assert!(set(&edits, "x-edge-claims").is_some());
}

#[test]
fn nothing_loads_without_its_keys() {
    let server = Server::new();
    let jwks = json!({"keys": [server.jwk()]}).to_string();
    let key = signing_key().to_jwk();
    let load = |missing: &str| {
        Edge::load(
            |name| match name {
                name if name == missing => None,
                "settings" => Some(crate::settings::tests::JSON.to_owned()),
                _ => Some(jwks.clone()),
            },
            |name| match name {
                name if name == missing => None,
                "log_key" => Some(b"0123456789abcdef".to_vec()),
                "login_key" => Some(vec![7; 32]),
                _ => Some(key.clone().into_bytes()),
            },
            |_| None,
        )
    };
    for missing in ["settings", "session_jwks", "signing_key", "login_key"] {
        let error = load(missing).err().unwrap();
        assert_eq!(error.to_string(), format!("{missing}: missing"));
    }
    assert!(load("log_key").is_ok_and(|edge| edge.log_key.is_none()));
}

#[test]
fn short_keys_are_refused() {
    let load = |short: &str| {
        Edge::load(
            |name| (name == "settings").then(|| crate::settings::tests::JSON.to_owned()),
            |name| {
                Some(if name == short {
                    vec![7; 15]
                } else {
                    vec![7; 32]
                })
            },
            |_| None,
        )
    };
    assert!(matches!(load("log_key"), Err(LoadError::LogKey)));
    assert!(matches!(load("login_key"), Err(LoadError::LoginKey)));
}

#[test]
fn hosts_are_compared_in_one_form() {
    for (host, canonical) in [
        ("Shop.Example.com", "shop.example.com"),
        ("shop.example.com.:8443", "shop.example.com"),
        ("[2001:DB8::1]:8443", "[2001:db8::1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("", ""),
    ] {
        assert_eq!(canonical_host(host), canonical);
    }
}
