//! What is remembered of tokens seen before: the verified ones, and those with a wrong signature.
//!
//! Both are keyed by the whole token: only an equal one, byte by byte, is a hit. Hashes are seeded.

use std::hash::BuildHasher;
use std::rc::Rc;

use foldhash::fast::FixedState;
use hashlink::LruCache;
use hashlink::linked_hash_map::RawEntryMut;

use crate::bytes;
use crate::claims::Claims;
use crate::token::verified::VerifiedToken;

/// An LRU map from whole tokens, bounded by entries and by bytes.
pub(super) struct TokenMap<V> {
    tokens: LruCache<Box<[u8]>, Entry<V>, FixedState>,
    entries: usize,
    bytes: usize,
    used: usize,
}

/// Where a token stands in the map, or would stand.
type Place<'m, V> = RawEntryMut<'m, Box<[u8]>, Entry<V>, FixedState>;

/// A token with its hash.
#[derive(Clone, Copy)]
pub(super) struct Hashed<'t> {
    pub(super) bytes: &'t [u8],
    hash: u64,
}

impl<'t> Hashed<'t> {
    /// A token as [`VerifiedTokens`] wants it: what tells verified tokens apart is the end of their
    /// signatures, which nobody can choose, so that no more of it need be hashed.
    pub(super) fn by_signature(bytes: &'t [u8], hasher: &FixedState) -> Self {
        let hash = match bytes.last_chunk() {
            Some(end) => hasher.hash_one(u128::from_ne_bytes(*end)),
            None => hasher.hash_one(bytes),
        };
        Self { bytes, hash }
    }

    /// A token as [`ForgedTokens`] wants it: its sender chose every byte, so that all of them are hashed.
    pub(super) fn whole(bytes: &'t [u8], hasher: &FixedState) -> Self {
        let hash = hasher.hash_one(bytes);
        Self { bytes, hash }
    }
}

struct Entry<V> {
    value: V,
    cost: usize,
}

impl<V> TokenMap<V> {
    /// Room for that many tokens, which together cost at most that many bytes; 0 of either is none.
    pub(super) fn new(entries: usize, bytes: usize, hasher: FixedState) -> Self {
        Self {
            tokens: LruCache::with_hasher(entries, hasher),
            entries,
            bytes,
            used: 0,
        }
    }

    /// The value of a token, which becomes the most recently used one.
    pub(super) fn get(&mut self, token: Hashed<'_>) -> Option<&V> {
        match self.entry(token) {
            RawEntryMut::Occupied(mut entry) => {
                entry.to_back();
                Some(&entry.into_mut().value)
            }
            RawEntryMut::Vacant(_) => None,
        }
    }

    /// Remembers a token, at the price of the least recently used ones.
    pub(super) fn insert(&mut self, token: Hashed<'_>, value: V, cost: usize) {
        if cost > self.bytes || self.entries == 0 {
            return;
        }
        self.remove(token);
        while self.tokens.len() >= self.entries || self.used.saturating_add(cost) > self.bytes {
            let Some((_, oldest)) = self.tokens.remove_lru() else {
                break;
            };
            self.used = self.used.saturating_sub(oldest.cost);
        }
        self.used = self.used.saturating_add(cost);
        if let RawEntryMut::Vacant(place) = self.entry(token) {
            place.insert_hashed_nocheck(token.hash, token.bytes.into(), Entry { value, cost });
        }
    }

    /// Forgets a token.
    pub(super) fn remove(&mut self, token: Hashed<'_>) {
        if let RawEntryMut::Occupied(entry) = self.entry(token) {
            let cost = entry.remove().cost;
            self.used = self.used.saturating_sub(cost);
        }
    }

    fn entry(&mut self, token: Hashed<'_>) -> Place<'_, V> {
        let found = self.tokens.raw_entry_mut();
        found.from_hash(token.hash, |known| bytes::equal(known, token.bytes))
    }

    /// Forgets all tokens but those that `keep` names.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        let used = &mut self.used;
        self.tokens.retain(|_, entry| {
            let kept = keep(&entry.value);
            if !kept {
                *used = used.saturating_sub(entry.cost);
            }
            kept
        });
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn used(&self) -> usize {
        self.used
    }
}

/// The verified tokens of one worker.
pub(super) type VerifiedTokens = TokenMap<Rc<VerifiedToken>>;

/// Tokens whose signature is wrong for a key that is still there; the value is the issuer's index.
/// Nothing else is ever remembered as bad: a token that is too early, too late or without a key today
/// may be good tomorrow.
pub(super) type ForgedTokens = TokenMap<usize>;

/// What a verified token costs: itself twice, once for what is derived from it, and its claims as a tree.
pub(super) fn verified_cost(token: &[u8], claims: &Claims) -> usize {
    let tree = claims.members().heap_bytes();
    let text = token.len().saturating_mul(2);
    text.saturating_add(tree).saturating_add(OVERHEAD)
}

/// What a forged token costs.
pub(super) fn forged_cost(token: &[u8]) -> usize {
    token.len().saturating_add(OVERHEAD)
}

/// The map's own share per entry, in bytes.
const OVERHEAD: usize = 256;
