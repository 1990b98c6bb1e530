//! Configs that could never do what they say are refused when they are loaded.

use edge_claims_harness::tokens::Key;
use edge_claims_harness::{Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{ISSUER, issuer, policy};

/// Loads the usual policy with a change; what Envoy says where it is refused.
fn load(change: impl FnOnce(&mut Value)) -> Result<(), String> {
    let upstream = Upstream::start();
    let key = Key::generate("ES256", "k1");
    let mut policy = policy(&[issuer(ISSUER, &[&key])]);
    change(&mut policy);
    let envoy = Setup::new(&upstream).plugin(&policy).try_start()?;
    envoy.finish();
    Ok(())
}

#[track_caller]
fn refused(place: &str, change: impl FnOnce(&mut Value)) {
    let problem = load(change).expect_err(place);
    assert!(problem.contains(place), "{place} is not in {problem}");
}

#[test]
fn a_method_with_lower_case_letters() {
    for method in ["delete", "Delete", "dELETE"] {
        refused("rbac.routes[2].methods[0]", |policy| {
            policy["rbac"]["routes"][2]["methods"] = json!([method]);
        });
    }
}

#[test]
fn an_identity_header_that_may_bring_a_correlation_id() {
    let accept = |name: &'static str| {
        move |policy: &mut Value| {
            policy["correlation"] = json!({"accept": ["x-correlation-id", name]});
        }
    };
    for name in [
        "x-auth-subject",
        "X-Auth-Subject",
        "x_auth_subject",
        "x.auth.subject",
    ] {
        let problem = load(accept(name)).expect_err(name);
        // It is wrong of one of the two, whichever is named.
        assert!(
            problem.contains("correlation.accept[1]: ") || problem.contains("identity.headers."),
            "{name}: {problem}"
        );
    }
    load(accept("x-auth-subjects")).unwrap();
}

#[test]
fn a_failure_that_no_route_can_have() {
    for reason in ["route_unknown", "spoofed_header"] {
        let place = format!("rbac.routes[1].on_failure.{reason}");
        refused(&place, |policy| {
            policy["rbac"]["routes"][1]["on_failure"] = json!({reason: 404});
        });
    }
    load(|policy| {
        policy["rbac"]["routes"][1]["on_failure"] = json!({"role": 404, "expired": 403});
    })
    .unwrap();
}

#[test]
fn a_way_with_ports_that_is_none() {
    refused("rbac.authority_port", |policy| {
        policy["rbac"]["authority_port"] = json!("ignore");
    });
    for host in [
        "shop.example.com:",
        "shop.example.com:0x50",
        "shop.example.com:65536",
    ] {
        refused("rbac.routes[0].hosts[0]", |policy| {
            policy["rbac"]["routes"][0]["hosts"] = json!([host]);
        });
    }
    for setting in ["strip", "keep"] {
        load(|policy| {
            policy["rbac"]["authority_port"] = json!(setting);
            policy["rbac"]["routes"][0]["hosts"] =
                json!(["shop.example.com", "shop.example.com:8443"]);
        })
        .unwrap();
    }
}
