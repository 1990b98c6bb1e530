//! The shapes and terms against the policy itself.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::shapes::for_each_shape;
use super::terms::Rules;
use crate::claims::Claims;
use crate::config::{self, Config};
use crate::headers::Headers;
use crate::policy::authorize::Circumstances;
use crate::policy::locate::Target;
use crate::policy::principal::Principal;
use crate::policy::roles::RoleSet;

pub(in crate::cli) fn config(routes: &Value, includes: &Value) -> Config {
    let text = json!({
        "claims": {"issuers": [
            {"issuer": "a", "audiences": ["m"], "algorithms": ["HS256"], "keys": {"secrets": [{"env": "S"}]}},
            {"issuer": "b", "audiences": ["m"], "algorithms": ["HS256"], "keys": {"secrets": [{"env": "S"}]}},
        ]},
        "rbac": {"roles": {"claim": "roles", "includes": includes}, "routes": routes},
    });
    config::load(text.to_string().as_bytes()).unwrap()
}

/// Routes over few hosts, methods and segments, so that they overlap; ties and duplicates are left out.
pub(in crate::cli) fn routes() -> impl Strategy<Value = Value> {
    let host = prop::sample::select(vec!["", "a.x", "*.x", "b.a.x", "a.x:80", "*.a.x"]);
    let method = prop::sample::select(vec!["", "GET", "POST", "HEAD"]);
    let segment = prop::sample::select(vec!["a", "b", "{v}"]);
    let path = (
        prop::collection::vec(segment, 0..3),
        any::<bool>(),
        prop::bool::weighted(0.2),
    );
    let access = prop::sample::select(vec![
        json!("public"),
        json!("authenticated"),
        json!({"any_role": ["r1", "r2"]}),
        json!({"all_roles": ["r1", "r3"]}),
        json!([{"any_role": ["r2"]}, {"all_roles": ["r1", "r2"]}]),
        json!({"any_role": ["r1"], "issuers": ["a"]}),
        json!({"issuers": ["b"]}),
        json!({"scopes": {"claim": "scope", "all": ["s1"]}}),
        json!([{"scopes": {"claim": "scope", "all": ["s1", "s2"]}}, {"any_role": ["r3"]}]),
        json!({"audiences": ["n"]}),
    ]);
    prop::collection::vec((host, method, path, access), 1..7).prop_map(|rows| {
        let mut routes: Vec<Value> = Vec::new();
        for (host, method, (segments, tail, slash), access) in rows {
            let mut path = String::new();
            for (index, segment) in segments.iter().enumerate() {
                path.push('/');
                path.push_str(&segment.replace('v', &format!("v{index}")));
            }
            if tail {
                path.push_str("/{*rest}");
            } else if slash && !path.is_empty() {
                path.push('/');
            }
            if path.is_empty() {
                path.push('/');
            }
            let mut route =
                json!({"name": format!("r{}", routes.len()), "path": path, "allow": access});
            if !host.is_empty() {
                route["hosts"] = json!([host]);
            }
            if !method.is_empty() {
                route["methods"] = json!([method]);
            }
            if slash {
                route["path_rules"] = json!({"trailing_slash": "distinct"});
            }
            let same = |other: &Value| {
                let shape = |it: &Value| {
                    it["path"]
                        .as_str()
                        .unwrap()
                        .trim_end_matches('/')
                        .to_owned()
                };
                shape(other) == shape(&route)
                    && other["hosts"] == route["hosts"]
                    && other["methods"] == route["methods"]
            };
            if !routes.iter().any(same) {
                routes.push(route);
            }
        }
        Value::Array(routes)
    })
}

pub(in crate::cli) fn requests() -> impl Strategy<Value = (String, String, String)> {
    let host = prop::sample::select(vec![
        "a.x", "a.x:80", "a.x:81", "b.a.x", "c.a.x", "d.x", "q.y", "x",
    ]);
    let method = prop::sample::select(vec!["GET", "POST", "HEAD", "PUT"]);
    let segment = prop::sample::select(vec!["a", "b", "c"]);
    let path = (
        prop::collection::vec(segment, 0..4),
        prop::bool::weighted(0.3),
    );
    (host, method, path).prop_map(|(host, method, (segments, slash))| {
        let slash = if slash && !segments.is_empty() {
            "/"
        } else {
            ""
        };
        (
            host.to_owned(),
            method.to_owned(),
            format!("/{}{slash}", segments.join("/")),
        )
    })
}

pub(in crate::cli) fn claims() -> impl Strategy<Value = Value> {
    let roles = prop::collection::vec(prop::sample::select(vec!["r1", "r2", "r3", "r4"]), 0..3);
    let scopes = prop::collection::vec(prop::sample::select(vec!["s1", "s2"]), 0..3);
    let issuer = prop::sample::select(vec!["a", "b"]);
    let audience = prop::sample::select(vec!["m", "n"]);
    (roles, scopes, issuer, audience).prop_map(|(roles, scopes, issuer, audience)| {
        json!({"roles": roles, "scope": scopes.join(" "), "iss": issuer, "aud": audience})
    })
}

pub(in crate::cli) fn includes() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({}),
        json!({"r4": ["r2"]}),
        json!({"r4": ["r1"], "r1": ["r3"]}),
    ])
}

struct Caller {
    claims: Claims,
    roles: RoleSet,
    issuer: String,
}

impl Principal for Caller {
    fn claims(&self) -> &Claims {
        &self.claims
    }

    fn roles(&self) -> &RoleSet {
        &self.roles
    }

    fn issuer(&self) -> &str {
        &self.issuer
    }
}

/// The route that decides, and whether the request is allowed, as the pipeline decides it.
pub(in crate::cli) fn decide(
    config: &Config,
    (host, method, path): &(String, String, String),
    claims: Option<&Value>,
) -> (Option<usize>, bool) {
    let target = Target {
        method: method.as_bytes(),
        authority: host.as_bytes(),
        path: path.as_bytes(),
        ..Target::default()
    };
    let location = config.rbac.locate(&target).unwrap();
    let caller = claims.map(|claims| {
        let parsed = Claims::parse(claims.to_string().as_bytes())
            .unwrap()
            .unwrap();
        Caller {
            roles: config.rbac.roles.roles_of(&parsed),
            issuer: claims["iss"].as_str().unwrap().to_owned(),
            claims: parsed,
        }
    });
    let headers = Headers::new(&[]);
    let circumstances = Circumstances {
        headers: &headers,
        peers: &Vec::new,
        now: 0,
    };
    let allowed = config
        .rbac
        .authorize(&location, caller.as_ref(), &circumstances);
    (location.route.map(|id| id.index()), allowed.is_ok())
}

/// What a pair of policies decides about a shape: the two routes.
type Pair = (Option<usize>, Option<usize>);

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any request that matches a route of either policy has the same pair of routes as some shape.
    #[test]
    fn every_request_has_a_shape(
        old in routes(),
        new in routes(),
        requests in prop::collection::vec(requests(), 30),
    ) {
        let (old, new) = (config(&old, &json!({})), config(&new, &json!({})));
        let mut pairs: Vec<Pair> = Vec::new();
        let complete = for_each_shape(&[&old.rbac, &new.rbac], |shape| {
            let index = |config: &Config| shape.route(&config.rbac).map(|id| id.index());
            pairs.push((index(&old), index(&new)));
        });
        prop_assert!(complete);
        for request in &requests {
            let pair = (decide(&old, request, None).0, decide(&new, request, None).0);
            if pair != (None, None) {
                prop_assert!(pairs.contains(&pair), "{request:?} has {pair:?}");
            }
        }
    }

    /// If rules allow all terms of other rules, they allow all principals that these allow.
    #[test]
    fn rules_that_allow_the_terms_allow_the_principals(
        routes in routes(),
        includes in includes(),
        claims in prop::collection::vec(claims(), 12),
    ) {
        let config = config(&routes, &includes);
        let issuers = vec!["a".to_owned(), "b".to_owned()];
        let all = config.rbac.routes.routes();
        let rules = |route: usize| Rules {
            access: &all[route].access,
            path: Some(&all[route].path),
            roles: &config.rbac.roles,
            issuers: &issuers,
        };
        let allows = |route: usize, claims: Option<&Value>| {
            // A config with this route only, for every request.
            let mut only = routes.as_array().unwrap()[route].clone();
            only["path"] = json!("/{*rest}");
            for key in ["hosts", "methods", "path_rules"] {
                only.as_object_mut().unwrap().remove(key);
            }
            let config = self::config(&json!([only]), &includes);
            decide(&config, &("h".to_owned(), "GET".to_owned(), "/p".to_owned()), claims).1
        };
        for a in 0..all.len() {
            for b in 0..all.len() {
                let (rules_a, rules_b) = (rules(a), rules(b));
                let covered = rules_a.terms(Some(rules_b)).iter().all(|term| rules_b.allow(term, None));
                let differs = claims
                    .iter()
                    .map(Some)
                    .chain([None])
                    .find(|claims| allows(a, *claims) && !allows(b, *claims));
                if covered {
                    prop_assert!(differs.is_none(), "{a} {b}: {differs:?}");
                }
            }
        }
    }
}
