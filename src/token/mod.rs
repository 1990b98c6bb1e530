//! Edge claims as tokens: the compact JWS, the keys, the verification, what is remembered of it.
//!
//! Bytes become a [`Jws`] (shape only), a JWKS becomes a [`KeySet`], and a [`Verifier`]
//! joins both with what the config says of each [`Issuer`]: its result is a [`Verified`], which
//! nothing else can build. Pure: the time, the environment, the host's crypto and the live request
//! are arguments.

mod algorithm;
mod backend;
mod base64url;
mod cache;
mod checks;
pub mod host;
mod issuer;
pub mod jwks;
pub mod jws;
pub mod key;
mod keyring;
pub mod known_answers;
pub mod refresh;
mod refusal;
pub mod replay;
mod secret;
mod verified;
mod verify;

pub use algorithm::{Algorithm, Family};
pub use backend::{Portable, SignatureBackend};
pub use issuer::{Issuer, OneUse, RemoteKeys, RequestBinding, Revoked};
pub use jwks::{KeyProblem, KeySet, KeySetError};
pub use jws::Jws;
pub use key::PublicKey;
pub use refusal::{Absence, Refusal};
pub use replay::{MemoryWindow, ReplayError, ReplayWindow};
pub use secret::{Secret, SecretWarning};
pub use verified::{Times, Verified};
pub use verify::{CacheLimits, LiveRequest, Stats, Verifier};

#[cfg(test)]
mod tests;
