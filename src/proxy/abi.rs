//! Wrappers of the Proxy-Wasm ABI 0.2.1 that do not panic.
//!
//! The SDK's wrappers panic on unknown statuses and on values that are not UTF-8, and a panic ends a
//! worker's VM. These take and return bytes, and return every failure as an error.
#![allow(unsafe_code)]

use std::ptr::{null, null_mut};

use super::wire;
use crate::reply::Reply;
use crate::worker::host::{HeaderMap, HostError, MetricKind};

/// The value does not exist.
pub(super) const NOT_FOUND: HostError = HostError(1);
/// Another worker has changed the value.
pub(super) const CAS_MISMATCH: HostError = HostError(8);

/// The ABI's number of the header map of an HTTP call's response.
pub(super) const CALL_RESPONSE_HEADERS: u32 = 6;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
}

/// Takes ownership of a value that the host has written to this module's memory.
fn take_buffer(status: u32, data: *mut u8, size: usize) -> Result<Vec<u8>, HostError> {
    match status {
        0 if data.is_null() => Ok(Vec::new()),
        // SAFETY: on Ok the host has filled a block of `size` bytes that it got from this module's
        // `proxy_on_memory_allocate`, which makes a boxed slice of exactly that size and gives it up.
        0 => Ok(unsafe { Vec::from_raw_parts(data, size, size) }),
        status => Err(HostError(status)),
    }
}

fn check(status: u32) -> Result<(), HostError> {
    if status == 0 {
        Ok(())
    } else {
        Err(HostError(status))
    }
}

/// Writes a line to the host's log; level 0 is trace, 2 info, 4 error, 5 critical. Failures are
/// ignored.
pub(super) fn log(level: u32, line: &str) {
    // SAFETY: the slice outlives the call.
    let _ = unsafe { proxy_log(level, line.as_ptr(), line.len()) };
}

/// The ABI's number of a header map.
pub(super) const fn map_number(map: HeaderMap) -> u32 {
    match map {
        HeaderMap::Request => 0,
        HeaderMap::RequestTrailers => 1,
        HeaderMap::Response => 2,
    }
}

/// All headers of a map, serialized (see [`wire::parse`]). A map is available only during its own phase.
pub(super) fn header_pairs(map: u32) -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both out-pointers are valid for the call.
    let status = unsafe { proxy_get_header_map_pairs(map, &raw mut data, &raw mut size) };
    take_buffer(status, data, size)
}

/// Removes every instance of a header.
pub(super) fn remove_header(map: u32, name: &[u8]) -> Result<(), HostError> {
    // SAFETY: the slice outlives the call.
    check(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// Sets a header to one value.
pub(super) fn set_header(map: u32, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the slices outlive the call.
    check(unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// A property, or [`NOT_FOUND`]. The path's elements are separated by NUL.
pub(super) fn property(path: &[u8]) -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the slice and both out-pointers are valid for the call.
    let status =
        unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) };
    take_buffer(status, data, size)
}

/// Sets the filter state `wasm.<name>`.
pub(super) fn set_filter_state(name: &str, value: &str) -> Result<(), HostError> {
    // SAFETY: the slices outlive the call.
    check(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Sends a local reply. Unlike the SDK's function, this sets `details` (`%RESPONSE_CODE_DETAILS%`).
pub(super) fn send_reply(reply: &Reply) -> Result<(), HostError> {
    let headers = wire::serialize(&reply.headers);
    // SAFETY: every slice outlives the call.
    check(unsafe {
        proxy_send_local_response(
            u32::from(reply.status),
            reply.details.as_ptr(),
            reply.details.len(),
            reply.body.as_ptr(),
            reply.body.len(),
            headers.as_ptr(),
            headers.len(),
            reply.grpc_status,
        )
    })
}

/// The buffers of the ABI that the filter reads.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(super) enum Buffer {
    /// The body of an HTTP call's response.
    CallResponseBody = 4,
    /// The plugin's configuration.
    PluginConfiguration = 7,
}

/// At most `max` bytes of a buffer.
pub(super) fn buffer(buffer: Buffer, max: usize) -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both out-pointers are valid for the call.
    let status =
        unsafe { proxy_get_buffer_bytes(buffer as u32, 0, max, &raw mut data, &raw mut size) };
    take_buffer(status, data, size)
}

/// The host's wall clock in milliseconds since 1970; `None` if it cannot be read.
pub(super) fn now_milliseconds() -> Option<u64> {
    let mut nanoseconds = 0;
    // SAFETY: the out-pointer is valid for the call.
    let status = unsafe { proxy_get_current_time_nanoseconds(&raw mut nanoseconds) };
    (status == 0)
        .then(|| nanoseconds.checked_div(1_000_000))
        .flatten()
}

/// Calls a host function that is not part of the ABI; [`NOT_FOUND`] if the host does not have it.
pub(super) fn foreign_function(name: &str, arguments: &[u8]) -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the slices and both out-pointers are valid for the call.
    let status = unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            &raw mut data,
            &raw mut size,
        )
    };
    take_buffer(status, data, size)
}

/// A value that all workers share and its version; [`NOT_FOUND`] if it was never set.
pub(super) fn shared(key: &str) -> Result<(Vec<u8>, u32), HostError> {
    let (mut data, mut size, mut cas) = (null_mut(), 0, 0);
    // SAFETY: the slice and the out-pointers are valid for the call.
    let status = unsafe {
        proxy_get_shared_data(
            key.as_ptr(),
            key.len(),
            &raw mut data,
            &raw mut size,
            &raw mut cas,
        )
    };
    Ok((take_buffer(status, data, size)?, cas))
}

/// Sets a shared value if its version is still `cas`, else fails with [`CAS_MISMATCH`]. 0 sets it
/// unconditionally; `u32::MAX` only if it does not exist.
pub(super) fn set_shared(key: &str, value: &[u8], cas: u32) -> Result<(), HostError> {
    let data = if value.is_empty() {
        null()
    } else {
        value.as_ptr()
    };
    // SAFETY: the slices outlive the call.
    check(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), data, value.len(), cas) })
}

/// Makes a stream the target of the following calls; fails if the stream no longer exists.
pub(super) fn set_effective_context(context: u32) -> Result<(), HostError> {
    // SAFETY: no pointers.
    check(unsafe { proxy_set_effective_context(context) })
}

/// Continues a paused request.
pub(super) fn continue_request() -> Result<(), HostError> {
    // SAFETY: no pointers.
    check(unsafe { proxy_continue_stream(0) })
}

/// Defines a metric, or returns the existing one.
pub(super) fn define_metric(kind: MetricKind, name: &str) -> Result<u32, HostError> {
    let kind = match kind {
        MetricKind::Counter => 0,
        MetricKind::Gauge => 1,
        MetricKind::Histogram => 2,
    };
    let mut id = 0;
    // SAFETY: the slice and the out-pointer are valid for the call.
    check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter or a gauge.
pub(super) fn increment_metric(id: u32, offset: i64) -> Result<(), HostError> {
    // SAFETY: no pointers.
    check(unsafe { proxy_increment_metric(id, offset) })
}

/// Sets a gauge, or adds a value to a histogram.
pub(super) fn record_metric(id: u32, value: u64) -> Result<(), HostError> {
    // SAFETY: no pointers.
    check(unsafe { proxy_record_metric(id, value) })
}

/// Sets the period of the root context's tick; 0 stops it.
pub(super) fn set_tick_period(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: no pointers.
    check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}
