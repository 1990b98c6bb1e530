//! What a test needs to run the filter in a real Envoy and to see what it does.
//!
//! ```no_run
//! use edge_claims_harness::{Setup, Upstream};
//! use serde_json::json;
//!
//! let upstream = Upstream::start();
//! let envoy = Setup::new(&upstream).plugin(&json!({"claims": {}, "rbac": {}})).start();
//! let response = envoy.get("/orders").header("x-edge-claims", "…").send();
//! assert_eq!(response.status, 401);
//! assert_eq!(upstream.count(), 0, "a denied request must not reach the upstream");
//! envoy.finish();
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`setup`] | the configuration of an Envoy: listener, filters, upstreams, TLS |
//! | [`envoy`] | a running Envoy: requests, reloads, logs, statistics, and the check at its end |
//! | [`upstream`] | the server behind it, which records and echoes every byte |
//! | [`backend`] | real web frameworks behind it, and CGI |
//! | [`keyserver`] | a server of key sets that counts its callers, and can answer badly |
//! | [`provider`] | a real OpenID provider whose keys rotate |
//! | [`client`] | requests over HTTP/1.1, HTTP/2 and gRPC, well-formed or not |
//! | [`tokens`] | tokens by jwt-simple and by independent libraries, well-formed or not |
//! | [`prometheus`] | a Prometheus that scrapes an Envoy, and `promtool` |
//! | [`tls`] | certificates for TLS and mTLS |
//! | [`version`] | what newer versions of Envoy do |
//! | [`tools`] | where Envoy, Python and the module are |
//!
//! Everything blocks, so that a test reads from top to bottom.

pub mod backend;
pub mod client;
pub mod envoy;
mod h1;
mod h2;
pub mod keyserver;
pub mod prometheus;
pub mod provider;
pub mod setup;
pub mod tls;
pub mod tokens;
pub mod tools;
pub mod upstream;
pub mod version;

pub use backend::Backend;
pub use client::{Client, Request, Response};
pub use envoy::{Envoy, Reload};
pub use keyserver::{Bad, KeyServer};
pub use prometheus::Prometheus;
pub use provider::Provider;
pub use setup::Setup;
pub use upstream::{Seen, Upstream};
pub use version::Since;

/// Bytes as text that loses nothing: printable ASCII as it is, everything else and `\` as `\xNN`.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if (b' '..=b'~').contains(&byte) && byte != b'\\' {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}
