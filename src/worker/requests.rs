//! Requests: the worker runs the pipeline and does to the current stream what it decides.

use super::host::{HeaderMap, Host, PeerCertificate, StreamId};
use super::waiting::{BodySize, Waited, WaitingRequest};
use super::{SHORT_TICK, TICK, Worker};
use crate::correlation::CorrelationId;
use crate::denial::Reason;
use crate::gate::{Action, Decision, Gate, KeyWait, RequestContext, ResponseHeader, Step, Wait};
use crate::headers::Headers;
use crate::record::{AccessField, Verdict};
use crate::reply::{DeniedRequest, Detail, Reply, Settings};
use crate::token::IssuerId;

/// What becomes of a request after its headers were read.
#[derive(Debug)]
pub enum RequestStatus {
    /// It goes on; its response must have this header.
    Continues(Option<ResponseHeader>),
    /// It was answered; the answer must have this header.
    Answered(Option<ResponseHeader>),
    /// It is paused until its issuer's keys are here.
    Waits,
}

/// What becomes of a request after its trailers were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailersStatus {
    /// It goes on.
    Continues,
    /// It was answered.
    Answered,
}

impl<H: Host> Worker<H> {
    /// The headers of a request are here. `has_body` is whether body or trailers follow.
    pub fn on_request_headers(&mut self, stream: StreamId, has_body: bool) -> RequestStatus {
        match self.decide(has_body, KeyWait::Allowed, None) {
            Some(Step::Done(decision)) => self.carry_out(decision),
            Some(Step::Wait(wait)) => self.wait(stream, has_body, wait),
            None => self.fail(),
        }
    }

    /// The trailers of a request are here: those that no backend may see are removed.
    pub fn on_request_trailers(&mut self) -> TrailersStatus {
        let Some(active) = &mut self.active else {
            return self.reject_trailers();
        };
        let reserved = self
            .host
            .with_headers(HeaderMap::RequestTrailers, |trailers| {
                let (names, rejects) = active.gate.reserved_trailers(trailers);
                let names: Vec<Vec<u8>> = names.into_iter().map(<[u8]>::to_vec).collect();
                (names, rejects)
            });
        let Ok((names, rejects)) = reserved else {
            return self.reject_trailers();
        };
        if names.is_empty() {
            return TrailersStatus::Continues;
        }
        active.gate.counters().add_reserved_trailers();
        let remove = |name: &Vec<u8>| self.host.edit(HeaderMap::RequestTrailers, name, None);
        let removed = names.iter().all(|name| remove(name).is_ok());
        if rejects || !removed {
            return self.reject_trailers();
        }
        TrailersStatus::Continues
    }

    /// Whether a request that waited may go on; `None` while it waits.
    pub fn waited(&self, stream: StreamId) -> Option<bool> {
        let waited = self.active.as_ref()?.waiting.decision(stream)?;
        Some(waited.continues)
    }

    /// The header that the response to a request that waited must have.
    pub fn late_response_header(&self, stream: StreamId) -> Option<ResponseHeader> {
        let waited = self.active.as_ref()?.waiting.decision(stream)?;
        waited.response_header.clone()
    }

    /// A stream whose request waited is done.
    pub fn on_stream_done(&mut self, stream: StreamId) {
        if let Some(active) = &mut self.active {
            active.waiting.remove(stream);
        }
    }

    /// Decides again about the waiting requests for which something has changed: a new key set is here, no
    /// fetch can come in time, or they have waited as long as they may.
    pub(super) fn decide_waiting(&mut self, now: u64) {
        let Some(active) = &mut self.active else {
            return;
        };
        let sources = &active.key_sources;
        let ready = active.waiting.take(|request| {
            sources.installed(request.issuer) != request.key_set
                || !sources.fetch_possible(request.issuer)
                || now >= request.until
        });
        for request in ready {
            // A stream that is gone needs no answer.
            if self.host.select_stream(request.stream).is_ok() {
                self.decide_again(request, now);
            }
        }
        let is_empty = |active: &super::Active<H>| active.waiting.is_empty();
        if self.active.as_ref().is_some_and(is_empty) {
            self.set_tick_period(TICK);
        }
    }

    /// Runs the pipeline on the headers of the current stream; `None` if that is not possible.
    fn decide(
        &mut self,
        has_body: bool,
        key_wait: KeyWait,
        assigned: Option<&CorrelationId>,
    ) -> Option<Step> {
        let host = &self.host;
        let active = self.active.as_mut()?;
        let now_ms = host.now_ms()?;
        let validation = active.gate.config().rbac.peer_validation;
        let (random, warned) = (&mut self.random, std::cell::Cell::new(false));
        let peers = || match host.peer_certificate(validation) {
            PeerCertificate::Absent => Vec::new(),
            PeerCertificate::Validated(uri_sans) => uri_sans,
            PeerCertificate::Unvalidated => {
                warned.set(true);
                Vec::new()
            }
        };
        let (gate, backend) = (&mut active.gate, &active.backend);
        let (sources, waiting) = (&mut active.key_sources, &active.waiting);
        let step = host.with_headers(HeaderMap::Request, |headers| {
            let mut may_wait = |issuer: IssuerId| {
                waiting.admits(issuer, body_size(headers, has_body))
                    && sources.request_key(issuer, host, now_ms)
            };
            let mut ctx = RequestContext {
                now_ms,
                backend,
                random: &mut || random.ten(host),
                peers: &peers,
                key_wait,
                may_wait: &mut may_wait,
                assigned,
            };
            gate.decide(headers, &mut ctx)
        });
        if warned.get() && !std::mem::replace(&mut self.warned_unvalidated_peer, true) {
            log::warn!(
                "edge-claims: a client certificate is no peer here, because Envoy does not report it as \
                 validated: the listener accepts untrusted ones, the TLS session was resumed, or \
                 Envoy is older than 1.39; see rbac.peer_validation (logged once)"
            );
        }
        step.ok()
    }

    /// Does to the current stream what was decided.
    fn carry_out(&mut self, decision: Decision) -> RequestStatus {
        let Decision {
            action,
            verdict,
            route,
            log_fields,
            response_header,
            record,
        } = decision;
        if let Action::Forward(forward) = &action
            && self.host.apply(forward.edits()).is_err()
        {
            // The upstream would trust a header that could not be removed.
            return self.fail();
        }
        for (field, value) in &log_fields {
            // An access log without a field is no reason to fail a request.
            let _ = self.host.set_log_field(*field, value);
        }
        if let Some(line) = record {
            log::info!("{line}");
        }
        if let Some(active) = &mut self.active {
            active.gate.count(verdict, route);
        }
        match action {
            Action::Forward(_) => RequestStatus::Continues(response_header),
            Action::Reply { reply, edits } => {
                // The edits are for access logs only: the answer goes out in any case.
                let _ = self.host.apply(&edits);
                self.answer(&reply);
                RequestStatus::Answered(response_header)
            }
        }
    }

    /// Lets a request wait. Logs show it even if it ends before it is decided.
    fn wait(&mut self, stream: StreamId, has_body: bool, wait: Wait) -> RequestStatus {
        let (Some(active), Some(now)) = (&mut self.active, self.host.now_ms()) else {
            return self.fail();
        };
        if self.host.apply(&wait.edits).is_err() {
            return self.fail();
        }
        for (field, value) in &wait.log_fields {
            let _ = self.host.set_log_field(*field, value);
        }
        let size = self
            .host
            .with_headers(HeaderMap::Request, |headers| body_size(headers, has_body));
        let sources = &active.key_sources;
        active.waiting.add(WaitingRequest {
            stream,
            issuer: wait.issuer,
            arrived: now,
            until: now.saturating_add(sources.max_wait(wait.issuer)),
            key_set: sources.installed(wait.issuer),
            body: match size {
                Ok(BodySize::Bytes(bytes)) => bytes,
                Ok(BodySize::Unknown) | Err(_) => 0,
            },
            correlation: wait.correlation,
        });
        self.set_tick_period(SHORT_TICK);
        RequestStatus::Waits
    }

    /// Decides again about a request that waited. It waits on if a key set that was fetched after it
    /// arrived can still bring its key.
    fn decide_again(&mut self, mut request: WaitingRequest, now: u64) {
        let Some(active) = &self.active else {
            return;
        };
        let installed = active.key_sources.installed(request.issuer);
        let key_wait = if installed.is_some_and(|at| at >= request.arrived) {
            KeyWait::AfterFetch
        } else if now < request.until {
            KeyWait::Allowed
        } else {
            KeyWait::Exhausted
        };
        // The request has a place already: its body does not count again.
        let status = match self.decide(false, key_wait, Some(&request.correlation)) {
            Some(Step::Done(decision)) => self.carry_out(decision),
            Some(Step::Wait(_)) => {
                request.key_set = installed;
                if let Some(active) = &mut self.active {
                    active.waiting.add(request);
                }
                return;
            }
            None => self.fail(),
        };
        let (continues, response_header) = match status {
            RequestStatus::Continues(header) => (true, header),
            RequestStatus::Answered(header) => (false, header),
            RequestStatus::Waits => return,
        };
        if let Some(active) = &mut self.active {
            let waited = Waited {
                continues,
                response_header,
            };
            active.waiting.decided(request.stream, waited);
        }
        if continues {
            let _ = self.host.continue_request();
        }
    }

    /// Denies a request about which nothing can be decided or done: there is no config, or its headers
    /// cannot be read or changed.
    #[cold]
    fn fail(&mut self) -> RequestStatus {
        let verdict = Verdict::Deny(Reason::Internal);
        let random = self.random.ten(&self.host);
        let correlation = CorrelationId::generate(self.host.now_ms().unwrap_or_default(), random);
        let gate = self.active.as_mut().map(|active| &mut active.gate);
        let (header, settings) = answer_settings(gate.as_deref());
        for (field, value) in [
            (AccessField::Verdict, verdict.text(None).as_str()),
            (AccessField::CorrelationId, correlation.as_str()),
        ] {
            let _ = self.host.set_log_field(field, value);
        }
        if let Some(gate) = gate {
            gate.count(verdict, None);
        }
        let reply = Reply::new(
            &DeniedRequest {
                reason: Reason::Internal,
                status: None,
                route: None,
                correlation_id: correlation.as_str(),
                correlation_header: header.as_deref(),
                step_up: None,
                grpc: false,
            },
            &settings,
        );
        self.answer(&reply);
        RequestStatus::Answered(None)
    }

    /// Answers a request whose trailers must not reach the upstream. If the response has begun, the host
    /// resets the stream.
    #[cold]
    fn reject_trailers(&mut self) -> TrailersStatus {
        let gate = self.active.as_ref().map(|active| &active.gate);
        let (_, settings) = answer_settings(gate);
        let reply = Reply::new(
            &DeniedRequest {
                reason: Reason::SpoofedHeader,
                status: None,
                route: None,
                correlation_id: "-",
                correlation_header: None,
                step_up: None,
                grpc: false,
            },
            &settings,
        );
        self.answer(&reply);
        TrailersStatus::Answered
    }

    fn answer(&self, reply: &Reply) {
        if self.host.reply(reply).is_err() {
            log::error!(
                "edge-claims: the host refused proxy_send_local_response; the request stays paused"
            );
        }
    }
}

/// The size of a request's body, as its headers announce it (RFC 9110 §8.6).
fn body_size(headers: &Headers<'_>, has_body: bool) -> BodySize {
    if !has_body {
        return BodySize::Bytes(0);
    }
    let length = headers
        .first("content-length")
        .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    length.map_or(BodySize::Unknown, BodySize::Bytes)
}

/// The response header for the correlation ID, and how much answers say.
fn answer_settings(gate: Option<&Gate>) -> (Option<String>, Settings) {
    match gate.map(Gate::config) {
        Some(config) => {
            let correlation = &config.correlation;
            let header = correlation
                .response_header
                .then(|| correlation.header.to_string());
            (header, config.responses.clone())
        }
        None => (
            None,
            Settings {
                detail: Detail::Code,
                realm: "mesh".to_owned(),
                docs_url: None,
            },
        ),
    }
}
