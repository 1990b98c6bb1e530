//! The functions that Envoy offers to a module (proxy-wasm ABI 0.2.1), over the fake host. Where the
//! ABI leaves a choice, they do what Envoy does.

use std::ptr;

use crate::fake::{
    BAD_ARGUMENT, CAS_MISMATCH, Call, Host, NOT_FOUND, OK, Reply, from_wire, host, to_wire,
};

unsafe extern "C" {
    /// Of the SDK: memory of the module for a value of the host.
    fn proxy_on_memory_allocate(size: usize) -> *mut u8;
}

/// The bytes that a module's pointer and size mean.
fn bytes(data: *const u8, size: usize) -> Vec<u8> {
    if data.is_null() {
        assert_eq!(size, 0, "a null pointer with a size");
        return Vec::new();
    }
    // SAFETY: the module hands over slices that live as long as the call.
    unsafe { std::slice::from_raw_parts(data, size) }.to_vec()
}

fn text(data: *const u8, size: usize) -> String {
    String::from_utf8(bytes(data, size)).expect("names are text")
}

fn put<T>(target: *mut T, value: T) {
    // SAFETY: the module hands over pointers to its own variables.
    unsafe { target.write(value) }
}

/// Gives a value to the module.
fn give(value: &[u8], data: *mut *mut u8, size: *mut usize) -> u32 {
    if value.is_empty() {
        put(data, ptr::null_mut());
        put(size, 0);
        return OK;
    }
    // SAFETY: the SDK's allocator returns a block of that size.
    unsafe {
        let block = proxy_on_memory_allocate(value.len());
        ptr::copy_nonoverlapping(value.as_ptr(), block, value.len());
        put(data, block);
    }
    put(size, value.len());
    OK
}

/// One call: fails if a fault is set for it, else acts.
fn call(which: Call, act: impl FnOnce(&mut Host) -> u32) -> u32 {
    host(|host| match host.fails(which) {
        Some(status) => status,
        None => act(host),
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_log(level: u32, data: *const u8, size: usize) -> u32 {
    call(Call::Log, |host| {
        host.log.push((level, text(data, size)));
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32 {
    call(Call::Clock, |host| {
        put(time, host.now);
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_tick_period_milliseconds(period: u32) -> u32 {
    call(Call::TickPeriod, |host| {
        host.tick_period = period;
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_buffer_bytes(
    buffer: u32,
    start: usize,
    max: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    call(Call::Buffer, |host| {
        let content = match buffer {
            4 => host.call_body.clone(),
            7 => Some(host.plugin_config.clone()),
            _ => None,
        };
        let Some(content) = content else {
            return NOT_FOUND;
        };
        let end = start.saturating_add(max).min(content.len());
        match content.get(start..end) {
            Some(part) => give(part, data, size),
            None => BAD_ARGUMENT,
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32 {
    call(Call::HeaderPairs, |host| match host.map(map) {
        Some(pairs) => give(&to_wire(pairs), data, size),
        None => BAD_ARGUMENT,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32 {
    let name = bytes(name, name_size);
    call(Call::RemoveHeader, |host| match host.map(map) {
        Some(pairs) => {
            pairs.retain(|(other, _)| *other != name);
            OK
        }
        None => BAD_ARGUMENT,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_replace_header_map_value(
    map: u32,
    name: *const u8,
    name_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    let (name, value) = (bytes(name, name_size), bytes(value, value_size));
    call(Call::ReplaceHeader, |host| {
        let Some(pairs) = host.map(map) else {
            return BAD_ARGUMENT;
        };
        // As Envoy's `setReferenceKey`: of several instances the first gets the value, the others
        // stay.
        match pairs.iter_mut().find(|(other, _)| *other == name) {
            Some(pair) => pair.1 = value,
            None => pairs.push((name, value)),
        }
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_property(
    path: *const u8,
    path_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    let path = bytes(path, path_size);
    call(Call::GetProperty, |host| match host.properties.get(&path) {
        Some(value) => give(value, data, size),
        None => NOT_FOUND,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_property(
    path: *const u8,
    path_size: usize,
    value: *const u8,
    value_size: usize,
) -> u32 {
    let (path, value) = (text(path, path_size), text(value, value_size));
    call(Call::SetProperty, |host| match host.stream() {
        Some(stream) => {
            stream.filter_state.insert(path, value);
            OK
        }
        None => BAD_ARGUMENT,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_send_local_response(
    status: u32,
    details: *const u8,
    details_size: usize,
    body: *const u8,
    body_size: usize,
    headers: *const u8,
    headers_size: usize,
    grpc_status: i32,
) -> u32 {
    let reply = Reply {
        status,
        details: text(details, details_size),
        headers: from_wire(&bytes(headers, headers_size)),
        body: text(body, body_size),
        grpc: grpc_status,
    };
    call(Call::SendReply, |host| match host.stream() {
        Some(stream) => {
            stream.replies.push(reply);
            OK
        }
        None => BAD_ARGUMENT,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_call_foreign_function(
    name: *const u8,
    name_size: usize,
    _arguments: *const u8,
    _arguments_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    let name = text(name, name_size);
    call(Call::ForeignFunction, |host| {
        match (name.as_str(), &host.signatures) {
            ("verify_signature", Some(answer)) => give(answer, data, size),
            _ => NOT_FOUND,
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_shared_data(
    key: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
    cas: *mut u32,
) -> u32 {
    let key = bytes(key, key_size);
    call(Call::GetShared, |host| {
        match host.shared.lock().unwrap().get(&key) {
            Some((value, version)) => {
                put(cas, *version);
                give(value, data, size)
            }
            None => NOT_FOUND,
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_shared_data(
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
    cas: u32,
) -> u32 {
    let (key, value) = (bytes(key, key_size), bytes(value, value_size));
    call(Call::SetShared, |host| {
        let mut shared = host.shared.lock().unwrap();
        let version = shared.get(&key).map(|(_, version)| *version);
        match version {
            // A version that is named must be the one that is there; where nothing is there, any
            // will do.
            Some(version) if cas != 0 && cas != version => CAS_MISMATCH,
            _ => {
                shared.insert(key, (value, version.unwrap_or(0) + 1));
                OK
            }
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(context: u32) -> u32 {
    // Below 100 they are root contexts, see `world`. One whose callback runs exists. The
    // SDK's dispatcher relies on it.
    if context < 100 {
        host(|host| host.effective = context);
        return OK;
    }
    call(Call::EffectiveContext, |host| {
        if host.streams.contains_key(&context) {
            host.effective = context;
            OK
        } else {
            BAD_ARGUMENT
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_continue_stream(_kind: u32) -> u32 {
    call(Call::ContinueStream, |host| match host.stream() {
        Some(stream) => {
            stream.continued = true;
            OK
        }
        None => BAD_ARGUMENT,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_define_metric(_kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32 {
    let name = text(name, size);
    call(Call::DefineMetric, |host| {
        let known = host.metrics.iter().position(|(other, _)| *other == name);
        let index = known.unwrap_or_else(|| {
            host.metrics.push((name, 0));
            host.metrics.len() - 1
        });
        put(id, u32::try_from(index).unwrap());
        OK
    })
}

/// Changes a metric that was defined.
fn metric(which: Call, id: u32, change: impl FnOnce(&mut i128)) -> u32 {
    call(which, |host| {
        match host.metrics.get_mut(usize::try_from(id).unwrap()) {
            Some((_, value)) => {
                change(value);
                OK
            }
            None => NOT_FOUND,
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_increment_metric(id: u32, offset: i64) -> u32 {
    metric(Call::IncrementMetric, id, |value| {
        *value += i128::from(offset)
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_record_metric(id: u32, new: u64) -> u32 {
    metric(Call::RecordMetric, id, |value| *value = i128::from(new))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_http_call(
    cluster: *const u8,
    cluster_size: usize,
    headers: *const u8,
    headers_size: usize,
    _body: *const u8,
    _body_size: usize,
    _trailers: *const u8,
    _trailers_size: usize,
    timeout: u32,
    token: *mut u32,
) -> u32 {
    let cluster = text(cluster, cluster_size);
    let headers = from_wire(&bytes(headers, headers_size));
    call(Call::Http, |host| {
        match host.dispatch(cluster, headers, timeout) {
            Some(number) => {
                put(token, number);
                OK
            }
            None => BAD_ARGUMENT,
        }
    })
}

/// Functions that the SDK imports and the filter does not call, so that it links.
macro_rules! unused {
    ($($name:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> u32 {
                panic!("{} is not for this filter", stringify!($name))
            }
        )*
    };
}

unused! {
    proxy_get_log_level proxy_set_buffer_bytes proxy_set_header_map_pairs proxy_get_header_map_value
    proxy_add_header_map_value proxy_register_shared_queue proxy_resolve_shared_queue
    proxy_dequeue_shared_queue proxy_enqueue_shared_queue proxy_close_stream proxy_grpc_call
    proxy_grpc_stream proxy_grpc_send proxy_grpc_cancel proxy_grpc_close proxy_get_status proxy_done
    proxy_get_metric
}
