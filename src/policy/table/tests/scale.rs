//! Generated tables of several sizes.

use super::*;

const SERVICES: usize = 50;

/// A realistic mix of hosts, literals, variables, tails and methods.
fn generate(count: usize) -> Vec<Route> {
    (0..count)
        .map(|index| {
            let service = index % SERVICES;
            let resource = index / SERVICES;
            let host = match index % 4 {
                0 => format!("svc{service}.example.com"),
                1 => format!("*.svc{service}.example.com"),
                2 => format!("svc{service}.example.com,www.svc{service}.example.org"),
                _ => "*".to_owned(),
            };
            let path = match index % 5 {
                0 => format!("/v1/s{service}/r{resource}"),
                1 => format!("/v1/s{service}/r{resource}/{{id}}"),
                2 => format!("/tenants/{{tenant}}/s{service}/r{resource}/{{*rest}}"),
                3 => format!("/v1/s{service}/r{resource}/{{id}}/items/{{item}}"),
                _ => format!("/static/s{service}/r{resource}/{{*rest}}"),
            };
            let methods = ["GET", "POST,PUT", "*", "DELETE"][index % 4];
            route(&format!("r{index}: {methods} {host} {path}"))
        })
        .collect()
}

/// A request that the route matches.
fn request_for(route: &Route) -> String {
    let host = match route.hosts.first() {
        None => "anything.example.net".to_owned(),
        Some(pattern) => pattern.to_string().replace('*', "some.sub"),
    };
    let method = route.methods.first().map_or("PATCH", Method::as_str);
    let path: String = route
        .path
        .segments()
        .iter()
        .map(|segment| match segment {
            crate::policy::pattern::Segment::Literal(text) => format!("/{text}"),
            crate::policy::pattern::Segment::Variable(_) => "/4711".to_owned(),
            crate::policy::pattern::Segment::Tail(_) => "/any/thing".to_owned(),
        })
        .collect();
    format!("{method} {host} {path}")
}

#[test]
fn ten_a_thousand_and_ten_thousand_routes_load_and_match() {
    for count in [10, 1_000, 10_000] {
        let table = RouteTable::build(generate(count), PathRules::default()).unwrap();
        for route in table.routes() {
            assert_eq!(decide(&table, &request_for(route)), route.name);
        }
        assert_eq!(decide(&table, "GET nowhere.example.com /v1/none"), "-");
    }
}

#[test]
fn ten_thousand_ties_are_reported_at_once() {
    let routes = (0..10_000)
        .map(|index| route(&format!("r{index}: GET * /x")))
        .collect();
    let problems = RouteTable::build(routes, PathRules::default()).unwrap_err();
    assert_eq!(problems.len(), 9_999);
}
