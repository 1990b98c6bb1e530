//! The cache of verified tokens.
//!
//! The key is the whole token, so only an identical token is a hit. Failed verifications are not cached.

use std::hash::{BuildHasher, Hash, Hasher};
use std::rc::Rc;

use foldhash::fast::FixedState;
use hashlink::LruCache;
use hashlink::linked_hash_map::RawEntryMut;

use crate::bytes;
use crate::claims::Claims;
use crate::token::verified::VerifiedToken;

/// The verified tokens of one worker: an LRU map, limited by entries and bytes.
pub(super) struct TokenCache<D> {
    tokens: LruCache<Token, Entry<D>, FixedState>,
    /// A clone of the hasher of `tokens`.
    hasher: FixedState,
    doorkeeper: Doorkeeper,
    entries: usize,
    bytes: usize,
    used: usize,
}

/// The admission filter of a full cache, as in TinyLFU: a token can evict others only on its second use.
/// Records one fingerprint in each slot (0 if empty); the token's hash selects the slot.
#[derive(Default)]
struct Doorkeeper(Box<[u32]>);

type MapEntry<'m, D> = RawEntryMut<'m, Token, Entry<D>, FixedState>;

struct Token(Box<[u8]>);

struct Entry<D> {
    token: Rc<VerifiedToken<D>>,
    cost: usize,
}

impl Doorkeeper {
    /// Whether the token with this hash was seen before; if not, records it. `entries` is the number of slots.
    fn seen_before(&mut self, hash: u64, entries: usize) -> bool {
        if self.0.is_empty() {
            self.0 = vec![0; entries].into();
        }
        let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
        let fingerprint = u32::from_le_bytes([a, b, c, d]).max(1);
        let slot = u32::from_le_bytes([e, f, g, h]) as usize;
        let slot = slot.checked_rem(entries).and_then(|at| self.0.get_mut(at));
        slot.is_some_and(|known| std::mem::replace(known, fingerprint) == fingerprint)
    }
}

/// The last 16 bytes of a token, which are part of its signature. They are sufficient as hash input, because
/// nobody can choose the end of a valid signature.
fn hashed_part(token: &[u8]) -> &[u8] {
    token.last_chunk::<16>().map_or(token, |end| end)
}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(hashed_part(&self.0));
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        bytes::equal(&self.0, &other.0)
    }
}

impl Eq for Token {}

impl<D> TokenCache<D> {
    /// A cache of at most `entries` tokens and `bytes` bytes; 0 for either disables it.
    pub(super) fn new(entries: usize, bytes: usize, hasher: FixedState) -> Self {
        Self {
            tokens: LruCache::with_hasher(entries, hasher.clone()),
            hasher,
            doorkeeper: Doorkeeper::default(),
            entries,
            bytes,
            used: 0,
        }
    }

    /// Returns a token and marks it as most recently used.
    pub(super) fn get(&mut self, token: &[u8]) -> Option<&Rc<VerifiedToken<D>>> {
        if self.tokens.is_empty() {
            return None;
        }
        match self.entry(self.hash(token), token) {
            RawEntryMut::Occupied(mut entry) => {
                entry.to_back();
                Some(&entry.into_mut().token)
            }
            RawEntryMut::Vacant(_) => None,
        }
    }

    /// Caches a token. A full cache evicts the least recently used tokens if they are expired, else only when
    /// the new token is used for the second time. So tokens that are used only once do not evict others.
    pub(super) fn insert(
        &mut self,
        token: &[u8],
        verified: Rc<VerifiedToken<D>>,
        is_expired: impl Fn(&VerifiedToken<D>) -> bool,
    ) {
        let cost = cost(token, &verified.claims);
        if cost > self.bytes || self.entries == 0 {
            return;
        }
        self.remove(token);
        let hash = self.hash(token);
        let mut admitted = false;
        while self.tokens.len() >= self.entries || self.used.saturating_add(cost) > self.bytes {
            let Some((_, oldest)) = self.tokens.iter().next() else {
                break;
            };
            if !is_expired(&oldest.token) {
                admitted = admitted || self.doorkeeper.seen_before(hash, self.entries);
                if !admitted {
                    return;
                }
            }
            self.used = self.used.saturating_sub(oldest.cost);
            self.tokens.remove_lru();
        }
        self.used = self.used.saturating_add(cost);
        if let RawEntryMut::Vacant(place) = self.entry(hash, token) {
            let entry = Entry {
                token: verified,
                cost,
            };
            place.insert_hashed_nocheck(hash, Token(token.into()), entry);
        }
    }

    pub(super) fn remove(&mut self, token: &[u8]) {
        if let RawEntryMut::Occupied(entry) = self.entry(self.hash(token), token) {
            let cost = entry.remove().cost;
            self.used = self.used.saturating_sub(cost);
        }
    }

    /// The same hash as [`Token`]'s.
    fn hash(&self, token: &[u8]) -> u64 {
        let mut state = self.hasher.build_hasher();
        state.write(hashed_part(token));
        state.finish()
    }

    fn entry(&mut self, hash: u64, token: &[u8]) -> MapEntry<'_, D> {
        let found = self.tokens.raw_entry_mut();
        found.from_hash(hash, |Token(known)| bytes::equal(known, token))
    }

    /// Removes all tokens for which `keep` returns false.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&VerifiedToken<D>) -> bool) {
        let used = &mut self.used;
        self.tokens.retain(|_, entry| {
            let kept = keep(&entry.token);
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

/// The estimated memory of a cached token, in bytes: twice its length (the derived data is about as long),
/// and its parsed claims.
fn cost(token: &[u8], claims: &Claims) -> usize {
    let tree = claims.members().heap_bytes();
    let text = token.len().saturating_mul(2);
    text.saturating_add(tree).saturating_add(OVERHEAD)
}

/// The map's overhead per entry, in bytes.
const OVERHEAD: usize = 256;
