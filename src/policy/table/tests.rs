mod ambiguous_paths;
mod backends;
mod errors;
mod precedence;
mod reference;
mod scale;

use super::*;
use crate::policy::access::{Access, Alternative, Binding, Conditions};
use crate::policy::host::HostPattern;
use crate::policy::method::Method;
use crate::policy::path::{PathRuleOverrides, Resolve, Retain, TrailingSlash};
use crate::policy::pattern::PathPattern;

/// `name: METHODS host,host /path`; `*` for all methods or hosts.
fn route(text: &str) -> Route {
    let (name, rest) = text.split_once(": ").unwrap();
    let parts: Vec<&str> = rest.split(' ').collect();
    let [methods, hosts, path] = parts[..] else {
        panic!("{text}");
    };
    let list = |text: &'static str, from: &str| -> Vec<String> {
        from.split(',')
            .filter(|item| *item != text)
            .map(str::to_owned)
            .collect()
    };
    Route {
        methods: list("*", methods)
            .iter()
            .map(|method| Method::parse(method).unwrap())
            .collect(),
        hosts: list("*", hosts)
            .iter()
            .map(|host| HostPattern::parse(host).unwrap())
            .collect(),
        ..Route::new(name, PathPattern::parse(path).unwrap(), Access::public())
    }
}

fn table(routes: &[&str]) -> RouteTable {
    let routes = routes.iter().map(|text| route(text)).collect();
    match RouteTable::build(routes, PathRules::default()) {
        Ok(table) => table,
        Err(problems) => panic!("{problems:?}"),
    }
}

/// The name of the route that matches `METHOD host /path`, `-` if none does, or the class for which the path
/// is rejected.
fn decide(table: &RouteTable, request: &str) -> String {
    let parts: Vec<&str> = request.splitn(3, ' ').collect();
    let [method, host, path] = parts[..] else {
        panic!("{request}");
    };
    let host = Authority::parse(host.as_bytes()).unwrap();
    let path = match CanonicalPath::parse(path.as_bytes()) {
        Ok(path) => path,
        Err(error) => return format!("{error:?}"),
    };
    match table.find(&host, method.as_bytes(), &path) {
        Ok(Some(found)) => table.get(found.route).unwrap().name.clone(),
        Ok(None) => "-".to_owned(),
        Err(ambiguity) => ambiguity.class.code().to_owned(),
    }
}
