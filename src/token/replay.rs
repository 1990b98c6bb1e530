//! Replay windows: the one-use tokens that were used.

use std::collections::{BTreeMap, BTreeSet};

use hmac_sha256::Hash;

/// The ID of a one-use token: the first 16 bytes of SHA-256 over its issuer and its identifying claim. It
/// has a fixed size for shared memory, and does not depend on the config.
pub(crate) type TokenId = [u8; 16];

/// Why a one-use token is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplayError {
    /// It was used before.
    Replayed,
    /// The token cannot be recorded: the window is full of unexpired entries, or its storage failed. Removing
    /// an entry early would allow a replay.
    Full,
}

/// The used tokens of one issuer. `worker` implements it in storage that all workers share;
/// [`MemoryWindow`] is for one worker only.
pub(crate) trait ReplayWindow {
    /// Records the use of a token until `keep_until` (Unix seconds). Until then, no other call with the same
    /// ID succeeds.
    ///
    /// # Errors
    /// A [`ReplayError`]
    fn consume(&mut self, id: TokenId, keep_until: u64, now: u64) -> Result<(), ReplayError>;
}

/// The ID of a token. The issuer's length is hashed first to separate issuer and claim.
pub(crate) fn token_id(issuer: &str, claim: &str) -> TokenId {
    let mut hash = Hash::new();
    hash.update((issuer.len() as u64).to_be_bytes());
    hash.update(issuer);
    hash.update(claim);
    let mut id = TokenId::default();
    for (to, from) in id.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    id
}

/// A window in the memory of one worker.
#[derive(Debug)]
pub(crate) struct MemoryWindow {
    entries: usize,
    used: BTreeMap<TokenId, u64>,
    by_expiry: BTreeSet<(u64, TokenId)>,
}

impl MemoryWindow {
    /// An empty window for at most `entries` tokens at a time.
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            entries,
            used: BTreeMap::new(),
            by_expiry: BTreeSet::new(),
        }
    }

    fn forget_expired(&mut self, now: u64) {
        while let Some(&(keep_until, id)) = self.by_expiry.first()
            && keep_until <= now
        {
            self.by_expiry.pop_first();
            self.used.remove(&id);
        }
    }
}

impl ReplayWindow for MemoryWindow {
    fn consume(&mut self, id: TokenId, keep_until: u64, now: u64) -> Result<(), ReplayError> {
        self.forget_expired(now);
        if self.used.contains_key(&id) {
            return Err(ReplayError::Replayed);
        }
        if self.used.len() >= self.entries {
            return Err(ReplayError::Full);
        }
        self.used.insert(id, keep_until);
        self.by_expiry.insert((keep_until, id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_once_until_it_expires() {
        let mut window = MemoryWindow::new(10);
        assert_eq!(window.consume([1; 16], 100, 50), Ok(()));
        assert_eq!(window.consume([1; 16], 100, 50), Err(ReplayError::Replayed));
        assert_eq!(window.consume([1; 16], 100, 99), Err(ReplayError::Replayed));
        assert_eq!(window.consume([2; 16], 100, 99), Ok(()));
        assert_eq!(window.used.len(), 2);
        assert_eq!(window.consume([3; 16], 200, 100), Ok(()));
        assert_eq!(window.used.len(), 1);
    }

    #[test]
    fn ids_differ_by_issuer_and_claim() {
        let ids = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc")];
        let ids: BTreeSet<_> = ids.map(|(issuer, claim)| token_id(issuer, claim)).into();
        assert_eq!(ids.len(), 4);
        assert_eq!(token_id("a", "b"), token_id("a", "b"));
    }

    #[test]
    fn a_full_window_keeps_unexpired_entries() {
        let mut window = MemoryWindow::new(2);
        assert_eq!(window.consume([1; 16], 100, 50), Ok(()));
        assert_eq!(window.consume([2; 16], 60, 50), Ok(()));
        assert_eq!(window.consume([3; 16], 100, 59), Err(ReplayError::Full));
        assert_eq!(window.consume([1; 16], 100, 59), Err(ReplayError::Replayed));
        assert_eq!(window.consume([3; 16], 100, 60), Ok(()));
    }

    #[test]
    fn a_window_of_zero_entries_rejects_every_token() {
        assert_eq!(
            MemoryWindow::new(0).consume([1; 16], 100, 50),
            Err(ReplayError::Full)
        );
    }
}
