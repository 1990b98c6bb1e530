//! The root context: one for each plugin config in a VM.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::Shared;
use super::host::{self, Buffer};
use super::http::Stream;
use super::metrics::Metrics;
use super::said;
use crate::config::{self, Config, Mode};
use crate::gate::Gate;

/// Loads the config and makes a context for each request.
pub struct Root {
    id: u32,
    shared: Rc<Shared>,
}

impl Root {
    /// The root context with this ID.
    pub fn new(id: u32) -> Self {
        Self {
            id,
            shared: Rc::default(),
        }
    }

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
                Metrics::config_refused();
                false
            }
        }
    }

    fn start(&self, config: Config) {
        if config.mode == Mode::Shadow {
            log::warn!("edge-claims: mode is shadow: nothing is denied but malformed requests");
        }
        let env = |name: &str| std::env::var(name).ok().map(String::into_bytes);
        let (gate, warnings) = Gate::new(config, &env, self.shared.seed());
        for warning in warnings {
            said::warn(&format!("edge-claims: {warning}"));
        }
        if let Some(now) = host::now_milliseconds() {
            said::break_glass(&gate.config().claims.issuers, now);
        }
        self.shared.install(gate);
    }
}

impl Drop for Root {
    /// What was counted since the last tick is told before a new config takes over.
    fn drop(&mut self) {
        self.shared.retire();
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
        self.shared.answered(self.id, call);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        self.load(size)
    }

    fn on_tick(&mut self) {
        self.shared.tick(self.id);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(id, Rc::clone(&self.shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
