//! Compiling routes, and finding what is wrong with them.

use super::names::{Choice, NamesBuilder};
use super::problem::{RouteProblem, RouteRef};
use super::trie::{Entry, NONE, Node, Slash, Trie};
use crate::policy::hash::{ConfigMap, ConfigSet};
use crate::policy::host::{HostName, HostPattern};
use crate::policy::path::{PathRules, TrailingSlash};
use crate::policy::pattern::Segment;
use crate::policy::route::{Route, RouteId};

/// Compiles routes.
pub(super) fn compile(routes: &[Route], base: &PathRules) -> Result<Trie, Vec<RouteProblem>> {
    let mut problems = duplicate_names(routes);
    let mut builder = Builder {
        routes,
        trie: Trie::default(),
        names: NamesBuilder::default(),
        slots: Vec::new(),
        ties: ConfigSet::default(),
        head_is_named: routes
            .iter()
            .filter(|route| route.methods.iter().any(|method| method == "HEAD"))
            .map(|route| route.path.shape())
            .collect(),
    };
    for (index, route) in routes.iter().enumerate() {
        let Ok(index) = u32::try_from(index) else {
            problems.push(RouteProblem::TooMany);
            break;
        };
        check_alone(RouteId(index), route, &mut problems);
        if builder.insert(index, route, base, &mut problems).is_none() {
            problems.push(RouteProblem::TooMany);
            break;
        }
    }
    if problems.is_empty() {
        builder.finish().ok_or_else(|| vec![RouteProblem::TooMany])
    } else {
        Err(problems)
    }
}

fn duplicate_names(routes: &[Route]) -> Vec<RouteProblem> {
    let mut first_with: ConfigMap<&str, RouteId> = ConfigMap::default();
    let mut problems = Vec::new();
    for (second, route) in (0_u32..).map(RouteId).zip(routes) {
        match first_with.get(&*route.name) {
            Some(first) => problems.push(RouteProblem::DuplicateName {
                name: route.name.clone(),
                first: *first,
                second,
            }),
            None => {
                first_with.insert(&route.name, second);
            }
        }
    }
    problems
}

/// What is wrong with a route whatever the others are.
fn check_alone(id: RouteId, route: &Route, problems: &mut Vec<RouteProblem>) {
    let this = || RouteRef {
        id,
        name: route.name.clone(),
    };
    for host in duplicates(&route.hosts) {
        problems.push(RouteProblem::DuplicateHost {
            route: this(),
            host: host.to_string(),
        });
    }
    for method in duplicates(&route.methods) {
        problems.push(RouteProblem::DuplicateMethod {
            route: this(),
            method: method.clone(),
        });
    }
    for method in &route.methods {
        if method == "CONNECT" {
            problems.push(RouteProblem::Connect { route: this() });
        } else if !is_method(method) {
            problems.push(RouteProblem::Method {
                route: this(),
                method: method.clone(),
            });
        }
    }
    for variable in route.access.bound_variables() {
        if !route.path.variables().any(|known| known == variable) {
            problems.push(RouteProblem::UnknownVariable {
                route: this(),
                variable: variable.to_owned(),
                path: route.path.to_string(),
            });
        }
    }
    if route.enforce_percent > 100 {
        problems.push(RouteProblem::EnforcePercent {
            route: this(),
            percent: route.enforce_percent,
        });
    }
}

fn duplicates<T: std::hash::Hash + Eq>(items: &[T]) -> impl Iterator<Item = &T> {
    let mut seen = ConfigSet::default();
    items.iter().filter(move |item| !seen.insert(*item))
}

/// A token (RFC 9110 §5.6.2) without lower-case letters.
fn is_method(method: &str) -> bool {
    !method.is_empty()
        && method.bytes().all(|byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
        })
}

struct Builder<'r> {
    routes: &'r [Route],
    trie: Trie,
    names: NamesBuilder,
    slots: Vec<Vec<Entry>>,
    /// Pairs of routes already reported, so that each is once.
    ties: ConfigSet<(u32, u32)>,
    /// Paths for which `GET` does not bring `HEAD` along, by `PathPattern::shape`.
    head_is_named: ConfigSet<String>,
}

/// `None` anywhere: there are more of something than numbers.
impl Builder<'_> {
    fn insert(
        &mut self,
        index: u32,
        route: &Route,
        base: &PathRules,
        problems: &mut Vec<RouteProblem>,
    ) -> Option<()> {
        let methods = self.methods(route)?;
        let slash = match route.rules.over(base).trailing_slash {
            TrailingSlash::Same => Slash::Either,
            TrailingSlash::Distinct if route.path.trailing_slash() => Slash::With,
            TrailingSlash::Distinct => Slash::Without,
        };
        let hosts: Vec<Option<&HostPattern>> = if route.hosts.is_empty() {
            vec![None]
        } else {
            route.hosts.iter().map(Some).collect()
        };
        for host in hosts {
            let root = self.root(host)?;
            let (slot, slash) = self.slot(root, route, slash)?;
            for (method, name) in &methods {
                let entries = self.slots.get_mut(slot as usize)?;
                let rival = entries
                    .iter()
                    .find(|entry| entry.method == *method && entry.slash.overlaps(slash))
                    .map(|entry| entry.route);
                entries.push(Entry {
                    method: *method,
                    route: index,
                    slash,
                });
                if let Some(rival) = rival
                    && rival != index
                    && self.ties.insert((rival, index))
                {
                    problems.push(RouteProblem::Tie {
                        first: self.named(rival)?,
                        second: self.named(index)?,
                        host: host.map_or_else(|| "every host".to_owned(), ToString::to_string),
                        method: (*name).to_owned(),
                        path: route.path.to_string(),
                    });
                }
            }
        }
        Some(())
    }

    /// The methods that a route is for, as symbols.
    fn methods<'m>(&mut self, route: &'m Route) -> Option<Vec<(u32, &'m str)>> {
        if route.methods.is_empty() {
            return Some(vec![(NONE, "every method")]);
        }
        let mut methods = Vec::with_capacity(route.methods.len());
        for method in &route.methods {
            methods.push((self.method(method)?, method.as_str()));
        }
        // RFC 9110 §9.3.2: HEAD is GET without the content.
        if route.methods.iter().any(|method| method == "GET")
            && (self.head_is_named.is_empty() || !self.head_is_named.contains(&route.path.shape()))
        {
            methods.push((self.method("HEAD")?, "HEAD"));
        }
        Some(methods)
    }

    fn method(&mut self, name: &str) -> Option<u32> {
        let symbol = self.names.symbol(name)?;
        self.names.lead(METHODS, symbol, symbol);
        Some(symbol)
    }

    fn root(&mut self, host: Option<&HostPattern>) -> Option<u32> {
        let named = match host {
            None => None,
            Some(pattern) => {
                let (place, name) = match &pattern.name {
                    HostName::Exact(host) => (HOSTS, host),
                    HostName::Below(suffix) => (SUFFIXES, suffix),
                };
                let symbol = match pattern.port {
                    Some(port) => {
                        self.trie.has_ports = true;
                        self.names.symbol(&format!("{name}:{port}"))?
                    }
                    None => self.names.symbol(name)?,
                };
                Some((place, symbol))
            }
        };
        let known = match named {
            None => self.trie.any,
            Some((place, symbol)) => self.names.target(place, symbol),
        };
        if known.is_some() {
            return known;
        }
        let root = self.node()?;
        self.trie.roots.push(root);
        match named {
            None => self.trie.any = Some(root),
            Some((place, symbol)) => self.names.lead(place, symbol, root),
        }
        Some(root)
    }

    /// The slot of a route's path, and the endings it is for: a tail takes both.
    fn slot(&mut self, root: u32, route: &Route, slash: Slash) -> Option<(u32, Slash)> {
        let mut at = root;
        for segment in route.path.segments() {
            at = match segment {
                Segment::Literal(text) => {
                    let symbol = self.names.symbol(text)?;
                    match self.names.target(at, symbol) {
                        Some(below) => below,
                        None => {
                            let below = self.node()?;
                            self.names.lead(at, symbol, below);
                            below
                        }
                    }
                }
                Segment::Variable(_) => match self.trie.nodes.get(at as usize)?.variable {
                    NONE => {
                        let below = self.node()?;
                        self.trie.nodes.get_mut(at as usize)?.variable = below;
                        below
                    }
                    below => below,
                },
                Segment::Tail(_) => {
                    let node = self.trie.nodes.get_mut(at as usize)?;
                    let slot = open(&mut node.tail, &mut self.slots)?;
                    return Some((slot, Slash::Either));
                }
            };
        }
        let node = self.trie.nodes.get_mut(at as usize)?;
        Some((open(&mut node.end, &mut self.slots)?, slash))
    }

    fn node(&mut self) -> Option<u32> {
        let node = number(self.trie.nodes.len())?;
        self.trie.nodes.push(Node {
            literals: Choice::default(),
            variable: NONE,
            end: NONE,
            tail: NONE,
        });
        Some(node)
    }

    fn named(&self, index: u32) -> Option<RouteRef> {
        let route = self.routes.get(index as usize)?;
        Some(RouteRef {
            id: RouteId(index),
            name: route.name.clone(),
        })
    }

    fn finish(mut self) -> Option<Trie> {
        for slot in &self.slots {
            self.trie.entries.extend_from_slice(slot);
            self.trie.slots.push(number(self.trie.entries.len())?);
        }
        let (names, choices) = self.names.finish()?;
        let at = |place: u32| choices.get(&place).copied().unwrap_or_default();
        for (place, node) in (0..).zip(&mut self.trie.nodes) {
            node.literals = at(place);
        }
        self.trie.methods = at(METHODS);
        self.trie.hosts = at(HOSTS);
        self.trie.suffixes = at(SUFFIXES);
        self.trie.names = names;
        self.trie.nodes.shrink_to_fit();
        self.trie.entries.shrink_to_fit();
        Some(self.trie)
    }
}

fn open(slot: &mut u32, slots: &mut Vec<Vec<Entry>>) -> Option<u32> {
    if *slot == NONE {
        *slot = number(slots.len())?;
        slots.push(Vec::new());
    }
    Some(*slot)
}

/// Where methods are named, as if it were a node.
const METHODS: u32 = NONE;

/// Where hosts are named, as if it were a node.
const HOSTS: u32 = NONE.saturating_sub(1);

/// Where suffixes of hosts are named, as if it were a node.
const SUFFIXES: u32 = NONE.saturating_sub(2);

/// A number below [`NONE`] and the places that are no nodes.
fn number(count: usize) -> Option<u32> {
    u32::try_from(count)
        .ok()
        .filter(|number| *number < SUFFIXES)
}
