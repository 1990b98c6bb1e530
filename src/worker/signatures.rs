//! Signature verification by the host, which is much faster than the portable one, for the algorithms that
//! pass a self-test.

use super::host::Host;
use crate::token::{Algorithm, Portable, PublicKey, SignatureBackend, known_answers};

/// The host as a signature back-end.
pub(super) struct TestedBackend<H> {
    host: H,
    /// Whether the host passed the test, by `Algorithm as usize`.
    passed: [bool; Algorithm::ALL.len()],
}

impl<H: Host> TestedBackend<H> {
    /// A back-end that leaves all algorithms to the portable one.
    pub(super) fn unused(host: H) -> Self {
        Self {
            host,
            passed: [false; Algorithm::ALL.len()],
        }
    }

    /// Tests the host with a valid and an invalid signature of each algorithm. The host verifies the
    /// algorithms for which both results are correct; the portable back-end verifies the others.
    pub(super) fn test(host: H) -> Self {
        let mut backend = Self::unused(host);
        for algorithm in known_answers::algorithms() {
            if let Some(passed) = backend.passed.get_mut(algorithm as usize) {
                *passed = known_answers::passes(&backend.host, algorithm);
            }
        }
        backend
    }

    /// Whether the host verifies signatures of this algorithm.
    pub(super) fn verifies(&self, algorithm: Algorithm) -> bool {
        let passed = self.passed.get(algorithm as usize);
        passed.copied().unwrap_or_default()
    }
}

impl<H: Host> SignatureBackend for TestedBackend<H> {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        if self.verifies(algorithm) {
            self.host.verify(algorithm, key, message, signature)
        } else {
            None
        }
    }

    fn cost_micros(&self, algorithm: Algorithm, key: &PublicKey) -> u64 {
        if self.verifies(algorithm) {
            self.host.cost_micros(algorithm, key)
        } else {
            Portable.cost_micros(algorithm, key)
        }
    }
}
