//! Runs the pipeline for a request and applies the decision to the current stream.

use super::Worker;
use super::host::{HeaderMap, Host, PeerCertificate, StreamId};
use super::waiting::BodySize;
use crate::correlation::CorrelationId;
use crate::denial::Reason;
use crate::gate::{Action, Decision, Gate, KeyWait, RequestContext, ResponseHeader, Step};
use crate::record::{AccessField, Verdict};
use crate::reply::{DeniedRequest, Detail, Reply, Settings};
use crate::token::IssuerId;

/// The result of a request's headers.
#[derive(Debug)]
pub enum RequestStatus {
    /// It is forwarded; the header must be added to the response.
    Continues(Option<ResponseHeader>),
    /// It was answered; the header must be added to the response.
    Answered(Option<ResponseHeader>),
    /// It is paused until its issuer's keys are installed.
    Waits,
}

impl<H: Host> Worker<H> {
    /// Handles the headers of a request; `has_body` if body or trailers follow.
    pub fn on_request_headers(&mut self, stream: StreamId, has_body: bool) -> RequestStatus {
        match self.decide(has_body, KeyWait::Allowed, None) {
            Some(Step::Done(decision)) => self.carry_out(decision, None),
            Some(Step::Wait(wait)) => self.wait(stream, has_body, wait),
            None => self.fail(None),
        }
    }

    /// Runs the pipeline on the headers of the current stream; `None` if that is not possible. `assigned`
    /// is the correlation ID that the request got before it waited.
    pub(super) fn decide(
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
        let (sources, waiting) = (&mut active.key_sources, &self.waiting);
        let step = host.with_headers(HeaderMap::Request, |headers| {
            let mut may_wait = |issuer: IssuerId| {
                // Request the key even if the request cannot wait: the client may retry.
                sources.request_key(issuer, host, now_ms)
                    && waiting.admits(issuer, BodySize::of(headers, has_body))
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

    /// Applies the decision to the current stream.
    pub(super) fn carry_out(
        &mut self,
        decision: Decision,
        assigned: Option<&CorrelationId>,
    ) -> RequestStatus {
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
            // The upstream would trust a header that could not be removed or set.
            return self.fail(assigned);
        }
        for (field, value) in &log_fields {
            // A missing field in an access log does not fail the request.
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
                // These edits are for access logs only, so the reply does not depend on them.
                let _ = self.host.apply(&edits);
                self.answer(&reply);
                RequestStatus::Answered(response_header)
            }
        }
    }

    /// Denies a request because there is no config, or because its headers cannot be read or edited.
    #[cold]
    pub(super) fn fail(&mut self, assigned: Option<&CorrelationId>) -> RequestStatus {
        let correlation = assigned.cloned().unwrap_or_else(|| {
            let now = self.host.now_ms().unwrap_or_default();
            CorrelationId::generate(now, self.random.ten(&self.host))
        });
        let field = AccessField::CorrelationId;
        let _ = self.host.set_log_field(field, correlation.as_str());
        if let Some(active) = &mut self.active {
            active.gate.count(Verdict::Deny(Reason::Internal), None);
        }
        self.deny(Reason::Internal, Some(correlation.as_str()));
        RequestStatus::Answered(None)
    }

    /// Denies a request outside of the pipeline.
    #[cold]
    pub(super) fn deny(&self, reason: Reason, correlation_id: Option<&str>) {
        let verdict = Verdict::Deny(reason).text(None);
        let _ = self.host.set_log_field(AccessField::Verdict, &verdict);
        let gate = self.active.as_ref().map(|active| &active.gate);
        let (header, settings) = answer_settings(gate);
        let header = header.filter(|_| correlation_id.is_some());
        let reply = Reply::new(
            &DeniedRequest {
                reason,
                status: None,
                route: None,
                correlation_id: correlation_id.unwrap_or("-"),
                correlation_header: header.as_deref(),
                step_up: None,
                grpc: false,
            },
            &settings,
        );
        self.answer(&reply);
    }

    fn answer(&self, reply: &Reply) {
        if self.host.reply(reply).is_err() {
            log::error!(
                "edge-claims: the host refused proxy_send_local_response; the request stays paused"
            );
        }
    }
}

/// The response header for the correlation ID, and the settings of replies.
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
