//! Request trailers: those that no backend may see are removed, or the request is answered.

use super::Worker;
use super::host::{HeaderMap, Host};
use crate::denial::Reason;
use crate::record::Verdict;

/// What becomes of a request after its trailers were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailersStatus {
    /// It goes on.
    Continues,
    /// It was answered.
    Answered,
}

impl<H: Host> Worker<H> {
    /// The trailers of a request are here: those that no backend may see are removed.
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

    /// Answers a request whose trailers must not reach the upstream. If the response has begun, the host
    /// resets the stream. The request itself is counted already, by the verdict on its headers.
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

    /// The correlation ID of the current stream, which its headers show once they are decided.
    fn correlation_id(&self) -> Option<String> {
        let name = &self.active.as_ref()?.gate.config().correlation.header;
        let id = self.host.with_headers(HeaderMap::Request, |headers| {
            let value = headers.first(name.as_str())?;
            Some(std::str::from_utf8(value).ok()?.to_owned())
        });
        id.ok().flatten()
    }
}
