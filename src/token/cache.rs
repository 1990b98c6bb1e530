//! What is remembered of tokens seen before: the verified ones, and those with a wrong signature.
//!
//! Both are keyed by the whole token: the hash is over all of it and seeded, and only an equal token,
//! byte by byte, is a hit.

use std::hash::BuildHasher;
use std::rc::Rc;

use foldhash::fast::FixedState;
use hashlink::LruCache;
use hashlink::linked_hash_map::RawEntryMut;

use crate::bytes;
use crate::token::verified::VerifiedToken;

/// An LRU map from whole tokens, bounded by entries and by bytes.
pub(super) struct TokenMap<V> {
    tokens: LruCache<Box<[u8]>, Entry<V>, FixedState>,
    hasher: FixedState,
    entries: usize,
    bytes: usize,
    used: usize,
}

struct Entry<V> {
    value: V,
    cost: usize,
}

impl<V> TokenMap<V> {
    /// Room for that many tokens, which together cost at most that many bytes; 0 of either is none.
    pub(super) fn new(entries: usize, bytes: usize, seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            tokens: LruCache::with_hasher(entries, hasher.clone()),
            hasher,
            entries,
            bytes,
            used: 0,
        }
    }

    /// The value of a token, which becomes the most recently used one.
    pub(super) fn get(&mut self, token: &[u8]) -> Option<&V> {
        let hash = self.hasher.hash_one(token);
        let found = self.tokens.raw_entry_mut();
        match found.from_hash(hash, |known| bytes::equal(known, token)) {
            RawEntryMut::Occupied(mut entry) => {
                entry.to_back();
                Some(&entry.into_mut().value)
            }
            RawEntryMut::Vacant(_) => None,
        }
    }

    /// Remembers a token, at the price of the least recently used ones.
    pub(super) fn insert(&mut self, token: &[u8], value: V, cost: usize) {
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
        self.tokens.insert(token.into(), Entry { value, cost });
    }

    /// Forgets a token.
    pub(super) fn remove(&mut self, token: &[u8]) {
        if let Some(entry) = self.tokens.remove(token) {
            self.used = self.used.saturating_sub(entry.cost);
        }
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

/// What a verified token costs: itself, and its claims as a tree, which take some four times the
/// room of their text.
pub(super) fn verified_cost(token: &[u8]) -> usize {
    token.len().saturating_mul(5).saturating_add(OVERHEAD)
}

/// What a forged token costs.
pub(super) fn forged_cost(token: &[u8]) -> usize {
    token.len().saturating_add(OVERHEAD)
}

/// The map's own share per entry, in bytes.
const OVERHEAD: usize = 256;
