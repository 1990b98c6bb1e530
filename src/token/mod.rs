//! Tokens: the compact JWS, keys, verification, the cache.
//!
//! A token is parsed into a [`Jws`], a JWKS into a [`KeySet`]. A [`Verifier`] verifies a token for its
//! [`Issuer`] and returns a [`Verified`], which nothing else can create. This module makes no host calls:
//! time, environment, signature back-end and request are arguments.

mod algorithm;
mod backend;
pub(crate) mod base64url;
mod budget;
mod cache;
mod checks;
mod error;
mod issuer;
pub(crate) mod jwks;
pub(crate) mod jws;
pub(crate) mod key;
mod keyring;
pub(crate) mod known_answers;
mod progress;
pub(crate) mod replay;
mod roca;
mod secret;
mod signature;
mod verified;
mod verify;

pub use algorithm::Algorithm;
pub(crate) use algorithm::Family;
pub use backend::{Portable, SignatureBackend};
pub(crate) use error::{KeyAbsence, VerifyError};
pub(crate) use issuer::{
    Issuer, IssuerId, MAX_LEEWAY, OneUse, RemoteKeys, RequestBinding, Revoked,
};
pub use jwks::KeySet;
pub(crate) use jws::Jws;
pub use key::PublicKey;
#[cfg(feature = "cli")]
pub(crate) use progress::Check;
pub(crate) use replay::{ReplayError, ReplayWindow};
pub(crate) use secret::{Secret, SecretWarning};
pub(crate) use verified::Verified;
#[cfg(feature = "cli")]
pub(crate) use verify::examine;
pub(crate) use verify::{CacheLimits, LiveRequest, Stats, Verifier};

#[cfg(test)]
pub(crate) mod tests;
