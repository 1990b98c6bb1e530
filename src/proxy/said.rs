//! Lines of the log that every worker could write, written by one of them.

use std::time::{Duration, UNIX_EPOCH};

use super::host;
use super::keys::fingerprint;
use crate::token::Issuer;

/// In this time all workers have taken a config over, in milliseconds.
const TOGETHER: u64 = 5_000;

/// How often a break-glass issuer is named while it is in force, in milliseconds.
const REMINDER: u64 = 15 * 60 * 1_000;

/// Tells the operator something that is the same on all workers.
pub(super) fn info(text: &str) {
    if first(text, TOGETHER) {
        log::info!("{text}");
    }
}

/// Warns of something that is the same on all workers.
pub(super) fn warn(text: &str) {
    if first(text, TOGETHER) {
        log::warn!("{text}");
    }
}

/// Names the issuers that are there for an emergency, again and again: those in force, and those that
/// have ended and are still there.
pub(super) fn break_glass(issuers: &[Issuer], now: u64) {
    let seconds = now.checked_div(1_000).unwrap_or_default();
    let with_end = issuers
        .iter()
        .enumerate()
        .filter_map(|(index, issuer)| Some((index, issuer, issuer.not_after?)));
    for (index, issuer, end) in with_end {
        let until = UNIX_EPOCH
            .checked_add(Duration::from_secs(end))
            .map(|end| humantime::format_rfc3339_seconds(end).to_string())
            .unwrap_or_default();
        let text = if seconds < end {
            format!(
                "edge-claims: claims.issuers[{index}]: BREAK-GLASS issuer {:?} is in force until {until}",
                issuer.name
            )
        } else {
            format!(
                "edge-claims: claims.issuers[{index}]: BREAK-GLASS issuer {:?} has ended at {until}: its \
                 tokens are refused; remove it, or give it a later not_after",
                issuer.name
            )
        };
        if first(&text, REMINDER) {
            log::warn!("{text}");
        }
    }
}

/// Whether nobody in this process has said so for that long, in milliseconds; whoever asks first says it.
fn first(text: &str, silence: u64) -> bool {
    let Some(now) = host::now_milliseconds() else {
        return true;
    };
    let key = format!("edge_claims.said.{}", fingerprint(&[text]));
    let (before, version) = host::shared(&key).unwrap_or((Vec::new(), u32::MAX));
    let last = before.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let recent = last.is_some_and(|last| now.abs_diff(last) < silence);
    !recent && host::set_shared(&key, &now.to_le_bytes(), version).is_ok()
}
