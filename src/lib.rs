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
        unreachable_pub,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )
)]

mod bytes;
mod claims;
#[cfg(feature = "cli")]
pub mod cli;
mod config;
mod correlation;
mod denial;
mod envoy_verify_signature;
mod gate;
mod header_name;
mod headers;
mod identity;
mod json;
mod policy;
#[cfg(feature = "proxy")]
pub mod proxy;
mod record;
mod reply;
// Without a host, nothing refreshes keys, shares replay windows or reads counters.
mod token;
mod worker;

/// What the integration tests, the fuzz targets and the test-vector plugin use. It is not a stable
/// API: it may change in any release.
pub mod internals {
    pub use crate::claims::Claims;
    pub use crate::config::error::ErrorKind;
    pub use crate::config::{Config, load};
    pub use crate::correlation::Source;
    pub use crate::denial::Reason;
    pub use crate::envoy_verify_signature::{FUNCTION, GOOD, verify_signature_argument};
    pub use crate::gate::{Action, Decision, Edit, Forward, Gate, KeyWait, RequestContext, Step};
    pub use crate::headers::{Header, Headers};
    pub use crate::json::Json;
    pub use crate::policy::host::Authority;
    pub use crate::policy::locate::{LocateError, Location, Target};
    pub use crate::policy::path::CanonicalPath;
    pub use crate::record::{AccessField, Record, Verdict};
    pub use crate::token::{Algorithm, KeySet, Portable, PublicKey, SignatureBackend};
    pub use crate::worker::host::{
        CallError, CallId, HeaderMap, Host, HostError, HttpGet, MetricId, MetricKind,
        PeerCertificate, StreamId, Version,
    };
    pub use crate::worker::{RequestStatus, TrailersStatus, Worker};
}
