//! Tests of the module's API: bytes of a token in, [`Verified`](super::Verified) or a reason out.

mod attacks;
mod caching;
mod claims;
mod flood;
mod key_sets;
mod properties;
mod revocation_and_use;
mod rotation;
mod secrets;
mod shape;
mod signatures;
pub(crate) mod support;
mod wycheproof;
