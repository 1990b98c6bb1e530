//! The root context: one for each plugin config in a VM.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::abi::{self, Buffer};
use super::host::ProxyWasm;
use super::http::Stream;
use super::{SharedWorker, with_worker};
use crate::worker::Worker;
use crate::worker::host::{CallId, Host, StreamId};

/// Loads the config and creates a context for each request.
pub struct Root {
    id: u32,
    worker: SharedWorker,
}

impl Root {
    /// The root context with this ID.
    pub fn new(id: u32) -> Self {
        Self {
            id,
            worker: Rc::new(RefCell::new(Worker::new(ProxyWasm))),
        }
    }

    /// The plugin config; `None` if the host does not return all of it.
    fn config(size: usize) -> Option<Vec<u8>> {
        if size == 0 {
            return Some(Vec::new());
        }
        let bytes = abi::buffer(Buffer::PluginConfiguration, size).ok()?;
        (bytes.len() == size).then_some(bytes)
    }

    /// Makes this the current context again, as the SDK expects; the worker may have selected streams.
    fn restore_context(&self) {
        let _ = ProxyWasm.select_stream(StreamId(self.id));
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        with_worker(&self.worker, Worker::retire);
    }
}

impl Context for Root {
    fn on_http_call_response(
        &mut self,
        call: u32,
        _headers: usize,
        _body: usize,
        _trailers: usize,
    ) {
        with_worker(&self.worker, |worker| worker.on_call_done(CallId(call)));
        self.restore_context();
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let Some(bytes) = Self::config(size) else {
            // Not `false`: if this happens on one worker only, Envoy would forward its requests unfiltered.
            log::error!(
                "edge-claims: proxy_get_buffer_bytes did not return the plugin config; every request is \
                 denied"
            );
            return true;
        };
        let accepted = with_worker(&self.worker, |worker| worker.configure(&bytes));
        self.restore_context();
        accepted.unwrap_or(true)
    }

    fn on_tick(&mut self) {
        with_worker(&self.worker, Worker::on_tick);
        self.restore_context();
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(id, Rc::clone(&self.worker))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
