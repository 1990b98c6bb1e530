//! Fetches remote key sets: one worker fetches for all.
//!
//! The key set and the refresh plan of each source are stored in the host's shared data. Their keys are
//! derived from issuer, URL and cluster, so a new config finds them again. Other plugins in the same proxy
//! can write there too and are trusted not to.

use super::Resources;
use super::fingerprint;
use super::host::{CallError, CallId, Host, HttpGet, Version};
use super::refresh::{Cause, Due, Fetched, Plan};
use crate::token::jwks::MAX_BYTES;
use crate::token::{Issuer, IssuerId, KeySet, RemoteKeys};

/// How long a request waits for keys after the timeout of a fetch, in milliseconds.
const EXTRA_WAIT: u64 = 1_500;

/// How far in the future a shared set's fetch time may be, in milliseconds. If it is further, the clock
/// was set back, and the set would be used for too long.
const MAX_CLOCK_STEP: u64 = 60_000;

/// How often a change of the plan is attempted when other workers change it at the same time.
const ATTEMPTS: usize = 8;

/// The remote key sets of one config.
#[derive(Default)]
pub(super) struct KeySources(Vec<KeySource>);

/// One remote key set.
struct KeySource {
    issuer: IssuerId,
    remote: RemoteKeys,
    set_key: String,
    plan_key: String,
    /// The start time of the fetch of the shared set that this worker has read last; 0 for none.
    seen: u64,
    /// The start time of the fetch of the installed set.
    installed: Option<u64>,
    /// When the set must be fetched again.
    due: Due,
    /// Whether a request waits for a key ID that the installed set lacks.
    requested: bool,
    /// Whether a fetch could still bring keys to waiting requests, as of the last tick.
    fetch_possible: bool,
    /// The call in progress and its start time.
    call: Option<(CallId, u64)>,
}

/// The number of fetches since the last flush of the metrics.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FetchCounts {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
}

impl KeySources {
    pub(super) fn new(issuers: &[Issuer]) -> Self {
        let issuers = issuers.iter().enumerate();
        let sources = issuers.filter_map(|(index, issuer)| {
            let remote = issuer.remote.clone()?;
            Some(KeySource::new(IssuerId(index), &issuer.name, remote))
        });
        Self(sources.collect())
    }

    /// Whether no issuer has remote keys.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Installs the key sets that other workers, or an earlier config, have fetched. Starts no fetch, because
    /// the host may load a config only to validate it.
    pub(super) fn install_shared(&mut self, resources: &mut Resources<'_, impl Host>) {
        for source in &mut self.0 {
            let plan = source.plan(resources.host).0;
            source.install_shared(&plan, resources);
        }
    }

    /// Installs the key sets that other workers have fetched, and starts the fetches that are due.
    pub(super) fn tick(&mut self, resources: &mut Resources<'_, impl Host>) {
        for source in &mut self.0 {
            source.tick(resources);
        }
    }

    /// Requests a fetch for a key that is not installed. Returns whether a fetch is possible.
    pub(super) fn request_key(&mut self, issuer: IssuerId, host: &impl Host, now: u64) -> bool {
        let Some(source) = self.0.iter_mut().find(|source| source.issuer == issuer) else {
            return false;
        };
        source.requested = true;
        source.is_fetch_possible(&source.plan(host).0, now)
    }

    /// How long a request may wait for the issuer's keys, in milliseconds.
    pub(super) fn max_wait(&self, issuer: IssuerId) -> u64 {
        self.find(issuer).map_or(0, KeySource::max_wait)
    }

    /// Whether a fetch could still bring the issuer's keys, as of the last tick.
    pub(super) fn fetch_possible(&self, issuer: IssuerId) -> bool {
        self.find(issuer)
            .is_some_and(|source| source.fetch_possible)
    }

    /// The start time of the fetch of the installed set, in milliseconds since 1970.
    pub(super) fn installed(&self, issuer: IssuerId) -> Option<u64> {
        self.find(issuer)?.installed
    }

    /// Handles the response of a call.
    pub(super) fn call_done(&mut self, call: CallId, resources: &mut Resources<'_, impl Host>) {
        for source in &mut self.0 {
            if source.call.is_some_and(|(known, _)| known == call) {
                source.call_done(resources);
            }
        }
    }

    /// Releases the leases of this worker's calls, which the host cancels when the config is replaced.
    pub(super) fn abandon(&mut self, host: &impl Host) {
        for source in &mut self.0 {
            if source.call.take().is_some() {
                source.change_plan(host, |plan| {
                    plan.abandoned();
                    true
                });
            }
        }
    }

    fn find(&self, issuer: IssuerId) -> Option<&KeySource> {
        self.0.iter().find(|source| source.issuer == issuer)
    }
}

impl KeySource {
    fn new(issuer: IssuerId, name: &str, remote: RemoteKeys) -> Self {
        let name = fingerprint(&[name, &remote.url, &remote.cluster]);
        Self {
            issuer,
            remote,
            set_key: format!("edge_claims.keys.1.{name}.set"),
            plan_key: format!("edge_claims.keys.1.{name}.plan"),
            seen: 0,
            installed: None,
            due: Due::default(),
            requested: false,
            fetch_possible: true,
            call: None,
        }
    }

    fn tick(&mut self, resources: &mut Resources<'_, impl Host>) {
        let mut plan = self.plan(resources.host).0;
        self.install_shared(&plan, resources);
        if self.fetch_if_due(resources) {
            plan = self.plan(resources.host).0;
        }
        self.fetch_possible = self.is_fetch_possible(&plan, resources.now_ms);
    }

    fn max_wait(&self) -> u64 {
        self.remote.timeout.saturating_add(EXTRA_WAIT)
    }

    fn is_fetch_possible(&self, plan: &Plan, now: u64) -> bool {
        let cause = self.cause(now).unwrap_or(Cause::UnknownKid);
        plan.fetched != self.seen
            || plan.fetch_possible(cause, now, self.remote.timeout, self.max_wait())
    }

    /// Why to fetch now, if at all.
    fn cause(&self, now: u64) -> Option<Cause> {
        if self.due.has_come(now) {
            Some(Cause::Due)
        } else if self.requested {
            Some(Cause::UnknownKid)
        } else {
            None
        }
    }

    fn plan(&self, host: &impl Host) -> (Plan, Version) {
        match host.shared_data(&self.plan_key) {
            Ok(Some((bytes, version))) => (Plan::decode(&bytes), version),
            Ok(None) | Err(_) => (Plan::default(), Version::ABSENT),
        }
    }

    /// Changes the plan by compare-and-swap, with retries. Returns whether `change` made a change and it
    /// was stored.
    fn change_plan(&self, host: &impl Host, mut change: impl FnMut(&mut Plan) -> bool) -> bool {
        for _ in 0..ATTEMPTS {
            let (mut plan, version) = self.plan(host);
            if !change(&mut plan) {
                return false;
            }
            match host.set_shared_data(&self.plan_key, &plan.encode(), Some(version)) {
                Ok(true) => return true,
                Ok(false) => {}
                Err(_) => return false,
            }
        }
        false
    }

    /// Installs the shared set, if this worker has not read it yet.
    fn install_shared(&mut self, plan: &Plan, resources: &mut Resources<'_, impl Host>) {
        if plan.fetched == self.seen {
            return;
        }
        // Read each set once, even if it cannot be used; in that case the next fetch is due.
        self.seen = plan.fetched;
        self.due = Due::default();
        let Ok(Some((bytes, _))) = resources.host.shared_data(&self.set_key) else {
            return;
        };
        let Some(fetched) = Fetched::decode(&bytes) else {
            return;
        };
        if fetched.fetched_at > resources.now_ms.saturating_add(MAX_CLOCK_STEP) {
            return;
        }
        if let Ok((keys, _)) = KeySet::fetched(&fetched.body) {
            self.install(keys, fetched.started_at, fetched.fetched_at, resources);
        }
    }

    fn install(
        &mut self,
        keys: KeySet,
        started_at: u64,
        fetched_at: u64,
        resources: &mut Resources<'_, impl Host>,
    ) {
        let seconds = fetched_at.checked_div(1_000).unwrap_or_default();
        let verifier = resources.gate.verifier();
        verifier.set_keys(self.issuer, keys, seconds);
        self.installed = Some(started_at);
        // A request that still lacks its key requests it again.
        self.requested = false;
        let refresh = self.remote.refresh.saturating_mul(1_000);
        self.due = Due::after(fetched_at, refresh, resources.random);
    }

    /// Starts a fetch if one is due and no other worker has started it. Returns whether the plan was changed.
    fn fetch_if_due(&mut self, resources: &mut Resources<'_, impl Host>) -> bool {
        let (host, now) = (resources.host, resources.now_ms);
        let timeout = self.remote.timeout;
        // Forget a call without a response when its lease ends.
        let is_expired = |began: u64| now.abs_diff(began) > timeout.saturating_add(1_000);
        if self.call.is_some_and(|(_, began)| is_expired(began)) {
            self.call = None;
        }
        let Some(cause) = self.cause(now).filter(|_| self.call.is_none()) else {
            return false;
        };
        let seen = self.seen;
        if !self.change_plan(host, |plan| plan.start(cause, seen, now, timeout)) {
            return false;
        }
        match self.dispatch(host) {
            Ok(call) => self.call = Some((call, now)),
            Err(CallError::UnknownCluster) => {
                let why = unknown_cluster(&self.remote.cluster);
                self.failed(&why, resources);
            }
            Err(CallError::Failed) => self.failed("Envoy did not make the call", resources),
        }
        true
    }

    fn dispatch(&self, host: &impl Host) -> Result<CallId, CallError> {
        let url = self.remote.url.split_once("://");
        let (scheme, rest) = url.ok_or(CallError::Failed)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(CallError::Failed)?;
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        host.call(&HttpGet {
            cluster: &self.remote.cluster,
            scheme,
            authority,
            path: &path,
            accept: "application/jwk-set+json, application/json",
            timeout_ms: self.remote.timeout,
        })
    }

    fn call_done(&mut self, resources: &mut Resources<'_, impl Host>) {
        let Some((_, started_at)) = self.call.take() else {
            return;
        };
        let result = response(resources.host).and_then(|body| match KeySet::fetched(&body) {
            Ok((keys, skipped)) => Ok((keys, skipped, body)),
            Err(error) => Err(format!("the response is not a usable key set: {error}")),
        });
        let (keys, skipped, body) = match result {
            Ok(fetched) => fetched,
            Err(why) => return self.failed(&why, resources),
        };
        for problem in skipped {
            let url = self.loggable_url();
            log::warn!("edge-claims: a key of {url} is skipped: {problem}");
        }
        resources.fetches.succeeded = resources.fetches.succeeded.saturating_add(1);
        let (host, now) = (resources.host, resources.now_ms);
        let fetched = Fetched {
            started_at,
            fetched_at: now,
            body,
        };
        let newest = self.plan(host).0.fetched;
        if newest > started_at && newest <= now {
            // The response arrived after its lease had ended, and another worker has fetched a newer set.
            return;
        }
        // Store the set before the plan, so that a worker that reads the plan finds the set.
        let stored = host.set_shared_data(&self.set_key, &fetched.encode(), None);
        if stored.is_ok() && self.change_plan(host, |plan| plan.succeeded(started_at, now)) {
            self.seen = started_at;
        }
        self.install(keys, started_at, now, resources);
    }

    /// The URL without its query, which may hold a secret.
    fn loggable_url(&self) -> &str {
        let url = &self.remote.url;
        url.split_once('?').map_or(url, |(before, _)| before)
    }

    fn failed(&self, why: &str, resources: &mut Resources<'_, impl Host>) {
        resources.fetches.failed = resources.fetches.failed.saturating_add(1);
        let url = self.loggable_url();
        log::warn!(
            "edge-claims: keys of {url} could not be fetched: {why}; the installed keys stay in use, \
             and the fetch is retried"
        );
        let now = resources.now_ms;
        self.change_plan(resources.host, |plan| {
            plan.failed(now);
            true
        });
    }
}

/// Why a cluster is missing, with the places to look at if istiod should have made it.
fn unknown_cluster(cluster: &str) -> String {
    let unknown = format!("Envoy knows no cluster {cluster:?}");
    match cluster.strip_prefix("outbound|") {
        Some(_) => format!(
            "{unknown}; in Istio, look for a ServiceEntry or Service with this host and port, then at `egress` of the \
             Sidecar objects, then, for a waypoint or with PILOT_FILTER_GATEWAY_CLUSTER_CONFIG, at an EnvoyFilter with \
             the annotation envoyfilter.istio.io/referenced-services"
        ),
        None => unknown,
    }
}

/// The body of the response, if it is a 200 of at most [`MAX_BYTES`].
fn response(host: &impl Host) -> Result<Vec<u8>, String> {
    let (status, body) = host
        .call_response(MAX_BYTES.saturating_add(1))
        .map_err(|error| format!("no response (host status {})", error.0))?;
    match status.as_slice() {
        b"200" if body.len() > MAX_BYTES => Err(format!("more than {MAX_BYTES} bytes")),
        b"200" => Ok(body),
        b"" => Err("no response".to_owned()),
        status => Err(format!("status {}", String::from_utf8_lossy(status))),
    }
}
