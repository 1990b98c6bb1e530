//! Verifies the signature of a token with the key that was chosen for it.

use crate::token::jws::Jws;
use crate::token::keyring::Chosen;
use crate::token::verify::Stats;
use crate::token::{Algorithm, Portable, SignatureBackend};

/// Whether the signature is valid. Counts the verification by who computes it.
pub(super) fn is_signed(
    algorithm: Algorithm,
    chosen: &Chosen<'_>,
    token: &Jws<'_>,
    backend: &dyn SignatureBackend,
    stats: &mut Stats,
) -> bool {
    let count = |counters: &mut [u64]| {
        if let Some(counter) = counters.get_mut(algorithm as usize) {
            *counter = counter.saturating_add(1);
        }
    };
    match chosen {
        Chosen::Secret { key, .. } => {
            count(&mut stats.by_portable);
            key.verify(algorithm, token.signing_input, &token.signature)
        }
        Chosen::Inline(key) | Chosen::Remote(key) => {
            if token.signature.len() != key.signature_len() {
                return false;
            }
            match backend.verify(algorithm, key, token.signing_input, &token.signature) {
                Some(is_valid) => {
                    count(&mut stats.by_backend);
                    is_valid
                }
                None => {
                    count(&mut stats.by_portable);
                    Portable.check(algorithm, key, token.signing_input, &token.signature)
                }
            }
        }
    }
}
