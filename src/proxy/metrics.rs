//! Metrics (the host's stats): counted by the gate, told to the host on the tick.
//!
//! The ABI has no labels, so tags are packed into the name, before it, in Istio's way:
//! `tag=.=value;.;name`. `stats_tags` regexes take them out again; the docs have them for Envoy and
//! for Istio. The host puts `wasmcustom.` in front, which its Prometheus page leaves out.

use std::collections::{HashMap, HashSet};

use super::host::{self, MetricKind};
use super::keys::Fetches;
use super::signature::HostBackend;
use crate::config::{Config, Mode};
use crate::denial::Reason;
use crate::gate::Gate;
use crate::gate::counters::{COUNTED_ROUTES, Counters};
use crate::policy::percent::Percent;
use crate::token::{Algorithm, Issuer, Stats};

/// The metrics of one VM. The host keeps the values, for all VMs of the process together.
#[derive(Default)]
pub(super) struct Metrics {
    ids: HashMap<String, Option<u32>>,
    pub(super) fetches: Fetches,
    told: Stats,
    cached: u64,
    routes: Vec<String>,
    kids: HashSet<String>,
}

/// Most key IDs with a series of their own in the life of a VM: the host never forgets a series, and
/// keys that rotate bring new ones for ever.
const MAX_KID_SERIES: usize = 64;

/// The tag of what has no series of its own.
const OTHER: &str = "other";

const CONFIG_REFUSED: &str = "edge_claims_config_refused_total";

const ALLOWED: [(&str, &str); 2] = [("decision", "allow"), ("reason", "none")];

/// A series: a metric's name and its tags.
#[derive(Clone, Copy)]
struct Series<'a>(&'a str, &'a [(&'a str, &'a str)]);

impl Metrics {
    /// Makes the series that must be there before anything happens, so that an alert on them works.
    pub(super) fn define(config: &Config, backend: &HostBackend) -> Self {
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
        metrics.declare(&Series("edge_claims_requests_total", &ALLOWED));
        for reason in Reason::ALL {
            for decision in ["deny", "shadow"] {
                let tags = [("decision", decision), ("reason", reason.code())];
                metrics.declare(&Series("edge_claims_requests_total", &tags));
            }
        }
        for name in [
            "edge_claims_spoofed_headers_total",
            "edge_claims_tokens_dropped_total",
            "edge_claims_correlation_overwritten_total",
            "edge_claims_correlation_malformed_total",
            CONFIG_REFUSED,
        ] {
            metrics.declare(&Series(name, &[]));
        }
        for result in ["hit", "miss", "forged"] {
            let tags = [("result", result)];
            metrics.declare(&Series("edge_claims_cache_total", &tags));
        }
        let shadow = u64::from(config.mode == Mode::Shadow);
        metrics.set(&Series("edge_claims_shadow_mode", &[]), shadow);
        let routes = config.rbac.routes.routes().iter();
        let spared = routes.filter(|route| route.shadow || route.enforce_percent < Percent::ALL);
        let spared = u64::try_from(spared.count()).unwrap_or_default();
        metrics.set(&Series("edge_claims_shadow_routes", &[]), spared);
        for algorithm in Algorithm::ALL {
            let host = !config.claims.portable && backend.trusts(algorithm);
            let tags = [("algorithm", algorithm.name())];
            metrics.set(
                &Series("edge_claims_host_verification", &tags),
                u64::from(host),
            );
        }
        for issuer in &config.claims.issuers {
            let Some(remote) = &issuer.remote else {
                continue;
            };
            for result in ["ok", "failed"] {
                let tags = [("result", result)];
                metrics.declare(&Series("edge_claims_key_fetches_total", &tags));
            }
            let name = tag(&issuer.name);
            let tags = [("issuer", name.as_str())];
            metrics.set(&Series("edge_claims_keys_loaded", &tags), 0);
            metrics.set(
                &Series("edge_claims_key_set_max_stale_seconds", &tags),
                remote.max_stale,
            );
        }
        metrics
    }

    /// A config was refused, on this VM.
    pub(super) fn config_refused() {
        Self::default().count(&Series(CONFIG_REFUSED, &[]), 1);
    }

    /// Tells the host what is left to tell when the config goes out of force.
    pub(super) fn retire(&mut self, gate: &mut Gate, now: u64) {
        self.flush(gate, now);
        self.cached(0);
    }

    /// Tells the host what was counted since the last time.
    pub(super) fn flush(&mut self, gate: &mut Gate, now: u64) {
        let counters = gate.take_counters();
        self.requests(&counters);
        let fetches = std::mem::take(&mut self.fetches);
        self.count(
            &Series("edge_claims_key_fetches_total", &[("result", "ok")]),
            fetches.succeeded,
        );
        self.count(
            &Series("edge_claims_key_fetches_total", &[("result", "failed")]),
            fetches.failed,
        );
        let stats = *gate.verifier().stats();
        self.verifications(&stats);
        self.told = stats;
        let (cached, _) = gate.verifier().cached();
        self.cached(u64::try_from(cached).unwrap_or_default());
        let issuers: Vec<(usize, Issuer)> = gate
            .config()
            .claims
            .issuers
            .iter()
            .cloned()
            .enumerate()
            .filter(|(_, issuer)| issuer.remote.is_some() || issuer.not_after.is_some())
            .collect();
        let seconds = now.checked_div(1_000).unwrap_or_default();
        for (index, issuer) in &issuers {
            self.issuer(gate, *index, issuer, seconds);
        }
    }

    fn requests(&mut self, counters: &Counters) {
        self.count(
            &Series("edge_claims_requests_total", &ALLOWED),
            counters.allowed,
        );
        for reason in Reason::ALL {
            for (decision, counts) in [("deny", &counters.denied), ("shadow", &counters.shadowed)] {
                let count = counts.get(reason as usize).copied().unwrap_or_default();
                let tags = [("decision", decision), ("reason", reason.code())];
                self.count(&Series("edge_claims_requests_total", &tags), count);
            }
        }
        let routes = std::mem::take(&mut self.routes);
        for (route, row) in routes.iter().zip(&counters.routes) {
            for (decision, count) in ["allow", "deny", "shadow"].into_iter().zip(row) {
                let tags = [("route", route.as_str()), ("decision", decision)];
                self.count(&Series("edge_claims_route_requests_total", &tags), *count);
            }
        }
        self.routes = routes;
        for (name, count) in [
            ("edge_claims_spoofed_headers_total", counters.spoofed),
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
            self.count(&Series(name, &[]), count);
        }
        for (kid, count) in &counters.kids {
            self.tokens(&tag(kid), *count);
        }
        self.tokens(OTHER, counters.other_kids);
        for delay in &counters.edge_delays {
            if let Some(id) = self.id(
                MetricKind::Histogram,
                &Series("edge_claims_edge_delay_seconds", &[]),
            ) {
                let _ = host::record_metric(id, *delay);
            }
        }
    }

    fn tokens(&mut self, kid: &str, count: u64) {
        let known = self.kids.contains(kid);
        let room = self.kids.len() < MAX_KID_SERIES;
        if !known && room && count > 0 {
            self.kids.insert(kid.to_owned());
        }
        let kid = if known || room { kid } else { OTHER };
        self.count(&Series("edge_claims_tokens_total", &[("kid", kid)]), count);
    }

    fn verifications(&mut self, stats: &Stats) {
        let told = self.told;
        for (result, count, before) in [
            ("hit", stats.cache_hits, told.cache_hits),
            ("miss", stats.cache_misses, told.cache_misses),
            ("forged", stats.forged_hits, told.forged_hits),
        ] {
            let tags = [("result", result)];
            self.count(
                &Series("edge_claims_cache_total", &tags),
                count.saturating_sub(before),
            );
        }
        for (backend, counts, before) in [
            ("host", &stats.by_backend, &told.by_backend),
            ("portable", &stats.by_portable, &told.by_portable),
        ] {
            for algorithm in Algorithm::ALL {
                let at = algorithm as usize;
                let count = counts
                    .get(at)
                    .zip(before.get(at))
                    .map(|(now, then)| now.saturating_sub(*then));
                let tags = [("algorithm", algorithm.name()), ("backend", backend)];
                self.count(
                    &Series("edge_claims_verifications_total", &tags),
                    count.unwrap_or_default(),
                );
            }
        }
    }

    /// The sum over all workers: each adds what its own number changed by.
    fn cached(&mut self, cached: u64) {
        let change = i64::try_from(cached)
            .ok()
            .zip(i64::try_from(self.cached).ok())
            .and_then(|(now, before)| now.checked_sub(before));
        if let Some(id) = self.id(MetricKind::Gauge, &Series("edge_claims_cache_entries", &[]))
            && let Some(change) = change.filter(|change| *change != 0)
        {
            let _ = host::increment_metric(id, change);
        }
        self.cached = cached;
    }

    fn issuer(&mut self, gate: &mut Gate, index: usize, issuer: &Issuer, now: u64) {
        let name = tag(&issuer.name);
        let tags = [("issuer", name.as_str())];
        if let Some(fetched_at) = gate.verifier().keys_fetched_at(index) {
            let age = now.saturating_sub(fetched_at);
            self.set(&Series("edge_claims_key_set_age_seconds", &tags), age);
            let loaded = u64::try_from(gate.verifier().keys_loaded(index)).unwrap_or_default();
            self.set(&Series("edge_claims_keys_loaded", &tags), loaded);
        }
        if let Some(not_after) = issuer.not_after {
            let in_force = u64::from(now < not_after);
            self.set(&Series("edge_claims_break_glass", &tags), in_force);
        }
    }

    /// Makes a counter that starts at 0.
    fn declare(&mut self, series: &Series<'_>) {
        self.id(MetricKind::Counter, series);
    }

    fn count(&mut self, series: &Series<'_>, count: u64) {
        if count > 0
            && let Some(id) = self.id(MetricKind::Counter, series)
        {
            let _ = host::increment_metric(id, i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn set(&mut self, series: &Series<'_>, value: u64) {
        if let Some(id) = self.id(MetricKind::Gauge, series) {
            let _ = host::record_metric(id, value);
        }
    }

    fn id(&mut self, kind: MetricKind, series: &Series<'_>) -> Option<u32> {
        let name = series.packed();
        *self
            .ids
            .entry(name)
            .or_insert_with_key(|name| host::define_metric(kind, name).ok())
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

/// A text from config or token as a tag's value: at most 128 characters, none of which could end it.
fn tag(text: &str) -> String {
    text.chars()
        .take(128)
        .map(|letter| match letter {
            ';' | '=' | '|' => '_',
            letter if letter.is_ascii_graphic() => letter,
            _ => '_',
        })
        .collect()
}
