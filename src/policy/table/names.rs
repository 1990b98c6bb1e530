//! Which of the names that are known at a place a request has, and where it leads.

use std::hash::{BuildHasher, Hasher};

use hashbrown::HashTable;

use crate::bytes;
use crate::policy::hash::{ConfigMap, ConfigState};

/// Names at many places, in a few flat tables.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Every name, once.
    text: Vec<u8>,
    /// The names of places that have few, place by place.
    listed: Vec<Name>,
    /// The names of places that have many, by place and name.
    hashed: HashTable<(u32, Name)>,
}

/// The names at one place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice {
    /// Few: a range of the list.
    Listed { start: u32, end: u32 },
    /// Many: in the hash table.
    Hashed { place: u32 },
}

/// A name, as a range of the text, and where it leads.
#[derive(Debug, Clone, Copy)]
struct Name {
    start: u32,
    len: u32,
    target: u32,
}

/// Collects names; then [`Self::finish`].
#[derive(Debug, Default)]
pub(super) struct NamesBuilder {
    symbols: ConfigMap<Box<str>, u32>,
    targets: ConfigMap<(u32, u32), u32>,
}

/// So many names are compared one by one. With more, the cost of a lookup would grow with the number of
/// routes; with fewer, hashing would cost more.
const FEW: usize = 8;

impl Default for Choice {
    fn default() -> Self {
        Self::Listed { start: 0, end: 0 }
    }
}

impl Choice {
    /// Whether there is nothing to choose from.
    pub(super) fn is_empty(self) -> bool {
        matches!(self, Self::Listed { start, end } if start == end)
    }
}

impl Names {
    /// Where a name leads from a place.
    pub(super) fn find(&self, choice: Choice, name: &[u8]) -> Option<u32> {
        match choice {
            Choice::Listed { start, end } => {
                let listed = self.listed.get(start as usize..end as usize)?;
                let found = listed.iter().find(|known| self.is(known, name))?;
                Some(found.target)
            }
            Choice::Hashed { place } => {
                let is_meant = |(at, known): &(u32, Name)| *at == place && self.is(known, name);
                let (_, found) = self.hashed.find(hash(place, name), is_meant)?;
                Some(found.target)
            }
        }
    }

    fn is(&self, known: &Name, name: &[u8]) -> bool {
        known.len as usize == name.len() && bytes::equal(known.of(&self.text), name)
    }

    fn insert(&mut self, place: u32, name: Name) {
        let text = &self.text;
        let hash_of = |(place, name): &(u32, Name)| hash(*place, name.of(text));
        let entry = (place, name);
        self.hashed.insert_unique(hash_of(&entry), entry, hash_of);
    }
}

impl Name {
    /// The name itself, in the text of all names.
    fn of(self, text: &[u8]) -> &[u8] {
        let behind = text.get(self.start as usize..).unwrap_or_default();
        behind.get(..self.len as usize).unwrap_or_default()
    }
}

fn hash(place: u32, name: &[u8]) -> u64 {
    let mut hasher = ConfigState::default().build_hasher();
    hasher.write_u32(place);
    hasher.write(name);
    hasher.finish()
}

/// `None`: there are more of something than numbers.
impl NamesBuilder {
    /// The number of a name, the same at all places.
    pub(super) fn symbol(&mut self, name: &str) -> Option<u32> {
        if let Some(symbol) = self.symbols.get(name) {
            return Some(*symbol);
        }
        let symbol = u32::try_from(self.symbols.len()).ok()?;
        self.symbols.insert(name.into(), symbol);
        Some(symbol)
    }

    /// Where a name leads from a place so far.
    pub(super) fn target(&self, place: u32, symbol: u32) -> Option<u32> {
        self.targets.get(&(place, symbol)).copied()
    }

    /// Makes a name lead somewhere from a place.
    pub(super) fn lead(&mut self, place: u32, symbol: u32, target: u32) {
        self.targets.insert((place, symbol), target);
    }

    /// The names, and what there is to choose from at each place that has any.
    pub(super) fn finish(self) -> Option<(Names, ConfigMap<u32, Choice>)> {
        let mut names = Names::default();
        let mut ranges = vec![(0, 0); self.symbols.len()];
        for (name, symbol) in &self.symbols {
            let start = u32::try_from(names.text.len()).ok()?;
            let len = u32::try_from(name.len()).ok()?;
            *ranges.get_mut(*symbol as usize)? = (start, len);
            names.text.extend_from_slice(name.as_bytes());
        }
        let mut targets: Vec<(u32, u32, u32)> = self
            .targets
            .into_iter()
            .map(|((place, symbol), target)| (place, symbol, target))
            .collect();
        targets.sort_unstable();
        let mut choices = ConfigMap::default();
        for here in targets.chunk_by(|left, right| left.0 == right.0) {
            let (place, ..) = *here.first()?;
            let mut known = Vec::with_capacity(here.len());
            for (_, symbol, target) in here {
                let (start, len) = *ranges.get(*symbol as usize)?;
                let target = *target;
                known.push(Name { start, len, target });
            }
            let choice = if here.len() > FEW {
                known.into_iter().for_each(|name| names.insert(place, name));
                Choice::Hashed { place }
            } else {
                let start = u32::try_from(names.listed.len()).ok()?;
                names.listed.extend(known);
                let end = u32::try_from(names.listed.len()).ok()?;
                Choice::Listed { start, end }
            };
            choices.insert(place, choice);
        }
        names.text.shrink_to_fit();
        names.listed.shrink_to_fit();
        Some((names, choices))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Short lists and the hash table alike, names of any length, the same name at several places.
        #[test]
        fn every_name_leads_from_its_place_to_its_target_and_no_other_does(
            known in proptest::collection::btree_map((0..4_u32, "[ab/é]{0,12}"), any::<u32>(), 0..60),
            others in proptest::collection::vec((0..5_u32, "[ab/é]{0,12}"), 0..20),
        ) {
            let mut builder = NamesBuilder::default();
            let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
            for ((place, name), target) in &known {
                let symbol = builder.symbol(name).unwrap();
                builder.lead(*place, symbol, *target);
                *counts.entry(*place).or_default() += 1;
            }
            let (names, choices) = builder.finish().unwrap();
            let find = |place: &u32, name: &str| {
                let choice = choices.get(place).copied().unwrap_or_default();
                names.find(choice, name.as_bytes())
            };
            for ((place, name), target) in &known {
                prop_assert_eq!(find(place, name), Some(*target));
            }
            for (place, name) in others {
                let target = known.get(&(place, name.clone())).copied();
                prop_assert_eq!(find(&place, &name), target);
            }
            for (place, count) in counts {
                let hashed = matches!(choices[&place], Choice::Hashed { .. });
                prop_assert_eq!(hashed, count > FEW);
            }
        }
    }
}
