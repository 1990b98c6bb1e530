//! The Proxy-Wasm host: contexts and ABI calls. The only code that names `proxy_wasm`.
//!
//! A VM has one root context for each plugin config and one HTTP context for each request. All contexts
//! of a config share its worker.

mod abi;
mod host;
mod http;
mod logger;
mod root;
mod wire;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use proxy_wasm::traits::RootContext;

use self::host::ProxyWasm;
pub use self::root::Root;
use crate::worker::Worker;

type SharedWorker = Rc<RefCell<Worker<ProxyWasm>>>;

/// Runs a callback on the worker; `None` if another callback is running, which no known host does. The
/// request is not forwarded then.
fn with_worker<T>(
    worker: &SharedWorker,
    act: impl FnOnce(&mut Worker<ProxyWasm>) -> T,
) -> Option<T> {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    if let Ok(mut worker) = worker.try_borrow_mut() {
        return Some(act(&mut worker));
    }
    if !LOGGED.swap(true, Ordering::Relaxed) {
        log::error!(
            "edge-claims: the host called back while another callback was running; requests stay paused \
             where nothing can be decided (logged once)"
        );
    }
    None
}

/// Registers the filter with the SDK. Makes no host call: before the VM has started, hosts trap on any
/// call but `proxy_log`.
pub fn register() {
    logger::install();
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(Root::new(id)) });
}

/// The module's entry point.
#[cfg(target_family = "wasm")]
#[allow(missing_docs)]
mod entry {
    proxy_wasm::main! {{ super::register(); }}
}
