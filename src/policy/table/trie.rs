//! A trie of path segments for each host, stored in a few flat tables.

use super::edges::{Edges, NodeEdges};
use crate::policy::host::{Authority, host_and_port};
use crate::policy::path::SegmentText;
use crate::policy::route::RouteId;

/// The compiled routes. Nodes, slots and symbols are indexes; [`NONE`] means that there is no such item.
#[derive(Debug, Default)]
pub(super) struct Trie {
    pub(super) edges: Edges,
    /// Method → symbol.
    pub(super) methods: NodeEdges,
    /// Exact host → root.
    pub(super) hosts: NodeEdges,
    /// Suffix of a host wildcard, without `*.` → root.
    pub(super) suffixes: NodeEdges,
    pub(super) nodes: Vec<Node>,
    /// The end of each slot's entries, which start at the end of the previous slot's.
    pub(super) slots: Vec<u32>,
    pub(super) entries: Vec<Entry>,
    /// The root of routes for every host.
    pub(super) any: Option<u32>,
    /// Whether a host pattern names a port.
    pub(super) has_ports: bool,
    /// All roots, in the order in which the routes name them.
    pub(super) roots: Vec<u32>,
}

/// A node of the trie: a prefix of patterns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// Literal segment → node below.
    pub(super) literals: NodeEdges,
    /// The node below a variable.
    pub(super) variable: u32,
    /// The slot of routes whose pattern ends here.
    pub(super) end: u32,
    /// The slot of routes whose pattern has a tail here.
    pub(super) tail: u32,
}

/// A method of a route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// The method's symbol; [`NONE`] means every method.
    pub(super) method: u32,
    pub(super) route: u32,
    pub(super) slash: Slash,
}

/// Whether a route's path must end in a slash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slash {
    /// With or without a slash.
    Either,
    /// With a slash.
    With,
    /// Without a slash.
    Without,
}

/// The matching route of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    /// The route.
    pub(crate) route: RouteId,
    /// Whether it was found by a host pattern with a port.
    pub(crate) port_matched: bool,
}

/// The method of a lookup.
#[derive(Debug, Clone, Copy)]
pub(super) enum MethodKey {
    /// A method that some route names.
    Named(u32),
    /// A method that no route names.
    Unnamed,
    /// Any method.
    AnyMethod,
}

/// No node, slot or symbol.
pub(super) const NONE: u32 = u32::MAX;

/// The parameters of a lookup that do not change during the descent.
struct Lookup<'q> {
    path: &'q SegmentText<'q>,
    method_key: MethodKey,
}

impl Trie {
    /// The key of a method for [`Self::find`].
    pub(super) fn method_key(&self, method: &[u8]) -> MethodKey {
        let symbol = self.edges.find(self.methods, method);
        symbol.map_or(MethodKey::Unnamed, MethodKey::Named)
    }

    /// The most specific route.
    pub(super) fn find(
        &self,
        authority: &Authority<'_>,
        path: &SegmentText<'_>,
        method_key: MethodKey,
    ) -> Option<Match> {
        let host = authority.host();
        let port = authority.port().filter(|_| self.has_ports);
        let with_port = port.map(|port| host_and_port(host, port));
        let below = |root: Option<u32>, port_matched: bool| {
            let route = self.find_below(root?, path, method_key)?;
            Some(Match {
                route,
                port_matched,
            })
        };
        let named = |names: NodeEdges, start: usize| {
            let by_port = || {
                let name = with_port.as_ref()?.get(start..)?;
                below(self.edges.find(names, name), true)
            };
            by_port().or_else(|| below(self.edges.find(names, host.get(start..)?), false))
        };
        let wildcard = || {
            if self.suffixes.is_empty() {
                return None;
            }
            // From the left, so that the longest suffix comes first.
            let dots = host.iter().enumerate().filter(|(_, byte)| **byte == b'.');
            let mut starts = dots.filter_map(|(dot, _)| dot.checked_add(1));
            starts.find_map(|start| named(self.suffixes, start))
        };
        named(self.hosts, 0)
            .or_else(wildcard)
            .or_else(|| below(self.any, false))
    }

    /// The most specific route below a root.
    pub(super) fn find_below(
        &self,
        root: u32,
        path: &SegmentText<'_>,
        method_key: MethodKey,
    ) -> Option<RouteId> {
        let lookup = Lookup { path, method_key };
        self.descend(root, path.start(), &lookup).map(RouteId)
    }

    /// All roots.
    pub(super) fn roots(&self) -> impl Iterator<Item = u32> {
        self.roots.iter().copied()
    }

    /// The recursion is at most as deep as the longest pattern (`pattern::MAX_SEGMENTS`), and visits each
    /// node at most once.
    fn descend(&self, at: u32, rest: Option<&[u8]>, lookup: &Lookup<'_>) -> Option<u32> {
        let node = self.nodes.get(at as usize)?;
        let Some(rest) = rest else {
            return self
                .pick(node.end, lookup)
                .or_else(|| self.pick(node.tail, lookup));
        };
        let (segment, after) = lookup.path.next(rest);
        let literal = || {
            let below = self.edges.find(node.literals, segment)?;
            self.descend(below, after, lookup)
        };
        literal()
            .or_else(|| self.descend(node.variable, after, lookup))
            .or_else(|| self.pick(node.tail, lookup))
    }

    /// The route of a slot that names the method, else the one for every method.
    fn pick(&self, slot: u32, lookup: &Lookup<'_>) -> Option<u32> {
        let end = *self.slots.get(slot as usize)? as usize;
        let start = match slot.checked_sub(1) {
            Some(before) => *self.slots.get(before as usize)? as usize,
            None => 0,
        };
        let mut every = None;
        for entry in self.entries.get(start..end)? {
            if !entry.slash.fits(lookup.path.trailing_slash) {
                continue;
            }
            match lookup.method_key {
                MethodKey::AnyMethod => return Some(entry.route),
                MethodKey::Named(method) if method == entry.method => return Some(entry.route),
                _ if entry.method == NONE => every = Some(entry.route),
                _ => {}
            }
        }
        every
    }
}

impl Slash {
    fn fits(self, trailing_slash: bool) -> bool {
        match self {
            Self::Either => true,
            Self::With => trailing_slash,
            Self::Without => !trailing_slash,
        }
    }

    /// Whether a path can match both.
    pub(super) fn overlaps(self, other: Self) -> bool {
        self == other || self == Self::Either || other == Self::Either
    }
}
