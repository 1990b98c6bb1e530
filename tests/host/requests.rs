//! Requests: what the client and the upstream see.

use serde_json::{Value, json};

use crate::fake::{Host, host};
use crate::world::{CLAIMS, Edge, Fate, Header, NOW, Vm, config, get, instances, seen, vm, vm_on};

const ORDERS: &str = "/tenants/a/orders/1";

#[test]
fn a_public_route_needs_nothing_and_gets_a_correlation_id() {
    vm(|vm| {
        let root = vm.plugin(&config(&Edge::new("k")));
        let (fate, response, stream) = vm.exchange(root, &get("/public/x", &[]));
        let id = seen(&fate.passed(), "x-correlation-id").unwrap();
        assert_eq!(seen(&response, "x-correlation-id"), Some(id.clone()));
        assert_eq!(stream.filter_state["edge_claims.correlation_id"], id);
        assert_eq!(stream.filter_state["edge_claims.verdict"], "allow/public");
    });
}

#[test]
fn without_a_token_the_client_learns_what_is_missing() {
    vm(|vm| {
        let root = vm.plugin(&config(&Edge::new("k")));
        let (fate, _, stream) =
            vm.exchange(root, &get(ORDERS, &[("x-correlation-id", b"edge-17")]));
        let reply = fate.denied(401, "claims_missing");
        assert_eq!(reply.details, "edge_claims_denied{claims_missing}{orders}");
        assert_eq!(
            reply.header("www-authenticate").as_deref(),
            Some("Bearer realm=\"mesh\"")
        );
        assert_eq!(reply.header("x-correlation-id").as_deref(), Some("edge-17"));
        assert_eq!(
            reply.header("content-type").as_deref(),
            Some("application/problem+json")
        );
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["code"], "claims_missing");
        assert_eq!(body["correlation_id"], "edge-17");
        assert_eq!(
            stream.filter_state["edge_claims.verdict"],
            "deny/claims_missing/orders"
        );
    });
}

#[test]
fn a_good_token_sets_identity_and_stays_here() {
    vm(|vm| {
        let edge = Edge::new("k");
        let root = vm.plugin(&config(&edge));
        let token = edge.token(&json!({"cid": "signed-1"}));
        let spoofed = [
            (CLAIMS, token.as_slice()),
            ("x-auth-subject", b"root"),
            ("x_auth_roles", b"admin"),
            ("x-original-url", b"/admin"),
            ("x-correlation-id", b"mine"),
        ];
        // Cold and warm alike.
        for _ in 0..2 {
            let (fate, response, _) = vm.exchange(root, &get(ORDERS, &spoofed));
            let headers = fate.passed();
            assert_eq!(seen(&headers, "x-auth-subject").as_deref(), Some("alice"));
            assert_eq!(seen(&headers, "x-auth-roles").as_deref(), Some("reader"));
            assert_eq!(instances(&headers, "x-auth-roles"), 1);
            assert_eq!(instances(&headers, "x-original-url"), 0);
            assert_eq!(seen(&headers, CLAIMS), None);
            for seen_by in [&headers, &response] {
                assert_eq!(
                    seen(seen_by, "x-correlation-id").as_deref(),
                    Some("signed-1")
                );
            }
        }
    });
}

#[test]
fn repeated_identity_headers_leave_one_value() {
    vm(|vm| {
        let edge = Edge::new("k");
        let root = vm.plugin(&config(&edge));
        let token = edge.token(&json!({}));
        let more = [
            (CLAIMS, token.as_slice()),
            ("x-auth-subject", b"root".as_slice()),
            ("x-auth-subject", b"alice"),
        ];
        let headers = vm.request(root, &get(ORDERS, &more)).passed();
        assert_eq!(seen(&headers, "x-auth-subject").as_deref(), Some("alice"));
        let public = [("x-auth-subject", b"root".as_slice()); 3];
        let headers = vm.request(root, &get("/public/x", &public)).passed();
        assert_eq!(seen(&headers, "x-auth-subject"), None);
    });
}

#[test]
fn the_reasons_of_a_denial_have_their_status() {
    vm(|vm| {
        let (edge, other) = (Edge::new("k"), Edge::new("k"));
        let root = vm.plugin(&config(&edge));
        let good = edge.token(&json!({}));
        let forged = other.token(&json!({"roles": ["admin"]}));
        let claims = |token: &[u8], path: &str| {
            let headers = [(CLAIMS, token.to_vec())];
            (path.to_owned(), headers)
        };
        for ((path, headers), status, reason) in [
            (claims(&good, "/admin/x"), 403, "role"),
            (claims(&good, "/tenants/b/orders"), 403, "binding_route"),
            (claims(&good, "/nowhere"), 403, "route_unknown"),
            (claims(&forged, ORDERS), 401, "signature_invalid"),
            (claims(b"x.y.z", ORDERS), 401, "claims_malformed"),
            (claims(b"", ORDERS), 401, "claims_malformed"),
            (claims(&[b'a'; 9_000], ORDERS), 431, "claims_too_large"),
            (claims(&good, "/public/..%2fadmin"), 400, "path_ambiguous"),
            (claims(&good, "/%00"), 400, "request_malformed"),
        ] {
            let headers: Vec<(&str, &[u8])> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_slice()))
                .collect();
            vm.request(root, &get(&path, &headers))
                .denied(status, reason);
        }
        let twice = [(CLAIMS, good.as_slice()); 2];
        vm.request(root, &get(ORDERS, &twice))
            .denied(400, "claims_repeated");
        vm.wait(120_000);
        vm.request(root, &get(ORDERS, &[(CLAIMS, &good)]))
            .denied(401, "expired");
    });
}

#[test]
fn a_grpc_client_gets_a_grpc_status() {
    vm(|vm| {
        let edge = Edge::new("k");
        let root = vm.plugin(&config(&edge));
        let token = edge.token(&json!({}));
        let grpc = ("content-type", b"application/grpc".as_slice());
        let reply = vm
            .request(root, &get(ORDERS, &[grpc]))
            .denied(401, "claims_missing");
        assert_eq!(reply.grpc, 16);
        let reply = vm
            .request(root, &get("/admin", &[grpc, (CLAIMS, &token)]))
            .denied(403, "role");
        assert_eq!(reply.grpc, 7);
        assert!(reply.body.starts_with("role ("), "{}", reply.body);
    });
}

/// Bytes that are no UTF-8, in every header that the filter reads: one of them in the SDK's own
/// getters would end the VM.
#[test]
fn bytes_that_are_no_text_harm_nobody() {
    vm(|vm| {
        let edge = Edge::new("k");
        let root = vm.plugin(&config(&edge));
        let token = edge.token(&json!({}));
        for bad in [&b"\xff"[..], b"\xc3\x28", b"a\x80b", b"\xf0\x28\x8c\x28"] {
            for name in [CLAIMS, ":path", ":authority", ":method"] {
                let mut headers = get(ORDERS, &[(CLAIMS, &token)]);
                headers.retain(|(other, _)| *other != name);
                headers.push((name, bad));
                let fate = vm.request(root, &headers);
                assert!(matches!(fate, Fate::Replied(_)), "{name}: {fate:?}");
            }
            for name in [
                "x-correlation-id",
                "x-auth-subject",
                "x_auth_subject",
                "content-type",
                "origin",
                "access-control-request-method",
                "traceparent",
                "x-request-id",
                "x-anything",
            ] {
                let more = [(CLAIMS, token.as_slice()), (name, bad)];
                let headers = vm.request(root, &get(ORDERS, &more)).passed();
                assert_eq!(seen(&headers, "x-auth-subject").as_deref(), Some("alice"));
                assert_eq!(instances(&headers, "x-auth-subject"), 1);
                let id = seen(&headers, "x-correlation-id").unwrap();
                assert!(id.is_ascii(), "{id}");
                // And where the denial is logged.
                let denied = get("/admin", &more);
                vm.request(root, &denied).denied(403, "role");
            }
        }
    });
}

#[test]
fn requests_without_pseudo_headers_are_malformed() {
    vm(|vm| {
        let edge = Edge::new("k");
        let root = vm.plugin(&config(&edge));
        let token = edge.token(&json!({}));
        for name in [":path", ":authority", ":method"] {
            let mut headers = get(ORDERS, &[(CLAIMS, &token)]);
            headers.retain(|(other, _)| *other != name);
            vm.request(root, &headers).denied(400, "request_malformed");
        }
        vm.request(root, &[]).denied(400, "request_malformed");
    });
}

#[test]
fn many_and_large_headers_pass() {
    vm(|vm| {
        let edge = Edge::new("k");
        let root = vm.plugin(&config(&edge));
        let token = edge.token(&json!({}));
        let large = vec![b'x'; 60_000];
        let mut more = vec![(CLAIMS, token.as_slice()), ("cookie", large.as_slice())];
        more.extend([("x-filler", b"y".as_slice()); 1_000]);
        let headers = vm.request(root, &get(ORDERS, &more)).passed();
        assert_eq!(seen(&headers, "cookie").unwrap().len(), 60_000);
    });
}

#[test]
fn a_peer_counts_only_where_its_certificate_was_validated() {
    let with = |by_listener: bool, properties: &[(&str, &[u8])]| {
        let fake = Host {
            properties: properties
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()))
                .collect(),
            ..Host::default()
        };
        vm_on(fake, move |vm| {
            let mut config = config(&Edge::new("k"));
            if by_listener {
                config["rbac"]["peer_validation"] = json!("by_listener");
            }
            let root = vm.plugin(&config);
            let forged = (
                "x-forwarded-client-cert",
                b"URI=spiffe://mesh/ns/a/sa/x".as_slice(),
            );
            vm.request(root, &get("/inside", &[forged]))
        })
    };
    let mtls = |value| ("connection\0mtls", value);
    let valid = |value| ("connection\0peer_certificate_valid", value);
    let san = |value| ("connection\0uri_san_peer_certificate", value);
    let (yes, id): (&[u8], &[u8]) = (&[1], b"spiffe://mesh/ns/a/sa/x");
    with(false, &[mtls(yes), valid(yes), san(id)]).passed();
    with(true, &[mtls(yes), san(id)]).passed();
    let refused: [(bool, &[Header<'_>]); 9] = [
        (false, &[]),
        (false, &[san(id)]),
        (false, &[mtls(yes), san(id)]),
        (false, &[mtls(yes), valid(&[0]), san(id)]),
        (false, &[valid(yes), san(id)]),
        (true, &[mtls(&[0]), san(id)]),
        (true, &[mtls(b""), san(id)]),
        (true, &[mtls(yes), san(b"")]),
        (true, &[mtls(yes), san(b"spiffe://mesh/ns/a/\xff")]),
    ];
    for (by_listener, properties) in refused {
        let fate = with(by_listener, properties);
        assert!(matches!(fate, Fate::Replied(_)), "{properties:?}: {fate:?}");
    }
}

#[test]
fn a_one_use_token_passes_once() {
    let one_use = |edge: &Edge| {
        let mut config = config(edge);
        config["claims"]["issuers"][0]["one_use"] = json!({"claim": "jti", "entries": 100});
        config
    };
    vm(move |vm| {
        let edge = Edge::new("k");
        let root = vm.plugin(&one_use(&edge));
        let token = edge.token(&json!({"jti": "1"}));
        let headers = [(CLAIMS, token.as_slice())];
        // Denied for something else, it is not used up.
        vm.request(root, &get("/admin", &headers))
            .denied(403, "role");
        vm.request(root, &get(ORDERS, &headers)).passed();
        vm.request(root, &get(ORDERS, &headers))
            .denied(401, "replayed");
        // Another plugin of the VM with the same issuer, as after a new config, remembers it.
        let again = vm.plugin(&one_use(&edge));
        vm.request(again, &get(ORDERS, &headers))
            .denied(401, "replayed");
        // And what somebody else wrote to the shared data does not open the door.
        host(|host| {
            for (value, _) in host.shared.lock().unwrap().values_mut() {
                value.truncate(value.len() / 2);
            }
        });
        let fresh = edge.token(&json!({"jti": "2"}));
        vm.request(root, &get(ORDERS, &[(CLAIMS, &fresh)])).passed();
    });
}

#[test]
fn a_full_window_takes_tokens_again_once_no_config_accepts_the_old_ones() {
    vm(move |vm| {
        let edge = Edge::new("k");
        let mut config = config(&edge);
        config["claims"]["issuers"][0]["one_use"] = json!({"claim": "jti", "entries": 100});
        let root = vm.plugin(&config);
        let ask = |vm: &mut Vm, number: u64, exp: u64| {
            let token = edge.token(&json!({"jti": number.to_string(), "exp": exp}));
            vm.request(root, &get(ORDERS, &[(CLAIMS, &token)]))
        };
        let mut used = 0;
        while matches!(ask(vm, used, NOW + 60), Fate::Passed(_)) {
            used += 1;
            assert!(used <= 150, "the window does not fill");
        }
        // `exp` and the largest leeway, which is 5 minutes.
        vm.wait(359_000);
        ask(vm, used, NOW + 1_000).denied(503, "internal");
        vm.wait(1_000);
        ask(vm, used, NOW + 1_000).passed();
    });
}

#[test]
fn a_host_that_likes_every_signature_is_not_believed() {
    for answer in [
        &b"\x08\x01"[..],
        b"\x08\x00",
        b"",
        b"\xff",
        b"\x08\x01\x08\x01",
    ] {
        let fake = Host {
            signatures: Some(answer.to_vec()),
            ..Host::default()
        };
        vm_on(fake, |vm| {
            let (edge, other) = (Edge::new("k"), Edge::new("k"));
            let root = vm.plugin(&config(&edge));
            let (good, forged) = (edge.token(&json!({})), other.token(&json!({})));
            vm.request(root, &get(ORDERS, &[(CLAIMS, &forged)]))
                .denied(401, "signature_invalid");
            vm.request(root, &get(ORDERS, &[(CLAIMS, &good)])).passed();
            let says = host(|host| host.log_text());
            assert!(says.contains("the host verifies nothing"), "{says}");
        });
    }
}
