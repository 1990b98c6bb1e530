//! The root context: one for each plugin config in a VM.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::Shared;
use super::host::{self, Buffer};
use super::http::Stream;
use crate::config::{self, Config};
use crate::gate::Gate;

/// How often a worker does what is not part of a request, in milliseconds.
const TICK: u32 = 1_000;

/// Loads the config and makes a context for each request.
#[derive(Default)]
pub struct Root {
    shared: Rc<Shared>,
}

impl Root {
    /// Whether the config was accepted: a function of its bytes alone. Were it `false` on one worker
    /// only, Envoy would let that worker's requests pass without the filter.
    fn load(&self, size: usize) -> bool {
        let bytes = match (size, host::buffer(Buffer::PluginConfiguration, size)) {
            (0, _) => Vec::new(),
            (_, Ok(bytes)) if bytes.len() == size => bytes,
            _ => {
                log::error!(
                    "edge-claims: the host did not hand over the config; every request is denied"
                );
                return true;
            }
        };
        match config::load(&bytes) {
            Ok(config) => {
                self.start(config);
                true
            }
            Err(refused) => {
                log::error!("edge-claims {}: {refused}", env!("CARGO_PKG_VERSION"));
                false
            }
        }
    }

    fn start(&self, config: Config) {
        let env = |name: &str| std::env::var(name).ok().map(String::into_bytes);
        let (gate, warnings) = Gate::new(config, &env, self.shared.seed());
        for warning in warnings {
            log::warn!("edge-claims: {warning}");
        }
        if !gate.config().claims.portable {
            let trusted = self.shared.host_backend.self_test();
            log::info!(
                "edge-claims: the host verifies {}",
                if trusted.is_empty() {
                    "nothing".to_owned()
                } else {
                    trusted.join(", ")
                }
            );
        }
        self.shared.install(gate);
        if host::set_tick_period(TICK).is_err() {
            log::warn!(
                "edge-claims: the host gives no tick: keys are not fetched, metrics stay at 0"
            );
        }
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        self.load(size)
    }

    fn on_tick(&mut self) {
        self.shared.tick();
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(Rc::clone(&self.shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
