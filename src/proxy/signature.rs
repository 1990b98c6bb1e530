//! Signatures computed by the host (`verify_signature`), many times as fast as inside the VM.

use std::cell::Cell;

use super::host::{self, Failed};
use crate::envoy_verify_signature::{FUNCTION, GOOD, verify_signature_argument};
use crate::token::{Algorithm, Portable, PublicKey, SignatureBackend, known_answers};

/// The host's `verify_signature`, for the algorithms that passed their self-test.
#[derive(Default)]
pub(super) struct HostBackend {
    /// By `Algorithm as usize`: whether the host is known to tell good from bad.
    trusted: [Cell<bool>; Algorithm::ALL.len()],
}

/// The host's function without the self-test.
struct Untested;

impl HostBackend {
    /// Puts a good and a bad signature of each algorithm to the host. Returns the names of those that
    /// it got right; the others stay with the portable back-end.
    pub(super) fn self_test(&self) -> Vec<&'static str> {
        known_answers::algorithms()
            .filter(|algorithm| {
                let passes = known_answers::passes(&Untested, *algorithm);
                if let Some(cell) = self.trusted.get(*algorithm as usize) {
                    cell.set(passes);
                }
                passes
            })
            .map(Algorithm::name)
            .collect()
    }

    /// Whether the host computes that algorithm's signatures.
    pub(super) fn trusts(&self, algorithm: Algorithm) -> bool {
        self.trusted.get(algorithm as usize).is_some_and(Cell::get)
    }
}

impl SignatureBackend for HostBackend {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        if self.trusts(algorithm) {
            Untested.verify(algorithm, key, message, signature)
        } else {
            None
        }
    }

    fn cost_micros(&self, algorithm: Algorithm, key: &PublicKey) -> u64 {
        if self.trusts(algorithm) {
            host_cost_micros(algorithm)
        } else {
            Portable.cost_micros(algorithm, key)
        }
    }
}

/// The CPU time in microseconds of one call, measured as that of the portable back-end.
fn host_cost_micros(algorithm: Algorithm) -> u64 {
    match algorithm {
        Algorithm::Es384 => 550,
        Algorithm::Es512 => 1_300,
        _ => 100,
    }
}

impl SignatureBackend for Untested {
    /// The host says Ok with `result: false` to a wrong signature. Any other trouble is its own, and
    /// then the portable back-end decides.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let argument = verify_signature_argument(algorithm, key, message, signature)?;
        match host::foreign_function(FUNCTION, &argument) {
            Ok(answer) => Some(answer == GOOD),
            Err(Failed(_)) => None,
        }
    }
}
