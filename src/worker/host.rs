//! The interface between a worker and the proxy that runs it.

use crate::gate::Edit;
use crate::headers::Headers;
use crate::policy::peer::PeerValidation;
use crate::record::AccessField;
use crate::reply::Reply;
use crate::token::SignatureBackend;

/// The proxy that runs the filter. Clones are handles to the same host.
///
/// Calls about a request apply to the current stream: the one whose callback is running, or the one
/// selected by [`Host::select_stream`]. As a [`SignatureBackend`] the host verifies signatures with its own
/// cryptography; the worker tests it before use.
pub trait Host: SignatureBackend + Clone + 'static {
    /// The wall clock in milliseconds since 1970; `None` if it cannot be read.
    fn now_ms(&self) -> Option<u64>;

    /// Fills the buffer with random bytes; `false` if that fails.
    fn fill_random(&self, buffer: &mut [u8]) -> bool;

    /// A variable of the environment.
    fn environment(&self, name: &str) -> Option<Vec<u8>>;

    /// Sets the period of the worker's `on_tick`.
    fn set_tick_period(&self, milliseconds: u32) -> Result<(), HostError>;

    /// Calls `read` with the headers of the current stream.
    fn with_headers<T>(
        &self,
        map: HeaderMap,
        read: impl FnOnce(&Headers<'_>) -> T,
    ) -> Result<T, HostError>;

    /// Sets a header of the current stream to one value, or removes all its instances.
    fn edit(&self, map: HeaderMap, name: &[u8], value: Option<&[u8]>) -> Result<(), HostError>;

    /// Sends a reply on the current stream instead of forwarding the request.
    fn reply(&self, reply: &Reply) -> Result<(), HostError>;

    /// Makes a value available to the access log of the current stream.
    fn set_log_field(&self, field: AccessField, value: &str) -> Result<(), HostError>;

    /// The client certificate of the current stream's connection.
    fn peer_certificate(&self, validation: PeerValidation) -> PeerCertificate;

    /// Makes a stream the current one.
    fn select_stream(&self, stream: StreamId) -> Result<(), HostError>;

    /// Continues the current stream's paused request.
    fn continue_request(&self) -> Result<(), HostError>;

    /// Starts an HTTP `GET`; the worker's `on_call_done` is called with the response.
    fn call(&self, request: &HttpGet<'_>) -> Result<CallId, CallError>;

    /// The response of the finished call: status and at most `max` bytes of the body.
    fn call_response(&self, max: usize) -> Result<(Vec<u8>, Vec<u8>), HostError>;

    /// A value that all workers share; `None` if it was never set.
    fn shared_data(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, HostError>;

    /// Sets a shared value if its version is still `expected`, else returns `false`. `None` sets it
    /// unconditionally.
    fn set_shared_data(
        &self,
        key: &str,
        value: &[u8],
        expected: Option<Version>,
    ) -> Result<bool, HostError>;

    /// Defines a metric, or returns the existing one.
    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError>;

    /// Adds to a counter or a gauge.
    fn add_to_metric(&self, metric: MetricId, offset: i64) -> Result<(), HostError>;

    /// Sets a gauge, or adds a value to a histogram.
    fn record_metric(&self, metric: MetricId, value: u64) -> Result<(), HostError>;

    /// Applies edits of the request's headers in order; stops at the first that fails.
    fn apply(&self, edits: &[Edit]) -> Result<(), HostError> {
        edits.iter().try_for_each(|edit| {
            let value = edit.value.as_deref();
            self.edit(HeaderMap::Request, &edit.name, value)
        })
    }
}

/// The status of a failed host call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostError(pub(crate) u32);

/// Why a call was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// The host has no cluster with this name.
    UnknownCluster,
    /// Any other failure.
    Failed,
}

/// The host's ID of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub(crate) u32);

/// The host's ID of a call in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallId(pub(crate) u32);

/// The host's ID of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricId(pub(crate) u32);

/// The version of a shared value; it changes whenever the value is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub(crate) u32);

impl Version {
    /// The version of a value that was never set.
    pub const ABSENT: Self = Self(u32::MAX);
}

/// One of the header maps of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderMap {
    /// The request's headers.
    Request,
    /// The request's trailers.
    RequestTrailers,
    /// The response's headers.
    Response,
}

/// The client certificate of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerCertificate {
    /// There is no certificate.
    Absent,
    /// There is one, but the host does not report that it was validated.
    Unvalidated,
    /// A validated one, with its URI SANs.
    Validated(Vec<String>),
}

/// An HTTP `GET` to a cluster of the host.
#[derive(Debug, Clone, Copy)]
pub struct HttpGet<'a> {
    /// The name of the cluster.
    pub cluster: &'a str,
    /// `:scheme`
    pub scheme: &'a str,
    /// `:authority`
    pub authority: &'a str,
    /// `:path`
    pub path: &'a str,
    /// `accept`
    pub accept: &'a str,
    /// The timeout in milliseconds.
    pub timeout_ms: u64,
}

/// The kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Holds the last value.
    Gauge,
    /// Holds a distribution.
    Histogram,
}
