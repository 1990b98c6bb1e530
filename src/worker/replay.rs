//! The replay window: the used one-use tokens, shared by all workers of one host.
//!
//! Shared data cannot be deleted, so the window has a fixed number of shards. An entry's ID selects its
//! shard. Each change removes the expired entries of a shard and stores it by compare-and-swap.

use super::fingerprint;
use super::host::{Host, Version};
use crate::gate::Gate;
use crate::token::replay::TokenId;
use crate::token::{IssuerId, ReplayError, ReplayWindow};

/// The average number of entries in a shard of a full window.
const MEAN: usize = 64;

/// The size of an entry in bytes: the ID, and the Unix time in seconds until which it is kept.
const ENTRY: usize = 24;

/// How often a change is attempted when other workers change the shard at the same time.
const ATTEMPTS: usize = 16;

/// A window in shared data.
struct SharedWindow<H> {
    host: H,
    prefix: String,
    shards: usize,
    /// The maximum number of entries in a shard: 1.5 times the mean, because the distribution is not even.
    capacity: usize,
}

/// Sets up a shared window for every issuer with one-use tokens.
pub(super) fn share_windows(gate: &mut Gate, host: &impl Host) {
    let issuers = gate.config().claims.issuers.iter().enumerate();
    let windows: Vec<_> = issuers
        .filter_map(|(index, issuer)| {
            let entries = issuer.one_use.as_ref()?.entries;
            let window = SharedWindow::new(host.clone(), &issuer.name, entries);
            Some((IssuerId(index), window))
        })
        .collect();
    for (issuer, window) in windows {
        gate.verifier().set_replay_window(issuer, Box::new(window));
    }
}

impl<H: Host> SharedWindow<H> {
    fn new(host: H, issuer: &str, entries: usize) -> Self {
        let shards = entries.div_ceil(MEAN).max(1);
        let mean = entries.div_ceil(shards);
        Self {
            host,
            prefix: format!("edge_claims.used.{}.{shards}.", fingerprint(&[issuer])),
            shards,
            capacity: mean.saturating_add(mean.div_ceil(2)),
        }
    }

    fn shard(&self, id: &TokenId) -> String {
        let number = id.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let shards = u64::try_from(self.shards).unwrap_or(1);
        let number = number.unwrap_or_default().checked_rem(shards);
        format!("{}{}", self.prefix, number.unwrap_or_default())
    }

    /// Adds the entry to a copy of the shard, without the entries that have expired.
    fn add(
        &self,
        shard: &[u8],
        id: &TokenId,
        until: u64,
        now: u64,
    ) -> Result<Vec<u8>, ReplayError> {
        let mut after = Vec::with_capacity(shard.len().saturating_add(ENTRY));
        for entry in shard.chunks_exact(ENTRY) {
            let Some((known, kept_until)) = entry.split_first_chunk::<16>() else {
                continue;
            };
            let kept_until = kept_until.first_chunk();
            let kept_until = kept_until.map(|bytes| u64::from_le_bytes(*bytes));
            if kept_until.is_none_or(|kept_until| kept_until <= now) {
                continue;
            }
            if known == id {
                return Err(ReplayError::Replayed);
            }
            after.extend_from_slice(entry);
        }
        if after.len() >= self.capacity.saturating_mul(ENTRY) {
            return Err(ReplayError::Full);
        }
        after.extend_from_slice(id);
        after.extend_from_slice(&until.to_le_bytes());
        Ok(after)
    }
}

impl<H: Host> ReplayWindow for SharedWindow<H> {
    fn consume(&mut self, id: TokenId, keep_until: u64, now: u64) -> Result<(), ReplayError> {
        let key = self.shard(&id);
        for _ in 0..ATTEMPTS {
            let (shard, version) = match self.host.shared_data(&key) {
                Ok(Some(found)) => found,
                Ok(None) => (Vec::new(), Version::ABSENT),
                Err(_) => return Err(ReplayError::Full),
            };
            let after = self.add(&shard, &id, keep_until, now)?;
            match self.host.set_shared_data(&key, &after, Some(version)) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(_) => return Err(ReplayError::Full),
            }
        }
        Err(ReplayError::Full)
    }
}
