//! What is remembered of tokens seen before: the verified ones, and those with a wrong signature.
//!
//! Both are keyed by the whole token: only an equal one, byte by byte, is a hit. Hashes are seeded.

use std::hash::{BuildHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::rc::Rc;

use foldhash::fast::FixedState;
use hashlink::LruCache;
use hashlink::linked_hash_map::RawEntryMut;

use crate::bytes;
use crate::claims::Claims;
use crate::token::verified::VerifiedToken;

/// An LRU map from whole tokens, bounded by entries and by bytes.
pub(super) struct TokenMap<P, V> {
    tokens: LruCache<Token<P>, Entry<V>, FixedState>,
    /// The one of `tokens`.
    hasher: FixedState,
    seen_once: SeenOnce,
    entries: usize,
    bytes: usize,
    used: usize,
}

/// Tokens that came once while there was no room: a mark for each, in a place that its hash gives. A
/// mark may be overwritten by another, and is 0 where there is none.
#[derive(Default)]
struct SeenOnce(Box<[u32]>);

/// Where a token stands in the map, or would stand.
type Place<'m, P, V> = RawEntryMut<'m, Token<P>, Entry<V>, FixedState>;

/// Which part of a token is hashed.
pub(super) trait Part {
    /// That part.
    fn of(token: &[u8]) -> &[u8];
}

/// Its last sixteen bytes, of the signature's 43 or more. They are all it takes to tell apart tokens
/// whose signatures are right: nobody can choose what a signature ends in.
pub(super) enum End {}

/// All of it: what its sender chose, its sender can make end as another token does.
pub(super) enum Whole {}

struct Token<P>(Box<[u8]>, PhantomData<P>);

struct Entry<V> {
    value: V,
    cost: usize,
}

impl SeenOnce {
    /// Whether the token with that hash came before; else notes that it came now. `entries` is how many
    /// tokens the map holds.
    fn again(&mut self, hash: u64, entries: usize) -> bool {
        if self.0.is_empty() {
            self.0 = vec![0; entries].into();
        }
        let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
        let mark = u32::from_le_bytes([a, b, c, d]).max(1);
        let place = u32::from_le_bytes([e, f, g, h]) as usize;
        let place = place.checked_rem(entries).and_then(|at| self.0.get_mut(at));
        place.is_some_and(|known| std::mem::replace(known, mark) == mark)
    }
}

impl Part for End {
    fn of(token: &[u8]) -> &[u8] {
        token.last_chunk::<16>().map_or(token, |end| end)
    }
}

impl Part for Whole {
    fn of(token: &[u8]) -> &[u8] {
        token
    }
}

impl<P: Part> Hash for Token<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(P::of(&self.0));
    }
}

impl<P> PartialEq for Token<P> {
    fn eq(&self, other: &Self) -> bool {
        bytes::equal(&self.0, &other.0)
    }
}

impl<P> Eq for Token<P> {}

impl<P: Part, V> TokenMap<P, V> {
    /// Room for that many tokens, which together cost at most that many bytes; 0 of either is none.
    pub(super) fn new(entries: usize, bytes: usize, hasher: FixedState) -> Self {
        Self {
            tokens: LruCache::with_hasher(entries, hasher.clone()),
            hasher,
            seen_once: SeenOnce::default(),
            entries,
            bytes,
            used: 0,
        }
    }

    /// The value of a token, which becomes the most recently used one.
    pub(super) fn get(&mut self, token: &[u8]) -> Option<&V> {
        if self.tokens.is_empty() {
            return None;
        }
        match self.entry(self.hash(token), token) {
            RawEntryMut::Occupied(mut entry) => {
                entry.to_back();
                Some(&entry.into_mut().value)
            }
            RawEntryMut::Vacant(_) => None,
        }
    }

    /// Remembers a token. Where there is no room, it takes the place of the least recently used ones: at
    /// once if they are `worthless`, else when it comes for the second time. So tokens that are used
    /// only once, however many, drive out none that is used again, and cost no work here.
    pub(super) fn insert(
        &mut self,
        token: &[u8],
        value: V,
        cost: usize,
        worthless: impl Fn(&V) -> bool,
    ) {
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
            if !worthless(&oldest.value) {
                admitted = admitted || self.seen_once.again(hash, self.entries);
                if !admitted {
                    return;
                }
            }
            self.used = self.used.saturating_sub(oldest.cost);
            self.tokens.remove_lru();
        }
        self.used = self.used.saturating_add(cost);
        if let RawEntryMut::Vacant(place) = self.entry(hash, token) {
            let token = Token(token.into(), PhantomData);
            place.insert_hashed_nocheck(hash, token, Entry { value, cost });
        }
    }

    /// Forgets a token.
    pub(super) fn remove(&mut self, token: &[u8]) {
        if let RawEntryMut::Occupied(entry) = self.entry(self.hash(token), token) {
            let cost = entry.remove().cost;
            self.used = self.used.saturating_sub(cost);
        }
    }

    /// What [`Token`]'s hash is.
    fn hash(&self, token: &[u8]) -> u64 {
        let mut state = self.hasher.build_hasher();
        state.write(P::of(token));
        state.finish()
    }

    fn entry(&mut self, hash: u64, token: &[u8]) -> Place<'_, P, V> {
        let found = self.tokens.raw_entry_mut();
        found.from_hash(hash, |Token(known, _)| bytes::equal(known, token))
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
pub(super) type VerifiedTokens<D> = TokenMap<End, Rc<VerifiedToken<D>>>;

/// Tokens whose signature is wrong for a key that is still there; the value is the issuer's index.
/// Nothing else is ever remembered as bad: a token that is too early, too late or without a key today
/// may be good tomorrow.
pub(super) type ForgedTokens = TokenMap<Whole, usize>;

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
