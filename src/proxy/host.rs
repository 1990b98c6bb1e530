//! The host seam: every call to the host that the request path needs, without a panic in it.
//!
//! The SDK's own wrappers panic on a status they do not list and on values that are not UTF-8, and
//! one panic ends a worker's VM. These take and give bytes and turn every failure into a value.
//! ABI: proxy-wasm 0.2.1.
#![allow(unsafe_code)]

use std::ptr::{null, null_mut};

use crate::headers::HeaderBuffer;

/// Which header map.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Map {
    /// The request's headers.
    Request = 0,
    /// The response's headers.
    Response = 2,
    /// The headers of an HTTP call's response.
    CallResponse = 6,
}

/// A status other than Ok, as the ABI numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed(pub u32);

impl Failed {
    /// What was asked for is not there.
    pub const NOT_FOUND: Self = Self(1);
    /// An argument is not acceptable.
    pub const BAD_ARGUMENT: Self = Self(2);
    /// The value was changed by somebody else in the meantime.
    pub const CAS_MISMATCH: Self = Self(8);
}

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

/// A value that the host put into this module's memory.
fn taken(status: u32, data: *mut u8, size: usize) -> Result<Vec<u8>, Failed> {
    match status {
        0 if data.is_null() => Ok(Vec::new()),
        // SAFETY: on Ok the host has filled a block of `size` bytes that it got from this module's
        // `proxy_on_memory_allocate`, which makes a boxed slice of exactly that size and gives it up.
        0 => Ok(unsafe { Vec::from_raw_parts(data, size, size) }),
        status => Err(Failed(status)),
    }
}

fn done(status: u32) -> Result<(), Failed> {
    if status == 0 {
        Ok(())
    } else {
        Err(Failed(status))
    }
}

/// Writes a line to the host's log; level 0 is trace, 2 info, 4 error, 5 critical. Where the host does
/// not take it, it is lost.
pub fn log(level: u32, line: &str) {
    // SAFETY: the slice outlives the call.
    let _ = unsafe { proxy_log(level, line.as_ptr(), line.len()) };
}

/// All headers of a map, serialised; [`crate::headers::Headers::from_wire`] reads them.
///
/// # Errors
/// Any status but Ok; the map is there only during its own phase.
pub fn header_pairs(map: Map) -> Result<Vec<u8>, Failed> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both out-pointers are valid for the call.
    let status = unsafe { proxy_get_header_map_pairs(map as u32, &raw mut data, &raw mut size) };
    taken(status, data, size)
}

/// Removes every instance of a header.
///
/// # Errors
/// Any status but Ok.
pub fn remove_header(map: Map, name: &[u8]) -> Result<(), Failed> {
    // SAFETY: the slice outlives the call.
    done(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// Sets a header to one value.
///
/// # Errors
/// Any status but Ok.
pub fn set_header(map: Map, name: &[u8], value: &[u8]) -> Result<(), Failed> {
    // SAFETY: the slices outlive the call.
    done(unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// A property; the path's elements are separated by NUL.
///
/// # Errors
/// Any status but Ok, [`Failed::NOT_FOUND`] where there is no such property.
pub fn property(path: &[u8]) -> Result<Vec<u8>, Failed> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the slice and both out-pointers are valid for the call.
    let status =
        unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) };
    taken(status, data, size)
}

/// Puts a value into filter state, as `wasm.` followed by the name.
///
/// # Errors
/// Any status but Ok.
pub fn set_filter_state(name: &str, value: &str) -> Result<(), Failed> {
    // SAFETY: the slices outlive the call.
    done(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Answers the request in the upstream's stead. `details` becomes `%RESPONSE_CODE_DETAILS%`, which is
/// why this is not the SDK's function: that one leaves it empty.
///
/// # Errors
/// Any status but Ok.
pub fn send_reply(reply: &crate::reply::Reply) -> Result<(), Failed> {
    let headers = reply.headers.iter().map(|(name, value)| (name, value));
    let headers: HeaderBuffer = headers.collect();
    let headers = headers.as_bytes();
    // SAFETY: every slice outlives the call.
    done(unsafe {
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

/// A buffer, up to `max` bytes of it.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Buffer {
    /// The body of an HTTP call's response.
    CallResponseBody = 4,
    /// The plugin's configuration.
    PluginConfiguration = 7,
}

/// The bytes of a buffer, at most `max` of them.
///
/// # Errors
/// Any status but Ok.
pub fn buffer(buffer: Buffer, max: usize) -> Result<Vec<u8>, Failed> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both out-pointers are valid for the call.
    let status =
        unsafe { proxy_get_buffer_bytes(buffer as u32, 0, max, &raw mut data, &raw mut size) };
    taken(status, data, size)
}

/// The host's wall clock in milliseconds since 1970; `None` where it can't be read.
pub fn now_milliseconds() -> Option<u64> {
    let mut nanoseconds = 0;
    // SAFETY: the out-pointer is valid for the call.
    let status = unsafe { proxy_get_current_time_nanoseconds(&raw mut nanoseconds) };
    (status == 0)
        .then(|| nanoseconds.checked_div(1_000_000))
        .flatten()
}

/// Calls a function that the host offers beside the ABI.
///
/// # Errors
/// [`Failed::NOT_FOUND`] where the host has none of that name; any other status but Ok.
pub fn foreign_function(name: &str, arguments: &[u8]) -> Result<Vec<u8>, Failed> {
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
    taken(status, data, size)
}

/// A value that all workers share, and the number of its version.
///
/// # Errors
/// [`Failed::NOT_FOUND`] where nobody has set it; any other status but Ok.
pub fn shared(key: &str) -> Result<(Vec<u8>, u32), Failed> {
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
    Ok((taken(status, data, size)?, cas))
}

/// Sets a shared value, if its version is still `cas`. 0 sets it in any case; `u32::MAX` only where
/// nothing is there yet.
///
/// # Errors
/// [`Failed::CAS_MISMATCH`] where another worker was faster; any other status but Ok.
pub fn set_shared(key: &str, value: &[u8], cas: u32) -> Result<(), Failed> {
    let data = if value.is_empty() {
        null()
    } else {
        value.as_ptr()
    };
    // SAFETY: the slices outlive the call.
    done(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), data, value.len(), cas) })
}

/// Makes a stream the one that the next calls are about.
///
/// # Errors
/// Any status but Ok: the stream is gone.
pub fn set_effective_context(context: u32) -> Result<(), Failed> {
    // SAFETY: no pointers.
    done(unsafe { proxy_set_effective_context(context) })
}

/// Lets a paused request go on to the next filter.
///
/// # Errors
/// Any status but Ok.
pub fn continue_request() -> Result<(), Failed> {
    // SAFETY: no pointers.
    done(unsafe { proxy_continue_stream(0) })
}

/// What a metric does.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum MetricKind {
    /// Only grows.
    Counter = 0,
    /// Holds the last value.
    Gauge = 1,
    /// Holds a distribution.
    Histogram = 2,
}

/// Defines a metric, or finds it where it is defined already.
///
/// # Errors
/// Any status but Ok.
pub fn define_metric(kind: MetricKind, name: &str) -> Result<u32, Failed> {
    let mut id = 0;
    // SAFETY: the slice and the out-pointer are valid for the call.
    done(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter or a gauge.
///
/// # Errors
/// Any status but Ok.
pub fn increment_metric(id: u32, offset: i64) -> Result<(), Failed> {
    // SAFETY: no pointers.
    done(unsafe { proxy_increment_metric(id, offset) })
}

/// Sets a gauge or adds a value to a histogram.
///
/// # Errors
/// Any status but Ok.
pub fn record_metric(id: u32, value: u64) -> Result<(), Failed> {
    // SAFETY: no pointers.
    done(unsafe { proxy_record_metric(id, value) })
}

/// How often the root context's tick comes; 0 stops it.
///
/// # Errors
/// Any status but Ok.
pub fn set_tick_period(milliseconds: u32) -> Result<(), Failed> {
    // SAFETY: no pointers.
    done(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}
