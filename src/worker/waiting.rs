//! Requests that wait for keys: bounded in number, in bytes and in time.

use std::collections::HashMap;

use super::host::StreamId;
use crate::correlation::CorrelationId;
use crate::gate::ResponseHeader;
use crate::headers::Headers;
use crate::token::IssuerId;

/// The most requests of one worker that wait for one issuer's keys, so that a flood that names one
/// issuer leaves places for the users of the others.
const MAX_REQUESTS: usize = 512;

/// The largest body of a request that waits, in bytes.
const MAX_BODY: u64 = 64 << 10;

/// The most bytes of bodies that wait on one worker. The host buffers them.
const MAX_BODIES: u64 = 8 << 20;

/// What is known of the size of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodySize {
    /// Bytes; 0 without a body.
    Bytes(u64),
    /// The request does not say.
    Unknown,
}

impl BodySize {
    /// The size of a request's body, as its headers announce it (RFC 9110 §8.6).
    pub(super) fn of(headers: &Headers<'_>, has_body: bool) -> Self {
        if !has_body {
            return Self::Bytes(0);
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
    /// When it stops waiting.
    pub(super) until: u64,
    /// The key set that lacks its key: when the fetch of that set began.
    pub(super) key_set: Option<u64>,
    /// The bytes of its body.
    pub(super) body: u64,
    /// Its correlation ID.
    pub(super) correlation: CorrelationId,
}

/// A request that waited and was decided.
#[derive(Debug, Clone)]
pub(super) struct Waited {
    /// Whether it goes on.
    pub(super) continues: bool,
    /// The header that its response must have.
    pub(super) response_header: Option<ResponseHeader>,
}

/// All requests of one worker that wait, and those that have waited and are not done yet.
#[derive(Debug, Default)]
pub(super) struct WaitingRequests {
    waiting: Vec<WaitingRequest>,
    waited: HashMap<StreamId, Waited>,
}

impl WaitingRequests {
    /// Whether one more request, with that body, may wait for that issuer's keys.
    pub(super) fn admits(&self, issuer: IssuerId, body: BodySize) -> bool {
        let BodySize::Bytes(body) = body else {
            return false;
        };
        let same = self.waiting.iter().filter(|it| it.issuer == issuer).count();
        let bodies: u64 = self.waiting.iter().map(|it| it.body).sum();
        same < MAX_REQUESTS && body <= MAX_BODY && bodies.saturating_add(body) <= MAX_BODIES
    }

    /// Adds a request.
    pub(super) fn add(&mut self, request: WaitingRequest) {
        self.waiting.push(request);
    }

    /// The stream is done, however it ended.
    pub(super) fn remove(&mut self, stream: StreamId) {
        self.waiting.retain(|request| request.stream != stream);
        self.waited.remove(&stream);
    }

    /// Whether no request waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes out the requests that are ready.
    pub(super) fn take(
        &mut self,
        is_ready: impl FnMut(&WaitingRequest) -> bool,
    ) -> Vec<WaitingRequest> {
        let waiting = std::mem::take(&mut self.waiting);
        let (ready, waiting) = waiting.into_iter().partition(is_ready);
        self.waiting = waiting;
        ready
    }

    /// Notes the decision about a request that waited.
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
    fn a_flood_for_one_issuer_leaves_places_for_the_others() {
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
    fn bodies_that_wait_are_bounded_one_by_one_and_together() {
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
    }
}
