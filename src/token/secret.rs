//! Shared secrets for HS*, which are read from the VM's environment, not from the config.

use std::fmt;

use jwt_simple::prelude::{HS256Key, HS384Key, HS512Key, MACLike};

use crate::token::Algorithm;

/// A reference to a shared secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The environment variable whose raw bytes are the secret.
    pub env: String,
    /// The `kid` of the tokens that it verifies.
    pub kid: Option<String>,
}

/// Why a secret of the config cannot be used. The config is accepted, because this depends on the
/// environment; the affected tokens are rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretWarning {
    /// The variable is not set, or is empty.
    #[error(
        "issuers[{issuer}].keys.secrets[{index}]: the environment has no {env:?}: tokens for it \
         get 503; set it in the VM's environment"
    )]
    Missing {
        /// Index of the issuer.
        issuer: usize,
        /// Index of the secret.
        index: usize,
        /// The variable.
        env: String,
    },
    /// Shorter than the hash of an algorithm that the issuer allows (RFC 7518 §3.2).
    #[error(
        "issuers[{issuer}].keys.secrets[{index}]: {env:?} has {bytes} bytes, {algorithm} needs at \
         least {needed}: such tokens are refused"
    )]
    TooShort {
        /// Index of the issuer.
        issuer: usize,
        /// Index of the secret.
        index: usize,
        /// The variable.
        env: String,
        /// The algorithm that it is too short for.
        algorithm: Algorithm,
        /// Its length in bytes.
        bytes: usize,
        /// The minimum length in bytes.
        needed: usize,
    },
}

/// A secret. jwt-simple's keys are zeroized when dropped.
pub(super) struct SecretKey {
    hs256: Option<HS256Key>,
    hs384: Option<HS384Key>,
    hs512: Option<HS512Key>,
}

impl SecretKey {
    /// A key for each algorithm that the secret is long enough for.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let fits = |algorithm: Algorithm| bytes.len() >= algorithm.hash_len();
        Self {
            hs256: fits(Algorithm::Hs256).then(|| HS256Key::from_bytes(bytes)),
            hs384: fits(Algorithm::Hs384).then(|| HS384Key::from_bytes(bytes)),
            hs512: fits(Algorithm::Hs512).then(|| HS512Key::from_bytes(bytes)),
        }
    }

    /// Whether it is long enough for the algorithm.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Hs256 => self.hs256.is_some(),
            Algorithm::Hs384 => self.hs384.is_some(),
            Algorithm::Hs512 => self.hs512.is_some(),
            _ => false,
        }
    }

    /// Whether the tag is valid, in constant time for a tag of the right length.
    pub(super) fn verify(&self, algorithm: Algorithm, signing_input: &[u8], tag: &[u8]) -> bool {
        let expected = match algorithm {
            Algorithm::Hs256 => self
                .hs256
                .as_ref()
                .map(|key| key.authentication_tag(signing_input)),
            Algorithm::Hs384 => self
                .hs384
                .as_ref()
                .map(|key| key.authentication_tag(signing_input)),
            Algorithm::Hs512 => self
                .hs512
                .as_ref()
                .map(|key| key.authentication_tag(signing_input)),
            _ => None,
        };
        expected.is_some_and(|expected| ct_codecs::verify(&expected, tag))
    }
}

impl fmt::Debug for SecretKey {
    /// Shows the algorithms, never the secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits: Vec<&str> = Algorithm::ALL
            .into_iter()
            .filter(|algorithm| self.fits(*algorithm))
            .map(Algorithm::name)
            .collect();
        formatter.debug_tuple("SecretKey").field(&fits).finish()
    }
}
