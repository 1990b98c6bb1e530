//! Which of the names that are known at a place a request has, and where it leads.

use crate::bytes;
use crate::policy::hash::ConfigMap;

/// Names at many places, in a few flat tables.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The names of short lists, one behind the other.
    text: Vec<u8>,
    /// The short lists, one behind the other.
    listed: Vec<Listed>,
    /// By name: its symbol, a number that is the same at all places.
    symbols: ConfigMap<Box<[u8]>, u32>,
    /// By place and symbol, where a list would be too long.
    hashed: ConfigMap<(u32, u32), u32>,
}

/// The names at one place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice {
    /// From here to there in the short lists.
    Listed { start: u32, end: u32 },
    /// In the hash table, under this place.
    Hashed { place: u32 },
}

/// A name of a short list: a range of the text, and where it leads.
#[derive(Debug, Clone, Copy)]
struct Listed {
    start: u32,
    len: u32,
    target: u32,
}

/// Collects names; then [`Self::finish`].
#[derive(Debug, Default)]
pub(super) struct NamesBuilder {
    symbols: ConfigMap<Box<[u8]>, u32>,
    targets: ConfigMap<(u32, u32), u32>,
}

/// The longest list whose names are compared one by one. Above it the cost of a lookup would grow with
/// the number of routes; up to it, hashing would cost more.
const LISTED: usize = 8;

impl Default for Choice {
    fn default() -> Self {
        Self::Listed { start: 0, end: 0 }
    }
}

impl Names {
    /// Where a name leads from a place.
    pub(super) fn find(&self, choice: Choice, name: &[u8]) -> Option<u32> {
        match choice {
            Choice::Listed { start, end } => {
                let listed = self.listed.get(start as usize..end as usize)?;
                let is_meant = |known: &&Listed| {
                    known.len as usize == name.len()
                        && self
                            .text
                            .get(known.start as usize..)
                            .and_then(|text| text.get(..name.len()))
                            .is_some_and(|known| bytes::equal(known, name))
                };
                listed.iter().find(is_meant).map(|known| known.target)
            }
            Choice::Hashed { place } => {
                let symbol = self.symbols.get(name)?;
                self.hashed.get(&(place, *symbol)).copied()
            }
        }
    }
}

/// `None`: there are more of something than numbers.
impl NamesBuilder {
    /// The number of a name.
    pub(super) fn symbol(&mut self, name: &str) -> Option<u32> {
        let name = name.as_bytes();
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
        let mut by_symbol: Vec<&[u8]> = vec![b""; self.symbols.len()];
        for (name, symbol) in &self.symbols {
            *by_symbol.get_mut(*symbol as usize)? = name;
        }
        let mut targets: Vec<(u32, u32, u32)> = self
            .targets
            .iter()
            .map(|((place, symbol), target)| (*place, *symbol, *target))
            .collect();
        targets.sort_unstable();
        let mut names = Names::default();
        let mut choices = ConfigMap::default();
        for here in targets.chunk_by(|left, right| left.0 == right.0) {
            let place = here.first()?.0;
            let choice = if here.len() > LISTED {
                let hashed = here.iter().map(|(_, symbol, target)| ((place, *symbol), *target));
                names.hashed.extend(hashed);
                Choice::Hashed { place }
            } else {
                let start = u32::try_from(names.listed.len()).ok()?;
                for (_, symbol, target) in here {
                    let name = by_symbol.get(*symbol as usize)?;
                    names.listed.push(Listed {
                        start: u32::try_from(names.text.len()).ok()?,
                        len: u32::try_from(name.len()).ok()?,
                        target: *target,
                    });
                    names.text.extend_from_slice(name);
                }
                let end = u32::try_from(names.listed.len()).ok()?;
                Choice::Listed { start, end }
            };
            choices.insert(place, choice);
        }
        if !names.hashed.is_empty() {
            names.symbols = self.symbols;
        }
        names.text.shrink_to_fit();
        names.listed.shrink_to_fit();
        names.hashed.shrink_to_fit();
        names.symbols.shrink_to_fit();
        Some((names, choices))
    }
}
