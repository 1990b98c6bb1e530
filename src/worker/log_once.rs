//! Log lines that are the same on all workers, written by only one of them.

use std::time::{Duration, UNIX_EPOCH};

use super::fingerprint;
use super::host::{Host, Version};
use crate::token::Issuer;

/// The time within which all workers load a config, in milliseconds.
const LOAD_TIME: u64 = 5_000;

/// The interval at which a break-glass issuer is logged, in milliseconds.
const REMINDER: u64 = 15 * 60 * 1_000;

/// Logs a line that is the same on all workers.
pub(super) fn info(host: &impl Host, text: &str) {
    if is_first(host, text, LOAD_TIME) {
        log::info!("{text}");
    }
}

/// Logs a warning that is the same on all workers.
pub(super) fn warn(host: &impl Host, text: &str) {
    if is_first(host, text, LOAD_TIME) {
        log::warn!("{text}");
    }
}

/// Logs a reminder for each break-glass issuer (an issuer with `not_after`).
pub(super) fn break_glass(host: &impl Host, issuers: &[Issuer], now_ms: u64) {
    let seconds = now_ms.checked_div(1_000).unwrap_or_default();
    for (index, issuer) in issuers.iter().enumerate() {
        let Some(end) = issuer.not_after else {
            continue;
        };
        let until = UNIX_EPOCH
            .checked_add(Duration::from_secs(end))
            .map(|end| humantime::format_rfc3339_seconds(end).to_string())
            .unwrap_or_default();
        let name = &issuer.name;
        let text = if seconds < end {
            format!(
                "edge-claims: claims.issuers[{index}]: BREAK-GLASS issuer {name:?} is in force until {until}"
            )
        } else {
            format!(
                "edge-claims: claims.issuers[{index}]: BREAK-GLASS issuer {name:?} has ended at {until}: \
                 its tokens are refused; remove it, or give it a later not_after"
            )
        };
        if is_first(host, &text, REMINDER) {
            log::warn!("{text}");
        }
    }
}

/// Whether no worker has logged this text in the last `silence` milliseconds. Returns `true` to one caller.
fn is_first(host: &impl Host, text: &str, silence: u64) -> bool {
    let Some(now) = host.now_ms() else {
        return true;
    };
    let key = format!("edge_claims.logged.{}", fingerprint(&[text]));
    let (before, version) = match host.shared_data(&key) {
        Ok(Some(found)) => found,
        Ok(None) | Err(_) => (Vec::new(), Version::ABSENT),
    };
    let last = before.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let is_recent = last.is_some_and(|last| now.abs_diff(last) < silence);
    let set = || host.set_shared_data(&key, &now.to_le_bytes(), Some(version));
    !is_recent && set().unwrap_or_default()
}
