//! # edge-claims
//!
//! A Proxy-Wasm filter for Envoy and Istio. The edge authenticates a user and forwards the request
//! with a short-lived signed token, the *edge claims*. This crate verifies that token, authorizes
//! the request route by route, and propagates one correlation ID from the edge's log to the mesh's.
//!
//! ## Modules
//!
//! Data flows one way: bytes of config → compiled policy; request → location → verified claims →
//! access → header edits or a reply, and a record. A module uses only those above it in this table.
//!
//! | module | holds |
//! |---|---|
//! | `headers`, `json`, `claims`, `correlation`, `identity`, `denial`, `record`, `reply` | the shared types, one concept each |
//! | `token` | compact JWS, keys, verification, claim checks, cache, replay window |
//! | `policy` | host, path, routes, access tests; `locate` and `authorize` |
//! | `config` | the plugin config: parsed, checked (each error with its exact place), compiled |
//! | `gate` | the pipeline for one request: headers, policy and time in, `Step` out |
//! | `worker` | the state of one worker thread; calls the proxy only through the trait `Host` |
//! | `proxy` | the Proxy-Wasm host; the only code that names `proxy_wasm` (feature `proxy`) |
//! | `cli` | the command-line tool (feature `cli`), not part of the Wasm module |
//!
//! ## The path of a request
//!
//! `proxy::http` (the callback) → `worker::requests` → [`gate`](internals::Gate) (its module docs name
//! the stages) → `worker::requests` again, which applies the decision.
// The documentation is built with private items (`make doc`): the public ones are for tests only.
#![allow(rustdoc::private_intra_doc_links)]
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
