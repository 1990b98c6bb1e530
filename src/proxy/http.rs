//! One request: asks the gate, and does what it says.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::Shared;
use super::host::{self, Map};
use crate::denial::Reason;
use crate::gate::{Decision, Outcome, Patience};
use crate::reply::{Denied, Detail, Reply, Settings};

/// One HTTP stream.
pub(super) struct Stream {
    shared: Rc<Shared>,
    /// What the response's headers must carry: name and value.
    correlation: Option<(Rc<str>, String)>,
}

impl Stream {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        Self {
            shared,
            correlation: None,
        }
    }

    /// Runs the pipeline on the request's headers as they are now.
    fn decide(&mut self) -> Action {
        match self.shared.decide(Patience::None) {
            Some(decision) => self.apply(decision),
            None => deny_undecided(),
        }
    }

    fn apply(&mut self, decision: Decision) -> Action {
        self.correlation = decision.response_header;
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
                        return deny_undecided();
                    }
                }
                Action::Continue
            }
            Outcome::Reply(reply) => answer(&reply),
            Outcome::Wait { .. } => Action::Pause,
        }
    }
}

fn answer(reply: &Reply) -> Action {
    if host::send_reply(reply).is_err() {
        log::error!("the host took no local response; the request stays paused");
    }
    Action::Pause
}

/// The answer where nothing can be decided: no config, or no headers to be had.
fn deny_undecided() -> Action {
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

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.decide()
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if let Some((name, value)) = &self.correlation {
            // The response goes on without it rather than not at all.
            let _ = host::set_header(Map::Response, name.as_bytes(), value.as_bytes());
        }
        Action::Continue
    }
}
