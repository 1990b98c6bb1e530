//! Configs, contexts and callbacks in unusual orders.

use serde_json::json;

use crate::fake::{Call, FAILURES, Fault, host};
use crate::world::{CLAIMS, Edge, NOW, config, get, instances, vm};

#[test]
fn a_bad_config_is_refused_with_every_place_named() {
    vm(|vm| {
        let root = vm.root();
        let mut bad = config(&Edge::new("k"));
        bad["claims"]["issuers"][0]["audience"] = json!("x");
        bad["rbac"]["routes"][1]["allow"]["any_role"] = json!([]);
        bad["mode"] = json!("off");
        assert!(!vm.configure(root, &bad.to_string()));
        let log = host(|host| host.log_text());
        for place in [
            "claims.issuers[0].audience: unknown key, did you mean `audiences`?",
            "rbac.routes[1].allow.any_role: is empty",
            "mode: \"off\" is not allowed",
        ] {
            assert!(log.contains(place), "{place} is not in\n{log}");
        }
        let refused = host(|host| host.metric("edge_claims_config_refused_total"));
        assert_eq!(refused, Some(1));
        // Should Envoy run the plugin all the same, it denies.
        vm.request(root, &get("/public/x", &[]))
            .denied(503, "internal");
    });
}

#[test]
fn what_is_no_config_is_refused() {
    vm(|vm| {
        for text in [
            "",
            " ",
            "{}",
            "[]",
            "null",
            "\"x\"",
            "{",
            "\u{0}",
            "{\"claims\":1}",
        ] {
            let root = vm.root();
            assert!(!vm.configure(root, text), "{text:?}");
        }
    });
}

#[test]
fn before_any_config_every_request_is_denied() {
    vm(|vm| {
        let root = vm.root();
        vm.request(root, &get("/public/x", &[]))
            .denied(503, "internal");
        vm.tick(root);
    });
}

/// Denied for a failure, a request must not stand in the access log as allowed, nor as one that never
/// came by the filter.
#[test]
fn a_failure_is_a_denial_in_the_access_log_too() {
    vm(|vm| {
        let root = vm.root();
        let (_, _, stream) = vm.exchange(root, &get("/public/x", &[]));
        assert_eq!(
            stream.filter_state["edge_claims.verdict"],
            "deny/internal/-"
        );
        let edge = Edge::new("k");
        let root = vm.plugin(&config(&edge));
        let token = edge.token(&json!({}));
        for call in [Call::ReplaceHeader, Call::RemoveHeader, Call::HeaderPairs] {
            let (status, only) = (10, None);
            host(|host| host.fault = Some(Fault { call, status, only }));
            let headers = get("/tenants/a/orders", &[(CLAIMS, &token)]);
            let (fate, _, stream) = vm.exchange(root, &headers);
            fate.denied(503, "internal");
            let verdict = &stream.filter_state["edge_claims.verdict"];
            assert_eq!(verdict, "deny/internal/-", "{call:?}");
        }
    });
}

#[test]
fn a_config_that_the_host_withholds_denies_on_every_worker_alike() {
    for status in FAILURES {
        vm(move |vm| {
            let root = vm.root();
            let only = None;
            host(|host| {
                host.fault = Some(Fault {
                    call: Call::Buffer,
                    status,
                    only,
                });
            });
            // Accepted: were this worker alone to refuse, its requests would pass without the filter.
            assert!(vm.configure(root, &config(&Edge::new("k")).to_string()));
            vm.request(root, &get("/public/x", &[]))
                .denied(503, "internal");
        });
    }
}

#[test]
fn a_refused_config_leaves_the_last_one_in_force() {
    vm(|vm| {
        let edge = Edge::new("k");
        let root = vm.plugin(&config(&edge));
        assert!(!vm.configure(root, "{}"));
        vm.request(root, &get("/public/x", &[])).passed();
        vm.request(root, &get("/admin", &[]))
            .denied(401, "claims_missing");
    });
}

#[test]
fn two_plugins_in_one_vm_decide_each_by_its_own_config() {
    vm(|vm| {
        let (one, two) = (Edge::new("k"), Edge::new("k"));
        let first = vm.plugin(&config(&one));
        let mut other = config(&two);
        other["claims"]["header"] = json!("x-other-claims");
        other["rbac"]["routes"][0]["allow"] = json!({"any_role": ["reader"]});
        let second = vm.plugin(&other);
        let (token, foreign) = (one.token(&json!({})), two.token(&json!({})));
        vm.request(first, &get("/public/x", &[])).passed();
        vm.request(second, &get("/public/x", &[]))
            .denied(401, "claims_missing");
        let both = [(CLAIMS, token.as_slice()), ("x-other-claims", &foreign)];
        let headers = vm.request(second, &get("/public/x", &both)).passed();
        // Each takes its own header and leaves the other's.
        assert_eq!(instances(&headers, CLAIMS), 1);
        assert_eq!(instances(&headers, "x-other-claims"), 0);
        vm.request(first, &get("/tenants/a/orders", &[(CLAIMS, &foreign)]))
            .denied(401, "signature_invalid");
    });
}

/// An earlier filter replied: the response and the log come to a stream without a request.
#[test]
fn a_stream_that_never_saw_a_request_ends_in_peace() {
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

#[test]
fn without_a_clock_nothing_passes() {
    for status in FAILURES {
        vm(move |vm| {
            let edge = Edge::new("k");
            let root = vm.plugin(&config(&edge));
            let token = edge.token(&json!({}));
            let orders = get("/tenants/a/orders", &[(CLAIMS, &token)]);
            vm.request(root, &orders).passed();
            let fault = Fault {
                call: Call::Clock,
                status,
                only: None,
            };
            host(|host| host.fault = Some(fault));
            vm.request(root, &orders).denied(503, "internal");
            vm.request(root, &get("/public/x", &[]))
                .denied(503, "internal");
            vm.tick(root);
            host(|host| host.fault = None);
            vm.request(root, &orders).passed();
        });
    }
}

#[test]
fn a_clock_at_either_end_of_time_is_no_reason_to_trust() {
    vm(|vm| {
        let edge = Edge::new("k");
        let root = vm.plugin(&config(&edge));
        let token = edge.token(&json!({}));
        let orders = get("/tenants/a/orders", &[(CLAIMS, &token)]);
        for (now, reason) in [(0, "not_yet_valid"), (u64::MAX, "expired")] {
            host(|host| host.now = now);
            vm.request(root, &orders).denied(401, reason);
            vm.tick(root);
        }
        host(|host| host.now = NOW * 1_000_000_000);
        vm.request(root, &orders).passed();
    });
}

#[test]
fn metrics_are_told_on_the_tick() {
    vm(|vm| {
        let edge = Edge::new("k");
        let root = vm.plugin(&config(&edge));
        let allowed = "decision=.=allow;.;reason=.=none;.;edge_claims_requests_total";
        let denied = "decision=.=deny;.;reason=.=claims_missing;.;edge_claims_requests_total";
        let told = |name: &str| host(|host| host.metric(name));
        assert_eq!(told(allowed), Some(0), "there before anything happens");
        vm.request(root, &get("/public/x", &[])).passed();
        let before = host(|host| host.made.get(&Call::IncrementMetric).copied());
        vm.request(root, &get("/admin", &[]))
            .denied(401, "claims_missing");
        let after = host(|host| host.made.get(&Call::IncrementMetric).copied());
        assert_eq!(before, after, "no metric call on a request's way");
        vm.tick(root);
        vm.tick(root);
        assert_eq!((told(allowed), told(denied)), (Some(1), Some(1)));
    });
}

#[test]
fn no_token_is_ever_logged() {
    vm(|vm| {
        let edge = Edge::new("k");
        let mut config = config(&edge);
        config["log"] = json!({"allow": 1.0, "deny": 1.0});
        let root = vm.plugin(&config);
        let token = edge.token(&json!({"secret": "hush"}));
        for path in ["/public/x", "/admin", "/tenants/a/orders?t=1", "/%00"] {
            let headers = get(path, &[(CLAIMS, &token)]);
            vm.request(root, &headers);
        }
        let log = host(|host| host.log_text());
        assert!(log.contains("\"verdict\""), "the records are there: {log}");
        let token = String::from_utf8(token).unwrap();
        for part in token.split('.') {
            assert!(!log.contains(part), "{log}");
        }
        assert!(!log.contains("hush"), "{log}");
    });
}
