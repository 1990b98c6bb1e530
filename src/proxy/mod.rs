//! The only code that names `proxy_wasm`: contexts, host calls, key fetching, metrics.
//!
//! A VM has one root context for each plugin config and one HTTP context for each request. What they
//! share is `Shared`.

pub mod entropy;
pub mod host;
mod http;
mod keys;
mod logger;
mod metrics;
mod replay;
mod root;
mod said;
mod signature;
mod waiting;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm::traits::RootContext;

use self::entropy::Entropy;
use self::host::Map;
use self::http::{Applied, apply};
use self::keys::{Sources, Turn};
use self::metrics::Metrics;
pub use self::root::Root;
use self::signature::HostBackend;
use self::waiting::{LateHeader, Waiter, Waiting};
use crate::gate::{Decision, Gate, Patience, Surroundings};
use crate::headers::Headers;
use crate::policy::peer::PeerValidation;

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
    /// The tick's period in milliseconds, as the host was told; 0 before.
    pace: Cell<u32>,
    /// When the metrics were told to the host.
    flushed_at: Cell<u64>,
    /// Whether it was said that a certificate came which Envoy does not vouch for.
    doubts: Cell<bool>,
}

/// How often a worker does what is not part of a request, in milliseconds.
const TICK: u32 = 1_000;

/// The same while a request waits, and until the first tick.
const SHORT_TICK: u32 = 25;

impl Shared {
    /// Puts a config into force. It dispatches no call: the host tries a config out on a VM that it
    /// then throws away, and a fetch begun there would only keep the others waiting.
    fn install(&self, mut gate: Gate) {
        if !gate.config().claims.portable {
            let trusted = self.host_backend.self_test();
            let shown = if trusted.is_empty() {
                "nothing".into()
            } else {
                trusted.join(", ")
            };
            said::info(&format!("edge-claims: the host verifies {shown}"));
        }
        self.retire();
        replay::share(&mut gate);
        self.metrics
            .replace(Metrics::define(gate.config(), &self.host_backend));
        self.sources
            .replace(Sources::new(&gate.config().claims.issuers));
        self.gate.replace(Some(gate));
        self.with_keys(Sources::install_shared);
        self.pace(SHORT_TICK);
        if self.pace.get() == 0 {
            log::warn!(
                "edge-claims: the host gives no tick: keys are not fetched, metrics stay at 0"
            );
        }
    }

    /// Sets the tick's period. Only where it changes: each setting starts the period anew, so that a
    /// stream of requests that set it would put the tick off for ever.
    fn pace(&self, milliseconds: u32) {
        if self.pace.get() != milliseconds && host::set_tick_period(milliseconds).is_ok() {
            self.pace.set(milliseconds);
        }
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
        let validation = gate.config().rbac.peer_validation;
        let mut around = Surroundings {
            now,
            // With `verification: portable` it was put to no test, and so computes nothing.
            backend: &self.host_backend,
            random: &mut || entropy.ten(),
            peers: &|| peers(validation, &self.doubts),
            patience,
        };
        Some(gate.decide(&headers, &mut around))
    }

    /// Lets a stream wait for an issuer's keys, and says where its response header will be; `None` where
    /// there is nothing to hope for, or no room.
    fn wait(&self, stream: u32, issuer: usize) -> Option<LateHeader> {
        let (Some(now), Ok(mut sources), Ok(mut waiting)) = (
            host::now_milliseconds(),
            self.sources.try_borrow_mut(),
            self.waiting.try_borrow_mut(),
        ) else {
            return None;
        };
        if !sources.want(issuer, now) || !waiting.has_room(issuer) {
            return None;
        }
        let response_header = LateHeader::default();
        waiting.add(Waiter {
            stream,
            issuer,
            arrived: now,
            until: now.saturating_add(sources.patience(issuer)),
            asked: sources.installed(issuer),
            response_header: Rc::clone(&response_header),
        });
        self.pace(SHORT_TICK);
        Some(response_header)
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
        self.with_keys(Sources::tick);
        self.wake(root, now);
        if now
            .abs_diff(self.flushed_at.get())
            .saturating_add(u64::from(SHORT_TICK))
            < u64::from(TICK)
        {
            return;
        }
        self.flushed_at.set(now);
        if let (Ok(mut gate), Ok(mut metrics)) =
            (self.gate.try_borrow_mut(), self.metrics.try_borrow_mut())
            && let Some(gate) = gate.as_mut()
        {
            said::break_glass(&gate.config().claims.issuers, now);
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
        self.with_keys(|sources, turn| sources.answered(call, turn));
        self.wake(root, now);
    }

    fn with_keys(&self, act: impl FnOnce(&mut Sources, &mut Turn<'_>)) {
        let (Some(now), Ok(mut sources), Ok(mut gate), Ok(mut metrics), Ok(mut entropy)) = (
            host::now_milliseconds(),
            self.sources.try_borrow_mut(),
            self.gate.try_borrow_mut(),
            self.metrics.try_borrow_mut(),
            self.entropy.try_borrow_mut(),
        ) else {
            return;
        };
        if let (Some(gate), false) = (gate.as_mut(), sources.is_empty()) {
            let [random, ..] = entropy.ten();
            let fetches = &mut metrics.fetches;
            act(
                &mut sources,
                &mut Turn {
                    gate,
                    fetches,
                    now,
                    random,
                },
            );
        }
    }

    /// Decides again about those for whom something has changed: a new key set is there, no fetch can
    /// come in time any more, or they waited long enough.
    fn wake(&self, root: u32, now: u64) {
        let ready = {
            let (Ok(mut waiting), Ok(sources)) =
                (self.waiting.try_borrow_mut(), self.sources.try_borrow())
            else {
                return;
            };
            waiting.take(|it| {
                sources.installed(it.issuer) != it.asked
                    || !sources.hopeful(it.issuer)
                    || now >= it.until
            })
        };
        for waiter in ready {
            // A stream that is gone needs no answer.
            if host::set_effective_context(waiter.stream).is_ok() {
                self.decide_again(waiter, now);
            }
        }
        let _ = host::set_effective_context(root);
        let nobody_waits = |waiting: &RefCell<Waiting>| {
            waiting.try_borrow().is_ok_and(|waiting| waiting.is_empty())
        };
        if nobody_waits(&self.waiting) {
            self.pace(TICK);
        }
    }

    /// Decides again about a request that waited. It waits on where a key set that was fetched after it
    /// came can still bring its key.
    fn decide_again(&self, mut waiter: Waiter, now: u64) {
        let installed = self
            .sources
            .try_borrow()
            .ok()
            .and_then(|sources| sources.installed(waiter.issuer));
        let patience = if installed.is_some_and(|at| at >= waiter.arrived) {
            Patience::Fetched
        } else if now < waiter.until {
            Patience::Wait
        } else {
            Patience::None
        };
        let header = Rc::clone(&waiter.response_header);
        let mut keep = |decided| header.set(decided);
        let mut applied = apply(self.decide(patience), &mut keep);
        if let Applied::Wait(issuer) = applied {
            if let (Ok(mut sources), Ok(mut waiting)) =
                (self.sources.try_borrow_mut(), self.waiting.try_borrow_mut())
                && sources.want(issuer, now)
            {
                waiter.asked = installed;
                waiting.add(waiter);
                return;
            }
            applied = apply(self.decide(Patience::None), &mut keep);
        }
        if applied == Applied::Continue {
            let _ = host::continue_request();
        }
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
    logger::install();
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(Root::new(id)) });
}

/// The entry point that the host calls, where the SDK's macro defines it.
#[cfg(target_family = "wasm")]
#[allow(missing_docs)]
mod entry {
    proxy_wasm::main! {{ super::register(); }}
}
