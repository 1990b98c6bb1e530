//! The only code that names `proxy_wasm`: contexts, host calls, key fetching, metrics.
//!
//! A VM has one root context for each plugin config and one HTTP context for each request. What they
//! share is [`Plugin`].

pub mod entropy;
pub mod host;
mod http;
mod root;
mod signature;

use std::cell::RefCell;

use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

use self::entropy::Entropy;
use self::host::Map;
pub use self::root::Root;
use self::signature::HostBackend;
use crate::gate::{Decision, Gate, Patience, Surroundings};
use crate::headers::Headers;
use crate::token::{Portable, SignatureBackend};

/// What a root context and its requests share.
#[derive(Default)]
struct Shared {
    /// `None` until a config was accepted; until then every request is denied.
    gate: RefCell<Option<Gate>>,
    entropy: RefCell<Entropy>,
    host_backend: HostBackend,
}

impl Shared {
    /// A random number for the hash of the caches.
    fn seed(&self) -> u64 {
        let mut entropy = self.entropy.borrow_mut();
        let [a, b, c, d, e, f, g, h, ..] = entropy.ten();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    fn install(&self, gate: Gate) {
        self.gate.replace(Some(gate));
    }

    /// Runs the pipeline on the current stream's request headers; `None` where nothing can be decided.
    fn decide(&self, patience: Patience) -> Option<Decision> {
        let buffer = host::header_pairs(Map::Request).ok()?;
        let headers = Headers::from_wire(&buffer)?;
        let now = host::now_milliseconds()?;
        let mut entropy = self.entropy.try_borrow_mut().ok()?;
        let mut gate = self.gate.try_borrow_mut().ok()?;
        let gate = gate.as_mut()?;
        let backend: &dyn SignatureBackend = if gate.config().claims.portable {
            &Portable
        } else {
            &self.host_backend
        };
        let mut around = Surroundings {
            now,
            backend,
            random: &mut || entropy.ten(),
            peers: &peers,
            patience,
        };
        Some(gate.decide(&headers, &mut around))
    }

    fn tick(&self) {
        // Counters are flushed here.
        if let Ok(mut gate) = self.gate.try_borrow_mut()
            && let Some(gate) = gate.as_mut()
        {
            let _ = gate.take_counters();
        }
    }
}

/// The URI SAN of the peer's certificate (`connection.uri_san_peer_certificate`), only where mTLS
/// verified it.
fn peers() -> Vec<String> {
    let verified = host::property(b"connection\0mtls").is_ok_and(|value| value == [1]);
    if !verified {
        return Vec::new();
    }
    host::property(b"connection\0uri_san_peer_certificate")
        .ok()
        .and_then(|uri| String::from_utf8(uri).ok())
        .filter(|uri| !uri.is_empty())
        .into_iter()
        .collect()
}

/// Registers the filter with the SDK. It makes no host call, since the host traps on any but a log
/// before the VM has started.
pub fn register() {
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root::default()) });
}

/// The entry point that the host calls, where the SDK's macro defines it.
#[cfg(target_family = "wasm")]
#[allow(missing_docs)]
mod entry {
    proxy_wasm::main! {{ super::register(); }}
}
