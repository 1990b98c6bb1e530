//! The routes that a request could mean, and why they do not decide.

use super::request::Request;
use crate::gate::trace::Trace;
use crate::policy::authorize::Policy;
use crate::policy::host::{Authority, HostName, HostPattern};
use crate::policy::path::CanonicalPath;
use crate::policy::pattern::Segment;
use crate::policy::route::{Route, RouteId};
use crate::policy::table::RouteTable;

/// A route whose path matches the request.
#[derive(Debug)]
pub(super) struct Candidate<'p> {
    /// The route.
    pub(super) route: &'p Route,
    /// Why it does not decide; `None` if it does.
    pub(super) lost: Option<Lost>,
}

/// Why a route does not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Another host.
    Host,
    /// Another method.
    Method,
    /// Another host and method.
    HostAndMethod,
    /// The route that decides names the host more exactly.
    LessSpecificHost,
    /// The route that decides names the path more exactly.
    LessSpecificPath,
    /// The route that decides names the method.
    LessSpecificMethod,
}

impl Lost {
    /// As a sentence without subject.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Host => "other host",
            Self::Method => "other method",
            Self::HostAndMethod => "other host and method",
            Self::LessSpecificHost => "matches, but its host is less specific",
            Self::LessSpecificPath => "matches, but its path is less specific",
            Self::LessSpecificMethod => "matches, but does not name the method",
        }
    }
}

/// The route that decides, then those whose path matches, in the order of the config.
pub(super) fn candidates<'p>(
    policy: &'p Policy,
    request: &Request,
    trace: &Trace<'_>,
) -> Vec<Candidate<'p>> {
    let authority = Authority::parse(request.authority.as_bytes());
    let path = CanonicalPath::parse(request.path.as_bytes());
    let (Ok(authority), Ok(path)) = (authority, path) else {
        return Vec::new();
    };
    let winner = trace.route.and_then(|id| policy.routes.get(id));
    let mut candidates: Vec<Candidate<'p>> = winner
        .map(|route| Candidate { route, lost: None })
        .into_iter()
        .collect();
    for (id, route) in (0_u32..).map(RouteId).zip(policy.routes.routes()) {
        let lookup = Lookup {
            policy,
            route,
            request,
            authority: &authority,
            path: &path,
        };
        if Some(id) == trace.route || !lookup.matches(false, false) {
            continue;
        }
        let lost = match (lookup.matches(true, false), lookup.matches(false, true)) {
            (false, false) => Lost::HostAndMethod,
            (false, true) => Lost::Host,
            (true, false) => Lost::Method,
            (true, true) => match winner {
                Some(winner) => less_specific(winner, route, &authority),
                None => continue,
            },
        };
        candidates.push(Candidate {
            route,
            lost: Some(lost),
        });
    }
    candidates
}

/// The lookup of a single route, by the table that the filter uses.
struct Lookup<'l> {
    policy: &'l Policy,
    route: &'l Route,
    request: &'l Request,
    authority: &'l Authority<'l>,
    path: &'l CanonicalPath<'l>,
}

impl Lookup<'_> {
    /// Whether the route's path matches, and its host and method where they count.
    fn matches(&self, host: bool, method: bool) -> bool {
        let mut route = self.route.clone();
        if !host {
            route.hosts.clear();
        }
        if !method {
            route.methods.clear();
        }
        let rules = self.policy.routes.rules_of(self.route);
        let table = [route].into_iter().chain(self.names_head()).collect();
        let Ok(table) = RouteTable::build(table, rules) else {
            return false;
        };
        // A path that the route's rules reject matches, too.
        match table.find(self.authority, self.request.method.as_bytes(), self.path) {
            Ok(found) => found.is_some(),
            Err(ambiguity) => ambiguity.route.is_some(),
        }
    }

    /// A route that names HEAD for the same path, so that GET does not include it; for a host that no request has.
    fn names_head(&self) -> Option<Route> {
        if self.request.method != "HEAD" {
            return None;
        }
        let shape = self.route.path.shape();
        let names_head = |other: &&Route| {
            !std::ptr::eq(*other, self.route)
                && other.methods.iter().any(|method| method.as_str() == "HEAD")
                && other.path.shape() == shape
        };
        let mut routes = self.policy.routes.routes().iter();
        let mut namer = routes.find(names_head)?.clone();
        namer.hosts = vec![HostPattern::parse("head.invalid").ok()?];
        Some(namer)
    }
}

/// In what a route that matches is less specific than the one that decides: docs/decisions.md, "Which route
/// decides".
fn less_specific(winner: &Route, other: &Route, authority: &Authority<'_>) -> Lost {
    if host_rank(other, authority) < host_rank(winner, authority) {
        return Lost::LessSpecificHost;
    }
    if path_rank(other) < path_rank(winner) {
        return Lost::LessSpecificPath;
    }
    Lost::LessSpecificMethod
}

/// How exactly a route names the host: an exact name before a wildcard, a longer wildcard before a shorter one,
/// a port before none.
fn host_rank(route: &Route, authority: &Authority<'_>) -> (u8, usize, bool) {
    let rank = |pattern: &HostPattern| {
        let host = authority.host();
        let port = pattern.port.is_some();
        if port && pattern.port != authority.port() {
            return None;
        }
        match &pattern.name {
            HostName::Exact(name) => (host == name.as_bytes()).then_some((2, 0, port)),
            HostName::Below(suffix) => {
                let below = host.strip_suffix(suffix.as_bytes())?;
                below.ends_with(b".").then_some((1, suffix.len(), port))
            }
        }
    };
    let best = route.hosts.iter().filter_map(rank).max();
    best.unwrap_or_default()
}

/// How exactly a route names the path, segment by segment; routes that match the same path only.
fn path_rank(route: &Route) -> Vec<u8> {
    let kind = |segment: &Segment| match segment {
        Segment::Literal(_) => 3,
        Segment::Variable(_) => 2,
        Segment::Tail(_) => 0,
    };
    // The end of the path is more exact than a tail that is empty.
    let mut kinds: Vec<u8> = route.path.segments().iter().map(kind).collect();
    kinds.push(1);
    kinds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::cli::analysis::tests::{config, decide, requests, routes};

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        /// No route that matches is more specific than the one that decides.
        #[test]
        fn the_order_of_specificity_is_that_of_the_table(
            routes in routes(),
            requests in prop::collection::vec(requests(), 20),
        ) {
            let config = config(&routes, &json!({}));
            let all = config.rbac.routes.routes();
            for (host, method, path) in &requests {
                let request = Request::parse(method, &format!("http://{host}{path}"), &[]).unwrap();
                let decided = decide(&config, &(host.clone(), method.clone(), path.clone()), None).0;
                let authority = Authority::parse(host.as_bytes()).unwrap();
                let canonical = CanonicalPath::parse(path.as_bytes()).unwrap();
                let matching = |route: &Route| Lookup {
                    policy: &config.rbac, route, request: &request, authority: &authority, path: &canonical,
                }.matches(true, true);
                let rank = |route: &Route| (
                    host_rank(route, &authority), path_rank(route), !route.methods.is_empty(),
                );
                match decided {
                    None => prop_assert!(!all.iter().any(matching)),
                    Some(index) => for route in all.iter().filter(|route| matching(route)) {
                        prop_assert!(rank(route) <= rank(&all[index]), "{} {}", route.name, all[index].name);
                    },
                }
            }
        }
    }
}
