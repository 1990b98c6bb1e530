use serde_json::{Value, json};

use super::*;
use crate::cli::source::{FoundConfig, Source, configs_in, documents};

const ISSUER: &str = r#"{"issuers": [{"issuer": "e", "audiences": ["m"], "algorithms": ["HS256"], "keys": {"secrets": [{"env": "S"}]}}]}"#;

fn found(routes: &Value) -> FoundConfig {
    let claims: Value = serde_json::from_str(ISSUER).unwrap();
    let config = json!({"claims": claims, "rbac": {"roles": {"claim": "roles"}, "routes": routes}});
    let source = Source::new("config.json".to_owned(), config.to_string());
    configs_in(documents(&source).unwrap(), &source)
        .unwrap()
        .remove(0)
}

/// The rules that are broken, with the first line of the excerpt's message.
fn warnings(routes: &Value, hosts: &Value) -> Vec<(&'static str, String)> {
    let envoy =
        json!({"static_resources": {"listeners": [{"route_config": {"virtual_hosts": hosts}}]}});
    let source = Source::new("envoy.json".to_owned(), envoy.to_string());
    let found = found(routes);
    let config = found.load().unwrap();
    let tables: Vec<RouteTable> = documents(&source).unwrap().iter().flat_map(read).collect();
    assert_eq!(tables.len(), 1);
    let warnings = compare(&found, &config, &tables, &source).into_iter();
    warnings.map(|it| (it.rule, it.message)).collect()
}

fn host(domains: &[&str], routes: &[Value]) -> Value {
    json!({"name": "vh", "domains": domains, "routes": routes})
}

fn to(matcher: Value, cluster: &str) -> Value {
    json!({"match": matcher, "route": {"cluster": cluster}})
}

fn public() -> Value {
    json!({"name": "all", "path": "/{*rest}", "allow": "public"})
}

fn admin(path: &str) -> Value {
    json!({"name": "admin", "path": path, "allow": {"any_role": ["admin"]}})
}

#[test]
fn one_cluster_for_all_is_no_problem() {
    let hosts = json!([host(&["*"], &[to(json!({"prefix": "/"}), "web")])]);
    assert_eq!(warnings(&json!([public(), admin("/admin")]), &hosts), []);
}

#[test]
fn a_public_route_into_the_cluster_of_a_guarded_path_is_found() {
    let hosts = json!([host(
        &["*"],
        &[
            to(json!({"prefix": "/admin"}), "admin"),
            to(json!({"prefix": "/"}), "web")
        ]
    )]);
    let found = warnings(&json!([public(), admin("/admin")]), &hosts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "envoy_wider_route");
    assert!(
        found[0]
            .1
            .contains("is decided by the route all, but Envoy sends it to admin"),
        "{}",
        found[0].1
    );
    // The prefix of Envoy also matches /admin-other.
    let found = warnings(&json!([public(), admin("/admin/{*rest}")]), &hosts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.contains("/admin-other"), "{}", found[0].1);
    let separated = json!([host(
        &["*"],
        &[
            to(json!({"path_separated_prefix": "/admin"}), "admin"),
            to(json!({"prefix": "/"}), "web")
        ]
    )]);
    assert_eq!(
        warnings(&json!([public(), admin("/admin/{*rest}")]), &separated),
        []
    );
}

#[test]
fn a_match_that_ignores_case_is_wider() {
    let hosts = json!([host(
        &["*"],
        &[
            to(
                json!({"path_separated_prefix": "/admin", "case_sensitive": false}),
                "admin"
            ),
            to(json!({"prefix": "/"}), "web"),
        ]
    )]);
    let found = warnings(&json!([public(), admin("/admin/{*rest}")]), &hosts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.contains("/ADMIN"), "{}", found[0].1);
}

#[test]
fn a_virtual_host_for_a_guarded_host_is_narrower_than_a_route_for_every_host() {
    let mut guarded = admin("/x/{*rest}");
    guarded["hosts"] = json!(["admin.example.com"]);
    let hosts = json!([
        host(
            &["admin.example.com"],
            &[to(json!({"prefix": "/"}), "admin")]
        ),
        host(&["*"], &[to(json!({"prefix": "/"}), "web")]),
    ]);
    let found = warnings(&json!([public(), guarded]), &hosts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "envoy_wider_route");
    assert!(found[0].1.contains("admin.example.com"), "{}", found[0].1);
}

#[test]
fn a_rewrite_to_a_guarded_path_is_found() {
    let hosts = json!([host(
        &["*"],
        &[
            json!({"match": {"prefix": "/v2/"}, "route": {"cluster": "web", "prefix_rewrite": "/admin/"}}),
            to(json!({"prefix": "/"}), "web"),
        ]
    )]);
    let found = warnings(&json!([public(), admin("/admin/{*rest}")]), &hosts);
    assert_eq!(found[0].0, "envoy_rewrite", "{found:?}");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_route_without_the_filter_is_found() {
    let off = json!({"edge_claims": {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true}});
    let mut open = to(json!({"prefix": "/open"}), "web");
    open["typed_per_filter_config"] = off;
    let hosts = json!([host(&["*"], &[open, to(json!({"prefix": "/"}), "web")])]);
    let found = warnings(&json!([public()]), &hosts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "envoy_filter_disabled");
}

#[test]
fn a_filter_is_off_by_the_table_the_host_a_cluster_and_any_name() {
    let off = |name: &str| json!({name: {"disabled": true}});
    let on = json!({"edge": {"disabled": false}});
    let route = |config: Value| {
        let mut route = to(json!({"prefix": "/"}), "web");
        route["typed_per_filter_config"] = config;
        route
    };
    let mut of_host = host(&["*"], &[to(json!({"prefix": "/"}), "web")]);
    of_host["typed_per_filter_config"] = off("edge");
    let mut again = host(&["*"], &[route(on)]);
    again["typed_per_filter_config"] = off("edge");
    let weighted = json!({"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [
        {"name": "a", "weight": 1, "typed_per_filter_config": off("edge")}]}}});
    for (hosts, found) in [
        (json!([host(&["*"], &[route(off("authz"))])]), true),
        (
            json!([host(&["*"], &[route(off("envoy.filters.http.cors"))])]),
            false,
        ),
        (json!([of_host]), true),
        (json!([again]), false),
        (json!([host(&["*"], &[weighted])]), true),
    ] {
        let rules: Vec<&str> = warnings(&json!([public()]), &hosts)
            .iter()
            .map(|(rule, _)| *rule)
            .collect();
        assert_eq!(rules.contains(&"envoy_filter_disabled"), found, "{hosts}");
    }
}

#[test]
fn another_way_into_a_guarded_cluster_is_found() {
    let hosts = json!([host(
        &["*"],
        &[
            to(json!({"path_separated_prefix": "/admin"}), "admin"),
            to(json!({"path_separated_prefix": "/console"}), "admin"),
            to(json!({"prefix": "/"}), "web"),
        ]
    )]);
    let found = warnings(&json!([public(), admin("/admin/{*rest}")]), &hosts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].1.contains("/console is decided by the route all"),
        "{}",
        found[0].1
    );
    let variable = json!({"name": "one", "path": "/{p}", "allow": "public"});
    let prefix = json!([host(
        &["*"],
        &[
            to(json!({"prefix": "/admin"}), "admin"),
            to(json!({"prefix": "/"}), "web")
        ]
    )]);
    let found = warnings(&json!([variable, admin("/admin/{*rest}")]), &prefix);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_route_that_envoy_does_not_have_is_found() {
    let hosts = json!([host(
        &["shop.example.com"],
        &[to(json!({"path": "/a"}), "web")]
    )]);
    let routes = json!([
        {"name": "a", "path": "/a", "allow": "public"},
        {"name": "b", "path": "/b", "allow": "public"},
    ]);
    let found = warnings(&routes, &hosts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "envoy_no_route");
    assert!(found[0].1.ends_with("of the route b"), "{}", found[0].1);
}

#[test]
fn hosts_methods_and_further_conditions_are_those_of_envoy() {
    let get =
        json!({"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]});
    let flagged = json!({"prefix": "/", "headers": [{"name": "x-beta", "present_match": true}]});
    let envoy = json!({"virtual_hosts": [
        host(&["*.example.com"], &[to(get, "read"), to(flagged, "beta"), to(json!({"prefix": "/"}), "write")]),
        host(&["shop.example.com"], &[to(json!({"safe_regex": {"regex": "/x.*"}}), "regex")]),
        host(&["shop.*", "*"], &[to(json!({"prefix": "/"}), "rest")]),
    ]});
    let source = Source::new("envoy.json".to_owned(), envoy.to_string());
    let table = read(&documents(&source).unwrap()[0]).remove(0);
    let clusters = |host: &str, method: &str| -> Vec<String> {
        let shape = crate::cli::analysis::shapes::Shape {
            host: host.to_owned(),
            method: method.to_owned(),
            path: "/".to_owned(),
        };
        let routes = table.routes_of(&shape).into_iter();
        routes
            .map(|route| match &route.target {
                Target::Cluster(name) => name.clone(),
                Target::NotForwarded => String::new(),
            })
            .collect()
    };
    assert_eq!(clusters("a.example.com", "GET"), ["read"]);
    assert_eq!(clusters("a.example.com:8443", "POST"), ["beta", "write"]);
    assert_eq!(clusters("shop.example.com", "GET"), ["regex"]);
    assert_eq!(clusters("shop.other", "GET"), ["rest"]);
}
