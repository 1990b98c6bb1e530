//! What a worker asks of the proxy that it runs in.

use crate::gate::Edit;
use crate::headers::Headers;
use crate::policy::peer::PeerValidation;
use crate::record::AccessField;
use crate::reply::Reply;
use crate::token::SignatureBackend;

/// A host: the proxy that runs the filter, as one worker sees it. Clones are handles to the same host.
///
/// Calls about a request are about the current stream: the one whose callback is running, or the one that
/// [`Host::select_stream`] named. As a [`SignatureBackend`] the host verifies signatures with its own
/// crypto; the worker puts it to a test before it relies on it.
pub trait Host: SignatureBackend + Clone + 'static {
    /// The wall clock in milliseconds since 1970; `None` if it cannot be read.
    fn now_ms(&self) -> Option<u64>;

    /// Fills the buffer with random bytes; `false` if there are none.
    fn fill_random(&self, buffer: &mut [u8]) -> bool;

    /// A variable of the environment.
    fn environment(&self, name: &str) -> Option<Vec<u8>>;

    /// Asks for a tick every so many milliseconds.
    fn set_tick_period(&self, milliseconds: u32) -> Result<(), HostError>;

    /// Calls `read` with the headers of the current stream.
    fn with_headers<T>(
        &self,
        map: HeaderMap,
        read: impl FnOnce(&Headers<'_>) -> T,
    ) -> Result<T, HostError>;

    /// Applies an edit to the headers of the current stream.
    fn edit(&self, map: HeaderMap, name: &[u8], value: Option<&[u8]>) -> Result<(), HostError>;

    /// Answers the current stream in place of the upstream.
    fn reply(&self, reply: &Reply) -> Result<(), HostError>;

    /// Makes a value available to the access log of the current stream.
    fn set_log_field(&self, field: AccessField, value: &str) -> Result<(), HostError>;

    /// The client certificate of the current stream's connection.
    fn peer_certificate(&self, validation: PeerValidation) -> PeerCertificate;

    /// Makes a stream the current one.
    fn select_stream(&self, stream: StreamId) -> Result<(), HostError>;

    /// Lets the current stream's request go on after it was paused.
    fn continue_request(&self) -> Result<(), HostError>;

    /// Starts an HTTP `GET`; the worker's `on_call_done` is called with the response.
    fn call(&self, request: &HttpGet<'_>) -> Result<CallId, CallError>;

    /// The response of the call that is done: status and at most `max` bytes of its body.
    fn call_response(&self, max: usize) -> Result<(Vec<u8>, Vec<u8>), HostError>;

    /// A value that all workers share; `None` if nobody has set it.
    fn shared_data(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, HostError>;

    /// Sets a shared value, unless another worker has changed it since `expected`: then `false`. `None`
    /// sets it in any case.
    fn set_shared_data(
        &self,
        key: &str,
        value: &[u8],
        expected: Option<Version>,
    ) -> Result<bool, HostError>;

    /// Defines a metric, or finds it if it is defined already.
    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError>;

    /// Adds to a counter or a gauge.
    fn add_to_metric(&self, metric: MetricId, offset: i64) -> Result<(), HostError>;

    /// Sets a gauge, or adds a value to a histogram.
    fn record_metric(&self, metric: MetricId, value: u64) -> Result<(), HostError>;

    /// Applies header edits in order, up to the first that fails.
    fn apply(&self, edits: &[Edit]) -> Result<(), HostError> {
        edits.iter().try_for_each(|edit| {
            let value = edit.value.as_deref();
            self.edit(HeaderMap::Request, &edit.name, value)
        })
    }
}

/// A host call failed, with this status of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostError(pub(crate) u32);

/// Why a call was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// The host has no cluster of that name.
    UnknownCluster,
    /// Any other failure.
    Failed,
}

/// A request, as the host numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub(crate) u32);

/// A call under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallId(pub(crate) u32);

/// A metric, as the host numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricId(pub(crate) u32);

/// The version of a shared value: it changes whenever the value is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub(crate) u32);

impl Version {
    /// The version of a value that nobody has set yet.
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
    /// There is none.
    Absent,
    /// There is one, but nothing says that it was validated.
    Unvalidated,
    /// A validated one, with its URI SANs.
    Validated(Vec<String>),
}

/// An HTTP `GET` to a cluster that the host knows.
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
    /// The time limit in milliseconds.
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
