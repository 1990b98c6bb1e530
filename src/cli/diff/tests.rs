use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::cli::analysis::tests::{claims, config, decide, includes, requests, routes};
use crate::json::Json;

fn gained(old: &Value, new: &Value) -> Vec<(Option<String>, Option<String>, Vec<String>)> {
    let difference = compare(&config(old, &json!({})), &config(new, &json!({})));
    assert!(difference.complete);
    let changes = difference.changes.into_iter();
    changes
        .map(|change| (change.old, change.new, change.gained))
        .collect()
}

fn route(name: &str, path: &str, allow: Value) -> Value {
    json!({"name": name, "path": path, "allow": allow})
}

#[test]
fn equal_configs_have_no_difference() {
    let routes = json!([
        route("a", "/a/{*rest}", json!({"any_role": ["x"]})),
        route("b", "/{x}", json!("public"))
    ]);
    assert_eq!(gained(&routes, &routes), []);
}

#[test]
fn a_looser_rule_names_who_gains() {
    let old = json!([route(
        "a",
        "/a",
        json!({"any_role": ["x"], "scopes": {"claim": "scope", "all": ["s"]}})
    )]);
    let new = json!([route("a", "/a", json!({"any_role": ["x", "y"]}))]);
    let route = Some("a".to_owned());
    assert_eq!(
        gained(&old, &new),
        [(
            route.clone(),
            route.clone(),
            vec!["role x".to_owned(), "role y".to_owned()]
        )]
    );
    // The other way round nobody gains, and both lose.
    let difference = compare(&config(&new, &json!({})), &config(&old, &json!({})));
    assert_eq!(difference.changes[0].gained, [""; 0]);
    assert_eq!(difference.changes[0].lost, ["role x", "role y"]);
}

#[test]
fn removing_a_narrow_route_lets_the_wide_one_decide() {
    let wide = route("all", "/{*rest}", json!("public"));
    let old = json!([
        wide,
        route("admin", "/admin/{*rest}", json!({"any_role": ["admin"]}))
    ]);
    let changes = gained(&old, &json!([wide]));
    assert_eq!(
        changes,
        [(
            Some("admin".to_owned()),
            Some("all".to_owned()),
            vec!["anyone".to_owned()]
        )]
    );
}

#[test]
fn an_included_role_is_a_gain() {
    let routes = json!([route("a", "/a", json!({"any_role": ["x"]}))]);
    let old = config(&routes, &json!({}));
    let new = config(&routes, &json!({"boss": ["x"]}));
    assert_eq!(compare(&old, &new).changes[0].gained, ["role boss"]);
    assert_eq!(compare(&new, &old).changes[0].gained, [""; 0]);
    assert_eq!(compare(&new, &old).changes[0].lost, ["role boss"]);
}

#[test]
fn of_roles_that_include_each_other_the_fewest_are_named() {
    let routes = json!([route("a", "/a", json!({"all_roles": ["x", "y"]}))]);
    let new = config(&routes, &json!({"x": ["y"], "z": ["x"]}));
    let old = config(&json!([route("b", "/b", json!("public"))]), &json!({}));
    let changes = compare(&old, &new).changes;
    assert_eq!(
        changes.iter().find(|it| it.new.is_some()).unwrap().gained,
        ["role x"]
    );
}

#[test]
fn shadow_mode_lets_everyone_pass() {
    let mut new = route("a", "/a", json!({"any_role": ["x"]}));
    let old = json!([new.clone()]);
    new["mode"] = json!("shadow");
    let route = Some("a".to_owned());
    assert_eq!(
        gained(&old, &json!([new])),
        [(route.clone(), route, vec!["anyone".to_owned()])]
    );
}

#[test]
fn variables_are_compared_by_their_position() {
    let old = json!([route(
        "a",
        "/t/{tenant}",
        json!({"bind": {"tenant": ["t"]}})
    )]);
    let renamed = json!([route("a", "/t/{id}", json!({"bind": {"id": ["t"]}}))]);
    assert_eq!(gained(&old, &renamed), []);
    let other = json!([route(
        "a",
        "/t/{tenant}",
        json!({"bind": {"tenant": ["u"]}})
    )]);
    assert_eq!(gained(&old, &other)[0].2, ["{tenant} = claim u"]);
}

#[test]
fn conditions_are_compared_by_all_and_any() {
    let when = |test: Value| json!([route("a", "/a", json!({"when": test}))]);
    let (a, b) = (
        json!({"claim": "a", "equals": 1}),
        json!({"claim": "b", "equals": 2}),
    );
    let all = when(json!({"all": [a, b]}));
    let any = when(json!({"any": [b, a]}));
    assert_eq!(
        gained(&when(a.clone()), &all),
        [(Some("a".to_owned()), Some("a".to_owned()), vec![])]
    );
    assert_eq!(gained(&any, &when(a.clone()))[0].2, [""; 0]);
    assert_eq!(gained(&when(a), &any)[0].2.len(), 1);
}

/// Pairs of configs from a review, in which somebody gains although names and settings look unchanged.
#[test]
fn gains_that_hide_are_found() {
    let role = json!({"any_role": ["x"]});
    let hosts = |host: &str, mut route: Value| {
        route["hosts"] = json!([host]);
        route
    };
    let with = |key: &str, value: Value, mut route: Value| {
        route[key] = value;
        route
    };
    let wide = || route("wide", "/{*rest}", role.clone());
    let bind = |name: &str| json!({"bind": {name: ["t"]}});
    let cases = [
        (
            "a host with the name of a representative",
            json!([
                hosts("*.e.com", route("h1", "/{*r}", role.clone())),
                hosts("other.e.com", route("h2", "/x", json!("public")))
            ]),
            json!([
                hosts("*.e.com", route("h1", "/{*r}", json!("public"))),
                hosts("other.e.com", route("h2", "/x", json!("public")))
            ]),
        ),
        (
            "a route for the other host",
            json!([
                route("h1", "/{*r}", role.clone()),
                hosts("other.invalid", route("h2", "/{*r}", json!("public")))
            ]),
            json!([
                route("h1", "/{*r}", json!("public")),
                hosts("other.invalid", route("h2", "/{*r}", json!("public")))
            ]),
        ),
        (
            "a tail is not a segment",
            json!([route("t", "/t/{*rest}", bind("rest"))]),
            json!([
                route("t", "/t/{*rest}", bind("rest")),
                route("n", "/t/{a}/{b}", bind("a"))
            ]),
        ),
        (
            "another route decides, with a percentage",
            json!([
                route("admin", "/admin/{*r}", role.clone()),
                with("enforce_percent", json!(50), wide())
            ]),
            json!([with("enforce_percent", json!(50), wide())]),
        ),
        (
            "another route decides, with looser path rules",
            json!([
                route("a", "/a/{*r}", role.clone()),
                with("path_rules", json!({"semicolon": "keep"}), wide())
            ]),
            json!([with("path_rules", json!({"semicolon": "keep"}), wide())]),
        ),
    ];
    for (what, old, new) in cases {
        let difference = compare(&config(&old, &json!({})), &config(&new, &json!({})));
        assert!(difference.changes.iter().any(Change::allows_more), "{what}");
    }
}

#[test]
fn a_route_beside_kept_paths_may_accept_more() {
    let file = json!({"name": "f", "path": "/files/{name}", "path_rules": {"encoded_slash": "keep"}, "allow": "public"});
    let post =
        json!({"name": "p", "path": "/files/new/{name}", "methods": ["POST"], "allow": "public"});
    let old = config(&json!([file, post]), &json!({}));
    let new = config(&json!([file]), &json!({}));
    assert!(route_rules::kept_paths(&old, &new).is_some());
    assert!(route_rules::kept_paths(&new, &new).is_none());
}

#[test]
fn a_route_that_is_no_longer_for_peers_only_allows_preflights() {
    let with_cors = |allow: Value| {
        let text = json!({
            "claims": {"issuers": [{"issuer": "a", "audiences": ["m"], "algorithms": ["HS256"], "keys": {"secrets": [{"env": "S"}]}}]},
            "rbac": {"roles": {"claim": "roles"}, "cors_preflight": "allow", "routes": [route("a", "/a", allow)]},
        });
        crate::config::load(text.to_string().as_bytes()).unwrap()
    };
    let peers = with_cors(json!({"peers": ["spiffe://td/x"]}));
    let both = with_cors(json!({"peers": ["spiffe://td/x"], "any_role": ["r"]}));
    let change = &compare(&peers, &both).changes[0];
    assert_eq!(
        change.looser,
        ["CORS preflights are allowed without claims"]
    );
    assert_eq!(
        compare(&both, &peers).changes[0].stricter,
        ["CORS preflights need claims"]
    );
}

#[test]
fn too_many_requests_or_roles_are_not_taken_for_compared() {
    let routes: Vec<Value> = (0..22)
        .map(|at| {
            let segments: Vec<String> = (0..22)
                .map(|it| {
                    if it == at {
                        "lit".to_owned()
                    } else {
                        format!("{{v{it}}}")
                    }
                })
                .collect();
            route(
                &format!("r{at}"),
                &format!("/{}", segments.join("/")),
                json!("public"),
            )
        })
        .collect();
    let many = config(&Value::Array(routes), &json!({}));
    let difference = compare(&many, &many);
    assert!(!difference.complete && difference.allows_more());
    let names: Vec<String> = (0..24).map(|it| format!("r{it}")).collect();
    let includes: serde_json::Map<String, Value> = names
        .iter()
        .flat_map(|name| (0..3).map(move |it| (format!("{name}-{it}"), json!([name]))))
        .collect();
    let many = config(
        &json!([route("a", "/a", json!({"all_roles": names}))]),
        &Value::Object(includes),
    );
    let difference = compare(&many, &many);
    assert!(!difference.complete && difference.allows_more());
}

fn setting_changes(old: &Value, new: &Value) -> Vec<(String, settings::Effect)> {
    let json = |value: &Value| Json::parse(value.to_string().as_bytes()).unwrap();
    let changes = settings::compare(&json(old), &json(new)).into_iter();
    changes.map(|change| (change.path, change.effect)).collect()
}

#[test]
fn settings_are_compared_by_what_they_allow() {
    use settings::Effect::{Less, More, Other, Unknown};
    let issuer = |change: Value| {
        let mut issuer = json!({"issuer": "e", "audiences": ["a"], "algorithms": ["ES256"]});
        issuer
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        json!({"claims": {"issuers": [issuer]}})
    };
    let base = issuer(json!({}));
    for (change, path, there, back) in [
        (
            json!({"audiences": ["a", "b"]}),
            "claims.issuers[e].audiences",
            More,
            Less,
        ),
        (
            json!({"algorithms": ["ES256", "RS256"]}),
            "claims.issuers[e].algorithms",
            More,
            Less,
        ),
        (
            json!({"max_lifetime": "5m"}),
            "claims.issuers[e].max_lifetime",
            Less,
            More,
        ),
        (
            json!({"leeway": "20s"}),
            "claims.issuers[e].leeway",
            More,
            Less,
        ),
        (
            json!({"leeway": "5s"}),
            "claims.issuers[e].leeway",
            Less,
            More,
        ),
        (
            json!({"require": ["jti"]}),
            "claims.issuers[e].require",
            Less,
            More,
        ),
        (
            json!({"revoked": {"kids": ["k"]}}),
            "claims.issuers[e].revoked.kids",
            Less,
            More,
        ),
        (
            json!({"bind": {"method": "m"}}),
            "claims.issuers[e].bind.method",
            Less,
            Unknown,
        ),
        (
            json!({"keys": {"inline": {"keys": []}}}),
            "claims.issuers[e].keys.inline",
            Unknown,
            Unknown,
        ),
    ] {
        let new = issuer(change);
        assert_eq!(setting_changes(&base, &new), [(path.to_owned(), there)]);
        assert_eq!(setting_changes(&new, &base), [(path.to_owned(), back)]);
    }
    for (old, new, path, effect) in [
        (json!({}), json!({"mode": "shadow"}), "mode", More),
        (json!({"mode": "shadow"}), json!({}), "mode", Less),
        (
            json!({}),
            json!({"rbac": {"path": {"semicolon": "keep"}}}),
            "rbac.path.semicolon",
            More,
        ),
        (
            json!({"rbac": {"path": {"semicolon": "keep"}}}),
            json!({}),
            "rbac.path.semicolon",
            Less,
        ),
        (
            json!({}),
            json!({"rbac": {"cors_preflight": "allow"}}),
            "rbac.cors_preflight",
            More,
        ),
        (json!({}), json!({"log": {"allow": 1}}), "log.allow", Other),
        (json!({"claims": {"max_bytes": 8192}}), json!({}), "", Other),
        (
            json!({}),
            json!({"identity": {"headers": {"x-user": ["nickname"]}}}),
            "identity.headers",
            Unknown,
        ),
        (
            json!({}),
            json!({"claims": {"issuers": [{"issuer": "x"}]}}),
            "claims.issuers[x]",
            More,
        ),
        (
            json!({"claims": {"issuers": [{"issuer": "x"}]}}),
            json!({}),
            "claims.issuers[x]",
            Less,
        ),
        (json!({}), json!({"tests": [1]}), "", Other),
    ] {
        let expected = if path.is_empty() {
            vec![]
        } else {
            vec![(path.to_owned(), effect)]
        };
        assert_eq!(setting_changes(&old, &new), expected, "{new}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whoever is allowed by the new config and not by the old one is in the difference: for the routes that
    /// decided and decide, and with an example that the same routes decide.
    #[test]
    fn the_pipeline_finds_no_change_that_the_difference_does_not_have(
        old in routes(), new in routes(), old_includes in includes(), new_includes in includes(),
        requests in prop::collection::vec((requests(), claims(), any::<bool>()), 40),
    ) {
        let (old, new) = (config(&old, &old_includes), config(&new, &new_includes));
        let difference = compare(&old, &new);
        prop_assert!(difference.complete);
        let name = |config: &Config, index: Option<usize>| {
            index.map(|index| config.rbac.routes.routes()[index].name.clone())
        };
        for (request, claims, anonymous) in &requests {
            let claims = (!anonymous).then_some(claims);
            let (before, was_allowed) = decide(&old, request, claims);
            let (now, is_allowed) = decide(&new, request, claims);
            if was_allowed == is_allowed {
                continue;
            }
            let pair = (name(&old, before), name(&new, now));
            let found = difference.changes.iter().find(|change| (change.old.clone(), change.new.clone()) == pair);
            let found = found.map(|change| if is_allowed { &change.gained } else { &change.lost });
            prop_assert!(found.is_some_and(|who| !who.is_empty()), "{request:?} {claims:?}: {pair:?}");
        }
    }

    /// Each gain has a user: with the roles, scopes, issuer and audience that it names, the example is denied by
    /// the old config and allowed by the new one.
    #[test]
    fn each_gain_is_one(old in routes(), new in routes(), old_includes in includes(), new_includes in includes()) {
        let (old, new) = (config(&old, &old_includes), config(&new, &new_includes));
        for change in compare(&old, &new).changes {
            for (who, gains) in change.gained.iter().map(|who| (who, true)).chain(change.lost.iter().map(|who| (who, false))) {
                let claims = user(who);
                for shape in &change.shapes {
                    let request = (shape.host.clone(), shape.method.clone(), shape.path.clone());
                    let was = decide(&old, &request, claims.as_ref()).1;
                    let is = decide(&new, &request, claims.as_ref()).1;
                    prop_assert_eq!((was, is), (!gains, gains), "{}: {:?}", who, shape);
                }
            }
        }
    }
}

/// The claims of a user as the difference describes them.
fn user(who: &str) -> Option<Value> {
    if who == "anyone" {
        return None;
    }
    let (mut roles, mut scopes, mut issuer, mut audience) = (Vec::new(), Vec::new(), "a", "m");
    for part in who.split(", ") {
        match part.split_once(' ').unwrap() {
            ("role" | "roles", names) => roles.extend(names.split(" and ")),
            ("scope", name) => scopes.push(name),
            ("issuer", name) => issuer = name,
            ("audience", name) => audience = name,
            ("any", _) => {}
            other => panic!("{other:?}"),
        }
    }
    Some(json!({"roles": roles, "scope": scopes.join(" "), "iss": issuer, "aud": audience}))
}
