//! A worker on a fake host, and requests.

use std::collections::BTreeMap;

use serde_json::Value;

use super::edge::{Edge, key_set, remote_policy};
use super::fake_host::{FakeCall, FakeHost, FakeReply, FakeStream, Pairs};
use super::logs;
use crate::gate::ResponseHeader;
use crate::worker::host::{PeerCertificate, StreamId};
use crate::worker::{RequestStatus, TrailersStatus, Worker};

pub(super) const CLAIMS: &str = "x-edge-claims";

pub(super) const ORDERS: &str = "/tenants/a/orders/1";

/// A worker and its host.
pub(super) struct Rig {
    pub(super) host: FakeHost,
    pub(super) worker: Worker<FakeHost>,
    next_stream: u32,
    response_headers: BTreeMap<StreamId, ResponseHeader>,
}

/// The result of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was forwarded with these headers.
    Passed(Pairs),
    Replied(FakeReply),
    /// It is paused.
    Held,
}

/// A header of a request.
pub(super) type Field<'h> = (&'h str, &'h [u8]);

impl Rig {
    /// A worker without a config.
    pub(super) fn new(host: FakeHost) -> Self {
        logs::install();
        Self {
            worker: Worker::new(host.clone()),
            host,
            next_stream: 0,
            response_headers: BTreeMap::new(),
        }
    }

    /// A worker with a config.
    pub(super) fn with(config: &Value) -> Self {
        Self::on(FakeHost::new(), config)
    }

    #[track_caller]
    pub(super) fn on(host: FakeHost, config: &Value) -> Self {
        let mut rig = Self::new(host);
        rig.configure(config);
        rig
    }

    /// A worker whose first key fetch is in progress.
    pub(super) fn fetching() -> Self {
        let host = FakeHost::new();
        host.process().clusters.push("keys".to_owned());
        let mut rig = Self::on(host, &remote_policy());
        rig.tick();
        rig
    }

    /// Another worker of the same process with the same config, after its first tick.
    pub(super) fn sibling(&self) -> Self {
        let mut rig = Self::on(self.host.another_worker(), &remote_policy());
        rig.tick();
        rig
    }

    #[track_caller]
    pub(super) fn configure(&mut self, config: &Value) {
        let accepted = self.worker.configure(config.to_string().as_bytes());
        assert!(accepted, "{:?}", logs::with("edge-claims"));
    }

    pub(super) fn tick(&mut self) {
        self.worker.on_tick();
    }

    /// Advances the clock.
    pub(super) fn elapse(&mut self, milliseconds: u64) {
        self.host.state().now_ms += milliseconds;
    }

    /// A tick that passes the metrics to the host.
    pub(super) fn flush(&mut self) {
        self.elapse(1_000);
        self.tick();
    }

    /// A request without a body, from its first to its last callback.
    pub(super) fn request(&mut self, headers: &[Field<'_>]) -> Outcome {
        let stream = self.send(headers, false);
        let outcome = self.outcome(stream);
        self.end(stream);
        outcome
    }

    /// A `GET` with a token.
    pub(super) fn get(&mut self, path: &str, token: &str) -> Outcome {
        self.request(&get(path, &[(CLAIMS, token.as_bytes())]))
    }

    /// A request whose stream stays open.
    pub(super) fn send(&mut self, headers: &[Field<'_>], has_body: bool) -> StreamId {
        self.send_from(PeerCertificate::Absent, headers, has_body)
    }

    pub(super) fn send_from(
        &mut self,
        peer: PeerCertificate,
        headers: &[Field<'_>],
        has_body: bool,
    ) -> StreamId {
        self.next_stream += 1;
        let id = StreamId(self.next_stream);
        let stream = FakeStream {
            peer,
            ..FakeStream::new(pairs(headers))
        };
        self.host.state().streams.insert(id, stream);
        self.host.state().current = Some(id);
        match self.worker.on_request_headers(id, has_body) {
            RequestStatus::Continues(header) => {
                self.stream(id, |stream| stream.continued = true);
                self.response_headers
                    .extend(header.map(|header| (id, header)));
            }
            RequestStatus::Answered(header) => {
                self.response_headers
                    .extend(header.map(|header| (id, header)));
            }
            RequestStatus::Waits => {}
        }
        id
    }

    /// A `GET` with a token whose stream stays open.
    pub(super) fn send_token(&mut self, token: &str) -> StreamId {
        self.send(&get(ORDERS, &[(CLAIMS, token.as_bytes())]), false)
    }

    /// Sends the trailers of a request; returns the forwarded ones, if it continues.
    pub(super) fn send_trailers(&mut self, id: StreamId, trailers: &[Field<'_>]) -> Option<Pairs> {
        let trailers = pairs(trailers);
        self.stream(id, |stream| stream.trailers = Some(trailers));
        self.host.state().current = Some(id);
        match self.worker.on_request_trailers() {
            TrailersStatus::Continues => self.stream(id, |stream| stream.trailers.clone()),
            TrailersStatus::Answered => None,
        }
    }

    /// The current result of a request.
    #[track_caller]
    pub(super) fn outcome(&self, id: StreamId) -> Outcome {
        let stream = self.stream(id, |stream| stream.clone());
        assert!(
            stream.replies.len() <= 1,
            "answered more than once: {stream:?}"
        );
        match (stream.replies.into_iter().next(), stream.continued) {
            // The reply ends the stream.
            (Some(reply), _) => Outcome::Replied(reply),
            (None, true) => Outcome::Passed(stream.request.unwrap_or_default()),
            (None, false) => Outcome::Held,
        }
    }

    /// The header that is added to the response.
    pub(super) fn response_id(&self, id: StreamId) -> Option<String> {
        let header = self.response_headers.get(&id).cloned();
        let header = header.or_else(|| self.worker.late_response_header(id));
        header.map(|(name, value)| {
            assert_eq!(&*name, "x-correlation-id");
            value.to_string()
        })
    }

    /// The access log fields of a request.
    pub(super) fn log_field(&self, id: StreamId, name: &str) -> Option<String> {
        self.stream(id, |stream| stream.log_fields.get(name).cloned())
    }

    pub(super) fn verdict(&self, id: StreamId) -> Option<String> {
        self.log_field(id, "edge_claims.verdict")
    }

    pub(super) fn logged_id(&self, id: StreamId) -> Option<String> {
        self.log_field(id, "edge_claims.correlation_id")
    }

    /// Ends a stream.
    pub(super) fn end(&mut self, id: StreamId) {
        self.worker.on_stream_done(id);
        self.host.state().streams.remove(&id);
    }

    pub(super) fn calls(&self) -> Vec<FakeCall> {
        self.host.state().calls.clone()
    }

    /// Finishes the only call in progress, with status and body or without a response.
    #[track_caller]
    pub(super) fn respond(&mut self, response: Option<(&str, &[u8])>) {
        let calls = self.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        let response = response.map(|(status, body)| (status.into(), body.to_vec()));
        {
            let mut state = self.host.state();
            state.calls.clear();
            state.response = response;
            // No stream is current during this callback.
            state.current = None;
        }
        self.worker.on_call_done(calls[0].id);
        self.host.state().response = None;
    }

    /// Finishes the only call in progress with this edge's key.
    #[track_caller]
    pub(super) fn respond_with_key(&mut self, edge: &Edge) {
        self.respond(Some(("200", &key_set(&[edge]))));
    }

    /// The value of a metric by its packed name.
    #[track_caller]
    pub(super) fn metric(&self, name: &str) -> i128 {
        self.host
            .metric(name)
            .unwrap_or_else(|| panic!("no metric {name}"))
    }

    /// `edge_claims_requests_total` for a decision and a reason.
    #[track_caller]
    pub(super) fn requests(&self, decision: &str, reason: &str) -> i128 {
        self.metric(&format!(
            "decision=.={decision};.;reason=.={reason};.;edge_claims_requests_total"
        ))
    }

    fn stream<T>(&self, id: StreamId, act: impl FnOnce(&mut FakeStream) -> T) -> T {
        act(self
            .host
            .state()
            .streams
            .get_mut(&id)
            .expect("the stream is there"))
    }
}

impl Outcome {
    #[track_caller]
    pub(super) fn passed(self) -> Pairs {
        match self {
            Self::Passed(pairs) => pairs,
            other => panic!("it did not pass: {other:?}"),
        }
    }

    /// The reply to a request that was denied for this reason.
    #[track_caller]
    pub(super) fn denied(self, status: u16, reason: &str) -> FakeReply {
        let Self::Replied(reply) = self else {
            panic!("{reason} was expected: {self:?}");
        };
        let expected = format!("edge_claims_denied{{{reason}}}");
        assert!(reply.details.starts_with(&expected), "{reply:?}");
        assert_eq!(reply.status, status, "{reply:?}");
        reply
    }

    #[track_caller]
    pub(super) fn held(self) {
        assert!(matches!(self, Self::Held), "{self:?}");
    }
}

impl FakeReply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn pairs(headers: &[Field<'_>]) -> Pairs {
    let owned = |(name, value): &Field<'_>| (name.as_bytes().to_vec(), value.to_vec());
    headers.iter().map(owned).collect()
}

/// The values of a header.
pub(super) fn values(pairs: &Pairs, name: &str) -> Vec<String> {
    let named = pairs.iter().filter(|(other, _)| other == name.as_bytes());
    named
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// The headers of a `GET`, with additional ones.
pub(super) fn get<'h>(path: &'h str, more: &[Field<'h>]) -> Vec<Field<'h>> {
    let mut headers: Vec<Field<'h>> = vec![
        (":method", b"GET"),
        (":path", path.as_bytes()),
        (":scheme", b"https"),
        (":authority", b"shop.example.com"),
    ];
    headers.extend_from_slice(more);
    headers
}

/// The headers of a `POST` with a token.
pub(super) fn post<'h>(token: &'h str, more: &[Field<'h>]) -> Vec<Field<'h>> {
    let mut headers = get(ORDERS, &[(CLAIMS, token.as_bytes())]);
    headers[0].1 = b"POST";
    headers.extend_from_slice(more);
    headers
}
