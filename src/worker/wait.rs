//! How requests start to wait for keys, and how they are decided later.

use super::host::{HeaderMap, Host, StreamId};
use super::waiting::{BodySize, Waited, WaitingRequest};
use super::{RequestStatus, SHORT_TICK, TICK, Worker};
use crate::gate::{KeyWait, ResponseHeader, Step, Wait};
use crate::token::IssuerId;

impl<H: Host> Worker<H> {
    /// Whether a request that waited may continue; `None` while it waits.
    pub fn waited(&self, stream: StreamId) -> Option<bool> {
        let waited = self.waiting.decision(stream)?;
        Some(waited.continues)
    }

    /// The header to add to the response of a request that waited.
    pub fn late_response_header(&self, stream: StreamId) -> Option<ResponseHeader> {
        let waited = self.waiting.decision(stream)?;
        waited.response_header.clone()
    }

    /// A stream whose request has waited ended.
    pub fn on_stream_done(&mut self, stream: StreamId) {
        self.waiting.remove(stream);
    }

    /// Decides again about the waiting requests whose key set has changed, for which no fetch is possible any
    /// more, or whose waiting time is over.
    pub(super) fn decide_waiting(&mut self, now: u64) {
        let Some(active) = &self.active else {
            return;
        };
        let sources = &active.key_sources;
        let ready = self.waiting.take(|request| {
            sources.installed(request.issuer) != request.key_set
                || !sources.fetch_possible(request.issuer)
                || now >= request.until
        });
        for request in ready {
            let installed = self.installed(request.issuer);
            let key_wait = if installed.is_some_and(|at| at >= request.arrived) {
                KeyWait::AfterFetch
            } else if now < request.until {
                KeyWait::Allowed
            } else {
                KeyWait::Exhausted
            };
            self.decide_again(request, key_wait);
        }
        if self.waiting.is_empty() {
            self.set_tick_period(TICK);
        }
    }

    /// Decides again about all waiting requests, because the config has changed.
    pub(super) fn decide_waiting_anew(&mut self) {
        let now = self.host.now_ms();
        for request in self.waiting.take(|_| true) {
            let may_wait = now.is_some_and(|now| now < request.until);
            let key_wait = if may_wait {
                KeyWait::Allowed
            } else {
                KeyWait::Exhausted
            };
            self.decide_again(request, key_wait);
        }
    }

    /// Lets a request wait. Its log fields are set now, in case it ends before it is decided.
    pub(super) fn wait(&mut self, stream: StreamId, has_body: bool, wait: Wait) -> RequestStatus {
        let (Some(active), Some(now)) = (&self.active, self.host.now_ms()) else {
            return self.fail(Some(&wait.correlation));
        };
        if self.host.apply(&wait.edits).is_err() {
            return self.fail(Some(&wait.correlation));
        }
        for (field, value) in &wait.log_fields {
            let _ = self.host.set_log_field(*field, value);
        }
        let size = self.host.with_headers(HeaderMap::Request, |headers| {
            BodySize::of(headers, has_body)
        });
        let sources = &active.key_sources;
        self.waiting.add(WaitingRequest {
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

    /// Decides again about a waiting request. It keeps waiting if a key set that is fetched after its arrival
    /// can still bring its key.
    fn decide_again(&mut self, mut request: WaitingRequest, key_wait: KeyWait) {
        // The stream no longer exists.
        if self.host.select_stream(request.stream).is_err() {
            return;
        }
        // `false`, because its body is already buffered and counted.
        let status = match self.decide(false, key_wait, Some(&request.correlation)) {
            Some(Step::Done(decision)) => self.carry_out(decision, Some(&request.correlation)),
            Some(Step::Wait(wait)) => {
                request.issuer = wait.issuer;
                request.key_set = self.installed(wait.issuer);
                self.waiting.add(request);
                return;
            }
            None => self.fail(Some(&request.correlation)),
        };
        let (continues, response_header) = match status {
            RequestStatus::Continues(header) => (true, header),
            RequestStatus::Answered(header) => (false, header),
            RequestStatus::Waits => return,
        };
        let waited = Waited {
            continues,
            response_header,
        };
        self.waiting.decided(request.stream, waited);
        if continues {
            let _ = self.host.continue_request();
        }
    }

    /// The start time of the fetch of an issuer's installed key set.
    fn installed(&self, issuer: IssuerId) -> Option<u64> {
        self.active.as_ref()?.key_sources.installed(issuer)
    }
}
