//! The empty filter: every callback is entered, and nothing is done there.
//!
//! What it costs over no filter at all is what Envoy and V8 take for any Proxy-Wasm filter that
//! sees request and response headers; no filter can be cheaper than this.
//!
//! With a plugin configuration, a list of the words below with commas between, it makes those host
//! calls in every request and nothing else: what the host takes for them, whoever asks.

use std::ptr::null_mut;
use std::rc::Rc;

use proxy_wasm::hostcalls::{get_current_time, set_map_value_bytes, set_property};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root { calls: Rc::new([]) }));
}}

/// A host call that a request costs.
#[derive(Clone, Copy)]
enum Call {
    /// Read all request headers, unparsed.
    Headers,
    /// Read the clock.
    Clock,
    /// Remove the token's header.
    Remove,
    /// Set a request header that is not there yet.
    Identity(&'static str),
    /// Write a filter-state value.
    State(&'static str),
    /// Set a response header.
    Response,
}

impl Call {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "headers" => Self::Headers,
            "clock" => Self::Clock,
            "remove" => Self::Remove,
            "subject" => Self::Identity("x-auth-subject"),
            "roles" => Self::Identity("x-auth-roles"),
            "correlation" => Self::State("edge_claims.correlation_id"),
            "verdict" => Self::State("edge_claims.verdict"),
            "response" => Self::Response,
            _ => return None,
        })
    }

    fn on_request(self) {
        // The figures of a run in which a call fails would be noticed: the row's checks look for
        // its effects.
        let _ = match self {
            Self::Headers => {
                read_request_headers();
                Ok(())
            }
            Self::Clock => get_current_time().map(drop),
            Self::Remove => set_map_value_bytes(MapType::HttpRequestHeaders, "x-edge-claims", None),
            Self::Identity(name) => set_map_value_bytes(
                MapType::HttpRequestHeaders,
                name,
                Some(b"auth0|66f2c1b7a9d4e80012ab34cd"),
            ),
            Self::State(name) => {
                set_property(vec![name], Some(b"0193b3a1-7c44-7d0e-8f52-6a3be1a9c001"))
            }
            Self::Response => Ok(()),
        };
    }

    fn on_response(self) {
        if matches!(self, Self::Response) {
            let _ = set_map_value_bytes(
                MapType::HttpResponseHeaders,
                "x-correlation-id",
                Some(b"0193b3a1-7c44-7d0e-8f52-6a3be1a9c001"),
            );
        }
    }
}

struct Root {
    calls: Rc<[Call]>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        let Ok(text) = String::from_utf8(bytes) else {
            return false;
        };
        let words = text.split(',').filter(|word| !word.is_empty());
        let Some(calls) = words.map(Call::named).collect::<Option<Vec<_>>>() else {
            return false;
        };
        self.calls = calls.into();
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream(Rc::clone(&self.calls))))
    }
}

struct Stream(Rc<[Call]>);

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.0.iter().for_each(|call| call.on_request());
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.0.iter().for_each(|call| call.on_response());
        Action::Continue
    }
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
}

/// The SDK's own function would make a pair of strings of each header.
fn read_request_headers() {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: on Ok the host has filled a block of `size` bytes that it got from this module's
    // `proxy_on_memory_allocate`, which is a `Vec` of that capacity.
    unsafe {
        let status = proxy_get_header_map_pairs(0, &raw mut data, &raw mut size);
        if status == 0 && !data.is_null() {
            drop(Vec::from_raw_parts(data, size, size));
        }
    }
}
