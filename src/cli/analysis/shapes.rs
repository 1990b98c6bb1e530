//! Representative requests.
//!
//! Two requests with the same shape match the same route patterns of every policy: they have the same host among
//! those that routes name (or one that none names), the same method likewise, and their paths reach the same set
//! of positions in the routes' patterns. The paths are the states of the automaton that reads all patterns at
//! once (the subset construction), so the representatives are complete. Paths that a path rule rejects are not
//! among them; the rules are compared as settings.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use crate::policy::authorize::Policy;
use crate::policy::host::{HostName, HostPattern};
use crate::policy::locate::Target;
use crate::policy::path::TrailingSlash;
use crate::policy::pattern::Segment;
use crate::policy::route::{Route, RouteId};

/// The most shapes that are made; beyond it, they are a sample.
const MAX_SHAPES: usize = 2_000_000;

/// A representative request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::cli) struct Shape {
    /// The host, with a port if routes tell ports apart.
    pub(in crate::cli) host: String,
    /// The method.
    pub(in crate::cli) method: String,
    /// The path.
    pub(in crate::cli) path: String,
}

/// The most sets of positions for one host; each holds up to as many positions as there are routes.
const MAX_STATES: usize = 100_000;

/// The name of a host, method or segment that no route names.
const OTHER: &str = "other";

/// Calls `each` for every shape of requests that match a route of any of the policies. Returns whether the
/// shapes are complete.
pub(in crate::cli) fn for_each_shape(policies: &[&Policy], each: impl FnMut(Shape)) -> bool {
    let routes: Vec<&Route> = policies
        .iter()
        .flat_map(|policy| policy.routes.routes())
        .collect();
    let tells_slashes_apart = policies.iter().any(|policy| {
        let distinct =
            |route: &Route| policy.routes.rules_of(route).trailing_slash == TrailingSlash::Distinct;
        policy.routes.routes().iter().any(distinct)
    });
    for_each_shape_of(&routes, tells_slashes_apart, each)
}

/// Calls `each` for every shape of requests that match any of the routes, see [`for_each_shape`].
pub(in crate::cli) fn for_each_shape_of(
    routes: &[&Route],
    tells_slashes_apart: bool,
    mut each: impl FnMut(Shape),
) -> bool {
    let fresh = fresh_segment(routes);
    let mut made = 0_usize;
    let mut complete = true;
    for host in hosts(routes) {
        let here: Vec<&Route> = routes
            .iter()
            .copied()
            .filter(|route| route.hosts.is_empty() || route.hosts.iter().any(|it| host.matches(it)))
            .collect();
        let (paths, all) = paths(&here, &fresh);
        complete &= all;
        for (path, ending) in paths {
            let mut slashes = vec![path];
            if tells_slashes_apart && let Some(path) = slashes.first().filter(|path| *path != "/") {
                slashes.push(format!("{path}/"));
            }
            for path in slashes {
                for method in methods(&ending) {
                    made = made.saturating_add(1);
                    if made > MAX_SHAPES {
                        return false;
                    }
                    each(Shape {
                        host: host.to_string(),
                        method,
                        path: path.clone(),
                    });
                }
            }
        }
    }
    complete
}

impl Shape {
    /// The route that a policy finds for it.
    pub(in crate::cli) fn route(&self, policy: &Policy) -> Option<RouteId> {
        let target = Target {
            method: self.method.as_bytes(),
            authority: self.host.as_bytes(),
            path: self.path.as_bytes(),
            ..Target::default()
        };
        policy.locate(&target).ok()?.route
    }
}

/// A representative host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    fn matches(&self, pattern: &HostPattern) -> bool {
        let name = match &pattern.name {
            HostName::Exact(name) => *self.name == **name,
            HostName::Below(suffix) => self
                .name
                .strip_suffix(&**suffix)
                .is_some_and(|rest| rest.ends_with('.')),
        };
        name && (pattern.port.is_none() || pattern.port == self.port)
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)?;
        match self.port {
            Some(port) => write!(formatter, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Each named host, one host below each wildcard, one that no route names; each without and with every port
/// that routes name.
fn hosts(routes: &[&Route]) -> BTreeSet<Host> {
    let label = fresh_label(routes);
    let mut names = BTreeSet::from([if label == OTHER {
        format!("{label}.invalid")
    } else {
        format!("{label}.{label}")
    }]);
    let mut ports = BTreeSet::from([None]);
    let patterns = routes.iter().flat_map(|route| &route.hosts);
    for pattern in patterns {
        names.insert(match &pattern.name {
            HostName::Exact(host) => host.to_string(),
            HostName::Below(suffix) => format!("{label}.{suffix}"),
        });
        ports.insert(pattern.port);
    }
    let with_ports = |name: &String| {
        let host = |port: &Option<u16>| Host {
            name: name.clone(),
            port: *port,
        };
        ports.iter().map(host).collect::<Vec<_>>()
    };
    names.iter().flat_map(with_ports).collect()
}

/// A label that is in no host of any route; `other` only if `invalid` is in none, either.
fn fresh_label(routes: &[&Route]) -> String {
    let hosts = routes.iter().flat_map(|route| &route.hosts);
    let labels: HashSet<&str> = hosts
        .flat_map(|pattern| match &pattern.name {
            HostName::Exact(name) | HostName::Below(name) => name.split('.'),
        })
        .collect();
    let mut label = OTHER.to_owned();
    while labels.contains(label.as_str()) || (label == OTHER && labels.contains("invalid")) {
        label.push('x');
    }
    label
}

/// The methods that these routes tell apart.
fn methods(routes: &[&Route]) -> BTreeSet<String> {
    let mut methods: BTreeSet<String> = routes
        .iter()
        .flat_map(|route| &route.methods)
        .map(|method| method.as_str().to_owned())
        .collect();
    if methods.contains("GET") {
        methods.insert("HEAD".to_owned());
    }
    // GET stands for the methods that no route names, if none names GET.
    if methods.contains("GET") {
        let mut other = OTHER.to_ascii_uppercase();
        while methods.contains(&other) {
            other.push('X');
        }
        methods.insert(other);
    } else {
        methods.insert("GET".to_owned());
    }
    methods
}

/// A segment that is no literal of any route.
fn fresh_segment(routes: &[&Route]) -> String {
    let literals: HashSet<&str> = routes
        .iter()
        .flat_map(|route| route.path.segments())
        .filter_map(|segment| match segment {
            Segment::Literal(text) => Some(&**text),
            Segment::Variable(_) | Segment::Tail(_) => None,
        })
        .collect();
    let mut fresh = OTHER.to_owned();
    while literals.contains(fresh.as_str()) {
        fresh.push('x');
    }
    fresh
}

/// A position in the pattern of a route: the index of the route, and of the next segment.
type Position = (usize, usize);

/// The representative paths, each with the routes whose pattern it matches, and whether these are all.
fn paths<'r>(routes: &[&'r Route], fresh: &str) -> (Vec<(String, Vec<&'r Route>)>, bool) {
    let start: Vec<Position> = (0..routes.len()).map(|route| (route, 0)).collect();
    let mut known: HashSet<Vec<Position>> = HashSet::from([start.clone()]);
    let mut open = VecDeque::from([(String::new(), start)]);
    let mut found = Vec::new();
    while let Some((path, state)) = open.pop_front() {
        let ending: Vec<&Route> = state
            .iter()
            .filter(|(route, position)| {
                let segments = routes.get(*route).map(|route| route.path.segments());
                segments.is_some_and(|segments| {
                    matches!(segments.get(*position), None | Some(Segment::Tail(_)))
                })
            })
            .filter_map(|(route, _)| routes.get(*route).copied())
            .collect();
        if !ending.is_empty() {
            let path = if path.is_empty() { "/" } else { &path };
            found.push((path.to_owned(), ending));
        }
        if known.len() > MAX_STATES {
            return (found, false);
        }
        for (segment, next) in next_states(routes, &state) {
            if !next.is_empty() && known.insert(next.clone()) {
                open.push_back((
                    format!("{path}/{}", segment.map_or(fresh.to_owned(), encode)),
                    next,
                ));
            }
        }
    }
    (found, true)
}

/// The states after each literal that a pattern of the state continues with, and after any other segment.
fn next_states<'r>(
    routes: &[&'r Route],
    state: &[Position],
) -> Vec<(Option<&'r str>, Vec<Position>)> {
    let mut by_literal: HashMap<&str, Vec<Position>> = HashMap::new();
    let mut by_any: Vec<Position> = Vec::new();
    for &(route, position) in state {
        let segments = routes.get(route).map(|route| route.path.segments());
        match segments.and_then(|segments| segments.get(position)) {
            Some(Segment::Literal(text)) => by_literal
                .entry(text)
                .or_default()
                .push((route, position.saturating_add(1))),
            Some(Segment::Variable(_)) => by_any.push((route, position.saturating_add(1))),
            Some(Segment::Tail(_)) => by_any.push((route, position)),
            None => {}
        }
    }
    let mut states: Vec<(Option<&str>, Vec<Position>)> = by_literal
        .into_iter()
        .map(|(text, mut positions)| {
            positions.extend_from_slice(&by_any);
            positions.sort_unstable();
            (Some(text), positions)
        })
        .collect();
    states.sort_unstable();
    states.push((None, by_any));
    states
}

/// A literal segment as a client sends it (RFC 3986 §3.3).
pub(in crate::cli) fn encode(literal: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte);
    let encode = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    literal.bytes().map(encode).collect()
}
