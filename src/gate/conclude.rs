//! Stage 5: turns the result of the earlier stages into the decision and what is reported about it.

use std::rc::Rc;

use super::edits::{self, EditInputs, Forward};
use super::permit::Permit;
use super::principal::VerifiedPrincipal;
use super::scan::Scan;
use super::{Action, Decision, Evaluation, Gate, LogFields, RequestContext, Wait, counters};
use crate::correlation::CorrelationId;
use crate::denial::{Denial, Reason};
use crate::headers::{Headers, SingleHeader};
use crate::policy::route::RouteId;
use crate::record::{AccessField, Record, Verdict, plain, plain_path, trace_id};
use crate::reply::{DeniedRequest, Reply};
use crate::token::{IssuerId, Verified};

/// A request and the results of the earlier stages.
pub(super) struct Examined<'a> {
    pub(super) scan: &'a Scan<'a>,
    pub(super) headers: &'a Headers<'a>,
    pub(super) evaluation: &'a Evaluation<'a>,
    pub(super) correlation: &'a CorrelationId,
}

impl Gate {
    pub(super) fn allow(
        &mut self,
        permit: Permit,
        request: &Examined<'_>,
        ctx: &mut RequestContext<'_>,
    ) -> Decision {
        let has_token = request.scan.token != SingleHeader::Missing;
        if has_token && request.evaluation.principal.is_none() && !permit.is_preflight() {
            counters::add_one(Some(&mut self.counters.dropped_tokens));
        }
        self.forward(permit, None, request, ctx)
    }

    /// Forwards a request that would be denied without shadow mode.
    #[cold]
    pub(super) fn shadow(
        &mut self,
        denial: &Denial,
        request: &Examined<'_>,
        ctx: &mut RequestContext<'_>,
    ) -> Decision {
        let permit = Permit::shadow(denial.reason);
        self.forward(permit, Some(denial), request, ctx)
    }

    #[cold]
    pub(super) fn deny(
        &mut self,
        denial: &Denial,
        request: &Examined<'_>,
        ctx: &mut RequestContext<'_>,
    ) -> Decision {
        let mut edits = self.remove_malformed_ids(request);
        edits::set_correlation(&mut edits, &self.names, request.scan, request.correlation);
        let route = request.evaluation.route;
        let route = route.and_then(|id| self.config.rbac.routes.get(id));
        let reply = Reply::new(
            &DeniedRequest {
                reason: denial.reason,
                status: route.map(|route| route.status(denial.reason)),
                route: route.map(|route| route.name.as_str()),
                correlation_id: request.correlation.as_str(),
                correlation_header: self
                    .config
                    .correlation
                    .response_header
                    .then_some(&*self.correlation_header),
                step_up: denial.step_up.as_ref(),
                grpc: request.scan.grpc,
            },
            &self.config.responses,
        );
        let action = Action::Reply {
            reply: Box::new(reply),
            edits,
        };
        self.report(
            action,
            Verdict::Deny(denial.reason),
            Some(denial),
            request,
            ctx,
        )
    }

    /// Lets the request wait for an issuer's keys. If it ends before it is decided, logs show it as denied.
    #[cold]
    pub(super) fn wait(&mut self, issuer: IssuerId, request: &Examined<'_>) -> Wait {
        let mut edits = self.remove_malformed_ids(request);
        edits::set_correlation(&mut edits, &self.names, request.scan, request.correlation);
        let verdict = Verdict::Deny(Reason::KeysUnavailable);
        Wait {
            issuer,
            correlation: request.correlation.clone(),
            log_fields: self.log_fields(verdict, request),
            edits,
        }
    }

    fn forward(
        &mut self,
        permit: Permit,
        shadowed: Option<&Denial>,
        request: &Examined<'_>,
        ctx: &mut RequestContext<'_>,
    ) -> Decision {
        let verdict = permit.verdict();
        let malformed_correlation_headers = self.remove_malformed_ids(request);
        let location = request.evaluation.location.as_ref();
        let authority = location.and_then(|location| {
            let policy = &self.config.rbac;
            policy.forwarded_authority(location, request.scan.authority)
        });
        let inputs = EditInputs {
            names: &self.names,
            scan: request.scan,
            principal: request.evaluation.principal.as_ref(),
            forwards_token: self.config.claims.forward,
            correlation: request.correlation,
            malformed_correlation_headers,
            authority: authority.as_deref(),
            path: location.and_then(|location| location.path.normalized()),
        };
        let action = Action::Forward(Forward::new(permit, inputs.edits()));
        self.report(action, verdict, shadowed, request, ctx)
    }

    fn report(
        &mut self,
        action: Action,
        verdict: Verdict,
        denial: Option<&Denial>,
        request: &Examined<'_>,
        ctx: &mut RequestContext<'_>,
    ) -> Decision {
        if edits::is_spoofed(request.scan, request.evaluation.principal.as_ref()) {
            counters::add_one(Some(&mut self.counters.spoofed));
        }
        let record = is_sampled(self.sampling(verdict), ctx.random)
            .then(|| self.record(verdict, denial, request, ctx.now_ms));
        let correlation = &self.config.correlation;
        let response_header = correlation.response_header.then(|| {
            let name = Rc::clone(&self.correlation_header);
            (name, request.correlation.shared())
        });
        Decision {
            action,
            verdict,
            route: request.evaluation.route,
            log_fields: self.log_fields(verdict, request),
            response_header,
            record,
        }
    }

    /// Edits that remove malformed correlation headers; counts the request if it has any.
    fn remove_malformed_ids(&mut self, request: &Examined<'_>) -> Vec<super::Edit> {
        let (scan, correlation) = (request.scan, request.correlation);
        let edits = edits::remove_malformed_ids(&self.names, scan);
        // A header that already holds the chosen ID is well-formed; this is the common case.
        let is_malformed = !correlation.is_sent_as(scan.correlation)
            && CorrelationId::is_malformed(scan.correlation);
        if is_malformed || !edits.is_empty() {
            counters::add_one(Some(&mut self.counters.correlation_malformed));
        }
        edits
    }

    /// Completes the denial's explanation for the log: the route, or the nearest one, and the failed check.
    #[cold]
    pub(super) fn explain(&self, mut denial: Box<Denial>, request: &Examined<'_>) -> Box<Denial> {
        let Some(location) = &request.evaluation.location else {
            return denial;
        };
        let routes = &self.config.rbac.routes;
        let failed = denial.explanation.take();
        let failed = failed.unwrap_or_else(|| denial.reason.code().to_owned());
        let word = |matches: bool| if matches { "ok" } else { "differs" };
        denial.explanation = Some(match location.route.and_then(|id| routes.get(id)) {
            Some(route) => format!("{}: host ok, path ok, method ok, {failed}", route.name),
            None => {
                let method = request.scan.method;
                match routes.nearest(&location.authority, method, &location.path) {
                    Some(near) => format!(
                        "no route; nearest {}: host {}, path ok, method {}; {failed}",
                        self.route_name(Some(near.id)).unwrap_or("-"),
                        word(near.host),
                        word(near.method),
                    ),
                    None => format!("no route has this path; {failed}"),
                }
            }
        });
        denial
    }

    fn route_name(&self, id: Option<RouteId>) -> Option<&str> {
        Some(self.config.rbac.routes.get(id?)?.name.as_str())
    }

    fn verdict_text(&self, verdict: Verdict, route: Option<RouteId>) -> Rc<str> {
        let allowed = route.and_then(|id| self.allow_verdicts.get(id.index()));
        match allowed {
            Some(text) if verdict == Verdict::Allow => Rc::clone(text),
            _ => verdict.text(self.route_name(route)).into(),
        }
    }

    fn log_fields(&self, verdict: Verdict, request: &Examined<'_>) -> LogFields {
        let fields = self.config.log.access_fields.iter();
        fields
            .filter_map(|field| Some((*field, self.log_field(*field, verdict, request)?)))
            .collect()
    }

    fn log_field(
        &self,
        field: AccessField,
        verdict: Verdict,
        request: &Examined<'_>,
    ) -> Option<Rc<str>> {
        let evaluation = request.evaluation;
        let correlation = request.correlation;
        let principal = evaluation.principal.as_ref();
        let verified = principal.map(|principal| &principal.verified);
        let text = match field {
            AccessField::CorrelationId => return Some(correlation.shared()),
            AccessField::Verdict => return Some(self.verdict_text(verdict, evaluation.route)),
            AccessField::CorrelationSource => return Some(correlation.source().as_str().into()),
            AccessField::Reason => return Some(verdict.reason()?.code().into()),
            AccessField::Path => {
                let location = evaluation.location.as_ref()?;
                let path = location.path.normalized().unwrap_or(request.scan.path);
                return Some(plain_path(path).into());
            }
            AccessField::Route => self.route_name(evaluation.route),
            AccessField::Issuer => verified.map(Verified::issuer_name),
            AccessField::Kid => verified.and_then(Verified::kid),
            AccessField::Subject => principal.and_then(VerifiedPrincipal::subject),
            AccessField::TraceId => {
                let trace = request.headers.first("traceparent").and_then(trace_id)?;
                return Some(std::str::from_utf8(trace).ok()?.into());
            }
        };
        Some(plain(text?).into())
    }

    /// The share of requests with this verdict that get a record.
    fn sampling(&self, verdict: Verdict) -> f64 {
        match verdict {
            Verdict::Allow => self.config.log.allow,
            Verdict::Deny(_) => self.config.log.deny,
            Verdict::Shadow(_) => self.config.log.shadow,
        }
    }

    #[cold]
    fn record(
        &self,
        verdict: Verdict,
        denial: Option<&Denial>,
        request: &Examined<'_>,
        time_ms: u64,
    ) -> String {
        let principal = request.evaluation.principal.as_ref();
        let verified = principal.map(|principal| &principal.verified);
        let record = Record {
            time: time_ms,
            verdict,
            route: self.route_name(request.evaluation.route),
            explanation: denial.and_then(|denial| denial.explanation.as_deref()),
            correlation_id: request.correlation.as_str(),
            correlation_source: request.correlation.source(),
            request_id: request.headers.first("x-request-id"),
            traceparent: request.headers.first("traceparent"),
            method: request.scan.method,
            host: request.scan.authority,
            path: request.scan.path,
            issuer: verified.map(Verified::issuer_name),
            kid: verified.and_then(Verified::kid),
            subject: principal.and_then(VerifiedPrincipal::subject),
        };
        record.to_line()
    }
}

/// Whether this request is one of the sampled share.
fn is_sampled(share: f64, random: &mut dyn FnMut() -> [u8; 10]) -> bool {
    if share >= 1.0 {
        return true;
    }
    if share <= 0.0 {
        return false;
    }
    let [a, b, c, d, ..] = random();
    f64::from(u32::from_le_bytes([a, b, c, d])) < share * f64::from(u32::MAX)
}
