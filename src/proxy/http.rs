//! One request: asks the gate, and does what it says.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::Shared;
use super::host::{self, Map};
use super::waiting::{Header, LateHeader};
use crate::denial::Reason;
use crate::gate::{Decision, Outcome, Patience};
use crate::record::{AccessField, Verdict};
use crate::reply::{Denied, Detail, Reply, Settings};

/// One HTTP stream.
pub(super) struct Stream {
    id: u32,
    shared: Rc<Shared>,
    response_header: Option<Header>,
    /// There once the request has waited: then its decision is made without this context at hand.
    waited: Option<LateHeader>,
}

/// What became of a request's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    /// They may go on.
    Continue,
    /// The request is answered.
    Replied,
    /// It waits for this issuer's keys.
    Wait(usize),
}

impl Stream {
    pub(super) fn new(id: u32, shared: Rc<Shared>) -> Self {
        Self {
            id,
            shared,
            response_header: None,
            waited: None,
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let header = &mut self.response_header;
        let mut keep = |decided| *header = decided;
        let mut applied = apply(self.shared.decide(Patience::Wait), &mut keep);
        if let Applied::Wait(issuer) = applied {
            self.waited = self.shared.wait(self.id, issuer);
            if self.waited.is_none() {
                applied = apply(self.shared.decide(Patience::None), &mut keep);
            }
        }
        match applied {
            Applied::Continue => Action::Continue,
            Applied::Replied | Applied::Wait(_) => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if let Some(late) = self.waited.as_ref().and_then(|late| late.take()) {
            self.response_header = Some(late);
        }
        if let Some((name, value)) = &self.response_header {
            // The response goes on without it rather than not at all.
            let _ = host::set_header(Map::Response, name.as_bytes(), value.as_bytes());
        }
        Action::Continue
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.waited.is_some() {
            self.shared.leave(self.id);
        }
    }
}

/// Does to the current stream what was decided; `None` is answered with 503. `keep` gets what the response
/// must carry, before anything is answered.
pub(super) fn apply(decision: Option<Decision>, keep: &mut dyn FnMut(Option<Header>)) -> Applied {
    let Some(decision) = decision else {
        return undecided();
    };
    keep(decision.response_header);
    for (field, value) in &decision.access_fields {
        // An access log without a field is no reason to fail a request.
        let _ = host::set_filter_state(field.filter_state(), value);
    }
    if let Some(line) = decision.record {
        log::info!("{line}");
    }
    match decision.outcome {
        Outcome::Forward(forward) => {
            for edit in forward.edits() {
                let done = match &edit.value {
                    Some(value) => host::set_header(Map::Request, &edit.name, value),
                    None => host::remove_header(Map::Request, &edit.name),
                };
                // A header that could not be taken away would be believed by the upstream.
                if done.is_err() {
                    return undecided();
                }
            }
            Applied::Continue
        }
        Outcome::Reply { reply, logged_as } => {
            for edit in logged_as {
                // For access logs only: the answer goes out in any case.
                let _ = match &edit.value {
                    Some(value) => host::set_header(Map::Request, &edit.name, value),
                    None => host::remove_header(Map::Request, &edit.name),
                };
            }
            answer(&reply)
        }
        Outcome::Wait { issuer } => Applied::Wait(issuer),
    }
}

#[cold]
fn answer(reply: &Reply) -> Applied {
    if host::send_reply(reply).is_err() {
        log::error!("edge-claims: the host took no local response; the request stays paused");
    }
    Applied::Replied
}

/// Denies where nothing can be decided or done: no config, no headers to be had or to be changed. The
/// verdict replaces one that came to nothing.
#[cold]
fn undecided() -> Applied {
    let verdict = Verdict::Deny(Reason::Internal).text(None);
    let _ = host::set_filter_state(AccessField::Verdict.filter_state(), &verdict);
    let settings = Settings {
        detail: Detail::Code,
        realm: "mesh".to_owned(),
        docs_url: None,
    };
    answer(&Reply::new(
        &Denied {
            reason: Reason::Internal,
            status: None,
            route: None,
            correlation_id: "-",
            correlation_header: None,
            step_up: None,
            grpc: false,
        },
        &settings,
    ))
}
