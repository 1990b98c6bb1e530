//! The HTTP context: one for each request.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::{SharedWorker, with_worker};
use crate::gate::ResponseHeader;
use crate::worker::host::{HeaderMap, Host, StreamId};
use crate::worker::{RequestStatus, TrailersStatus};

use super::host::ProxyWasm;

/// One HTTP stream.
pub(super) struct Stream {
    id: StreamId,
    worker: SharedWorker,
    state: State,
    response_header: Option<ResponseHeader>,
}

/// The state of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is forwarded.
    Continues,
    /// It was answered, or is not decided yet.
    Held,
    /// It waits for keys, or has waited; the worker has its state.
    Waiting,
}

impl Stream {
    pub(super) fn new(id: u32, worker: SharedWorker) -> Self {
        Self {
            id: StreamId(id),
            worker,
            state: State::Held,
            response_header: None,
        }
    }

    /// Body and trailers continue only if the request does. Otherwise they could resume a waiting request
    /// in Envoy (`allow_on_headers_stop_iteration`).
    fn action(&self) -> Action {
        let continues = match self.state {
            State::Continues => true,
            State::Held => false,
            State::Waiting => {
                let waited = with_worker(&self.worker, |worker| worker.waited(self.id));
                waited.flatten().unwrap_or_default()
            }
        };
        if continues {
            Action::Continue
        } else {
            Action::Pause
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let status = with_worker(&self.worker, |worker| {
            worker.on_request_headers(self.id, !end_of_stream)
        });
        match status {
            Some(RequestStatus::Continues(header)) => {
                self.response_header = header;
                self.state = State::Continues;
            }
            Some(RequestStatus::Answered(header)) => self.response_header = header,
            Some(RequestStatus::Waits) => self.state = State::Waiting,
            None => {}
        }
        self.action()
    }

    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        self.action()
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if self.state == State::Held {
            return Action::Pause;
        }
        // Also while the request waits: Envoy does not call back again before it forwards the trailers.
        match with_worker(&self.worker, |worker| worker.on_request_trailers()) {
            Some(TrailersStatus::Continues) => self.action(),
            Some(TrailersStatus::Answered) | None => {
                with_worker(&self.worker, |worker| worker.on_stream_done(self.id));
                self.state = State::Held;
                Action::Pause
            }
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if self.state == State::Waiting {
            let header = with_worker(&self.worker, |worker| worker.late_response_header(self.id));
            self.response_header = header.flatten();
        }
        if let Some((name, value)) = &self.response_header {
            // If this fails, the response is sent without the header.
            let _ = ProxyWasm.edit(HeaderMap::Response, name.as_bytes(), Some(value.as_bytes()));
        }
        Action::Continue
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.state == State::Waiting {
            with_worker(&self.worker, |worker| worker.on_stream_done(self.id));
        }
    }
}
