//! 2,000 mixed visits through the whole chain, of which the join accounts for every line: logins, denials at every
//! hop, retries, WebSockets, gRPC.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use edge_claims_harness::envoy::wait;
use edge_claims_harness::tokens;
use edge_claims_harness::{Request, Response};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::chain::{Chain, WEBSOCKET_KEY};
use crate::logs::Logs;
use crate::world::with_session;

const VISITS: usize = 2000;
/// Each is three requests with one ID at the edge, and the provider's pages between them.
const LOGINS: usize = 40;
/// As many clients at a time.
const CLIENTS: usize = 6;

/// A kind of visit.
struct Case {
    /// Where it must end: the place and the reason of the join.
    end: (&'static str, &'static str),
    /// What it must be in the join.
    kind: &'static str,
    by: By,
}

/// Who sends the request.
enum By {
    /// A client of the edge, with the session of that user or none.
    Edge(&'static str, &'static str, &'static str),
    /// A gRPC call through the edge.
    Grpc,
    /// The second edge, which opens a WebSocket.
    WebSocket,
    /// Someone at HAProxy who is no edge.
    Stranger,
}

static CASES: [Case; 15] = [
    case(("answered", "2xx"), By::Edge("alice", "GET", "/me")),
    case(("answered", "2xx"), By::Edge("", "GET", "/public/hello")),
    case(
        ("answered", "2xx"),
        By::Edge("bob", "GET", "/tenants/acme/orders"),
    ),
    case(("answered", "2xx"), By::Edge("bob", "GET", "/flaky/once")),
    case(("answered", "2xx"), By::Grpc),
    case(("answered", "1xx"), By::WebSocket),
    case(
        ("filter", "role"),
        By::Edge("alice", "POST", "/tenants/acme/orders"),
    ),
    case(
        ("filter", "binding_route"),
        By::Edge("alice", "GET", "/tenants/globex/orders"),
    ),
    case(
        ("filter", "route_unknown"),
        By::Edge("alice", "GET", "/nowhere"),
    ),
    case(
        ("app", "scope"),
        By::Edge("alice", "GET", "/tenants/acme/orders"),
    ),
    case(
        ("upstream", "status 503"),
        By::Edge("alice", "GET", "/flaky/always"),
    ),
    Case {
        kind: "edge",
        ..case(
            ("edge", "redirected/session_expired"),
            By::Edge("expired", "GET", "/me"),
        )
    },
    Case {
        kind: "edge",
        ..case(
            ("edge", "denied/session_missing"),
            By::Edge("", "POST", "/tenants/acme/orders"),
        )
    },
    // It never logs in: the redirect is all there is.
    Case {
        kind: "edge",
        ..case(
            ("edge", "redirected/session_missing"),
            By::Edge("", "GET", "/me"),
        )
    },
    // The edge has no line of it, and the join says so.
    Case {
        kind: "mesh_only",
        ..case(("haproxy", "denied/not_from_edge"), By::Stranger)
    },
];

const fn case(end: (&'static str, &'static str), by: By) -> Case {
    Case {
        end,
        kind: "joined",
        by,
    }
}

/// The sessions of the users, by name.
fn sessions(chain: &Chain) -> BTreeMap<&'static str, String> {
    let session = |changes: Value| {
        let mut claims = json!({
            "iss": chain.provider.issuer(), "roles": ["reader"], "tenant_id": "acme",
        });
        for (name, value) in changes.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        chain.world.session(&claims)
    };
    BTreeMap::from([
        ("alice", session(json!({}))),
        (
            "bob",
            session(json!({"sub": "bob", "scope": "orders:read"})),
        ),
        ("expired", session(json!({"exp": tokens::now() - 3600}))),
    ])
}

/// In the protocol that the number says, and with what clients send as an ID of theirs.
fn varied(number: usize, request: Request) -> Request {
    let request = if number.is_multiple_of(3) {
        request.http2()
    } else {
        request
    };
    match number % 4 {
        0 => request.header("x-correlation-id", format!("client-{number}")),
        1 => request.header("x-correlation-id", "\"},{\"correlation_id\":\"forged"),
        2 => request.header(
            "traceparent",
            format!("00-{:032x}-00f067aa0ba902b7-01", number + 1),
        ),
        _ => request,
    }
}

fn send(
    chain: &Chain,
    sessions: &BTreeMap<&str, String>,
    second: &Mutex<String>,
    number: usize,
    by: &By,
) -> Response {
    match by {
        By::Edge(user, method, path) => {
            let mut request = chain.edge.client().request(method, path);
            if *method == "POST" {
                request = request
                    .header("content-type", "application/json")
                    .body(r#"{"item":"tea"}"#);
            }
            if let Some(session) = sessions.get(user) {
                request = with_session(request, session);
            }
            varied(number, request).send()
        }
        By::Grpc => {
            let call = chain.edge.client().grpc("/shop.Orders/Get", b"hello");
            with_session(call, &sessions["alice"]).send()
        }
        By::WebSocket => {
            let id = format!("second-{number}");
            let response = chain
                .by_second(&id, "/ws")
                .header("connection", "Upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", WEBSOCKET_KEY)
                .send();
            let line =
                json!({"correlation_id": id, "outcome": "forwarded", "status": response.status});
            let mut log = second.lock().expect("no panic");
            log.push_str(&format!("{line}\n"));
            response
        }
        By::Stranger => chain.by_stranger("/me").send(),
    }
}

#[test]
fn every_line_of_two_thousand_visits_is_accounted_for() {
    let chain = Chain::start(&[], &[]);
    let sessions = sessions(&chain);
    let (second, ids) = (Mutex::new(String::new()), Mutex::new(BTreeMap::new()));
    let next = AtomicUsize::new(0);
    let visit = |number: usize| {
        let (id, expected) = if number < LOGINS {
            let mut browser = Browser::new("alice");
            let steps = browser.visit(&chain.edge, &chain.provider, "/me");
            let statuses = steps.each_ref().map(|step| step.status);
            assert_eq!(statuses, [302, 302, 200], "{steps:?}");
            let own = steps.map(|step| step.header("x-correlation-id").expect("an ID"));
            assert!(own.iter().all(|id| *id == own[0]), "{own:?}");
            (own[0].clone(), None)
        } else {
            let index = number % CASES.len();
            let response = send(&chain, &sessions, &second, number, &CASES[index].by);
            let id = response.header("x-correlation-id");
            let id = id.unwrap_or_else(|| panic!("no ID: {:?} {response:?}", CASES[index].end));
            (id, Some(index))
        };
        let before = ids.lock().expect("no panic").insert(id.clone(), expected);
        assert_eq!(before, None, "two visits have the ID {id}");
    };
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= VISITS {
                        break;
                    }
                    visit(number);
                }
            });
        }
    });
    let ids = ids.into_inner().expect("no panic");
    let second = second.into_inner().expect("no panic");
    assert_eq!(ids.len(), VISITS);

    // Envoy and HAProxy write their lines when a connection is done. Where one is missing, the join says which.
    let complete = wait("the last lines", || {
        let joined = Logs::of(&chain, &second).join(&[]);
        let requests = joined.into_iter().find(|line| line["kind"] == "requests")?;
        (requests["lost"] == 0 && requests["total"] == VISITS).then_some(())
    });
    let _ = complete;
    let logs = Logs::of(&chain, &second);

    // Each visit ended in the logs where it ended for its client.
    let mut wrong = Vec::new();
    for row in logs.join(&["--list", "all"]) {
        let id = row["correlation_id"].as_str().expect("an ID");
        let (kind, end) = match ids.get(id) {
            Some(Some(index)) => {
                let Case {
                    end: (place, reason),
                    kind,
                    ..
                } = &CASES[*index];
                (*kind, format!("{place}: {reason}"))
            }
            Some(None) => ("joined", "answered: 2xx".to_owned()),
            None => ("of no client", String::new()),
        };
        if row["kind"] != kind || row["end"] != end.as_str() {
            wrong.push(format!("{row}\n    instead of {kind} {end}"));
        }
    }
    assert_eq!(
        wrong.len(),
        0,
        "{}",
        wrong[..wrong.len().min(20)].join("\n")
    );

    let joined = logs.join(&[]);
    let of_kind = |kind: &str| {
        let of_kind = joined.iter().filter(|line| line["kind"] == kind);
        of_kind.collect::<Vec<_>>()
    };
    let strangers = ids
        .values()
        .flatten()
        .filter(|index| CASES[**index].kind == "mesh_only");
    let requests = of_kind("requests")[0];
    assert_eq!(requests["total"], VISITS);
    assert_eq!(requests["mesh_only"], strangers.count());
    assert_eq!(
        (&requests["lost"], &requests["repeated"]),
        (&json!(0), &json!(0))
    );
    // Every line: with an ID, or the app's about other things.
    for input in of_kind("input") {
        let counts = [&input["without_id"], &input["broken"]];
        assert_eq!(counts, [&json!(0), &json!(0)], "{input}");
        let whole = input["with_id"].as_u64().unwrap() + input["other"].as_u64().unwrap();
        assert_eq!(input["lines"], whole, "{input}");
    }
    // Every part of the way was measured.
    let parts: Vec<&Value> = of_kind("time").iter().map(|line| &line["part"]).collect();
    for part in [
        "total",
        "edge",
        "network",
        "haproxy",
        "haproxy_network",
        "mesh",
        "filter",
        "upstream",
        "app",
    ] {
        assert!(
            parts.contains(&&json!(part)),
            "{part} is unknown: {parts:?}"
        );
    }
    // A login: three lines of the edge, and one of each other hop, with one ID.
    let (login, _) = ids
        .iter()
        .find(|(_, expected)| expected.is_none())
        .expect("a login");
    let lines = logs.join(&["--id", login]);
    let hops: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["log"].as_str())
        .collect();
    assert_eq!(
        hops,
        ["edge", "edge", "edge", "haproxy", "mesh", "app"],
        "{lines:#?}"
    );

    let (misfits, first) = logs.misfits();
    assert_eq!(misfits, 0, "{}", first.join("\n"));
    println!(
        "{}",
        serde_json::to_string_pretty(&joined[..8.min(joined.len())]).unwrap_or_default()
    );
}
