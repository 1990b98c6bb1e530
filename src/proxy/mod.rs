//! The only code that names `proxy_wasm`: contexts, host calls, key fetching, metrics.
//!
//! A VM has one root context for each plugin config and one HTTP context for each request. What they
//! share is `Shared`.

pub mod entropy;
pub mod host;
mod http;
mod keys;
mod metrics;
mod replay;
mod root;
mod signature;
mod waiting;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

use self::entropy::Entropy;
use self::host::Map;
use self::http::{Applied, apply};
use self::keys::{Fetches, Sources};
use self::metrics::Metrics;
pub use self::root::Root;
use self::signature::HostBackend;
use self::waiting::{ResponseHeader, Waiter, Waiting};
use crate::gate::{Decision, Gate, Patience, Surroundings};
use crate::headers::Headers;
use crate::policy::peer::PeerValidation;
use crate::token::{Portable, SignatureBackend};

/// What a root context and its requests share.
#[derive(Default)]
struct Shared {
    /// `None` until a config was accepted; until then every request is denied.
    gate: RefCell<Option<Gate>>,
    entropy: RefCell<Entropy>,
    host_backend: HostBackend,
    sources: RefCell<Sources>,
    waiting: RefCell<Waiting>,
    metrics: RefCell<Metrics>,
    /// Whether it was said that a certificate came which Envoy does not vouch for.
    doubts: Cell<bool>,
}

/// How long a request waits for keys beyond the fetch's own timeout, in milliseconds.
const PATIENCE: u64 = 1_500;

/// How often a worker does what is not part of a request, in milliseconds.
const TICK: u32 = 1_000;

/// The same while a request waits.
const SHORT_TICK: u32 = 25;

impl Shared {
    /// Puts a config into force.
    fn install(&self, root: u32, mut gate: Gate) {
        if !gate.config().claims.portable {
            let trusted = self.host_backend.self_test();
            let shown = if trusted.is_empty() {
                "nothing".into()
            } else {
                trusted.join(", ")
            };
            log::info!("edge-claims: the host verifies {shown}");
        }
        self.retire();
        replay::share(&mut gate);
        self.metrics
            .replace(Metrics::define(gate.config(), &self.host_backend));
        self.sources
            .replace(Sources::new(&gate.config().claims.issuers));
        self.gate.replace(Some(gate));
        if host::set_tick_period(TICK).is_err() {
            log::warn!(
                "edge-claims: the host gives no tick: keys are not fetched, metrics stay at 0"
            );
        }
        self.tick(root);
    }

    /// A random number for the hash of the caches.
    fn seed(&self) -> u64 {
        let ten = self
            .entropy
            .try_borrow_mut()
            .map(|mut entropy| entropy.ten())
            .unwrap_or_default();
        let [a, b, c, d, e, f, g, h, ..] = ten;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
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
        let validation = gate.config().rbac.peer_validation;
        let mut around = Surroundings {
            now,
            backend,
            random: &mut || entropy.ten(),
            peers: &|| peers(validation, &self.doubts),
            patience,
        };
        Some(gate.decide(&headers, &mut around))
    }

    /// Lets a stream wait for an issuer's keys; `false` where it can't.
    fn wait(&self, stream: u32, issuer: usize, response_header: &ResponseHeader) -> bool {
        let waits = || {
            let now = host::now_milliseconds()?;
            let mut sources = self.sources.try_borrow_mut().ok()?;
            if !sources.want(issuer, now) {
                return None;
            }
            let until = now
                .saturating_add(sources.timeout(issuer)?)
                .saturating_add(PATIENCE);
            let waiter = Waiter {
                stream,
                issuer,
                arrived: now,
                until,
                response_header: Rc::clone(response_header),
            };
            self.waiting
                .try_borrow_mut()
                .ok()?
                .add(waiter)
                .then_some(())
        };
        let waits = waits().is_some();
        if waits {
            // Should the host refuse, the next ordinary tick serves as well.
            let _ = host::set_tick_period(SHORT_TICK);
        }
        waits
    }

    /// A stream that waited is gone.
    fn leave(&self, stream: u32) {
        if let Ok(mut waiting) = self.waiting.try_borrow_mut() {
            waiting.remove(stream);
        }
    }

    /// What a worker does beside requests: keys, those who wait for them, metrics.
    fn tick(&self, root: u32) {
        let Some(now) = host::now_milliseconds() else {
            return;
        };
        self.with_keys(|sources, gate, random, fetches| sources.tick(gate, now, random, fetches));
        self.wake(root, now);
        if let (Ok(mut gate), Ok(mut metrics)) =
            (self.gate.try_borrow_mut(), self.metrics.try_borrow_mut())
            && let Some(gate) = gate.as_mut()
        {
            metrics.flush(gate, now);
        }
    }

    /// The config is out of force.
    fn retire(&self) {
        if let (Some(now), Ok(mut gate), Ok(mut metrics)) = (
            host::now_milliseconds(),
            self.gate.try_borrow_mut(),
            self.metrics.try_borrow_mut(),
        ) && let Some(gate) = gate.as_mut()
        {
            metrics.retire(gate, now);
        }
    }

    /// The answer to an HTTP call.
    fn answered(&self, root: u32, call: u32) {
        let Some(now) = host::now_milliseconds() else {
            return;
        };
        self.with_keys(|sources, gate, random, fetches| {
            sources.answered(call, gate, now, random, fetches);
        });
        self.wake(root, now);
    }

    fn with_keys(&self, act: impl FnOnce(&mut Sources, &mut Gate, u8, &mut Fetches)) {
        let (Ok(mut sources), Ok(mut gate), Ok(mut metrics), Ok(mut entropy)) = (
            self.sources.try_borrow_mut(),
            self.gate.try_borrow_mut(),
            self.metrics.try_borrow_mut(),
            self.entropy.try_borrow_mut(),
        ) else {
            return;
        };
        if let (Some(gate), false) = (gate.as_mut(), sources.is_empty()) {
            let [random, ..] = entropy.ten();
            act(&mut sources, gate, random, &mut metrics.fetches);
        }
    }

    /// Decides about those who waited long enough, or whose keys were fetched since they came.
    fn wake(&self, root: u32, now: u64) {
        let ready = {
            let (Ok(mut waiting), Ok(sources)) =
                (self.waiting.try_borrow_mut(), self.sources.try_borrow())
            else {
                return;
            };
            if waiting.is_empty() {
                return;
            }
            let fetched = |it: &Waiter| {
                sources
                    .installed(it.issuer)
                    .is_some_and(|at| at >= it.arrived)
            };
            let ready: Vec<(Waiter, bool)> = waiting
                .take(|it| fetched(it) || now >= it.until)
                .into_iter()
                .map(|it| {
                    let fetched = fetched(&it);
                    (it, fetched)
                })
                .collect();
            if waiting.is_empty() {
                let _ = host::set_tick_period(TICK);
            }
            ready
        };
        for (waiter, fetched) in ready {
            // A stream that is gone needs no answer.
            if host::set_effective_context(waiter.stream).is_ok() {
                let patience = if fetched {
                    Patience::Fetched
                } else {
                    Patience::None
                };
                if apply(self.decide(patience), &waiter.response_header) == Applied::Continue {
                    let _ = host::continue_request();
                }
            }
        }
        let _ = host::set_effective_context(root);
    }
}

/// The first URI SAN of the peer's certificate (`connection.uri_san_peer_certificate`; the host shows no
/// other), only where that certificate was validated.
fn peers(validation: PeerValidation, doubts: &Cell<bool>) -> Vec<String> {
    let flag = |path: &[u8]| host::property(path).is_ok_and(|value| value == [1]);
    // It holds for a certificate that nobody validated, too.
    if !flag(b"connection\0mtls") {
        return Vec::new();
    }
    let validated = match validation {
        PeerValidation::Reported => flag(b"connection\0peer_certificate_valid"),
        PeerValidation::ByListener => true,
    };
    if !validated {
        if !doubts.replace(true) {
            log::warn!(
                "edge-claims: a client certificate is no peer here, as Envoy does not report it as \
                 validated: the listener accepts untrusted ones, the TLS session was resumed, or Envoy \
                 is older than 1.39; see rbac.peer_validation (said once)"
            );
        }
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
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(Root::new(id)) });
}

/// The entry point that the host calls, where the SDK's macro defines it.
#[cfg(target_family = "wasm")]
#[allow(missing_docs)]
mod entry {
    proxy_wasm::main! {{ super::register(); }}
}
