//! The requests that wait for keys, limited in number, bytes and time.

use std::collections::HashMap;

use super::host::StreamId;
use crate::correlation::CorrelationId;
use crate::gate::ResponseHeader;
use crate::headers::Headers;
use crate::token::IssuerId;

/// The maximum number of one worker's requests that wait for the same issuer's keys, so that a flood for
/// one issuer does not affect the others.
const MAX_REQUESTS: usize = 512;

/// The maximum body of a waiting request, in bytes.
const MAX_BODY: u64 = 64 << 10;

/// The maximum total of the bodies of one worker's requests that wait for the same issuer's keys, in bytes.
/// The host buffers them.
const MAX_BODIES: u64 = 8 << 20;

/// The size of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodySize {
    /// Bytes; 0 without a body.
    Bytes(u64),
    /// The headers do not say.
    Unknown,
}

impl BodySize {
    /// The size of a request's body, as its headers announce it (RFC 9110 §8.6). That of an upgrade is
    /// unknown: Envoy does not limit what follows to its `content-length`.
    pub(super) fn of(headers: &Headers<'_>, has_body: bool) -> Self {
        if !has_body {
            return Self::Bytes(0);
        }
        if headers.all("upgrade").next().is_some() {
            return Self::Unknown;
        }
        let mut lengths = headers.all("content-length");
        match (lengths.next(), lengths.next()) {
            (Some(length), None) if length.iter().all(u8::is_ascii_digit) => {
                let length = std::str::from_utf8(length).ok();
                let length = length.and_then(|length| length.parse().ok());
                length.map_or(Self::Unknown, Self::Bytes)
            }
            _ => Self::Unknown,
        }
    }
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct WaitingRequest {
    pub(super) stream: StreamId,
    /// The issuer whose keys it waits for.
    pub(super) issuer: IssuerId,
    /// When it arrived, in milliseconds since 1970.
    pub(super) arrived: u64,
    /// When its waiting time is over.
    pub(super) until: u64,
    /// The key set that lacks its key, identified by the start time of its fetch.
    pub(super) key_set: Option<u64>,
    /// The size of its body in bytes.
    pub(super) body: u64,
    /// Its correlation ID.
    pub(super) correlation: CorrelationId,
}

/// The decision about a request that waited.
#[derive(Debug, Clone)]
pub(super) struct Waited {
    /// Whether it continues.
    pub(super) continues: bool,
    /// A header to add to its response.
    pub(super) response_header: Option<ResponseHeader>,
}

/// One worker's waiting requests, and the decisions about those that waited and have not ended.
#[derive(Debug, Default)]
pub(super) struct WaitingRequests {
    waiting: Vec<WaitingRequest>,
    waited: HashMap<StreamId, Waited>,
}

impl WaitingRequests {
    /// Whether one more request with this body may wait for the issuer's keys.
    pub(super) fn admits(&self, issuer: IssuerId, body: BodySize) -> bool {
        let BodySize::Bytes(body) = body else {
            return false;
        };
        let same = self.waiting.iter().filter(|it| it.issuer == issuer);
        let bodies: u64 = same.clone().map(|it| it.body).sum();
        same.count() < MAX_REQUESTS && body <= MAX_BODY && bodies.saturating_add(body) <= MAX_BODIES
    }

    pub(super) fn add(&mut self, request: WaitingRequest) {
        self.waiting.push(request);
    }

    /// Removes a stream that has ended.
    pub(super) fn remove(&mut self, stream: StreamId) {
        self.waiting.retain(|request| request.stream != stream);
        self.waited.remove(&stream);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Removes and returns the requests that are ready.
    pub(super) fn take(
        &mut self,
        is_ready: impl FnMut(&WaitingRequest) -> bool,
    ) -> Vec<WaitingRequest> {
        let waiting = std::mem::take(&mut self.waiting);
        let (ready, waiting) = waiting.into_iter().partition(is_ready);
        self.waiting = waiting;
        ready
    }

    /// Stores the decision about a request that waited.
    pub(super) fn decided(&mut self, stream: StreamId, waited: Waited) {
        self.waited.insert(stream, waited);
    }

    /// The decision about a request that waited; `None` while it waits.
    pub(super) fn decision(&self, stream: StreamId) -> Option<&Waited> {
        self.waited.get(&stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(stream: u32, issuer: usize, body: u64) -> WaitingRequest {
        WaitingRequest {
            stream: StreamId(stream),
            issuer: IssuerId(issuer),
            arrived: 0,
            until: 0,
            key_set: None,
            body,
            correlation: CorrelationId::generate(0, [0; 10]),
        }
    }

    #[test]
    fn a_flood_for_one_issuer_does_not_block_the_others() {
        let mut waiting = WaitingRequests::default();
        let mut stream = 0;
        while waiting.admits(IssuerId(0), BodySize::Bytes(0)) {
            stream += 1;
            waiting.add(request(stream, 0, 0));
        }
        assert_eq!(usize::try_from(stream), Ok(MAX_REQUESTS));
        assert!(waiting.admits(IssuerId(1), BodySize::Bytes(0)));
        waiting.remove(StreamId(1));
        assert!(waiting.admits(IssuerId(0), BodySize::Bytes(0)));
        let taken = waiting.take(|request| request.stream > StreamId(2));
        assert_eq!(taken.len(), MAX_REQUESTS - 2);
        waiting.remove(StreamId(2));
        assert!(waiting.is_empty());
    }

    #[test]
    fn waiting_bodies_are_limited_each_and_in_total() {
        let mut waiting = WaitingRequests::default();
        let issuer = IssuerId(0);
        assert!(!waiting.admits(issuer, BodySize::Unknown));
        assert!(!waiting.admits(issuer, BodySize::Bytes(MAX_BODY + 1)));
        let mut count = 0;
        while waiting.admits(issuer, BodySize::Bytes(MAX_BODY)) {
            count += 1;
            waiting.add(request(count, 0, MAX_BODY));
        }
        assert_eq!(u64::from(count) * MAX_BODY, MAX_BODIES);
        assert!(waiting.admits(issuer, BodySize::Bytes(0)));
        assert!(waiting.admits(IssuerId(1), BodySize::Bytes(MAX_BODY)));
    }
}
