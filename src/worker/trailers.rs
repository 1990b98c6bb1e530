//! Request trailers: removes reserved ones, or denies the request.

use super::Worker;
use super::host::{HeaderMap, Host};
use crate::denial::Reason;
use crate::record::Verdict;

/// The result of a request's trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailersStatus {
    /// The request continues.
    Continues,
    /// The request was answered.
    Answered,
}

impl<H: Host> Worker<H> {
    /// Handles the trailers of a request.
    pub fn on_request_trailers(&mut self) -> TrailersStatus {
        let Some(active) = &mut self.active else {
            return self.reject_trailers(Reason::Internal);
        };
        let reserved = self
            .host
            .with_headers(HeaderMap::RequestTrailers, |trailers| {
                let (names, rejects) = active.gate.reserved_trailers(trailers);
                let names: Vec<Vec<u8>> = names.into_iter().map(<[u8]>::to_vec).collect();
                (names, rejects)
            });
        let Ok((names, rejects)) = reserved else {
            return self.reject_trailers(Reason::Internal);
        };
        if names.is_empty() {
            return TrailersStatus::Continues;
        }
        active.gate.counters().add_reserved_trailers();
        let remove = |name: &Vec<u8>| self.host.edit(HeaderMap::RequestTrailers, name, None);
        let removed = names.iter().all(|name| remove(name).is_ok());
        if !removed {
            return self.reject_trailers(Reason::Internal);
        }
        if rejects {
            return self.reject_trailers(Reason::SpoofedHeader);
        }
        TrailersStatus::Continues
    }

    /// Denies a request because of its trailers. If the response has started, the host resets the stream.
    /// Only internal errors are counted as a verdict: the request itself was counted with its headers.
    #[cold]
    fn reject_trailers(&mut self, reason: Reason) -> TrailersStatus {
        if let Some(active) = &mut self.active
            && reason == Reason::Internal
        {
            active.gate.count(Verdict::Deny(reason), None);
        }
        self.deny(reason, self.correlation_id().as_deref());
        TrailersStatus::Answered
    }

    /// The correlation ID of the current stream, from the header that the decision has set.
    fn correlation_id(&self) -> Option<String> {
        let name = &self.active.as_ref()?.gate.config().correlation.header;
        let id = self.host.with_headers(HeaderMap::Request, |headers| {
            let value = headers.first(name.as_str())?;
            Some(std::str::from_utf8(value).ok()?.to_owned())
        });
        id.ok().flatten()
    }
}
