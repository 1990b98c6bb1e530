//! The join, proven: a mixed run of more than 10,000 requests, of which every one that reached the mesh
//! is found in both logs, once, and ends in the logs where it ended for its client.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use edge_claims_harness::envoy::wait;
use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Client, Request, Response, Upstream};
use serde_json::{Value, json};

use crate::mesh::Mesh;
use crate::viceroy::{Viceroy, command};
use crate::world::{World, with_session};

/// More than the 10,000 that the claim is about.
const REQUESTS: usize = 10_320;
/// As many clients at a time.
const CLIENTS: usize = 8;
/// The second edge is the test itself: it signs what no honest edge would, and logs in the edge's format.
const SECOND: &str = "https://second.example.com";

/// A kind of request, and where it must end: the place and the reason of the join.
struct Case {
    end: (&'static str, &'static str),
    send: Send,
}

/// Sends the request of that number.
type Send = Box<dyn Fn(&Run, usize) -> Sent + Sync>;

/// What a case did: the ID that its client got, or nothing where the client gets none.
struct Sent {
    response: Response,
    /// The ID, if the second edge sent the request.
    by_second: Option<String>,
}

/// Who takes part.
struct Run {
    world: World,
    edge: Viceroy,
    mesh: Mesh,
    second: Key,
    unknown: Key,
    rsa: Key,
    sessions: BTreeMap<&'static str, String>,
}

impl Run {
    fn start(upstream: &Upstream) -> Self {
        let world = World::new();
        let keys = ["second-1", "second-2"].map(|kid| Key::generate("ES256", kid));
        let rsa = Key::generate("RS256", "second-1");
        let [second, unknown] = keys;
        let mesh = Mesh::start(upstream, &world.edge_key, |config| {
            for issuer in second_issuers(&second) {
                push(&mut config["claims"]["issuers"], issuer);
            }
            config["claims"]["issuers"][0]["revoked"] = json!({"subjects": ["mallory"]});
            config["claims"]["issuers"][0]["require"] = json!(["sub", "cid", "tenant_id"]);
            config["claims"]["max_bytes"] = json!(1500);
            config["identity"]["on_spoof"] = json!("reject");
            for route in routes() {
                push(&mut config["rbac"]["routes"], route);
            }
        });
        let edge = mesh.edge(&world.stores(), upstream);
        let session = |changes: Value| world.session(&changes);
        let sessions = BTreeMap::from([
            ("alice", session(json!({}))),
            (
                "bob",
                session(json!({"realm_access": {"roles": ["editor"]}})),
            ),
            ("mallory", session(json!({"sub": "mallory"}))),
            ("tenantless", session(json!({"tenant_id": null}))),
            ("large", session(json!({"acr": "x".repeat(1400)}))),
            ("expired", session(json!({"exp": tokens::now() - 3600}))),
        ]);
        Self {
            world,
            edge,
            mesh,
            second,
            unknown,
            rsa,
            sessions,
        }
    }

    /// Through the edge, in the protocol that the number says.
    fn by_edge(&self, number: usize, session: &str, method: &str, path: &str) -> Sent {
        let mut request = self.edge.client().request(method, path);
        if !session.is_empty() {
            request = with_session(request, &self.sessions[session]);
        }
        self.through_edge(number, request)
    }

    fn through_edge(&self, number: usize, request: Request) -> Sent {
        let mut request = if number.is_multiple_of(3) {
            request.http2()
        } else {
            request
        };
        match number % 7 {
            0 => request = request.header("x-correlation-id", format!("client-{number}")),
            1 => request = request.header("x-correlation-id", "\"},{\"correlation_id\":\"forged"),
            2 => request = request.header("x-correlation-id", vec![b'a'; 10_000]),
            3 => {
                request = request
                    .header("x-correlation-id", "a")
                    .header("x-correlation-id", "b")
            }
            4 => request = request.header("x_correlation_id", b"\x80\xff"),
            _ => {}
        }
        Sent {
            response: request.send(),
            by_second: None,
        }
    }

    /// Straight to the mesh, as the second edge.
    fn by_second(&self, number: usize, change: impl Fn(Request, &str) -> Request) -> Sent {
        let id = format!("second-{number}");
        let client: Client = self.mesh.envoy.client();
        let request = client.get("/second").header("x-correlation-id", &id);
        let request = if number.is_multiple_of(2) {
            request.http2()
        } else {
            request
        };
        Sent {
            response: change(request, &id).send(),
            by_second: Some(id),
        }
    }
}

/// Claims of the second edge, with changes.
fn second_claims(id: &str, changes: Value) -> Value {
    let mut claims = json!({"iss": SECOND, "cid": id, "tenant_id": "a", "roles": ["reader"]});
    for (name, value) in changes.as_object().expect("changes are an object") {
        claims[name] = value.clone();
    }
    tokens::claims(&claims)
}

fn push(list: &mut Value, item: Value) {
    list.as_array_mut().expect("a list").push(item);
}

/// The second edge's issuers: a plain one, one whose tokens are good once, one without its secret.
fn second_issuers(key: &Key) -> [Value; 3] {
    let issuer = |name: &str, more: Value| {
        let mut issuer = json!({
            "issuer": name,
            "audiences": ["mesh.example.com"],
            "algorithms": ["ES256"],
            "keys": {"inline": tokens::jwks(&[key])},
        });
        for (name, value) in more.as_object().expect("an object") {
            issuer[name] = value.clone();
        }
        issuer
    };
    [
        issuer(
            SECOND,
            json!({"type": "JWT", "max_age": "5m", "max_lifetime": "10m", "bind": {"method": "htm"}}),
        ),
        issuer(
            "https://once.example.com",
            json!({"one_use": {"claim": "jti", "entries": 100_000}}),
        ),
        issuer(
            "https://keyless.example.com",
            json!({"algorithms": ["HS256"], "keys": {"secrets": [{"env": "EDGE_CLAIMS_TEST_NONE", "kid": "k"}]}}),
        ),
    ]
}

/// Routes that deny for one reason each.
fn routes() -> [Value; 9] {
    [
        json!({"name": "scope", "path": "/scope", "allow": {"scopes": {"claim": "scope", "all": ["x"]}}}),
        json!({"name": "audience", "path": "/audience", "allow": {"audiences": ["other.example.com"]}}),
        json!({"name": "issuer", "path": "/issuer", "allow": {"issuers": [SECOND]}}),
        json!({"name": "condition", "path": "/condition", "allow": {"when": {"header": "x-env", "equals": "prod"}}}),
        json!({"name": "peer", "path": "/peer", "allow": {"peers": ["spiffe://cluster.local/ns/edge/*"]}}),
        json!({"name": "step-up", "path": "/step-up", "allow": {"when": {"claim": ["acr"], "in": ["urn:mfa"]}}}),
        json!({"name": "shadow", "path": "/shadow", "mode": "shadow", "allow": {"any_role": ["editor"]}}),
        json!({"name": "members", "path": "/public/members", "allow": "authenticated"}),
        json!({"name": "second", "path": "/second", "allow": "authenticated"}),
    ]
}

fn case(
    end: (&'static str, &'static str),
    send: impl Fn(&Run, usize) -> Sent + Sync + 'static,
) -> Case {
    Case {
        end,
        send: Box::new(send),
    }
}

/// Requests through the edge, each with the end that its client sees.
fn edge_cases() -> Vec<Case> {
    let through = |end, session: &'static str, method: &'static str, path: &'static str| {
        case(end, move |run, number| {
            run.by_edge(number, session, method, path)
        })
    };
    let answered = ("answered", "2xx");
    vec![
        case(answered, |run, number| {
            run.by_edge(
                number,
                "alice",
                "GET",
                &format!("/tenants/a/orders/{number}?q={number}"),
            )
        }),
        through(answered, "alice", "GET", "/tenants/a/orders"),
        through(answered, "", "GET", "/public/logo.svg"),
        through(answered, "alice", "GET", "/shadow"),
        through(answered, "bob", "PUT", "/tenants/a/orders/1"),
        case(answered, |run, number| {
            let call = run.edge.client().grpc("/shop.Orders/Get", b"hello");
            let call = with_session(call, &run.sessions["alice"]);
            // gRPC is HTTP/2 whatever the number says.
            run.through_edge(number - number % 3, call)
        }),
        through(("filter", "role"), "alice", "POST", "/tenants/a/orders"),
        through(
            ("filter", "binding_route"),
            "alice",
            "GET",
            "/tenants/b/orders",
        ),
        through(("filter", "route_unknown"), "alice", "GET", "/nowhere"),
        through(
            ("filter", "path_ambiguous"),
            "alice",
            "GET",
            "/tenants/a//orders",
        ),
        through(("filter", "claims_missing"), "", "GET", "/public/members"),
        through(("filter", "scope"), "alice", "GET", "/scope"),
        through(("filter", "audience_route"), "alice", "GET", "/audience"),
        through(("filter", "issuer_route"), "alice", "GET", "/issuer"),
        through(("filter", "condition"), "alice", "GET", "/condition"),
        through(("filter", "peer"), "alice", "GET", "/peer"),
        through(("filter", "step_up"), "alice", "GET", "/step-up"),
        through(("filter", "revoked"), "mallory", "GET", "/tenants/a/orders"),
        through(
            ("filter", "claim_required"),
            "tenantless",
            "GET",
            "/tenants/a/orders",
        ),
        through(
            ("filter", "claims_too_large"),
            "large",
            "GET",
            "/tenants/a/orders",
        ),
        through(
            ("edge", "redirected/session_missing"),
            "",
            "GET",
            "/tenants/a/orders",
        ),
        through(
            ("edge", "redirected/session_expired"),
            "expired",
            "GET",
            "/tenants/a/orders",
        ),
        through(
            ("edge", "denied/session_missing"),
            "",
            "POST",
            "/tenants/a/orders",
        ),
        through(
            ("upstream", "status 500"),
            "alice",
            "GET",
            "/tenants/a/orders/fail",
        ),
    ]
}

/// Requests of the second edge: the reasons that an honest edge never gives.
fn second_cases() -> Vec<Case> {
    let claims = |reason, changes: fn() -> Value| {
        case(("filter", reason), move |run, number| {
            run.by_second(number, |request, id| {
                let token = run.second.sign(&second_claims(id, changes()));
                request.header("x-edge-claims", token)
            })
        })
    };
    vec![
        case(("answered", "2xx"), |run, number| {
            run.by_second(number, |request, id| {
                let claims = second_claims(id, json!({"htm": "GET"}));
                request.header("x-edge-claims", run.second.sign(&claims))
            })
        }),
        // Not through the edge: Viceroy's HTTP/2 may lose an answer that comes before the request's end.
        case(("filter", "role"), |run, number| {
            let id = format!("second-{number}");
            let token = run.second.sign(&second_claims(&id, json!({"htm": "POST"})));
            let call = run.mesh.envoy.grpc("/shop.Admin/Delete", b"hello");
            Sent {
                response: call.header("x-edge-claims", token).send(),
                by_second: Some(id),
            }
        }),
        claims("binding_request", || json!({"htm": "POST"})),
        claims(
            "expired",
            || json!({"htm": "GET", "iat": tokens::now() - 90, "exp": tokens::now() - 60}),
        ),
        claims(
            "not_yet_valid",
            || json!({"htm": "GET", "nbf": tokens::now() + 120}),
        ),
        claims(
            "too_old",
            || json!({"htm": "GET", "iat": tokens::now() - 400, "exp": tokens::now() + 60}),
        ),
        claims(
            "audience",
            || json!({"htm": "GET", "aud": "other.example.com"}),
        ),
        claims(
            "issuer_unknown",
            || json!({"htm": "GET", "iss": "https://nobody.example.com"}),
        ),
        claims(
            "algorithm_refused",
            || json!({"iss": "https://keyless.example.com"}),
        ),
        case(("filter", "type"), |run, number| {
            run.by_second(number, |request, id| {
                let claims = second_claims(id, json!({"htm": "GET"}));
                request.header("x-edge-claims", run.second.sign_typed(&claims, "at+jwt"))
            })
        }),
        case(("filter", "key_unknown"), |run, number| {
            run.by_second(number, |request, id| {
                let claims = second_claims(id, json!({"htm": "GET"}));
                request.header("x-edge-claims", run.unknown.sign(&claims))
            })
        }),
        case(("filter", "algorithm_refused"), |run, number| {
            run.by_second(number, |request, id| {
                let claims = second_claims(id, json!({"htm": "GET"}));
                request.header("x-edge-claims", run.rsa.sign(&claims))
            })
        }),
        case(("filter", "signature_invalid"), |run, number| {
            run.by_second(number, |request, id| {
                let good = run.second.sign(&second_claims(id, json!({"htm": "GET"})));
                let other = run
                    .second
                    .sign(&second_claims(id, json!({"htm": "GET", "sub": "eve"})));
                let (head, _) = good.rsplit_once('.').expect("three parts");
                let (_, signature) = other.rsplit_once('.').expect("three parts");
                request.header("x-edge-claims", format!("{head}.{signature}"))
            })
        }),
        case(("filter", "keys_unavailable"), |run, number| {
            let secret = Key::secret("HS256", "k", &[7; 32]);
            run.by_second(number, |request, id| {
                let claims = second_claims(id, json!({"iss": "https://keyless.example.com"}));
                request.header("x-edge-claims", secret.sign(&claims))
            })
        }),
        case(("filter", "claims_malformed"), |run, number| {
            run.by_second(number, |request, _| {
                request.header("x-edge-claims", "not a token")
            })
        }),
        case(("filter", "claims_repeated"), |run, number| {
            run.by_second(number, |request, _| {
                request
                    .header("x-edge-claims", "a")
                    .header("x-edge-claims", "b")
            })
        }),
        case(("filter", "spoofed_header"), |run, number| {
            run.by_second(number, |request, _| {
                request.header("x-auth-subject", "admin")
            })
        }),
        case(("filter", "request_malformed"), |run, number| {
            run.by_second(number, |request, _| request.host("shop_example..com:x"))
        }),
        case(("filter", "replayed"), |run, number| {
            let claims = |id: &str| {
                let iss = "https://once.example.com";
                second_claims(
                    id,
                    json!({"iss": iss, "jti": format!("once-{}", number / 2 % 50), "cid": null}),
                )
            };
            run.by_second(number, |request, id| {
                request.header("x-edge-claims", run.second.sign(&claims(id)))
            })
        }),
    ]
}

#[test]
fn every_request_of_a_mixed_run_is_found_in_both_logs_once() {
    let upstream = Upstream::answering(|seen| {
        let mut answer = edge_claims_harness::upstream::Answer::echo(seen);
        if seen.path().ends_with("/fail") {
            answer.status = 500;
        }
        answer
    });
    let run = Run::start(&upstream);
    let cases: Vec<Case> = edge_cases().into_iter().chain(second_cases()).collect();

    let denied: BTreeSet<&str> = cases
        .iter()
        .filter(|case| case.end.0 == "filter")
        .map(|case| case.end.1)
        .collect();
    assert_eq!(denied, every_reason(), "each deny reason has its case");
    // What a number has in common with 2, 3 and 7 decides protocol and ID: so every case gets all of them.
    assert!(
        [2, 3, 7]
            .iter()
            .all(|divisor| !cases.len().is_multiple_of(*divisor)),
        "{}",
        cases.len()
    );

    let next = AtomicUsize::new(0);
    let second_log = Mutex::new(String::new());
    let ids = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= REQUESTS {
                        break;
                    }
                    let case = &cases[number % cases.len()];
                    let sent = (case.send)(&run, number);
                    let id = sent.response.header("x-correlation-id");
                    let id = id.unwrap_or_else(|| {
                        panic!("no ID: {:?} {:?}", case.end, sent.response)
                    });
                    if let Some(own) = sent.by_second {
                        assert_eq!(id, own, "{:?}", case.end);
                        let line = json!({
                            "correlation_id": id, "outcome": "forwarded", "status": sent.response.status,
                        });
                        let mut log = second_log.lock().expect("no panic");
                        log.push_str(&format!("{line}\n"));
                    }
                    let before = ids.lock().expect("no panic").insert(id.clone(), number);
                    assert_eq!(before, None, "two requests have the ID {id}");
                }
            });
        }
    });
    let ids = ids.into_inner().expect("no panic");
    assert_eq!(ids.len(), REQUESTS);

    let (joined, rows) = join(
        &run,
        &second_log.into_inner().expect("no panic"),
        &cases,
        &ids,
    );
    let of_kind = |kind: &str| {
        joined
            .iter()
            .filter(|line| line["kind"] == kind)
            .cloned()
            .collect::<Vec<_>>()
    };
    // Each request ended in the logs where it ended for its client.
    let mut wrong = Vec::new();
    for row in &rows {
        let id = row["correlation_id"].as_str().expect("an ID");
        let (place, reason) = cases[ids[id] % cases.len()].end;
        let end = row["end"].as_str().expect("an end");
        let expected = format!("{place}: {reason}");
        // The first use of a one-use token is good.
        let first_use = reason == "replayed" && end == "answered: 2xx";
        if end != expected && !first_use {
            wrong.push(format!("{id}: {end} instead of {expected}"));
        }
    }
    assert_eq!(wrong.len(), 0, "{:#?}", &wrong[..wrong.len().min(50)]);
    assert_eq!(rows.len(), REQUESTS);

    let requests = &of_kind("requests")[0];
    let missing: Vec<&Value> = rows.iter().filter(|row| row["kind"] == "lost").collect();
    assert_eq!(missing, Vec::<&Value>::new());
    assert_eq!(requests["adds_up"], true, "{joined:#?}");
    assert_eq!(requests["total"], REQUESTS);
    let ends_at_edge = |number: &usize| cases[number % cases.len()].end.0 == "edge";
    let at_edge = (0..REQUESTS).filter(ends_at_edge).count();
    assert_eq!(requests["edge"], at_edge);
    assert_eq!(
        requests["joined"],
        REQUESTS - at_edge,
        "all that reached the mesh"
    );
    for input in of_kind("input") {
        assert_eq!(
            (&input["broken"], &input["without_id"]),
            (&json!(0), &json!(0)),
            "{input}"
        );
    }

    let shadows = of_kind("shadow");
    assert_eq!(shadows.len(), 1, "{shadows:?}");
    assert_eq!(shadows[0]["reason"], "role");

    for output in [run.edge.output(), run.mesh.access_text()] {
        for hostile in [
            "eyJhbGciOi",
            "correlation_id\":\"forged",
            "aaaaaaaaaaaaaaaa",
            "\u{fffd}",
        ] {
            assert!(!output.contains(hostile), "{hostile} is in a log");
        }
    }
    let _ = &run.world;
}

/// The codes of all deny reasons, except for two that no single request has: `internal` needs a failing host,
/// `overloaded` a flood of forged tokens.
fn every_reason() -> BTreeSet<&'static str> {
    let (_, code) = include_str!("../../src/denial.rs")
        .split_once("pub const fn code")
        .expect("the function that names them");
    code.lines()
        .map_while(|line| (line != "    }").then_some(line))
        .filter_map(|line| line.split('"').nth(1))
        .filter(|code| !["internal", "overloaded"].contains(code))
        .collect()
}

/// Writes both edges' logs to one file, waits until the mesh has logged all, and joins: the summary, and
/// every request.
fn join(
    run: &Run,
    second_log: &str,
    cases: &[Case],
    ids: &BTreeMap<String, usize>,
) -> (Vec<Value>, Vec<Value>) {
    let mesh_lines = ids
        .values()
        .filter(|number| cases[*number % cases.len()].end.0 != "edge")
        .count();
    let mesh_log = run.mesh.log_path();
    let complete = wait("the mesh's last line", || {
        let lines = fs::read_to_string(&mesh_log)
            .unwrap_or_default()
            .lines()
            .count();
        (lines >= mesh_lines).then_some(())
    });
    // Where one is missing, the join says which.
    let _ = complete;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let edge_log = folder.path().join("edge.log");
    fs::write(&edge_log, run.edge.log_text() + second_log).expect("the folder is ours");
    let lines = |arguments: &[&str]| {
        let output = Command::new(command())
            .arg("join")
            .args([&edge_log, &mesh_log])
            .args(arguments)
            .output()
            .expect("the command runs");
        let text = String::from_utf8(output.stdout).expect("JSON lines");
        let parse = |line: &str| serde_json::from_str(line).expect("JSON");
        text.lines().map(parse).collect::<Vec<Value>>()
    };
    (
        lines(&["--format", "jsonl"]),
        lines(&["--format", "jsonl", "--list", "all"]),
    )
}
