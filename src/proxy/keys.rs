//! Fetches remote key sets on the tick, one fetch for all workers.
//!
//! What the workers share lives in the host's shared data under keys of this filter's own, named
//! after issuer, URL and cluster, so that it survives a config push. Whoever else runs plugins in the
//! same Envoy can write there too and is trusted not to.

use std::time::Duration;

use crate::gate::Gate;
use crate::token::jwks::MAX_BYTES;
use crate::token::refresh::{Cause, Fetched, Plan, due_at};
use crate::token::{Issuer, KeySet, RemoteKeys};

use super::host::{self, Buffer, Failed, Map};
use crate::headers::Headers;

/// The remote sources of one config.
#[derive(Default)]
pub(super) struct Sources(Vec<Source>);

/// One remote key set and what this worker knows of it.
struct Source {
    /// The issuer's index in the config.
    issuer: usize,
    remote: RemoteKeys,
    set_key: String,
    mark_key: String,
    plan_key: String,
    /// The shared set that this worker has installed: when its fetch began.
    installed: Option<u64>,
    /// When the installed set is to be fetched anew.
    due_at: u64,
    /// A request waits for a key ID that the installed set lacks.
    wanted: bool,
    /// The call under way: its token, and when it began.
    call: Option<(u32, u64)>,
}

/// What became of the fetches since the last call, for the metrics.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Fetches {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
}

impl Sources {
    pub(super) fn new(issuers: &[Issuer]) -> Self {
        let source = |(index, issuer): (usize, &Issuer)| {
            let remote = issuer.remote.clone()?;
            let name = fingerprint(&[&issuer.name, &remote.url, &remote.cluster]);
            Some(Source {
                issuer: index,
                remote,
                set_key: format!("edge_claims.keys.{name}.set"),
                mark_key: format!("edge_claims.keys.{name}.mark"),
                plan_key: format!("edge_claims.keys.{name}.plan"),
                installed: None,
                due_at: 0,
                wanted: false,
                call: None,
            })
        };
        Self(issuers.iter().enumerate().filter_map(source).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Installs what other workers fetched, and starts the fetches that are due.
    pub(super) fn tick(&mut self, gate: &mut Gate, now: u64, random: u8, fetches: &mut Fetches) {
        for source in &mut self.0 {
            source.install_shared(gate, now, random);
            source.fetch_if_due(now, fetches);
        }
    }

    /// A request needs a key that is not here. Whether it may wait: a fetch is allowed or under way.
    pub(super) fn want(&mut self, issuer: usize, now: u64) -> bool {
        let Some(source) = self.0.iter_mut().find(|source| source.issuer == issuer) else {
            return false;
        };
        source.wanted = true;
        let plan = source.plan().0;
        source.installed.is_none() || now < plan.lease_until || plan.allows_unknown_kid(now)
    }

    /// How long a fetch of that issuer's keys may take, in milliseconds.
    pub(super) fn timeout(&self, issuer: usize) -> Option<u64> {
        Some(
            self.0
                .iter()
                .find(|source| source.issuer == issuer)?
                .remote
                .timeout,
        )
    }

    /// When the fetch of the installed set began, in milliseconds since 1970.
    pub(super) fn installed(&self, issuer: usize) -> Option<u64> {
        self.0
            .iter()
            .find(|source| source.issuer == issuer)?
            .installed
    }

    /// The answer to a call, if it is one of ours.
    pub(super) fn answered(
        &mut self,
        call: u32,
        gate: &mut Gate,
        now: u64,
        random: u8,
        fetches: &mut Fetches,
    ) {
        for source in &mut self.0 {
            if source.call.is_some_and(|(token, _)| token == call) {
                source.answered(gate, now, random, fetches);
            }
        }
    }
}

impl Source {
    fn plan(&self) -> (Plan, u32) {
        match host::shared(&self.plan_key) {
            Ok((bytes, cas)) => (Plan::decode(&bytes), cas),
            // Nobody has a plan yet: with this version the first to write wins.
            Err(_) => (Plan::default(), u32::MAX),
        }
    }

    /// Changes the plan, unless somebody else does so at the same time.
    fn replan(&self, change: impl FnOnce(&mut Plan) -> bool) -> bool {
        let (mut plan, cas) = self.plan();
        change(&mut plan) && host::set_shared(&self.plan_key, &plan.encode(), cas).is_ok()
    }

    fn install_shared(&mut self, gate: &mut Gate, now: u64, random: u8) {
        let Ok((mark, _)) = host::shared(&self.mark_key) else {
            return;
        };
        let mark = mark.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        if mark.is_none() || mark == self.installed {
            return;
        }
        let Ok((bytes, _)) = host::shared(&self.set_key) else {
            return;
        };
        let Some(fetched) = Fetched::decode(&bytes) else {
            return;
        };
        // A clock that was set back must not keep an old set fresh for ever.
        if fetched.fetched_at > now.saturating_add(60_000) {
            return;
        }
        if let Ok((keys, _)) = KeySet::fetched(&fetched.body) {
            self.install(gate, keys, &fetched, random);
        }
    }

    fn install(&mut self, gate: &mut Gate, keys: KeySet, fetched: &Fetched, random: u8) {
        let seconds = fetched.fetched_at.checked_div(1_000).unwrap_or_default();
        gate.verifier().set_keys(self.issuer, keys, seconds);
        self.installed = Some(fetched.started_at);
        self.wanted = false;
        let refresh = self.remote.refresh.saturating_mul(1_000);
        self.due_at = due_at(fetched.fetched_at, refresh, random);
    }

    fn fetch_if_due(&mut self, now: u64, fetches: &mut Fetches) {
        // A call whose answer never comes is given up with its lease.
        let gone =
            |began: u64| now.saturating_sub(began) > self.remote.timeout.saturating_add(1_000);
        if self.call.is_some_and(|(_, began)| gone(began)) {
            self.call = None;
        }
        let cause = if now >= self.due_at {
            Cause::Due
        } else if self.wanted {
            Cause::UnknownKid
        } else {
            return;
        };
        if self.call.is_some() || !self.replan(|plan| plan.start(cause, now, self.remote.timeout)) {
            return;
        }
        self.wanted = false;
        match self.dispatch() {
            Ok(token) => self.call = Some((token, now)),
            Err(()) => {
                fetches.failed = fetches.failed.saturating_add(1);
                log::warn!(
                    "edge-claims: keys of {} can't be fetched: Envoy knows no cluster {:?}; retried",
                    self.remote.url,
                    self.remote.cluster
                );
                self.replan(|plan| {
                    plan.failed(now);
                    true
                });
            }
        }
    }

    fn dispatch(&self) -> Result<u32, ()> {
        let (scheme, rest) = self.remote.url.split_once("://").ok_or(())?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(at).ok_or(())?;
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
        .map_err(|_| ())
    }

    fn answered(&mut self, gate: &mut Gate, now: u64, random: u8, fetches: &mut Fetches) {
        let Some((_, started_at)) = self.call.take() else {
            return;
        };
        let result = answer().and_then(|body| match KeySet::fetched(&body) {
            Ok((keys, skipped)) => Ok((keys, skipped, body)),
            Err(error) => Err(format!("its answer is no key set: {error}")),
        });
        match result {
            Ok((keys, skipped, body)) => {
                for problem in skipped {
                    log::warn!(
                        "edge-claims: key of {} left out: {problem}",
                        self.remote.url
                    );
                }
                let fetched = Fetched {
                    started_at,
                    fetched_at: now,
                    body,
                };
                // The set before its mark: whoever sees the mark finds the set.
                let shared = host::set_shared(&self.set_key, &fetched.encode(), 0)
                    .and_then(|()| host::set_shared(&self.mark_key, &started_at.to_le_bytes(), 0));
                if shared.is_err() {
                    log::warn!(
                        "edge-claims: the host shares no data; each worker fetches keys itself"
                    );
                }
                self.install(gate, keys, &fetched, random);
                fetches.succeeded = fetches.succeeded.saturating_add(1);
                self.replan(|plan| {
                    plan.succeeded();
                    true
                });
            }
            Err(why) => {
                fetches.failed = fetches.failed.saturating_add(1);
                log::warn!(
                    "edge-claims: keys of {} could not be fetched: {why}",
                    self.remote.url
                );
                self.replan(|plan| {
                    plan.failed(now);
                    true
                });
            }
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
