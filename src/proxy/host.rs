//! The Proxy-Wasm host as an implementation of [`Host`].

use std::time::Duration;

use proxy_wasm::types::Status;

use super::abi::{self, Buffer, CALL_RESPONSE_HEADERS, CAS_MISMATCH, NOT_FOUND};
use super::wire;
use crate::envoy_verify_signature::{FUNCTION, GOOD, verify_signature_argument};
use crate::headers::Headers;
use crate::policy::peer::PeerValidation;
use crate::record::AccessField;
use crate::reply::Reply;
use crate::token::{Algorithm, PublicKey, SignatureBackend};
use crate::worker::host::{
    CallError, CallId, HeaderMap, Host, HostError, HttpGet, MetricId, MetricKind, PeerCertificate,
    StreamId, Version,
};

/// The host that runs this module. The ABI's functions need no handle, so this is empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProxyWasm;

impl Host for ProxyWasm {
    fn now_ms(&self) -> Option<u64> {
        abi::now_milliseconds()
    }

    fn fill_random(&self, buffer: &mut [u8]) -> bool {
        getrandom::fill(buffer).is_ok()
    }

    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        std::env::var(name).ok().map(String::into_bytes)
    }

    fn set_tick_period(&self, milliseconds: u32) -> Result<(), HostError> {
        abi::set_tick_period(milliseconds)
    }

    fn with_headers<T>(
        &self,
        map: HeaderMap,
        read: impl FnOnce(&Headers<'_>) -> T,
    ) -> Result<T, HostError> {
        let buffer = abi::header_pairs(abi::map_number(map))?;
        let list = wire::parse(&buffer).ok_or(MALFORMED)?;
        Ok(read(&Headers::new(&list)))
    }

    fn edit(&self, map: HeaderMap, name: &[u8], value: Option<&[u8]>) -> Result<(), HostError> {
        let map = abi::map_number(map);
        match value {
            Some(value) => abi::set_header(map, name, value),
            None => abi::remove_header(map, name),
        }
    }

    fn reply(&self, reply: &Reply) -> Result<(), HostError> {
        abi::send_reply(reply)
    }

    fn set_log_field(&self, field: AccessField, value: &str) -> Result<(), HostError> {
        abi::set_filter_state(field.filter_state(), value)
    }

    fn peer_certificate(&self, validation: PeerValidation) -> PeerCertificate {
        let is_set = |path: &[u8]| abi::property(path).is_ok_and(|value| value == [1]);
        // `connection.mtls` is also true for a certificate that was not validated.
        if !is_set(b"connection\0mtls") {
            return PeerCertificate::Absent;
        }
        let is_validated = match validation {
            PeerValidation::Reported => is_set(b"connection\0peer_certificate_valid"),
            PeerValidation::ByListener => true,
        };
        if !is_validated {
            return PeerCertificate::Unvalidated;
        }
        // Envoy provides only the first URI SAN.
        let uri_san = abi::property(b"connection\0uri_san_peer_certificate").ok();
        let uri_san = uri_san.and_then(|uri| String::from_utf8(uri).ok());
        let uri_sans = uri_san.filter(|uri| !uri.is_empty()).into_iter();
        PeerCertificate::Validated(uri_sans.collect())
    }

    fn select_stream(&self, stream: StreamId) -> Result<(), HostError> {
        abi::set_effective_context(stream.0)
    }

    fn continue_request(&self) -> Result<(), HostError> {
        abi::continue_request()
    }

    fn call(&self, request: &HttpGet<'_>) -> Result<CallId, CallError> {
        let headers = vec![
            (":method", "GET"),
            (":scheme", request.scheme),
            (":authority", request.authority),
            (":path", request.path),
            ("accept", request.accept),
            (
                "user-agent",
                concat!("edge-claims/", env!("CARGO_PKG_VERSION")),
            ),
        ];
        let timeout = Duration::from_millis(request.timeout_ms);
        // The SDK's function, because it records which context gets the response.
        let call = proxy_wasm::hostcalls::dispatch_http_call(
            request.cluster,
            headers,
            None,
            Vec::new(),
            timeout,
        );
        match call {
            Ok(token) => Ok(CallId(token)),
            Err(Status::BadArgument) => Err(CallError::UnknownCluster),
            Err(_) => Err(CallError::Failed),
        }
    }

    fn call_response(&self, max: usize) -> Result<(Vec<u8>, Vec<u8>), HostError> {
        let buffer = abi::header_pairs(CALL_RESPONSE_HEADERS)?;
        let list = wire::parse(&buffer).unwrap_or_default();
        let status = Headers::new(&list).first(":status").unwrap_or_default();
        // A response without a status has no body.
        let body = if status.is_empty() {
            Vec::new()
        } else {
            abi::buffer(Buffer::CallResponseBody, max)?
        };
        Ok((status.to_vec(), body))
    }

    fn shared_data(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, HostError> {
        match abi::shared(key) {
            Ok((value, version)) => Ok(Some((value, Version(version)))),
            Err(NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn set_shared_data(
        &self,
        key: &str,
        value: &[u8],
        expected: Option<Version>,
    ) -> Result<bool, HostError> {
        // Version 0 sets the value unconditionally. `Version::ABSENT` sets it only if it is missing: the
        // host does not compare versions then.
        let version = expected.map_or(0, |version| version.0);
        match abi::set_shared(key, value, version) {
            Ok(()) => Ok(true),
            Err(CAS_MISMATCH) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError> {
        abi::define_metric(kind, name).map(MetricId)
    }

    fn add_to_metric(&self, metric: MetricId, offset: i64) -> Result<(), HostError> {
        abi::increment_metric(metric.0, offset)
    }

    fn record_metric(&self, metric: MetricId, value: u64) -> Result<(), HostError> {
        abi::record_metric(metric.0, value)
    }
}

impl SignatureBackend for ProxyWasm {
    /// Envoy's foreign function `verify_signature`. Status Ok with `result: false` means that the signature
    /// is not valid. If the call fails, the portable back-end verifies the signature.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let argument = verify_signature_argument(algorithm, key, message, signature)?;
        let answer = abi::foreign_function(FUNCTION, &argument).ok()?;
        Some(answer == GOOD)
    }

    /// Measured in Envoy 1.40.
    fn cost_micros(&self, algorithm: Algorithm, _key: &PublicKey) -> u64 {
        match algorithm {
            Algorithm::Es384 | Algorithm::Es512 => 2_200,
            _ => 100,
        }
    }
}

/// The serialized header map is malformed.
const MALFORMED: HostError = HostError(4);
