//! Edge claims as tokens: the compact JWS, keys, verification, the cache.
//!
//! Bytes become a [`Jws`] (shape only), a JWKS becomes a [`KeySet`], and a [`Verifier`]
//! joins both with what the config says of each [`Issuer`]: its result is a [`Verified`], which
//! nothing else can build. Pure: the time, the environment, the host's crypto and the live request
//! are arguments.

mod algorithm;
mod backend;
mod base64url;
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
pub(crate) mod replay;
mod roca;
mod secret;
mod verified;
mod verify;

pub use algorithm::Algorithm;
pub(crate) use algorithm::Family;
pub use backend::Portable;
pub use backend::SignatureBackend;
pub(crate) use error::{KeyAbsence, VerifyError};
pub(crate) use issuer::{
    Issuer, IssuerId, MAX_LEEWAY, OneUse, RemoteKeys, RequestBinding, Revoked,
};
pub use jwks::KeySet;
pub(crate) use jws::Jws;
pub use key::PublicKey;
pub(crate) use replay::{ReplayError, ReplayWindow};
pub(crate) use secret::{Secret, SecretWarning};
pub(crate) use verified::Verified;
pub(crate) use verify::{CacheLimits, LiveRequest, Stats, Verifier};

#[cfg(test)]
pub(crate) mod tests;
