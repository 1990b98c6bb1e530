//! One-use tokens across all workers of one Envoy: the window lives in the host's shared data.
//!
//! The host can't delete a key, so the window has a fixed number of shards; an entry goes into the
//! shard that its ID names, and entries that have expired make room. Two workers that change a shard
//! at once are told apart by its version.

use super::host::{self, Failed};
use super::keys::fingerprint;
use crate::gate::Gate;
use crate::token::replay::TokenId;
use crate::token::{IssuerId, ReplayError, ReplayWindow};

/// Entries that a shard holds on average when the window is full.
const MEAN: usize = 64;

/// Bytes of one entry: the ID, and until when it is kept in seconds since 1970.
const ENTRY: usize = 24;

/// How often a shard is tried again when another worker was faster.
const ATTEMPTS: usize = 16;

/// A window in shared data.
struct SharedWindow {
    prefix: String,
    shards: usize,
    /// The most entries of one shard: IDs are not spread evenly, so half more than the mean.
    capacity: usize,
}

/// Gives every issuer with one-use tokens a window that all workers share.
pub(super) fn share(gate: &mut Gate) {
    let windows: Vec<(usize, SharedWindow)> = gate
        .config()
        .claims
        .issuers
        .iter()
        .enumerate()
        .filter_map(|(index, issuer)| {
            let entries = issuer.one_use.as_ref()?.entries;
            Some((index, SharedWindow::new(&issuer.name, entries)))
        })
        .collect();
    for (index, window) in windows {
        gate.verifier()
            .set_replay_window(IssuerId(index), Box::new(window));
    }
}

impl SharedWindow {
    fn new(issuer: &str, entries: usize) -> Self {
        let shards = entries.div_ceil(MEAN).max(1);
        let mean = entries.div_ceil(shards);
        Self {
            prefix: format!("edge_claims.used.{}.{shards}.", fingerprint(&[issuer])),
            shards,
            capacity: mean.saturating_add(mean.div_ceil(2)),
        }
    }

    fn shard(&self, id: &TokenId) -> String {
        let number = id
            .first_chunk()
            .map(|bytes| u64::from_le_bytes(*bytes))
            .unwrap_or_default();
        let shards = u64::try_from(self.shards).unwrap_or(1);
        format!(
            "{}{}",
            self.prefix,
            number.checked_rem(shards).unwrap_or_default()
        )
    }
}

impl ReplayWindow for SharedWindow {
    fn consume(&mut self, id: TokenId, keep_until: u64, now: u64) -> Result<(), ReplayError> {
        let key = self.shard(&id);
        for _ in 0..ATTEMPTS {
            let (before, version) = match host::shared(&key) {
                Ok(found) => found,
                Err(Failed::NOT_FOUND) => (Vec::new(), u32::MAX),
                Err(_) => return Err(ReplayError::Full),
            };
            let mut after = Vec::with_capacity(before.len().saturating_add(ENTRY));
            for entry in before.chunks_exact(ENTRY) {
                let Some((known, until)) = entry.split_first_chunk::<16>() else {
                    continue;
                };
                let until = until.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
                if until.is_none_or(|until| until <= now) {
                    continue;
                }
                if *known == id {
                    return Err(ReplayError::Replayed);
                }
                after.extend_from_slice(entry);
            }
            if after.len() >= self.capacity.saturating_mul(ENTRY) {
                return Err(ReplayError::Full);
            }
            after.extend_from_slice(&id);
            after.extend_from_slice(&keep_until.to_le_bytes());
            match host::set_shared(&key, &after, version) {
                Ok(()) => return Ok(()),
                Err(Failed::CAS_MISMATCH) => {}
                Err(_) => return Err(ReplayError::Full),
            }
        }
        Err(ReplayError::Full)
    }
}
