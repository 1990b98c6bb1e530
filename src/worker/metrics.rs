//! Passes the gate's counters to the host as metrics, at each tick.
//!
//! The Proxy-Wasm ABI has no labels, so tags are packed into the metric's name as in Istio:
//! `tag=.=value;.;name`. The `stats_tags` regexes in the docs extract them. Envoy adds the prefix
//! `wasmcustom.`, except on its Prometheus page.

use std::collections::{HashMap, HashSet};

use super::host::{Host, MetricId, MetricKind};
use super::key_sources::FetchCounts;
use super::signatures::TestedBackend;
use crate::config::{Config, Mode};
use crate::denial::Reason;
use crate::gate::Gate;
use crate::gate::counters::{COUNTED_ROUTES, Counters};
use crate::policy::percent::Percent;
use crate::token::{Algorithm, IssuerId, Stats};

/// The metrics of one worker. The host adds up the values of all workers of the process.
#[derive(Default)]
pub(super) struct Metrics {
    ids: HashMap<String, Option<MetricId>>,
    /// The statistics that the host already has.
    reported: Stats,
    /// The number of cached tokens that the host already has.
    cache_entries: u64,
    routes: Vec<String>,
    kids: HashSet<String>,
}

/// The maximum number of key IDs with their own series in the lifetime of a worker: the host never removes
/// a series, and key rotation adds new ones.
const MAX_KID_SERIES: usize = 64;

/// The tag value for everything without its own series.
const OTHER: &str = "other";

const CONFIG_REFUSED: &str = "edge_claims_config_refused_total";

const ALLOWED: [(&str, &str); 2] = [("decision", "allow"), ("reason", "none")];

/// A series: a metric's name and its tags.
#[derive(Clone, Copy)]
struct Series<'a>(&'a str, &'a [(&'a str, &'a str)]);

impl Metrics {
    /// Defines the series that must exist from the start, so that alerts on them work.
    pub(super) fn define<H: Host>(host: &H, config: &Config, backend: &TestedBackend<H>) -> Self {
        let mut metrics = Self {
            routes: config
                .rbac
                .routes
                .routes()
                .iter()
                .map(|route| route.name.clone())
                .collect(),
            ..Self::default()
        };
        if config.rbac.routes.routes().len() > COUNTED_ROUTES {
            metrics.routes.truncate(COUNTED_ROUTES);
            metrics.routes.push(OTHER.to_owned());
        }
        metrics.declare(host, &Series("edge_claims_requests_total", &ALLOWED));
        for reason in Reason::ALL {
            for decision in ["deny", "shadow"] {
                let tags = [("decision", decision), ("reason", reason.code())];
                metrics.declare(host, &Series("edge_claims_requests_total", &tags));
            }
        }
        for name in [
            "edge_claims_spoofed_headers_total",
            "edge_claims_reserved_trailers_total",
            "edge_claims_tokens_dropped_total",
            "edge_claims_correlation_overwritten_total",
            "edge_claims_correlation_malformed_total",
            CONFIG_REFUSED,
        ] {
            metrics.declare(host, &Series(name, &[]));
        }
        for result in ["hit", "miss"] {
            let tags = [("result", result)];
            metrics.declare(host, &Series("edge_claims_cache_total", &tags));
        }
        let shadow = u64::from(config.mode == Mode::Shadow);
        metrics.set(host, &Series("edge_claims_shadow_mode", &[]), shadow);
        let routes = config.rbac.routes.routes().iter();
        let shadowed = routes.filter(|route| route.shadow || route.enforce_percent < Percent::ALL);
        let shadowed = u64::try_from(shadowed.count()).unwrap_or_default();
        metrics.set(host, &Series("edge_claims_shadow_routes", &[]), shadowed);
        for algorithm in Algorithm::ALL {
            let by_host = u64::from(backend.verifies(algorithm));
            let tags = [("algorithm", algorithm.name())];
            let series = Series("edge_claims_host_verification", &tags);
            metrics.set(host, &series, by_host);
        }
        for issuer in &config.claims.issuers {
            let Some(remote) = &issuer.remote else {
                continue;
            };
            for result in ["ok", "failed"] {
                let tags = [("result", result)];
                metrics.declare(host, &Series("edge_claims_key_fetches_total", &tags));
            }
            let name = tag(&issuer.name);
            let tags = [("issuer", name.as_str())];
            metrics.set(host, &Series("edge_claims_keys_loaded", &tags), 0);
            let series = Series("edge_claims_key_set_max_stale_seconds", &tags);
            metrics.set(host, &series, remote.max_stale);
        }
        metrics
    }

    /// Counts a config that this worker rejected.
    pub(super) fn count_rejected_config(host: &impl Host) {
        Self::default().count(host, &Series(CONFIG_REFUSED, &[]), 1);
    }

    /// Passes the counts since the last flush to the host.
    pub(super) fn flush(
        &mut self,
        host: &impl Host,
        gate: &mut Gate,
        fetches: FetchCounts,
        now_ms: u64,
    ) {
        let counters = gate.counters().take();
        self.requests(host, &counters);
        for (result, count) in [("ok", fetches.succeeded), ("failed", fetches.failed)] {
            let tags = [("result", result)];
            self.count(host, &Series("edge_claims_key_fetches_total", &tags), count);
        }
        let stats = *gate.verifier().stats();
        self.verifications(host, &stats);
        self.reported = stats;
        let (cached, _) = gate.verifier().cached();
        self.set_cache_entries(host, u64::try_from(cached).unwrap_or_default());
        let seconds = now_ms.checked_div(1_000).unwrap_or_default();
        for index in 0..gate.config().claims.issuers.len() {
            self.issuer(host, gate, IssuerId(index), seconds);
        }
    }

    /// Subtracts this worker's cached tokens from the gauge.
    pub(super) fn clear_cache_entries(&mut self, host: &impl Host) {
        self.set_cache_entries(host, 0);
    }

    fn requests(&mut self, host: &impl Host, counters: &Counters) {
        self.count(
            host,
            &Series("edge_claims_requests_total", &ALLOWED),
            counters.allowed,
        );
        for reason in Reason::ALL {
            for (decision, counts) in [("deny", &counters.denied), ("shadow", &counters.shadowed)] {
                let count = counts.get(reason as usize).copied().unwrap_or_default();
                let tags = [("decision", decision), ("reason", reason.code())];
                self.count(host, &Series("edge_claims_requests_total", &tags), count);
            }
        }
        let routes = std::mem::take(&mut self.routes);
        for (route, row) in routes.iter().zip(&counters.routes) {
            for (decision, count) in ["allow", "deny", "shadow"].into_iter().zip(row) {
                let tags = [("route", route.as_str()), ("decision", decision)];
                self.count(
                    host,
                    &Series("edge_claims_route_requests_total", &tags),
                    *count,
                );
            }
        }
        self.routes = routes;
        for (name, count) in [
            ("edge_claims_spoofed_headers_total", counters.spoofed),
            (
                "edge_claims_reserved_trailers_total",
                counters.reserved_trailers,
            ),
            ("edge_claims_tokens_dropped_total", counters.dropped_tokens),
            (
                "edge_claims_correlation_overwritten_total",
                counters.correlation_overwritten,
            ),
            (
                "edge_claims_correlation_malformed_total",
                counters.correlation_malformed,
            ),
        ] {
            self.count(host, &Series(name, &[]), count);
        }
        for (kid, count) in &counters.kids {
            self.tokens(host, &tag(kid), *count);
        }
        self.tokens(host, OTHER, counters.other_kids);
        for delay in &counters.edge_delays {
            let series = Series("edge_claims_edge_delay_seconds", &[]);
            if let Some(id) = self.id(host, MetricKind::Histogram, &series) {
                let _ = host.record_metric(id, *delay);
            }
        }
    }

    fn tokens(&mut self, host: &impl Host, kid: &str, count: u64) {
        let has_series = self.kids.contains(kid) || self.kids.len() < MAX_KID_SERIES;
        if has_series && count > 0 {
            self.kids.insert(kid.to_owned());
        }
        let kid = if has_series { kid } else { OTHER };
        self.count(
            host,
            &Series("edge_claims_tokens_total", &[("kid", kid)]),
            count,
        );
    }

    fn verifications(&mut self, host: &impl Host, stats: &Stats) {
        let reported = self.reported;
        for (result, count, before) in [
            ("hit", stats.cache_hits, reported.cache_hits),
            ("miss", stats.cache_misses, reported.cache_misses),
        ] {
            let tags = [("result", result)];
            self.count(
                host,
                &Series("edge_claims_cache_total", &tags),
                count.saturating_sub(before),
            );
        }
        for (backend, counts, before) in [
            ("host", &stats.by_backend, &reported.by_backend),
            ("portable", &stats.by_portable, &reported.by_portable),
        ] {
            for algorithm in Algorithm::ALL {
                let at = algorithm as usize;
                let count = counts
                    .get(at)
                    .zip(before.get(at))
                    .map(|(now, then)| now.saturating_sub(*then));
                let tags = [("algorithm", algorithm.name()), ("backend", backend)];
                self.count(
                    host,
                    &Series("edge_claims_verifications_total", &tags),
                    count.unwrap_or_default(),
                );
            }
        }
    }

    /// Adds the change of this worker's number to the gauge, which is the sum over all workers.
    fn set_cache_entries(&mut self, host: &impl Host, entries: u64) {
        let change = i64::try_from(entries)
            .ok()
            .zip(i64::try_from(self.cache_entries).ok())
            .and_then(|(now, before)| now.checked_sub(before));
        let series = Series("edge_claims_cache_entries", &[]);
        if let Some(id) = self.id(host, MetricKind::Gauge, &series)
            && let Some(change) = change.filter(|change| *change != 0)
        {
            let _ = host.add_to_metric(id, change);
        }
        self.cache_entries = entries;
    }

    fn issuer(&mut self, host: &impl Host, gate: &mut Gate, id: IssuerId, now: u64) {
        let fetched_at = gate.verifier().keys_fetched_at(id);
        let loaded = gate.verifier().keys_loaded(id);
        let Some(issuer) = gate.config().claims.issuers.get(id.0) else {
            return;
        };
        if fetched_at.is_none() && issuer.not_after.is_none() {
            return;
        }
        let name = tag(&issuer.name);
        let tags = [("issuer", name.as_str())];
        if let Some(fetched_at) = fetched_at {
            let age = now.saturating_sub(fetched_at);
            self.set(host, &Series("edge_claims_key_set_age_seconds", &tags), age);
            let loaded = u64::try_from(loaded).unwrap_or_default();
            self.set(host, &Series("edge_claims_keys_loaded", &tags), loaded);
        }
        if let Some(not_after) = issuer.not_after {
            let in_force = u64::from(now < not_after);
            self.set(host, &Series("edge_claims_break_glass", &tags), in_force);
        }
    }

    /// Defines a counter, which starts at 0.
    fn declare(&mut self, host: &impl Host, series: &Series<'_>) {
        self.id(host, MetricKind::Counter, series);
    }

    fn count(&mut self, host: &impl Host, series: &Series<'_>, count: u64) {
        if count > 0
            && let Some(id) = self.id(host, MetricKind::Counter, series)
        {
            let _ = host.add_to_metric(id, i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn set(&mut self, host: &impl Host, series: &Series<'_>, value: u64) {
        if let Some(id) = self.id(host, MetricKind::Gauge, series) {
            let _ = host.record_metric(id, value);
        }
    }

    fn id(&mut self, host: &impl Host, kind: MetricKind, series: &Series<'_>) -> Option<MetricId> {
        let name = series.packed();
        *self
            .ids
            .entry(name)
            .or_insert_with_key(|name| host.define_metric(kind, name).ok())
    }
}

impl Series<'_> {
    /// `tag=.=value;.;name`
    fn packed(&self) -> String {
        let Self(name, tags) = self;
        let mut packed = String::with_capacity(96);
        for (key, value) in *tags {
            packed.push_str(key);
            packed.push_str("=.=");
            packed.push_str(value);
            packed.push_str(";.;");
        }
        packed.push_str(name);
        packed
    }
}

/// A text from config or token as a tag's value: at most 128 characters without separators.
fn tag(text: &str) -> String {
    text.chars()
        .take(128)
        .map(|character| match character {
            ';' | '=' | '|' => '_',
            character if character.is_ascii_graphic() => character,
            _ => '_',
        })
        .collect()
}
