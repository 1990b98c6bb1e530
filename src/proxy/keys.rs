//! Fetches remote key sets on the tick, one fetch for all workers.
//!
//! What the workers share lives in the host's shared data under keys of this filter's own, named
//! after issuer, URL and cluster, so that it survives a config push. Whoever else runs plugins in the
//! same Envoy can write there too and is trusted not to.

use std::time::Duration;

use proxy_wasm::types::Status;

use crate::gate::Gate;
use crate::token::jwks::MAX_BYTES;
use crate::token::refresh::{Cause, Due, Fetched, Plan};
use crate::token::{Issuer, IssuerId, KeySet, RemoteKeys};

use super::host::{self, Buffer, Failed, Map};
use crate::headers::Headers;

/// The remote sources of one config.
#[derive(Default)]
pub(super) struct Sources(Vec<Source>);

/// How long a request waits for keys beyond the fetch's own timeout, in milliseconds.
const PATIENCE: u64 = 1_500;

/// How far in the future a shared set may have been fetched, in milliseconds: beyond that the clock was
/// set back, and the set would stay fresh for too long.
const CLOCK_STEP: u64 = 60_000;

/// How often a plan is changed again when another worker was faster.
const ATTEMPTS: usize = 8;

/// One remote key set and what this worker knows of it.
struct Source {
    /// The issuer's index in the config.
    issuer: usize,
    remote: RemoteKeys,
    set_key: String,
    plan_key: String,
    /// The shared set that this worker has looked at, by when its fetch began; 0 for none.
    seen: u64,
    /// When the fetch of the installed set began.
    installed: Option<u64>,
    /// When the installed set is to be fetched anew.
    due: Due,
    /// A request waits for a key ID that the installed set lacks.
    wanted: bool,
    /// Whether those who wait may hope for a fetch, as of the last tick.
    hopeful: bool,
    /// The call under way: its token, and when it began.
    call: Option<(u32, u64)>,
}

/// What became of the fetches since the last call, for the metrics.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Fetches {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
}

/// What a worker does about keys apart from requests: on a tick, or when a call is answered.
pub(super) struct Turn<'t> {
    pub(super) gate: &'t mut Gate,
    pub(super) fetches: &'t mut Fetches,
    /// Milliseconds since 1970.
    pub(super) now: u64,
    /// For the jitter.
    pub(super) random: u8,
}

impl Sources {
    pub(super) fn new(issuers: &[Issuer]) -> Self {
        let source = |(index, issuer): (usize, &Issuer)| {
            let remote = issuer.remote.clone()?;
            Some(Source::new(index, &issuer.name, remote))
        };
        Self(issuers.iter().enumerate().filter_map(source).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Installs what other workers, or an earlier config, have fetched. It makes no call, so that it can
    /// run while a config is tried out on a VM that is thrown away.
    pub(super) fn install_shared(&mut self, turn: &mut Turn<'_>) {
        for source in &mut self.0 {
            source.install_shared(&source.plan().0, turn);
        }
    }

    /// Installs what others have fetched, and starts the fetches that are due.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_>) {
        for source in &mut self.0 {
            source.tick(turn);
        }
    }

    /// A request needs a key that is not here. Whether it may hope for it: a fetch is allowed or under
    /// way.
    pub(super) fn want(&mut self, issuer: usize, now: u64) -> bool {
        let Some(source) = self.0.iter_mut().find(|source| source.issuer == issuer) else {
            return false;
        };
        source.wanted = true;
        source.is_hopeful(&source.plan().0, now)
    }

    /// How long a request may wait for that issuer's keys, in milliseconds.
    pub(super) fn patience(&self, issuer: usize) -> u64 {
        self.find(issuer).map_or(0, Source::patience)
    }

    /// Whether those who wait for that issuer's keys may still hope, as of the last tick.
    pub(super) fn hopeful(&self, issuer: usize) -> bool {
        self.find(issuer).is_some_and(|source| source.hopeful)
    }

    /// When the fetch of the installed set began, in milliseconds since 1970.
    pub(super) fn installed(&self, issuer: usize) -> Option<u64> {
        self.find(issuer)?.installed
    }

    /// The answer to a call, if it is one of ours.
    pub(super) fn answered(&mut self, call: u32, turn: &mut Turn<'_>) {
        for source in &mut self.0 {
            if source.call.is_some_and(|(token, _)| token == call) {
                source.answered(turn);
            }
        }
    }

    fn find(&self, issuer: usize) -> Option<&Source> {
        self.0.iter().find(|source| source.issuer == issuer)
    }
}

impl Source {
    fn new(issuer: usize, name: &str, remote: RemoteKeys) -> Self {
        let name = fingerprint(&[name, &remote.url, &remote.cluster]);
        Self {
            issuer,
            remote,
            set_key: format!("edge_claims.keys.1.{name}.set"),
            plan_key: format!("edge_claims.keys.1.{name}.plan"),
            seen: 0,
            installed: None,
            due: Due::default(),
            wanted: false,
            hopeful: true,
            call: None,
        }
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        let mut plan = self.plan().0;
        self.install_shared(&plan, turn);
        if self.fetch_if_due(turn) {
            plan = self.plan().0;
        }
        self.hopeful = self.is_hopeful(&plan, turn.now);
    }

    fn patience(&self) -> u64 {
        self.remote.timeout.saturating_add(PATIENCE)
    }

    fn is_hopeful(&self, plan: &Plan, now: u64) -> bool {
        let cause = self.cause(now).unwrap_or(Cause::UnknownKid);
        plan.fetched != self.seen
            || plan.fetch_possible(cause, now, self.remote.timeout, self.patience())
    }

    /// Why to fetch now, if at all.
    fn cause(&self, now: u64) -> Option<Cause> {
        if self.due.has_come(now) {
            Some(Cause::Due)
        } else if self.wanted {
            Some(Cause::UnknownKid)
        } else {
            None
        }
    }

    fn plan(&self) -> (Plan, u32) {
        match host::shared(&self.plan_key) {
            Ok((bytes, version)) => (Plan::decode(&bytes), version),
            // Nobody has a plan yet: with this version the first to write wins.
            Err(_) => (Plan::default(), u32::MAX),
        }
    }

    /// Changes the plan, as often as another worker changes it at the same time; whether `change`
    /// wanted to, in the end.
    fn replan(&self, mut change: impl FnMut(&mut Plan) -> bool) -> bool {
        (0..ATTEMPTS)
            .find_map(|_| {
                let (mut plan, version) = self.plan();
                if !change(&mut plan) {
                    return Some(false);
                }
                match host::set_shared(&self.plan_key, &plan.encode(), version) {
                    Err(Failed::CAS_MISMATCH) => None,
                    result => Some(result.is_ok()),
                }
            })
            .unwrap_or(false)
    }

    /// Installs the shared set, if it is another than the one that this worker has seen.
    fn install_shared(&mut self, plan: &Plan, turn: &mut Turn<'_>) {
        if plan.fetched == self.seen {
            return;
        }
        // It is looked at once, good or not: where it is not, the next fetch is due.
        self.seen = plan.fetched;
        self.due = Due::default();
        let shared = host::shared(&self.set_key).ok();
        let Some(fetched) = shared.and_then(|(bytes, _)| Fetched::decode(&bytes)) else {
            return;
        };
        if fetched.fetched_at > turn.now.saturating_add(CLOCK_STEP) {
            return;
        }
        if let Ok((keys, _)) = KeySet::fetched(&fetched.body) {
            self.install(keys, fetched.started_at, fetched.fetched_at, turn);
        }
    }

    fn install(&mut self, keys: KeySet, started_at: u64, fetched_at: u64, turn: &mut Turn<'_>) {
        let seconds = fetched_at.checked_div(1_000).unwrap_or_default();
        turn.gate
            .verifier()
            .set_keys(IssuerId(self.issuer), keys, seconds);
        self.installed = Some(started_at);
        // Those who wait on ask again.
        self.wanted = false;
        let refresh = self.remote.refresh.saturating_mul(1_000);
        self.due = Due::after(fetched_at, refresh, turn.random);
    }

    /// Starts a fetch, if it is time and no other worker does; whether the plan was changed.
    fn fetch_if_due(&mut self, turn: &mut Turn<'_>) -> bool {
        let now = turn.now;
        let timeout = self.remote.timeout;
        // A call whose answer never comes is given up with its lease.
        let gone = |began: u64| now.abs_diff(began) > timeout.saturating_add(1_000);
        if self.call.is_some_and(|(_, began)| gone(began)) {
            self.call = None;
        }
        let Some(cause) = self.cause(now).filter(|_| self.call.is_none()) else {
            return false;
        };
        if !self.replan(|plan| plan.start(cause, self.seen, now, timeout)) {
            return false;
        }
        match self.dispatch() {
            Ok(token) => self.call = Some((token, now)),
            Err(Status::BadArgument) => {
                let why = format!("Envoy knows no cluster {:?}", self.remote.cluster);
                self.failed(&why, turn);
            }
            Err(_) => self.failed("Envoy did not make the call", turn),
        }
        true
    }

    fn dispatch(&self) -> Result<u32, Status> {
        let (scheme, rest) = self
            .remote
            .url
            .split_once("://")
            .ok_or(Status::InternalFailure)?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(at).ok_or(Status::InternalFailure)?;
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        proxy_wasm::hostcalls::dispatch_http_call(
            &self.remote.cluster,
            vec![
                (":method", "GET"),
                (":scheme", scheme),
                (":authority", authority),
                (":path", &path),
                ("accept", "application/jwk-set+json, application/json"),
                (
                    "user-agent",
                    concat!("edge-claims/", env!("CARGO_PKG_VERSION")),
                ),
            ],
            None,
            Vec::new(),
            Duration::from_millis(self.remote.timeout),
        )
    }

    fn answered(&mut self, turn: &mut Turn<'_>) {
        let Some((_, started_at)) = self.call.take() else {
            return;
        };
        let result = answer().and_then(|body| match KeySet::fetched(&body) {
            Ok((keys, skipped)) => Ok((keys, skipped, body)),
            Err(error) => Err(format!("its answer is no key set: {error}")),
        });
        let (keys, skipped, body) = match result {
            Ok(good) => good,
            Err(why) => return self.failed(&why, turn),
        };
        for problem in skipped {
            log::warn!(
                "edge-claims: a key of {} is left out: {problem}",
                self.remote.url
            );
        }
        turn.fetches.succeeded = turn.fetches.succeeded.saturating_add(1);
        let now = turn.now;
        let fetched = Fetched {
            started_at,
            fetched_at: now,
            body,
        };
        let newest = self.plan().0.fetched;
        if newest > started_at && newest <= now {
            // This answer took longer than its lease, and another worker has fetched meanwhile.
            return;
        }
        // The set before the plan that names it: who sees the plan finds the set.
        let shared = host::set_shared(&self.set_key, &fetched.encode(), 0).is_ok()
            && self.replan(|plan| plan.succeeded(started_at, now));
        if shared {
            self.seen = started_at;
        }
        self.install(keys, started_at, now, turn);
    }

    fn failed(&self, why: &str, turn: &mut Turn<'_>) {
        turn.fetches.failed = turn.fetches.failed.saturating_add(1);
        log::warn!(
            "edge-claims: keys of {} could not be fetched: {why}; the old ones stay, it is tried again",
            self.remote.url,
        );
        self.replan(|plan| {
            plan.failed(turn.now);
            true
        });
    }
}

impl Drop for Source {
    /// The host cancels the calls of a config that goes out of force.
    fn drop(&mut self) {
        if self.call.is_some() {
            self.replan(|plan| {
                plan.abandoned();
                true
            });
        }
    }
}

/// The body of the call's response, if it is a 200 of at most [`MAX_BYTES`].
fn answer() -> Result<Vec<u8>, String> {
    let none = |Failed(status)| format!("no answer (host status {status})");
    let pairs = host::header_pairs(Map::CallResponse).map_err(none)?;
    let headers = Headers::from_wire(&pairs).unwrap_or_default();
    match headers.first(":status") {
        Some(b"200") => {}
        Some(status) => return Err(format!("status {}", String::from_utf8_lossy(status))),
        None => return Err("no answer".to_owned()),
    }
    let body = host::buffer(Buffer::CallResponseBody, MAX_BYTES.saturating_add(1)).map_err(none)?;
    if body.len() > MAX_BYTES {
        return Err(format!("more than {MAX_BYTES} bytes"));
    }
    Ok(body)
}

/// The first 16 bytes of SHA-256 over the parts, in hex.
pub(super) fn fingerprint(parts: &[&str]) -> String {
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
