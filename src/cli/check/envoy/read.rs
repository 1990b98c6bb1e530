//! Reads Envoy's route tables from a bootstrap, a listener, a route configuration or a `config_dump`.

use super::{EnvoyRoute, MethodMatch, PathMatch, RouteTable, Target, VirtualHost};
use crate::cli::source::{Document, Spans};
use crate::json::{Json, Object};

/// The route tables of a document: one for each `virtual_hosts`.
pub(in crate::cli::check) fn read(document: &Document) -> Vec<RouteTable> {
    let mut tables = Vec::new();
    search(&document.json, &document.spans, &mut tables);
    tables
}

fn search(json: &Json, spans: &Spans, tables: &mut Vec<RouteTable>) {
    match json {
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(spans) = spans.element(index) {
                    search(item, spans, tables);
                }
            }
        }
        Json::Object(object) => {
            for (name, value) in object.iter() {
                let Some(spans) = spans.member(name) else {
                    continue;
                };
                if name == "virtual_hosts" {
                    let disabled = disables_filter(object);
                    let items = value.as_array().unwrap_or_default().iter().enumerate();
                    let hosts = items.filter_map(|(index, item)| {
                        virtual_host(item.as_object()?, spans.element(index)?, disabled)
                    });
                    tables.push(RouteTable {
                        hosts: hosts.collect(),
                    });
                } else {
                    search(value, spans, tables);
                }
            }
        }
        _ => {}
    }
}

/// `inherited`: whether the whole table turns the filter off.
fn virtual_host(object: &Object, spans: &Spans, inherited: Option<bool>) -> Option<VirtualHost> {
    let inherited = disables_filter(object).or(inherited);
    let name = text(object, "name").unwrap_or("-");
    let domains = object.get("domains")?.as_array()?.iter();
    let places = spans.member("routes");
    let routes = object.get("routes").and_then(Json::as_array);
    let routes = routes.unwrap_or_default().iter().enumerate();
    Some(VirtualHost {
        domains: domains
            .filter_map(|domain| Some(domain.as_str()?.to_ascii_lowercase()))
            .collect(),
        routes: routes
            .filter_map(|(index, item)| {
                let spans = places.and_then(|places| places.element(index))?;
                route(name, item.as_object()?, spans, inherited)
            })
            .collect(),
    })
}

fn route(
    host: &str,
    object: &Object,
    spans: &Spans,
    inherited: Option<bool>,
) -> Option<EnvoyRoute> {
    let matcher = object.get("match")?.as_object()?;
    let (path, shown) = path_match(matcher);
    let (methods, conditional_headers) = header_match(matcher);
    let has_other_tests = [
        "query_parameters",
        "runtime_fraction",
        "grpc",
        "tls_context",
        "dynamic_metadata",
    ]
    .iter()
    .any(|key| matcher.get(key).is_some());
    let action = object.get("route").and_then(Json::as_object);
    let target = match action {
        None => Target::NotForwarded,
        Some(action) => Target::Cluster(cluster(action)),
    };
    let rewrite = action.and_then(|action| text(action, "prefix_rewrite"));
    let method = match &methods {
        MethodMatch::Exact(method) => format!("{method} "),
        _ => String::new(),
    };
    Some(EnvoyRoute {
        title: format!("{host}: {method}{shown}"),
        place: spans.value.clone(),
        path,
        case_sensitive: matcher.get("case_sensitive") != Some(&Json::Bool(false)),
        methods,
        conditional: conditional_headers || has_other_tests,
        target,
        rewrite: rewrite.map(str::to_owned),
        disables_filter: action.is_some_and(any_cluster_disables_filter)
            || disables_filter(object).or(inherited).unwrap_or(false),
    })
}

fn path_match(matcher: &Object) -> (PathMatch, String) {
    for (key, make) in [
        ("prefix", PathMatch::Prefix as fn(String) -> PathMatch),
        ("path_separated_prefix", PathMatch::Segments),
        ("path", PathMatch::Exact),
    ] {
        if let Some(value) = text(matcher, key) {
            return (make(value.to_owned()), format!("{key} {value}"));
        }
    }
    let mut names = matcher.iter().map(|(name, _)| name);
    let name = names.find(|name| *name != "headers");
    (PathMatch::Unknown, name.unwrap_or("any path").to_owned())
}

/// The test of the method, and whether other headers are tested.
fn header_match(matcher: &Object) -> (MethodMatch, bool) {
    let headers = matcher.get("headers").and_then(Json::as_array);
    let (mut methods, mut conditional) = (MethodMatch::Any, false);
    for header in headers
        .unwrap_or_default()
        .iter()
        .filter_map(Json::as_object)
    {
        if text(header, "name") != Some(":method") {
            conditional = true;
            continue;
        }
        let string_match = header.get("string_match").and_then(Json::as_object);
        let exact = string_match
            .and_then(|it| text(it, "exact"))
            .or_else(|| text(header, "exact_match"));
        let inverted = header.get("invert_match") == Some(&Json::Bool(true));
        methods = match exact {
            Some(method) if !inverted => MethodMatch::Exact(method.to_owned()),
            _ => MethodMatch::Unknown,
        };
    }
    (methods, conditional)
}

fn cluster(action: &Object) -> String {
    if let Some(cluster) = text(action, "cluster") {
        return cluster.to_owned();
    }
    let weighted = action.get("weighted_clusters").and_then(Json::as_object);
    let clusters = weighted.and_then(|it| it.get("clusters")?.as_array());
    let names = clusters
        .unwrap_or_default()
        .iter()
        .filter_map(Json::as_object);
    let names: Vec<&str> = names.filter_map(|cluster| text(cluster, "name")).collect();
    if names.is_empty() {
        return "a cluster that a header or a plugin chooses".to_owned();
    }
    names.join(", ")
}

/// Whether `typed_per_filter_config` turns this filter off, or on again: `envoy.config.route.v3.FilterConfig`. A
/// filter has any name; only the names of Envoy's other filters are known not to be ours.
fn disables_filter(object: &Object) -> Option<bool> {
    let configs = object
        .get("typed_per_filter_config")
        .and_then(Json::as_object)?;
    let ours = configs
        .iter()
        .filter(|(name, _)| !name.starts_with("envoy.filters.http.") || name.contains("wasm"));
    let flags = ours.filter_map(|(_, config)| match config.as_object()?.get("disabled")? {
        Json::Bool(flag) => Some(*flag),
        _ => None,
    });
    flags.reduce(|any, flag| any || flag)
}

/// Whether the filter is off for one of the weighted clusters.
fn any_cluster_disables_filter(action: &Object) -> bool {
    let weighted = action.get("weighted_clusters").and_then(Json::as_object);
    let clusters = weighted.and_then(|it| it.get("clusters")?.as_array());
    let mut clusters = clusters
        .unwrap_or_default()
        .iter()
        .filter_map(Json::as_object);
    clusters.any(|cluster| disables_filter(cluster) == Some(true))
}

fn text<'o>(object: &'o Object, key: &str) -> Option<&'o str> {
    object.get(key).and_then(Json::as_str)
}
