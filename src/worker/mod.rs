//! The state of one plugin config on one worker thread: key sets and their refresh, waiting requests,
//! replay windows, metrics, log limits, the self-test of the host's cryptography.
//!
//! A worker calls the proxy only through the trait [`Host`]; the proxy calls the worker's public methods.
//! Each thread has its own workers, which share state only through the host's shared data.

pub(crate) mod host;
mod key_sources;
mod log_once;
mod metrics;
mod random;
mod refresh;
mod replay;
mod requests;
mod signatures;
mod trailers;
mod wait;
mod waiting;

use self::host::{CallId, Host};
use self::key_sources::{FetchCounts, KeySources};
use self::metrics::Metrics;
use self::random::RandomPool;
pub use self::requests::RequestStatus;
use self::signatures::TestedBackend;
pub use self::trailers::TrailersStatus;
use self::waiting::WaitingRequests;
use crate::config::{self, Config, Mode};
use crate::gate::Gate;
use crate::token::Algorithm;

/// A worker. It denies every request until a config is accepted.
pub struct Worker<H: Host> {
    host: H,
    random: RandomPool,
    /// The tick's period in milliseconds; 0 until the host has accepted one.
    tick_period: u32,
    /// Whether the warning about client certificates that are not reported as validated was logged.
    warned_unvalidated_peer: bool,
    /// Requests keep waiting when the config changes; the new config decides about them.
    waiting: WaitingRequests,
    active: Option<Active<H>>,
}

/// The active config and its state.
struct Active<H: Host> {
    gate: Gate,
    backend: TestedBackend<H>,
    key_sources: KeySources,
    metrics: Metrics,
    fetches: FetchCounts,
    /// When the metrics were last passed to the host.
    flushed_at: u64,
}

/// The parts of the worker that the key sources use.
struct Resources<'r, H> {
    host: &'r H,
    gate: &'r mut Gate,
    fetches: &'r mut FetchCounts,
    /// Milliseconds since 1970.
    now_ms: u64,
    /// The jitter of the refresh.
    random: u8,
}

/// The tick's period, in milliseconds.
const TICK: u32 = 1_000;

/// The tick's period while requests wait, and until the first tick, in milliseconds.
const SHORT_TICK: u32 = 25;

impl<H: Host> Worker<H> {
    /// Creates a worker without a config.
    pub fn new(host: H) -> Self {
        Self {
            host,
            random: RandomPool::default(),
            tick_period: 0,
            warned_unvalidated_peer: false,
            waiting: WaitingRequests::default(),
            active: None,
        }
    }

    /// Loads a plugin config. Returns whether it is accepted, which depends only on its bytes: if only one
    /// worker rejected it, Envoy would forward that worker's requests without the filter.
    pub fn configure(&mut self, bytes: &[u8]) -> bool {
        match config::load(bytes) {
            Ok(config) => {
                self.activate(config, bytes);
                true
            }
            Err(errors) => {
                log::error!("edge-claims {}: {errors}", env!("CARGO_PKG_VERSION"));
                Metrics::count_rejected_config(&self.host);
                false
            }
        }
    }

    /// Activates a config. Starts no fetch: the host first loads a config in a VM that it discards, and a
    /// fetch started there would delay the others.
    fn activate(&mut self, config: Config, bytes: &[u8]) {
        let host = self.host.clone();
        let env = |name: &str| host.environment(name);
        let (mut gate, warnings) = Gate::new(config, &env, self.random.seed(&host));
        for warning in warnings {
            log_once::warn(&host, &format!("edge-claims: {warning}"));
        }
        let config = gate.config();
        if config.mode == Mode::Shadow {
            log::warn!("edge-claims: mode is shadow: nothing is denied but malformed requests");
        }
        let backend = if config.claims.portable {
            TestedBackend::unused(host.clone())
        } else {
            TestedBackend::test(host.clone())
        };
        log_once::info(&host, &start_line(config, bytes, &backend));
        if let Some(now) = host.now_ms() {
            log_once::break_glass(&host, &config.claims.issuers, now);
        }
        self.retire();
        replay::share_windows(&mut gate, &host);
        let config = gate.config();
        self.active = Some(Active {
            metrics: Metrics::define(&host, config, &backend),
            key_sources: KeySources::new(&config.claims.issuers),
            backend,
            fetches: FetchCounts::default(),
            flushed_at: 0,
            gate,
        });
        self.with_key_sources(KeySources::install_shared);
        self.set_tick_period(SHORT_TICK);
        if self.tick_period == 0 {
            log::warn!(
                "edge-claims: the host refused proxy_set_tick_period_milliseconds: keys are not fetched, \
                 metrics stay at 0"
            );
        }
        self.decide_waiting_anew();
    }

    /// Fetches keys, decides about waiting requests, and flushes metrics.
    pub fn on_tick(&mut self) {
        let Some(now) = self.host.now_ms() else {
            return;
        };
        self.with_key_sources(KeySources::tick);
        self.decide_waiting(now);
        let Some(active) = &mut self.active else {
            return;
        };
        let elapsed = now.abs_diff(active.flushed_at);
        if elapsed.saturating_add(u64::from(SHORT_TICK)) < u64::from(TICK) {
            return;
        }
        active.flushed_at = now;
        log_once::break_glass(&self.host, &active.gate.config().claims.issuers, now);
        active.flush(&self.host, now);
    }

    /// Handles the response of a call.
    pub fn on_call_done(&mut self, call: CallId) {
        let Some(now) = self.host.now_ms() else {
            return;
        };
        self.with_key_sources(|sources, resources| sources.call_done(call, resources));
        self.decide_waiting(now);
    }

    /// Deactivates the config and flushes its metrics.
    pub fn retire(&mut self) {
        let now = self.host.now_ms();
        if let Some(mut active) = self.active.take() {
            active.key_sources.abandon(&self.host);
            if let Some(now) = now {
                active.flush(&self.host, now);
            }
            active.metrics.clear_cache_entries(&self.host);
        }
    }

    fn with_key_sources(&mut self, act: impl FnOnce(&mut KeySources, &mut Resources<'_, H>)) {
        let (Some(active), Some(now_ms)) = (&mut self.active, self.host.now_ms()) else {
            return;
        };
        if active.key_sources.is_empty() {
            return;
        }
        let [random, ..] = self.random.ten(&self.host);
        let mut resources = Resources {
            host: &self.host,
            gate: &mut active.gate,
            fetches: &mut active.fetches,
            now_ms,
            random,
        };
        act(&mut active.key_sources, &mut resources);
    }

    /// Sets the tick's period if it differs. Each host call restarts the period, so setting it for every
    /// request could postpone the tick forever.
    fn set_tick_period(&mut self, milliseconds: u32) {
        if self.tick_period != milliseconds && self.host.set_tick_period(milliseconds).is_ok() {
            self.tick_period = milliseconds;
        }
    }
}

impl<H: Host> Active<H> {
    fn flush(&mut self, host: &H, now_ms: u64) {
        let fetches = std::mem::take(&mut self.fetches);
        self.metrics.flush(host, &mut self.gate, fetches, now_ms);
    }
}

/// The log line at start: version, config, mode, and which algorithms the host verifies.
fn start_line<H: Host>(config: &Config, bytes: &[u8], backend: &TestedBackend<H>) -> String {
    let digest: String = hmac_sha256::Hash::hash(bytes)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let issuers: Vec<&str> = config
        .claims
        .issuers
        .iter()
        .map(|issuer| issuer.name.as_str())
        .collect();
    let mode = match config.mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    };
    let verified: Vec<&str> = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| backend.verifies(*algorithm))
        .map(Algorithm::name)
        .collect();
    let verified = if verified.is_empty() {
        "the filter verifies all algorithms itself".to_owned()
    } else {
        format!(
            "the host verifies {}, the filter itself all other algorithms",
            verified.join(", ")
        )
    };
    format!(
        "edge-claims {}: config sha256 {digest}, mode {mode}, {} routes, issuers {}; {verified}",
        env!("CARGO_PKG_VERSION"),
        config.rbac.routes.routes().len(),
        issuers.join(", "),
    )
}

/// The first 16 bytes of SHA-256 over the parts and their lengths, in hex.
fn fingerprint(parts: &[&str]) -> String {
    let mut hash = hmac_sha256::Hash::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests;
