//! A trie of path segments for each host, all in a few flat tables.

use super::edges::{Edges, NodeEdges};
use crate::policy::host::{Authority, host_and_port};
use crate::policy::path::SegmentText;
use crate::policy::route::RouteId;

/// The compiled routes. Nodes, slots and symbols are indexes; [`NONE`] is none of them.
#[derive(Debug, Default)]
pub(super) struct Trie {
    pub(super) edges: Edges,
    /// From every method that a route names to its symbol.
    pub(super) methods: NodeEdges,
    /// From every host that a route names in full to its root.
    pub(super) hosts: NodeEdges,
    /// From every suffix of hosts, without `*.`, to its root.
    pub(super) suffixes: NodeEdges,
    pub(super) nodes: Vec<Node>,
    /// By slot: where its entries end. They start where those of the slot before it end.
    pub(super) slots: Vec<u32>,
    pub(super) entries: Vec<Entry>,
    /// The root for every host.
    pub(super) any: Option<u32>,
    /// Whether a host pattern names a port.
    pub(super) has_ports: bool,
    /// All roots, in the order in which the routes name them.
    pub(super) roots: Vec<u32>,
}

/// A node of the trie: a prefix of patterns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// From every literal segment to the node below.
    pub(super) literals: NodeEdges,
    /// The node below a variable.
    pub(super) variable: u32,
    /// The slot of routes whose pattern ends here.
    pub(super) end: u32,
    /// The slot of routes with a tail here.
    pub(super) tail: u32,
}

/// A method of a route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// The method's symbol; [`NONE`] is every method.
    pub(super) method: u32,
    pub(super) route: u32,
    pub(super) slash: Slash,
}

/// Which endings of a path a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slash {
    /// Both.
    Either,
    /// With a slash at the end.
    With,
    /// Without.
    Without,
}

/// The route that decides a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    /// The route.
    pub(crate) route: RouteId,
    /// Whether it was found by a host pattern with a port.
    pub(crate) port_matched: bool,
}

/// The method that is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// A method that some route names.
    Named(u32),
    /// A method that no route names.
    Unnamed,
    /// Any method.
    AnyMethod,
}

/// Neither a node nor a slot nor a symbol.
pub(super) const NONE: u32 = u32::MAX;

/// What does not change during the descent.
struct Lookup<'q> {
    path: &'q SegmentText<'q>,
    wanted: Wanted,
}

impl Trie {
    /// The method, as [`Self::find`] wants it.
    pub(super) fn wanted(&self, method: &[u8]) -> Wanted {
        let symbol = self.edges.find(self.methods, method);
        symbol.map_or(Wanted::Unnamed, Wanted::Named)
    }

    /// The most specific route: by host, then below it.
    pub(super) fn find(
        &self,
        authority: &Authority<'_>,
        path: &SegmentText<'_>,
        wanted: Wanted,
    ) -> Option<Match> {
        let host = authority.host();
        let port = authority.port().filter(|_| self.has_ports);
        let with_port = port.map(|port| host_and_port(host, port));
        let below = |root: Option<u32>, port_matched: bool| {
            let route = self.find_below(root?, path, wanted)?;
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
            // From the left, so the longest suffix comes first.
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
        wanted: Wanted,
    ) -> Option<RouteId> {
        let lookup = Lookup { path, wanted };
        self.descend(root, path.start(), &lookup).map(RouteId)
    }

    /// All roots.
    pub(super) fn roots(&self) -> impl Iterator<Item = u32> {
        self.roots.iter().copied()
    }

    /// Recursion is as deep as the longest pattern (`pattern::MAX_SEGMENTS`), however long the path
    /// is; and each node is visited once at most.
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
            match lookup.wanted {
                Wanted::AnyMethod => return Some(entry.route),
                Wanted::Named(method) if method == entry.method => return Some(entry.route),
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

    /// Whether both are for one path.
    pub(super) fn overlaps(self, other: Self) -> bool {
        self == other || self == Self::Either || other == Self::Either
    }
}
