//! An edge for edge-claims, as a Fastly Compute service: it authenticates a session and sends the
//! request on to the mesh with a short-lived signed token, the *edge claims*.
//!
//! The logic is here, free of the platform, so that `cargo test` runs it natively; `main.rs` is the
//! only file that names the `fastly` crate.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | what the config store says |
//! | [`correlation`] | which correlation ID a request has |
//! | [`cookie`] | the session's cookie: found, and taken out before the mesh sees it |
//! | [`session`] | the ID token: key set, signature, `iss`, `aud`, times |
//! | [`geo`] | where the client is, as a claim |
//! | [`mint`] | the edge claims: signed with the key from the secret store |
//! | [`headers`] | which of the client's headers never reach the mesh |
//! | [`login`] | the login: to the provider and back, with one correlation ID |
//! | [`edge`] | one request, decided |
//! | [`reply`] | the answers that the edge gives itself |
//! | [`record`] | the log line |
#![forbid(unsafe_code)]
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
#![deny(missing_docs)]

pub mod cookie;
pub mod correlation;
pub mod edge;
pub mod geo;
pub mod headers;
pub mod login;
pub mod mint;
pub mod record;
pub mod reply;
pub mod session;
pub mod settings;
