//! Compiles routes and reports conflicts.

use super::edges::{EdgesBuilder, NodeEdges};
use super::error::{RouteRef, TableError};
use super::trie::{Entry, NONE, Node, Slash, Trie};
use crate::policy::hash::{ConfigMap, ConfigSet};
use crate::policy::host::{HostName, HostPattern};
use crate::policy::path::{PathRules, TrailingSlash};
use crate::policy::pattern::Segment;
use crate::policy::route::{Route, RouteId};

pub(super) fn compile(routes: &[Route], base: &PathRules) -> Result<Trie, Vec<TableError>> {
    let mut errors = duplicate_names(routes);
    let mut builder = Builder {
        routes,
        trie: Trie::default(),
        edges: EdgesBuilder::default(),
        slots: Vec::new(),
        ties: ConfigSet::default(),
        head_is_named: routes
            .iter()
            .filter(|route| route.methods.iter().any(|method| method.as_str() == "HEAD"))
            .map(|route| route.path.shape())
            .collect(),
    };
    for (index, route) in routes.iter().enumerate() {
        let Ok(index) = u32::try_from(index) else {
            errors.push(TableError::TooMany);
            break;
        };
        if builder.insert(index, route, base, &mut errors).is_none() {
            errors.push(TableError::TooMany);
            break;
        }
    }
    if errors.is_empty() {
        builder.finish().ok_or_else(|| vec![TableError::TooMany])
    } else {
        Err(errors)
    }
}

fn duplicate_names(routes: &[Route]) -> Vec<TableError> {
    let mut first_with: ConfigMap<&str, RouteId> = ConfigMap::default();
    let mut errors = Vec::new();
    for (second, route) in (0_u32..).map(RouteId).zip(routes) {
        match first_with.get(&*route.name) {
            Some(first) => errors.push(TableError::DuplicateName {
                name: route.name.clone(),
                first: *first,
                second,
            }),
            None => {
                first_with.insert(&route.name, second);
            }
        }
    }
    errors
}

struct Builder<'r> {
    routes: &'r [Route],
    trie: Trie,
    edges: EdgesBuilder,
    slots: Vec<Vec<Entry>>,
    /// Pairs of routes that were reported.
    ties: ConfigSet<(u32, u32)>,
    /// Paths for which a route names `HEAD`, by `PathPattern::shape`.
    head_is_named: ConfigSet<String>,
}

/// These return `None` if there are more items than 32-bit indexes.
impl Builder<'_> {
    fn insert(
        &mut self,
        index: u32,
        route: &Route,
        base: &PathRules,
        errors: &mut Vec<TableError>,
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
                    errors.push(TableError::Tie {
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

    /// The symbols and names of a route's methods.
    fn methods<'m>(&mut self, route: &'m Route) -> Option<Vec<(u32, &'m str)>> {
        if route.methods.is_empty() {
            return Some(vec![(NONE, "every method")]);
        }
        let mut methods = Vec::with_capacity(route.methods.len());
        for method in &route.methods {
            methods.push((self.method(method.as_str())?, method.as_str()));
        }
        // RFC 9110 §9.3.2: HEAD is GET without the content.
        if route.methods.iter().any(|method| method.as_str() == "GET")
            && (self.head_is_named.is_empty() || !self.head_is_named.contains(&route.path.shape()))
        {
            methods.push((self.method("HEAD")?, "HEAD"));
        }
        Some(methods)
    }

    fn method(&mut self, name: &str) -> Option<u32> {
        let symbol = self.edges.symbol(name)?;
        self.edges.insert(METHODS, symbol, symbol);
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
                        self.edges.symbol(&format!("{name}:{port}"))?
                    }
                    None => self.edges.symbol(name)?,
                };
                Some((place, symbol))
            }
        };
        let known = match named {
            None => self.trie.any,
            Some((parent, symbol)) => self.edges.target(parent, symbol),
        };
        if known.is_some() {
            return known;
        }
        let root = self.node()?;
        self.trie.roots.push(root);
        match named {
            None => self.trie.any = Some(root),
            Some((parent, symbol)) => self.edges.insert(parent, symbol, root),
        }
        Some(root)
    }

    /// The slot of a route's path, and its trailing slash: a tail matches with and without one.
    fn slot(&mut self, root: u32, route: &Route, slash: Slash) -> Option<(u32, Slash)> {
        let mut at = root;
        for segment in route.path.segments() {
            at = match segment {
                Segment::Literal(text) => {
                    let symbol = self.edges.symbol(text)?;
                    match self.edges.target(at, symbol) {
                        Some(below) => below,
                        None => {
                            let below = self.node()?;
                            self.edges.insert(at, symbol, below);
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
            literals: NodeEdges::default(),
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
        let (edges, by_node) = self.edges.finish()?;
        let at = |node: u32| by_node.get(&node).copied().unwrap_or_default();
        for (index, node) in (0..).zip(&mut self.trie.nodes) {
            node.literals = at(index);
        }
        self.trie.methods = at(METHODS);
        self.trie.hosts = at(HOSTS);
        self.trie.suffixes = at(SUFFIXES);
        self.trie.edges = edges;
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

/// The pseudo-node under which methods are indexed.
const METHODS: u32 = NONE;

/// The pseudo-node under which hosts are indexed.
const HOSTS: u32 = NONE.saturating_sub(1);

/// The pseudo-node under which suffixes of hosts are indexed.
const SUFFIXES: u32 = NONE.saturating_sub(2);

/// An index below [`NONE`] and the pseudo-nodes.
fn number(count: usize) -> Option<u32> {
    u32::try_from(count)
        .ok()
        .filter(|number| *number < SUFFIXES)
}
