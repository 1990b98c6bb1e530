//! Tests of the room as its users see it: bytes of a token in, [`Verified`] or a reason out.

mod attacks;
mod caching;
mod claims;
mod host_argument;
mod key_sets;
mod properties;
mod revocation_and_use;
mod rotation;
mod secrets;
mod shape;
mod signatures;
mod support;
mod wycheproof;
