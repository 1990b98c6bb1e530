//! Callbacks of the host, and what client, upstream and logs see.

use serde_json::json;

use crate::fake::{Call, FAILURES, Fault, Host, host, value};
use crate::world::{
    CLAIMS, Edge, Fate, Header, Vm, config, get, host_with_keys, instances, remote_config, seen,
    vm, vm_on,
};

const ORDERS: &str = "/tenants/a/orders/1";

#[test]
fn an_allowed_request_goes_on_with_edited_headers() {
    vm(|vm| {
        let edge = Edge::new("k");
        let root = vm.plugin(&config(&edge));
        let token = edge.token(&json!({"cid": "signed-1"}));
        let sent = [
            (CLAIMS, token.as_slice()),
            ("x-auth-subject", b"root"),
            ("x_auth_roles", b"admin"),
            ("x-original-url", b"/admin"),
            ("x-correlation-id", b"mine"),
        ];
        let (fate, response, stream) = vm.exchange(root, &get(ORDERS, &sent));
        let headers = fate.passed();
        assert_eq!(seen(&headers, "x-auth-subject").as_deref(), Some("alice"));
        assert_eq!(seen(&headers, "x-auth-roles").as_deref(), Some("reader"));
        assert_eq!(instances(&headers, "x-auth-roles"), 1);
        assert_eq!(instances(&headers, "x-original-url"), 0);
        assert_eq!(seen(&headers, CLAIMS), None);
        for pairs in [&headers, &response] {
            let id = seen(pairs, "x-correlation-id");
            assert_eq!(id.as_deref(), Some("signed-1"));
        }
        let field = |name: &str| stream.filter_state[name].as_str();
        assert_eq!(field("edge_claims.correlation_id"), "signed-1");
        assert_eq!(field("edge_claims.verdict"), "allow/orders");
    });
}

#[test]
fn a_denied_request_is_answered() {
    vm(|vm| {
        let root = vm.plugin(&config(&Edge::new("k")));
        let sent = [("x-correlation-id", b"edge-17".as_slice())];
        let (fate, response, stream) = vm.exchange(root, &get(ORDERS, &sent));
        let reply = fate.denied(401, "claims_missing");
        assert_eq!(reply.details, "edge_claims_denied{claims_missing}{orders}");
        assert_eq!(reply.header("x-correlation-id").as_deref(), Some("edge-17"));
        let challenge = reply.header("www-authenticate");
        assert_eq!(challenge.as_deref(), Some("Bearer realm=\"mesh\""));
        assert!(
            reply.body.contains("\"code\":\"claims_missing\""),
            "{reply:?}"
        );
        let verdict = &stream.filter_state["edge_claims.verdict"];
        assert_eq!(verdict, "deny/claims_missing/orders");
        let id = seen(&response, "x-correlation-id");
        assert_eq!(id.as_deref(), Some("edge-17"));
        let grpc = ("content-type", b"application/grpc".as_slice());
        let fate = vm.request(root, &get(ORDERS, &[grpc]));
        assert_eq!(fate.denied(401, "claims_missing").grpc, 16);
    });
}

/// The key set of a server with that edge's key.
fn key_set(edge: &Edge) -> Vec<u8> {
    json!({"keys": [edge.jwk()]}).to_string().into_bytes()
}

/// A plugin whose first key fetch is under way, and a request with a body that waits.
fn waiting(vm: &mut Vm, edge: &Edge) -> (u32, u32) {
    let root = vm.plugin(&remote_config());
    vm.tick(root);
    let id = vm.stream(root);
    let token = edge.token(&json!({}));
    let sent = [(CLAIMS, token.as_slice()), ("content-length", b"9")];
    let fate = vm.send_headers(id, &get(ORDERS, &sent), false);
    assert_eq!(fate, Fate::Held);
    (root, id)
}

#[test]
fn a_request_that_waits_is_continued_with_its_body_and_trailers() {
    vm_on(host_with_keys(), |vm| {
        let edge = Edge::new("k");
        let (root, id) = waiting(vm, &edge);
        let call = host(|host| host.calls.clone()).remove(0);
        assert_eq!(value(&call.headers, ":path").as_deref(), Some("/jwks.json"));
        let authority = value(&call.headers, ":authority");
        assert_eq!(authority.as_deref(), Some("keys.example.com"));
        assert_eq!((call.timeout, call.cluster.as_str()), (2_000, "keys"));
        // Neither body nor trailers carry it on.
        assert!(!vm.send_body(id, 9));
        let trailers = [("x-auth-subject", b"root".as_slice()), ("x-sum", b"1")];
        assert_eq!(vm.send_trailers(id, &trailers), None);
        assert_eq!(vm.fate(id), Fate::Held);
        vm.answer(root, call.token, Some(("200", &key_set(&edge))));
        let headers = vm.fate(id).passed();
        assert_eq!(seen(&headers, "x-auth-subject").as_deref(), Some("alice"));
        assert_eq!(seen(&headers, CLAIMS), None);
        assert!(vm.send_body(id, 9));
        let left = vm.send_trailers(id, &trailers).expect("the trailers go on");
        assert_eq!(left, [(b"x-sum".to_vec(), b"1".to_vec())]);
        let response = vm.respond(id);
        let logged =
            host(|host| host.streams[&id].filter_state["edge_claims.correlation_id"].clone());
        assert_eq!(seen(&response, "x-correlation-id"), Some(logged));
        vm.end(id);
    });
}

#[test]
fn the_body_of_a_request_that_was_denied_after_it_waited_does_not_go_on() {
    vm_on(host_with_keys(), |vm| {
        let (root, id) = waiting(vm, &Edge::new("k"));
        let call = host(|host| host.calls[0].token);
        vm.answer(root, call, Some(("200", &key_set(&Edge::new("k")))));
        vm.fate(id).denied(401, "signature_invalid");
        assert!(!vm.send_body(id, 9));
        assert_eq!(vm.send_trailers(id, &[("x-sum", b"1")]), None);
        vm.end(id);
    });
}

#[test]
fn a_request_whose_client_leaves_while_it_waits_is_forgotten() {
    vm_on(host_with_keys(), |vm| {
        let edge = Edge::new("k");
        let (root, id) = waiting(vm, &edge);
        let call = host(|host| host.calls[0].token);
        vm.end(id);
        vm.answer(root, call, Some(("200", &key_set(&edge))));
        assert_eq!(vm.fate(id), Fate::Held, "nothing was done to it");
        let token = edge.token(&json!({}));
        vm.request(root, &get(ORDERS, &[(CLAIMS, &token)])).passed();
    });
}

#[test]
fn a_call_without_a_response_brings_no_keys() {
    vm_on(host_with_keys(), |vm| {
        let (root, id) = waiting(vm, &Edge::new("k"));
        let call = host(|host| host.calls[0].token);
        vm.answer(root, call, None);
        vm.wait(30_000);
        vm.tick(root);
        vm.fate(id).denied(503, "keys_unavailable");
    });
}

#[test]
fn reserved_trailers_are_removed_or_answered() {
    vm(|vm| {
        let mut config = config(&Edge::new("k"));
        let root = vm.plugin(&config);
        let public = get("/public/x", &[]);
        let trailers = [("x-auth-subject", b"root".as_slice()), ("x-sum", b"\xff")];
        let id = vm.stream(root);
        vm.send_headers(id, &public, false).passed();
        assert!(vm.send_body(id, 9));
        let left = vm.send_trailers(id, &trailers).expect("the trailers go on");
        assert_eq!(left, [(b"x-sum".to_vec(), b"\xff".to_vec())]);
        config["identity"]["on_spoof"] = json!("reject");
        let root = vm.plugin(&config);
        let id = vm.stream(root);
        let headers = vm.send_headers(id, &public, false).passed();
        assert_eq!(vm.send_trailers(id, &trailers), None);
        let reply = vm.fate(id).denied(400, "spoofed_header");
        let sent = seen(&headers, "x-correlation-id");
        assert_eq!(reply.header("x-correlation-id"), sent);
        assert!(!vm.send_body(id, 9));
    });
}

/// An earlier filter replied: response and log come to a stream without a request.
#[test]
fn a_stream_without_a_request_ends_without_an_edit() {
    vm(|vm| {
        let configured = vm.plugin(&config(&Edge::new("k")));
        let unconfigured = vm.root();
        for root in [configured, unconfigured] {
            let id = vm.stream(root);
            let response = vm.respond(id);
            assert_eq!(instances(&response, "x-correlation-id"), 0);
            vm.end(id);
            let id = vm.stream(root);
            vm.end(id);
        }
    });
}

/// One such byte in the SDK's own getters would end the VM.
#[test]
fn bytes_that_are_not_utf8_do_not_end_the_vm() {
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
                // The record of a denial shows some of them.
                vm.request(root, &get("/admin", &more)).denied(403, "role");
            }
        }
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
        vm.request(root, &[]).denied(400, "request_malformed");
    });
}

#[test]
fn a_peer_counts_only_if_its_certificate_was_validated() {
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
fn only_the_exact_answer_of_verify_signature_is_valid() {
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
        });
    }
}

#[test]
fn log_lines_reach_the_host_with_their_level() {
    vm(|vm| {
        let mut config = config(&Edge::new("k"));
        config["mode"] = json!("shadow");
        let root = vm.plugin(&config);
        vm.request(root, &get(ORDERS, &[])).passed();
        assert!(!vm.configure(root, "{}"));
        let level_of = |text: &str| {
            let found = host(|host| {
                host.log
                    .iter()
                    .find(|(_, line)| line.contains(text))
                    .cloned()
            });
            found.map(|(level, _)| level)
        };
        assert_eq!(level_of("config sha256"), Some(2));
        assert_eq!(level_of("\"outcome\":\"shadow\""), Some(2));
        assert_eq!(level_of("mode is shadow"), Some(3));
        assert_eq!(level_of("config refused"), Some(4));
    });
}

#[test]
fn a_config_is_refused_for_its_bytes_alone() {
    vm(|vm| {
        for text in ["", " ", "{}", "[]", "null", "{", "\u{0}", "{\"claims\":1}"] {
            let root = vm.root();
            assert!(!vm.configure(root, text), "{text:?}");
            // If the host runs the plugin all the same, it denies.
            vm.request(root, &get("/public/x", &[]))
                .denied(503, "internal");
            vm.tick(root);
        }
        let refused = host(|host| host.metric("edge_claims_config_refused_total"));
        assert_eq!(refused, Some(8));
    });
}

#[test]
fn a_config_that_the_host_does_not_return_denies_every_request() {
    for status in FAILURES {
        vm(move |vm| {
            let root = vm.root();
            let (call, only) = (Call::Buffer, None);
            host(|host| host.fault = Some(Fault { call, status, only }));
            // Accepted: if this worker alone refused it, its requests would pass unfiltered.
            assert!(vm.configure(root, &config(&Edge::new("k")).to_string()));
            vm.request(root, &get("/public/x", &[]))
                .denied(503, "internal");
        });
    }
}

#[test]
fn each_plugin_of_a_vm_decides_by_its_own_config() {
    vm(|vm| {
        let (one, two) = (Edge::new("k"), Edge::new("k"));
        let first = vm.plugin(&config(&one));
        let mut other = config(&two);
        other["claims"]["header"] = json!("x-other-claims");
        let second = vm.plugin(&other);
        let (token, foreign) = (one.token(&json!({})), two.token(&json!({})));
        let both = [(CLAIMS, token.as_slice()), ("x-other-claims", &foreign)];
        let headers = vm.request(second, &get(ORDERS, &both)).passed();
        // Each removes its own header and leaves that of the other.
        assert_eq!(instances(&headers, CLAIMS), 1);
        assert_eq!(instances(&headers, "x-other-claims"), 0);
        vm.request(first, &get(ORDERS, &[(CLAIMS, &foreign)]))
            .denied(401, "signature_invalid");
    });
}
