//! # edge-claims
//!
//! A Proxy-Wasm filter for Envoy and Istio. The edge authenticates a user and forwards the request
//! with a short-lived signed token, the *edge claims*. This crate verifies that token, authorizes
//! the request route by route, and carries one correlation ID from the edge's log to the mesh's.
//!
//! ## Where things are
//!
//! Data flows one way: bytes of config → a checked, compiled policy; a request → correlation →
//! verified claims → route → decision → header edits or a reply, and a record.
//!
//! | room | holds |
//! |---|---|
//! | `config` | what the operator writes, checked and compiled; every problem with its place |
//! | [`token`] | compact JWS, keys, verification, claim checks, caches |
//! | [`policy`] | path, routes, access tests, the decision |
//! | `correlation`, `identity`, [`denial`], `record` | one idea each |
//! | `gate` | the pipeline: request + policy + now → outcome; pure |
//! | `cli` | the operator's command (feature `cli`), never in the module |
//! | `proxy` | the only code that names `proxy_wasm` (feature `proxy`) |
//! | [`json`], [`claims`] | strict JSON values, and the claims made of them |
//!
//! A change to what a token must be belongs in `token`; to who may do what, in `policy`; to a key
//! of the config, in `config`; to what Envoy is asked or told, in `proxy`.
#![cfg_attr(not(feature = "proxy"), forbid(unsafe_code))]
#![cfg_attr(feature = "proxy", deny(unsafe_code))]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod bytes;
pub mod claims;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod correlation;
pub mod denial;
pub mod gate;
pub mod headers;
pub mod identity;
pub mod json;
pub mod policy;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod record;
pub mod reply;
pub mod token;
