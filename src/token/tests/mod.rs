//! Tests of the module's API: bytes of a token in, [`Verified`](super::Verified) or a reason out.

mod attacks;
mod binding;
mod cache_limits;
mod caching;
mod claims;
mod flood;
mod key_sets;
mod keys;
mod one_use;
mod properties;
mod revocation;
mod rotation;
mod secrets;
mod shape;
mod signatures;
pub(crate) mod support;
mod wycheproof;
