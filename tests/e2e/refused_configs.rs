//! Configs that could never do what they say are refused when they are loaded.

use edge_claims_harness::Reload;
use serde_json::{Value, json};

use crate::support::{ISSUER, World, issuer, policy};

/// An Envoy that is given one config after the other.
struct Loader(World);

impl Loader {
    fn start() -> Self {
        Self(World::start())
    }

    /// Loads the usual policy with a change; what Envoy says where it is refused.
    fn load(&mut self, change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let mut policy = policy(&[issuer(ISSUER, &[&self.0.key])]);
        change(&mut policy);
        let result = self
            .0
            .envoy
            .reload(|setup| setup.without_filters().plugin(&policy));
        match result {
            Reload::Accepted => Ok(()),
            Reload::Rejected(problem) => Err(problem),
        }
    }

    #[track_caller]
    fn refuses(&mut self, place: &str, change: impl FnOnce(&mut Value)) {
        let problem = self.load(change).expect_err(place);
        assert!(problem.contains(place), "{place} is not in {problem}");
    }
}

#[test]
fn a_method_with_lower_case_letters() {
    let mut loader = Loader::start();
    for method in ["delete", "Delete", "dELETE"] {
        loader.refuses("rbac.routes[2].methods[0]", |policy| {
            policy["rbac"]["routes"][2]["methods"] = json!([method]);
        });
    }
}

#[test]
fn an_identity_header_that_may_bring_a_correlation_id() {
    let mut loader = Loader::start();
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
        let problem = loader.load(accept(name)).expect_err(name);
        // It is wrong of one of the two, whichever is named.
        assert!(
            problem.contains("correlation.accept[1]: ") || problem.contains("identity.headers."),
            "{name}: {problem}"
        );
    }
    loader.load(accept("x-auth-subjects")).unwrap();
}

#[test]
fn a_failure_that_no_route_can_have() {
    let mut loader = Loader::start();
    for reason in ["route_unknown", "spoofed_header"] {
        let place = format!("rbac.routes[1].on_failure.{reason}");
        loader.refuses(&place, |policy| {
            policy["rbac"]["routes"][1]["on_failure"] = json!({reason: 404});
        });
    }
    loader
        .load(|policy| {
            policy["rbac"]["routes"][1]["on_failure"] = json!({"role": 404, "expired": 403});
        })
        .unwrap();
}

#[test]
fn a_way_with_ports_that_is_none() {
    let mut loader = Loader::start();
    loader.refuses("rbac.authority_port", |policy| {
        policy["rbac"]["authority_port"] = json!("ignore");
    });
    for host in [
        "shop.example.com:",
        "shop.example.com:0x50",
        "shop.example.com:65536",
    ] {
        loader.refuses("rbac.routes[0].hosts[0]", |policy| {
            policy["rbac"]["routes"][0]["hosts"] = json!([host]);
        });
    }
    for setting in ["strip", "keep"] {
        loader
            .load(|policy| {
                policy["rbac"]["authority_port"] = json!(setting);
                policy["rbac"]["routes"][0]["hosts"] =
                    json!(["shop.example.com", "shop.example.com:8443"]);
            })
            .unwrap();
    }
}
