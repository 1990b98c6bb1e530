//! The labelled edges of the trie: each leads from a node by a label to a target.

use std::hash::{BuildHasher, Hasher};

use hashbrown::HashTable;

use crate::bytes;
use crate::policy::hash::{ConfigMap, ConfigState};

/// The edges of all nodes, in a few flat tables.
#[derive(Debug, Default)]
pub(super) struct Edges {
    /// All labels, each once.
    text: Vec<u8>,
    /// The edges of nodes with few edges, grouped by node.
    listed: Vec<Edge>,
    /// The edges of nodes with many edges, by node and label.
    hashed: HashTable<(u32, Edge)>,
}

/// The edges of one node.
#[derive(Debug, Clone, Copy)]
pub(super) enum NodeEdges {
    /// Few edges: a range of the list.
    Listed { start: u32, end: u32 },
    /// Many edges: in the hash table.
    Hashed { node: u32 },
}

/// An edge: the position of its label in the text, and its target.
#[derive(Debug, Clone, Copy)]
struct Edge {
    start: u32,
    len: u32,
    target: u32,
}

/// Collects edges.
#[derive(Debug, Default)]
pub(super) struct EdgesBuilder {
    symbols: ConfigMap<Box<str>, u32>,
    targets: ConfigMap<(u32, u32), u32>,
}

/// Up to this many labels are compared one by one, which is faster than hashing. With more, the cost of a
/// lookup would grow with the number of routes.
const FEW: usize = 8;

impl Default for NodeEdges {
    fn default() -> Self {
        Self::Listed { start: 0, end: 0 }
    }
}

impl NodeEdges {
    /// Whether the node has no edges.
    pub(super) fn is_empty(self) -> bool {
        matches!(self, Self::Listed { start, end } if start == end)
    }
}

impl Edges {
    /// The target of the edge with this label.
    pub(super) fn find(&self, node_edges: NodeEdges, label: &[u8]) -> Option<u32> {
        match node_edges {
            NodeEdges::Listed { start, end } => {
                let listed = self.listed.get(start as usize..end as usize)?;
                let found = listed.iter().find(|known| self.is(known, label))?;
                Some(found.target)
            }
            NodeEdges::Hashed { node } => {
                let matches = |(at, known): &(u32, Edge)| *at == node && self.is(known, label);
                let (_, found) = self.hashed.find(hash(node, label), matches)?;
                Some(found.target)
            }
        }
    }

    fn is(&self, known: &Edge, label: &[u8]) -> bool {
        known.len as usize == label.len() && bytes::equal(known.of(&self.text), label)
    }

    fn insert(&mut self, node: u32, label: Edge) {
        let text = &self.text;
        let hash_of = |(node, label): &(u32, Edge)| hash(*node, label.of(text));
        let entry = (node, label);
        self.hashed.insert_unique(hash_of(&entry), entry, hash_of);
    }
}

impl Edge {
    /// The label, in the text of all labels.
    fn of(self, text: &[u8]) -> &[u8] {
        let behind = text.get(self.start as usize..).unwrap_or_default();
        behind.get(..self.len as usize).unwrap_or_default()
    }
}

fn hash(node: u32, label: &[u8]) -> u64 {
    let mut hasher = ConfigState::default().build_hasher();
    hasher.write_u32(node);
    hasher.write(label);
    hasher.finish()
}

/// These return `None` if there are more items than 32-bit indexes.
impl EdgesBuilder {
    /// The symbol of a label, the same for all nodes.
    pub(super) fn symbol(&mut self, label: &str) -> Option<u32> {
        if let Some(symbol) = self.symbols.get(label) {
            return Some(*symbol);
        }
        let symbol = u32::try_from(self.symbols.len()).ok()?;
        self.symbols.insert(label.into(), symbol);
        Some(symbol)
    }

    /// The target of the edge with this label, if it exists.
    pub(super) fn target(&self, node: u32, symbol: u32) -> Option<u32> {
        self.targets.get(&(node, symbol)).copied()
    }

    pub(super) fn insert(&mut self, node: u32, symbol: u32, target: u32) {
        self.targets.insert((node, symbol), target);
    }

    /// The edges, and the edges of each node.
    pub(super) fn finish(self) -> Option<(Edges, ConfigMap<u32, NodeEdges>)> {
        let mut edges = Edges::default();
        let mut ranges = vec![(0, 0); self.symbols.len()];
        for (label, symbol) in &self.symbols {
            let start = u32::try_from(edges.text.len()).ok()?;
            let len = u32::try_from(label.len()).ok()?;
            *ranges.get_mut(*symbol as usize)? = (start, len);
            edges.text.extend_from_slice(label.as_bytes());
        }
        let mut targets: Vec<(u32, u32, u32)> = self
            .targets
            .into_iter()
            .map(|((node, symbol), target)| (node, symbol, target))
            .collect();
        targets.sort_unstable();
        let mut by_node = ConfigMap::default();
        for here in targets.chunk_by(|left, right| left.0 == right.0) {
            let (node, ..) = *here.first()?;
            let mut known = Vec::with_capacity(here.len());
            for (_, symbol, target) in here {
                let (start, len) = *ranges.get(*symbol as usize)?;
                let target = *target;
                known.push(Edge { start, len, target });
            }
            let node_edges = if here.len() > FEW {
                known
                    .into_iter()
                    .for_each(|label| edges.insert(node, label));
                NodeEdges::Hashed { node }
            } else {
                let start = u32::try_from(edges.listed.len()).ok()?;
                edges.listed.extend(known);
                let end = u32::try_from(edges.listed.len()).ok()?;
                NodeEdges::Listed { start, end }
            };
            by_node.insert(node, node_edges);
        }
        edges.text.shrink_to_fit();
        edges.listed.shrink_to_fit();
        Some((edges, by_node))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Covers short lists and the hash table, labels of any length, and the same label at several nodes.
        #[test]
        fn an_edge_is_found_only_by_its_node_and_label(
            known in proptest::collection::btree_map((0..4_u32, "[ab/é]{0,12}"), any::<u32>(), 0..60),
            others in proptest::collection::vec((0..5_u32, "[ab/é]{0,12}"), 0..20),
        ) {
            let mut builder = EdgesBuilder::default();
            let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
            for ((node, label), target) in &known {
                let symbol = builder.symbol(label).unwrap();
                builder.insert(*node, symbol, *target);
                *counts.entry(*node).or_default() += 1;
            }
            let (edges, by_node) = builder.finish().unwrap();
            let find = |node: &u32, label: &str| {
                let node_edges = by_node.get(node).copied().unwrap_or_default();
                edges.find(node_edges, label.as_bytes())
            };
            for ((node, label), target) in &known {
                prop_assert_eq!(find(node, label), Some(*target));
            }
            for (node, label) in others {
                let target = known.get(&(node, label.clone())).copied();
                prop_assert_eq!(find(&node, &label), target);
            }
            for (node, count) in counts {
                let hashed = matches!(by_node[&node], NodeEdges::Hashed { .. });
                prop_assert_eq!(hashed, count > FEW);
            }
        }
    }
}
